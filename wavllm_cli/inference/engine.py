"""Answers for one clip or a whole manifest: batched by length, resumable, never stopped by one bad clip."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from wavllm_cli import console
from wavllm_cli.data.batch import Clip, Collator
from wavllm_cli.data.manifest import Hypothesis, read_lines, write_manifest
from wavllm_cli.data.mixture import pack
from wavllm_cli.errors import AudioError, UsageError, WavLLMError
from wavllm_cli.model.load import load_model
from wavllm_cli.recipe import Batch, sampling


@dataclass(frozen=True)
class Decoding:
    """What a command may change of the model's own generation settings; None leaves the model's."""

    max_new_tokens: int | None = None
    temperature: float | None = None  # 0 is greedy
    num_beams: int | None = None
    seed: int = 0
    logprobs: bool = False  # also return token ids and their log-probabilities

    def options(self) -> dict[str, Any]:
        """As keywords of `generate`."""
        given = {"max_new_tokens": self.max_new_tokens, "num_beams": self.num_beams}
        options = {name: value for name, value in given.items() if value is not None}
        return options if self.temperature is None else options | sampling(self.temperature)


@dataclass(frozen=True)
class Generated:
    """One answer; on request its token ids, EOS included, and the model's log-probability (natural) of each.

    The log-probabilities are those of the network itself, whatever temperature and exclusions it was sampled with.
    """

    text: str
    token_ids: list[int] | None = None
    logprobs: list[float] | None = None


@dataclass(frozen=True)
class Report:
    """What became of a manifest: rows answered now, answered by an earlier run, and skipped (a sentence each)."""

    output: str
    model: str
    answered: int
    earlier: int
    skipped: list[str]
    audio_seconds: float
    seconds: float

    def show(self) -> None:
        earlier = f" ({self.earlier} earlier)" if self.earlier else ""
        skipped = f", {len(self.skipped)} skipped" if self.skipped else ""
        speed = self.audio_seconds / self.seconds if self.seconds else 0
        console.info(
            f"{self.answered + self.earlier} answers{earlier}{skipped} → {self.output} "
            f"({self.audio_seconds:.0f} s of audio in {self.seconds:.0f} s, {speed:.1f} × real time)"
        )
        if self.skipped:
            console.error(f"{len(self.skipped)} utterances could not be answered; the first: {self.skipped[0]}")

    def data(self) -> dict[str, Any]:
        return asdict(self)


class Engine:
    """A loaded model, ready to answer.

    Args:
        source: checkpoint folder or hub id.
        device, dtype: by default a GPU in bfloat16 where there is one, else the CPU in float32.
        trust: run code that the model's files bring along.
    """

    def __init__(
        self,
        source: str,
        device: str | None = None,
        dtype: str | None = None,
        decoding: Decoding | None = None,
        trust: bool = False,
    ):
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.dtype = getattr(torch, dtype or ("bfloat16" if self.device.startswith("cuda") else "float32"))
        self.decoding = decoding or Decoding()
        self.source = source
        model, self.processor = load_model(source, self.dtype, trust)
        try:
            self.model = model.to(self.device)
        except RuntimeError as error:
            raise UsageError(f"The model cannot be moved to device {self.device!r}: {error}") from error

    def answer(self, samples: Any, prompt: str) -> Generated:
        """The answer to one instruction about one clip, (samples,) float32 at 16 kHz or None for text alone."""
        return self._generate(self.processor(text=[prompt], audio=[samples]), self.decoding.seed)[0]

    @torch.inference_mode()
    def _generate(self, inputs: Any, seed: int) -> list[Generated]:
        self._require_known(inputs["input_ids"])
        self._require_known(inputs["prompt_ids"])
        torch.manual_seed(seed)
        inputs = inputs.to(self.device)
        output = self.model.generate(
            **inputs, **self.decoding.options(), return_dict_in_generate=True, output_logits=self.decoding.logprobs
        )
        texts = self.processor.answers(output.sequences, inputs)
        if not self.decoding.logprobs:
            return [Generated(text) for text in texts]
        logprobs = self.model.compute_transition_scores(
            output.sequences, output.logits, output.get("beam_indices"), normalize_logits=True
        )
        new = output.sequences[:, inputs["input_ids"].shape[1] :].tolist()
        lengths = [self._length(ids) for ids in new]
        rows = zip(texts, new, logprobs.tolist(), lengths, strict=True)
        return [Generated(text, ids[:n], scores[:n]) for text, ids, scores, n in rows]

    def _length(self, ids: list[int]) -> int:
        """Tokens of an answer up to its EOS; what follows is padding."""
        ends = self.model.generation_config.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        return next((n for n, token in enumerate(ids, 1) if token in ends), len(ids))

    def _require_known(self, ids: torch.Tensor) -> None:
        """A token that the LLM cannot embed would end in a crash deep inside it."""
        vocabulary = self.model.get_input_embeddings().num_embeddings
        foreign = ids[(ids >= vocabulary) & (ids != self.model.config.audio_token_id)]
        if len(foreign):
            raise UsageError(
                f"An instruction needs token {int(foreign[0])}, but the model {self.source} embeds {vocabulary}: "
                "its tokenizer was made for another LLM."
            )

    def run(self, clips: Sequence[Clip], output: Path, limits: Batch) -> Report:
        """Answer every row of a manifest; rows answered by an earlier, interrupted run are kept.

        Answers are appended to a `.partial` file beside `output` and put into the manifest's order under the final
        name at the end. Batches are cut the same way in every run, so that even sampled answers do not depend on
        where a run was interrupted.

        Raises:
            UsageError: the partial file comes from another model or manifest.
            WavLLMError: not one row could be answered.
        """
        partial = output.with_name(output.name + ".partial")
        done = self._earlier_answers(partial, {clip.row.id for clip in clips})
        earlier, started = len(done), time.perf_counter()
        skipped: list[str] = []
        seconds = [_seconds(clip) for clip in clips]
        output.parent.mkdir(parents=True, exist_ok=True)
        with console.progress_bar() as bar, partial.open("a", encoding="utf-8") as file:
            task = bar.add_task("answering", total=len(clips), completed=earlier, note="")
            for number, indices in enumerate(pack(seconds, limits)):
                if all(clips[i].row.id in done for i in indices):
                    continue
                for hypothesis in self._answer_batch([clips[i] for i in indices], number, skipped):
                    if hypothesis.id not in done:
                        file.write(hypothesis.json_line() + "\n")
                    done[hypothesis.id] = hypothesis
                file.flush()
                bar.update(task, completed=len(done) + len(skipped))
        if not done:
            raise WavLLMError(f"No utterance of {len(clips)} could be answered; the first: {skipped[0]}")
        write_manifest(output, [done[clip.row.id] for clip in clips if clip.row.id in done])
        os.remove(partial)
        return Report(
            output=str(output),
            model=self.source,
            answered=len(done) - earlier,
            earlier=earlier,
            skipped=skipped,
            audio_seconds=sum(s for s, clip in zip(seconds, clips, strict=True) if clip.row.id in done),
            seconds=time.perf_counter() - started,
        )

    def _answer_batch(self, clips: list[Clip], number: int, skipped: list[str]) -> Iterator[Hypothesis]:
        batch = Collator(self.processor, with_targets=False)(clips)
        for sentence in batch.skipped:
            console.warn(f"skipped {sentence}")
        for name in batch.silent:
            console.warn(f"{name}: silent clip")
        skipped += batch.skipped
        if batch.inputs is not None:
            answers = self._generate(batch.inputs, self.decoding.seed + number)
            for row, answer in zip(batch.rows, answers, strict=True):
                yield Hypothesis(**row.model_dump(), **vars(answer), system=self.source)

    def _earlier_answers(self, partial: Path, ids: set[str]) -> dict[str, Hypothesis]:
        if not partial.is_file():
            return {}
        _drop_half_line(partial)
        done = {row.id: row for row in read_lines(partial, Hypothesis)}
        if any(row.system != self.source for row in done.values()) or not done.keys() <= ids:
            raise UsageError(
                f"{partial} holds answers of another model or manifest: delete it, or choose another --output."
            )
        if any((row.logprobs is None) == self.decoding.logprobs for row in done.values()):
            raise UsageError(
                f"{partial} was begun {'without' if self.decoding.logprobs else 'with'} --logprobs: continue it that "
                "way, delete it, or choose another --output."
            )
        return done


def _drop_half_line(path: Path) -> None:
    """Cut off the line that a kill left unfinished, or the next one would be glued to it."""
    content = path.read_bytes()
    if not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)


def _seconds(clip: Clip) -> float:
    """Duration for batching; 0 for clips that will be skipped anyway."""
    try:
        return clip.seconds()
    except (AudioError, UsageError):
        return 0.0
