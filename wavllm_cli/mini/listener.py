"""Stage 0 of the miniature: a small WavLM that knows voices, moods and phonemes before WavLLM freezes it.

OUT/                    an ordinary WavLM folder, and in it
    listener.json       how it was trained, on which manifests, what it can
OUT-training/           while it is trained, and its log afterwards
    begun.json          what the training depends on
    log.jsonl           losses, and scores on some of the held-out clips
    state/              from which a killed training continues
"""

import math
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count as count_from
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from transformers import Wav2Vec2FeatureExtractor, WavLMConfig

from wavllm_cli import console
from wavllm_cli.data.files import digest, owned, replacing, require_folder, require_new, write_text
from wavllm_cli.data.mixture import MixturePlan
from wavllm_cli.data.packing import Limits
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.mini.listener_data import Batch, Batches, Classes, digests, examples_of
from wavllm_cli.mini.listener_model import Listener
from wavllm_cli.mini.listener_scores import Scores, scores_of
from wavllm_cli.recipe import Optimizer
from wavllm_cli.training.logs import LOG, append_line, truncate_log
from wavllm_cli.training.loop import schedule
from wavllm_cli.training.signals import finish_step_on_interrupt
from wavllm_cli.training.state import State, read_state, sound_state, state_folders, write_state

GATE = 0.6  # of the held-out frames of known voices: below it, speaker verification downstream has failed
LOG_EVERY, CHECK_EVERY, SAVE_EVERY = 20, 200, 100  # steps
CHECKED = 96  # held-out clips that are looked at on the way
MEASURED = Limits(max_seconds=40.0, max_utterances=16)  # a batch that scores are taken of
LISTENED = 32  # clips by which the first convolution is made as loud at every frequency
RECORD, BEGUN, STATES = "listener.json", "begun.json", "state"

# 1.4 M parameters. The convolutions make a frame of 20 ms; the first hears 25 ms of sound every 10 ms.
NETWORK: dict[str, Any] = {
    "hidden_size": 192, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 512,
    "conv_dim": [192, 192], "conv_kernel": [400, 3], "conv_stride": [160, 2], "conv_bias": True,
    "feat_extract_norm": "layer", "do_stable_layer_norm": True, "initializer_range": 0.05,
    "num_conv_pos_embeddings": 32, "num_conv_pos_embedding_groups": 12, "num_buckets": 64, "max_bucket_distance": 200,
    "mask_time_prob": 0.0, "mask_feature_prob": 0.0,
}  # fmt: skip


class Settings(BaseModel):
    """What a training depends on beside its data.

    Measured, 850 seconds of one slow core: on held-out sentences of 340 speakers 73.8 % of the frames are given to the
    right one; of voices never heard 77 % phoneme errors and 60 % of the moods.

    Attributes:
        weights: of the losses. The gradient of CTC is tenfold that of the others until the phonemes are known; one
            clip of ten has a mood.
        batches: of each step, since clips of one length are alike in more than their length.
    """

    model_config = ConfigDict(frozen=True)

    steps: int = 1200
    seed: int = 1
    network: dict[str, Any] = NETWORK
    weights: dict[str, float] = {"speaker": 1.0, "emotion": 2.0, "phonemes": 0.5}
    batches: int = 3
    batch_seconds: float = 12.0
    batch_clips: int = 4
    optimizer: Optimizer = Optimizer(learning_rate=1.5e-3, warmup_steps=60, schedule="linear", weight_decay=0.01)

    @property
    def limits(self) -> Limits:
        return Limits(self.batch_seconds, self.batch_clips)


class Ground(BaseModel):
    """What a listener is made of: the same settings and manifests give the same listener."""

    model_config = ConfigDict(frozen=True)

    settings: Settings
    manifests: dict[str, str]  # SHA-256 by file name

    def difference(self, other: "Ground") -> str | None:
        """What of another one is otherwise, as the rest of a sentence."""
        mine, theirs = self.settings.model_dump(), other.settings.model_dump()
        for name in mine:
            if mine[name] != theirs[name]:
                return f"with {name} {theirs[name]}, not {mine[name]}"
        for name in sorted(self.manifests.keys() | other.manifests.keys()):
            if self.manifests.get(name) != other.manifests.get(name):
                return f"on another {name}"
        return None


class ListenerReport(BaseModel):
    """What a finished listener is, and what it can.

    Attributes:
        held_out: sentences that were never trained on, by voices that were.
        dev: voices and sentences that were not.
        cpu_seconds: of the process that made the last step, since its start or continuation.
    """

    model_config = ConfigDict(frozen=True)

    ground: Ground
    speakers: int
    emotions: list[str]
    phonemes: str
    parameters: int
    held_out: Scores
    dev: Scores
    cpu_seconds: float
    sha256: str  # of model.safetensors

    @property
    def passed(self) -> bool:
        """Whether the gate is passed."""
        return (self.held_out.speaker_frames.value or 0.0) > GATE


def train_listener(
    data: Path, out: Path, steps: int | None = None, seed: int = 1, settings: Settings | None = None
) -> ListenerReport:
    """Train on the manifests of `prep mini`, from where a killed training stopped; a finished one is only read.

    Args:
        data: the folder of the manifests.
        out: the WavLM's folder, as a recipe's `acoustic_encoder: {path: …}` takes it.
        steps: None for those of the settings.

    Raises:
        KeyboardInterrupt: after Ctrl-C, once the state of the last whole step is saved.
        UsageError: there is nothing to train on, or `out` holds something else.
        WavLLMError: a file cannot be read or written.
    """
    settings = (settings or Settings()).model_copy(update={"seed": seed} | ({} if steps is None else {"steps": steps}))
    require_folder(out)
    ground = Ground(settings=settings, manifests=digests(data))
    with owned(out):
        report = _finished(out, ground) or _Training(data, out, ground).run()
    console.info(f"on sentences held out, of voices trained on: {report.held_out}")
    console.info(f"on voices and sentences never heard: {report.dev}")
    if not report.passed:
        console.warn(
            f"The listener knows the speaker of {report.held_out.speaker_frames} held-out frames: below {GATE:.0%}, "
            "speaker verification and emotions will hardly be learnt from it. Train it for more steps."
        )
    return report


def _finished(out: Path, ground: Ground) -> ListenerReport | None:
    """The report of a listener that lies there; None where none does.

    Raises:
        UsageError: it is another one, or something else lies there.
    """
    record = out / RECORD
    if not record.is_file():
        require_new(out)
        return None
    try:
        report = ListenerReport.model_validate_json(record.read_bytes())
    except (OSError, ValidationError) as error:
        raise UsageError(f"{record} cannot be read: delete {out}, or choose another folder.") from error
    if difference := ground.difference(report.ground):
        raise UsageError(f"{out} holds a listener trained {difference}: delete it, or choose another folder.")
    tensors = out / "model.safetensors"
    if not tensors.is_file() or digest(tensors) != report.sha256:
        raise UsageError(f"{tensors} is not what the training wrote: delete {out}, and it is trained anew.")
    return report


class _Training:
    """One training, from its first step to its result."""

    def __init__(self, data: Path, out: Path, ground: Ground):
        self.out, self.ground, self.settings = out, ground, ground.settings
        self.folder = out.with_name(f"{out.name}-training")
        self._begin()
        examples = examples_of(data, "train")
        self.train = [example for example in examples if not example.is_held_out]
        self.held_out = [example for example in examples if example.is_held_out]
        self.dev = examples_of(data, "dev")
        if not self.train:
            raise UsageError(f"The manifests of {data} have no clips to train on.")
        self.classes = Classes.of(self.train)
        self.extractor = Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)
        self.batches = Batches(self.extractor, self.classes)
        self.listener = self._listener()
        rate = self.settings.optimizer
        self.trained = [p for p in self.listener.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.trained, lr=rate.learning_rate, betas=rate.betas, weight_decay=rate.weight_decay
        )

    def _begin(self) -> None:
        """Say what the training depends on, or find that another one has begun there."""
        begun = self.folder / BEGUN
        if not state_folders(self.folder / STATES):
            write_text(begun, self.ground.model_dump_json(indent=1))
            return
        try:
            difference = self.ground.difference(Ground.model_validate_json(begun.read_bytes()))
        except (OSError, ValidationError) as error:
            raise UsageError(f"{begun} cannot be read: delete {self.folder} to begin anew.") from error
        if difference:
            raise UsageError(
                f"{self.folder} holds a training begun {difference}: continue that one, or delete the folder."
            )

    def _listener(self) -> Listener:
        with torch.random.fork_rng():
            torch.manual_seed(self.settings.seed)
            listener = Listener(WavLMConfig(**self.settings.network), self.classes)
        some = self.train[:: -(-len(self.train) // LISTENED)]
        batch = self.batches.make(some, [0.5] * len(some))
        if batch is None:
            raise WavLLMError(f"None of {len(some)} clips can be read: see the warnings above.")
        listener.hear_frequencies(batch.waves)
        return listener

    # --- the run ---

    def run(self) -> ListenerReport:
        started = time.process_time()
        first, total = self._resume(), self.settings.steps
        console.info(
            f"{len(self.train):,} clips to train on, {len(self.held_out):,} held out, {len(self.dev):,} in dev; "
            f"{len(self.classes.speakers)} speakers, {len(self.classes.emotions)} emotions, "
            f"{len(self.classes.phonemes)} phonemes"
        )
        batches = self._batches(first)
        with ExitStack() as stack:
            bar = stack.enter_context(console.progress_bar())
            task = bar.add_task("listening", total=total, completed=first, note="")
            received = stack.enter_context(finish_step_on_interrupt())
            for step in range(first, total):
                line = self._step(step, next(batches))
                done = step + 1
                if done % LOG_EVERY == 0 or done == total:
                    append_line(self.folder / LOG, line)
                    bar.update(task, completed=done, note=f"speaker {line['speaker']:.2f}")
                if received or done % SAVE_EVERY == 0 or done == total:
                    write_state(self.folder / STATES, State(done), self.listener, self.optimizer)
                if received:
                    raise KeyboardInterrupt
                if done % CHECK_EVERY == 0:
                    self._check(done)
        return self._save(time.process_time() - started)

    def _resume(self) -> int:
        """The steps that are done already."""
        path, damaged = sound_state(self.folder / STATES)
        for clause in damaged:
            console.warn(f"{clause} and passed over.")
        done = 0
        if path is not None:
            done = read_state(path, self.listener, self.optimizer).step
            console.info(f"continuing from step {done}")
        truncate_log(self.folder / LOG, done)
        return done

    def _batches(self, first: int) -> Iterator[list[Batch]]:
        """Those of each step, from a step on: a pure function of seed and step."""
        seconds = np.array([example.seconds for example in self.train])
        plan = MixturePlan([seconds], [1.0], self.settings.limits, self.settings.seed)
        count = self.settings.batches
        pairs = plan.batches(first * count)
        for step in count_from(first):
            rng = np.random.default_rng((self.settings.seed, step))
            drawn = [[self.train[draw % len(self.train)] for _, draw in next(pairs)] for _ in range(count)]
            made = [self.batches.make(examples, rng.random(len(examples)).tolist()) for examples in drawn]
            yield [batch for batch in made if batch is not None]

    def _step(self, step: int, batches: list[Batch]) -> dict[str, Any]:
        """One step; its line of the log."""
        rate = self.settings.optimizer
        for group in self.optimizer.param_groups:
            group["lr"] = rate.learning_rate * schedule(step, self.settings.steps, rate)
        self.optimizer.zero_grad()
        means = dict.fromkeys(self.settings.weights, 0.0)
        for batch in batches:
            losses = self.listener.losses(batch)
            weighted = [self.settings.weights[name] * loss / len(batches) for name, loss in losses.items()]
            torch.stack(weighted).sum().backward()
            means = {name: mean + losses[name].item() / len(batches) for name, mean in means.items()}
        norm = torch.nn.utils.clip_grad_norm_(self.trained, rate.max_grad_norm).item()
        if math.isfinite(norm):
            self.optimizer.step()
        else:
            console.warn(f"step {step + 1} is skipped, the norm of its gradient is {norm}.")
        return {"step": step + 1, **means, "grad_norm": norm}

    def _check(self, done: int) -> None:
        some = self.held_out[:: -(-len(self.held_out) // CHECKED) or 1]
        scores = scores_of(self.listener, self.batches.once(some, MEASURED))
        append_line(self.folder / LOG, {"step": done, "scores": scores.model_dump()})
        console.info(f"step {done}: {scores}")

    # --- the result ---

    def _save(self, cpu_seconds: float) -> ListenerReport:
        scores = [
            scores_of(self.listener, self.batches.once(examples, MEASURED)) for examples in (self.held_out, self.dev)
        ]
        with replacing(self.out) as draft:
            self.listener.wavlm.save_pretrained(draft)
            self.extractor.save_pretrained(draft)
            report = ListenerReport(
                ground=self.ground,
                speakers=len(self.classes.speakers),
                emotions=list(self.classes.emotions),
                phonemes=self.classes.phonemes,
                parameters=sum(p.numel() for p in self.listener.wavlm.parameters()),
                held_out=scores[0],
                dev=scores[1],
                cpu_seconds=round(cpu_seconds, 1),
                sha256=digest(draft / "model.safetensors"),
            )
            (draft / RECORD).write_text(report.model_dump_json(indent=1), encoding="utf-8")
        shutil.rmtree(self.folder / STATES)
        return report
