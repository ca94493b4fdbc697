"""One training loop for both stages, on Accelerate: one process or many, fp32 or bf16, killed and continued at will.

Nothing random outlives a step: batches come from a plan that is a function of seed and step, and dropout is seeded by
the step's number. A continued run therefore repeats the uninterrupted one exactly. A step's batches do not depend on
how many processes share them, so that a run may be continued by more or fewer (dropout then falls otherwise).

What may end a step is agreed on, or some processes would wait for ever: a signal to one of them stops all after the
same step, and a step whose loss or gradient is no number is skipped by all.
"""

import json
import math
import textwrap
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import gather_object
from rich.progress import Progress, TaskID

from wavllm_cli import console
from wavllm_cli.data.batch import Batch, Collator
from wavllm_cli.data.files import append_text
from wavllm_cli.data.mixture import Curriculum
from wavllm_cli.errors import WavLLMError
from wavllm_cli.model.modeling_wavllm import WavLLMForConditionalGeneration
from wavllm_cli.model.processing_wavllm import WavLLMProcessor
from wavllm_cli.recipe import Minimised, Optimizer, Recipe
from wavllm_cli.training.augmented import augmenter_of
from wavllm_cli.training.by_task import CODES, Prepared, means, weights_of
from wavllm_cli.training.checkpoint import RunFolder, State
from wavllm_cli.training.dataset import MixtureDataset, Stream, training_manifests
from wavllm_cli.training.encoder_cache import cache_of
from wavllm_cli.training.encoding import CachingProcessor, encode
from wavllm_cli.training.groups import optimizer_groups, set_trainable
from wavllm_cli.training.objective import Objective, token_of
from wavllm_cli.training.room import Room
from wavllm_cli.training.scales import Scales
from wavllm_cli.training.signals import finish_step_on_interrupt
from wavllm_cli.training.tokens import tokens_of
from wavllm_cli.training.validate import Validator

SHOWN = 120  # characters of a sample in the table; the log has all of it
NAMED = 5  # ids in a sentence
LOG_EVERY = 10  # steps between two lines on the screen and in the log
MOST_SKIPPED = 10  # steps in a row without a usable gradient, before the run gives up


def schedule(step: int, total: int, optimizer: Optimizer) -> float:
    """The share of the highest rate in step `step` (0-based): linear warm-up, then down to zero at `total`."""
    if step < optimizer.warmup_steps:
        return (step + 1) / optimizer.warmup_steps
    progress = (step - optimizer.warmup_steps) / max(1, total - optimizer.warmup_steps)
    factor = {"linear": 1 - progress, "cosine": (1 + math.cos(math.pi * progress)) / 2, "constant": 1.0}
    return factor[optimizer.schedule]


class Part(NamedTuple):
    """What a batch adds to a step's loss, and the losses of its rows by task."""

    loss: torch.Tensor
    by_task: torch.Tensor


class Agreed(NamedTuple):
    """What all processes know of a step: the loss, whether any of them was told to stop, the losses of all rows."""

    loss: float
    stopping: bool
    by_task: torch.Tensor


class Trainer:
    """One stage: everything that lives from its first step to its last.

    Args:
        model: already holds the weights the stage starts from.
        stage_number: counted from 1.
    """

    def __init__(
        self,
        recipe: Recipe,
        stage_number: int,
        model: WavLLMForConditionalGeneration,
        processor: WavLLMProcessor,
        folder: RunFolder,
    ):
        self.recipe, self.folder, self.processor = recipe, folder, processor
        self.number, self.stage = stage_number, recipe.stages[stage_number - 1]
        self.accelerator = Accelerator(
            mixed_precision="bf16" if self.stage.precision == "bf16" else "no",
            cpu=not torch.cuda.is_available(),  # else several processes on CPUs would not find each other
            # A batch of text alone leaves the adapters without a gradient.
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
        if self.stage.gradient_checkpointing:
            model.language_model.activation_checkpointing_enable({"use_reentrant": False})
        trained = set_trainable(model, self.stage.trainable)
        groups = optimizer_groups(model, self.stage.optimizer)
        optimizer = torch.optim.AdamW(groups, betas=self.stage.optimizer.betas)
        self.trained = trained
        self.bare = model
        self.objective, self.optimizer = self.accelerator.prepare(self._objective(), optimizer)
        self.scales = Scales(model.prompt_adapter)
        self.task_weights = weights_of(self.stage.task_weights, self.accelerator.device)
        self.cache = cache_of(recipe, self.stage, model, processor)
        self.collator = Collator(CachingProcessor(processor) if self.cache else processor, with_targets=True)
        self.room = Room(model.config, processor)
        self.validator = self._validator()
        self.pending: list[dict] = []
        self.skipped: list[str] = []  # why, for each of the last steps in a row that taught nothing

    def _objective(self) -> Objective:
        ctc = self.stage.ctc
        blank = token_of(ctc.blank, self.processor.tokenizer) if ctc and ctc.blank else None
        return Objective(self.bare, ctc.weight if ctc else 0.0, blank)

    def _validator(self) -> Validator | None:
        section = self.stage.validation
        if not section:
            return None
        shared = self.room, self.accelerator, self.collator, self.cache
        return Validator(self.recipe, self.stage, section, self.processor, *shared)

    # --- the run ---

    def run(self) -> None:
        """Train to the last step, from the newest state if there is one, and save the result.

        Raises:
            KeyboardInterrupt: after Ctrl-C, SIGTERM or SIGUSR1, to whichever process, once the state of the last whole
                step is saved.
            WavLLMError: many steps in a row had no usable gradient.
        """
        first = self._resume()
        stream = self._stream(first)
        total = self.stage.steps
        with ExitStack() as stack:
            bar = stack.enter_context(console.progress_bar())
            task = bar.add_task("training", total=total, completed=first, note="")
            received = stack.enter_context(finish_step_on_interrupt())
            if self.accelerator.is_main_process:
                self.board = stack.enter_context(self._tensorboard(first))
            if self._validation_is_due(first) and not self._is_validated(first):
                self._validate(first)
            for step in range(first, total):
                stopping = self._step(step, next(stream), received)
                done = step + 1
                giving_up = len(self.skipped) == MOST_SKIPPED
                saving = stopping or done % self.stage.checkpoint_every == 0 or done == total
                if saving or giving_up or done % LOG_EVERY == 0 or self._validation_is_due(done):
                    self._flush(bar, task, done)
                if giving_up:
                    raise self._given_up(done)
                if saving:  # before the validation, for which a process that was told to stop may have no time
                    self._save_state(done)
                if stopping:
                    raise KeyboardInterrupt
                if self._validation_is_due(done):
                    self._validate(done)
        if self.accelerator.is_main_process:
            self.folder.save_result(self.bare, self.processor)

    def _resume(self) -> int:
        """The steps that are done already."""
        newest = self.folder.newest_state()
        done = 0
        if newest is not None:
            done = self.folder.load_state(newest, self.bare, self.optimizer).step
            console.info(f"continuing from step {done}")
        if self.accelerator.is_main_process:
            self.folder.truncate_logs(done)
        return done

    def _stream(self, first: int) -> Stream:
        manifests = training_manifests(self.recipe, self.stage, self.room)
        clips, seconds = [m.clips for m in manifests], [m.seconds for m in manifests]
        augmenter = augmenter_of(self.recipe, self.stage, clips, seconds, self.room)
        speeds = augmenter.speeds if augmenter else None
        tokens = tokens_of(manifests, self.processor) if self.stage.batch.max_tokens else None
        plan = Curriculum(self.stage, seconds, self.recipe.seed, speeds, tokens)
        if self.cache:
            manifests = [m.cached(self.cache) for m in manifests]
        dataset = MixtureDataset(manifests, self.collator, augmenter)
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        return Stream(dataset, plan, first, rank, world, self.stage.workers)

    # --- one step ---

    def _step(self, step: int, batches: list[Batch], received: list[int]) -> bool:
        """Train on this process's share of a step's batches; was any process told to stop?"""
        started = time.perf_counter()
        accelerator = self.accelerator
        torch.manual_seed((self.recipe.seed << 32) + step * accelerator.num_processes + accelerator.process_index)
        self.objective.train()
        if self.cache:
            with accelerator.autocast():
                for batch in batches:
                    encode(batch, self.bare, self.cache)
        prepared = [Prepared.of(batch, accelerator.device) for batch in batches]
        tokens = accelerator.reduce(sum(batch.summed(batch.tokens) for batch in prepared))
        line: dict[str, Any] = {"step": step + 1}
        if not tokens.any():
            self._skip(line, "none of its clips can be used", [])
            return self._agree([], received).stopping
        counted = (tokens * self.task_weights).sum()
        minimised = self.stage.minimises(step)
        parts = [self._backward(batch, minimised, counted, i) for i, batch in enumerate(prepared)]
        share = schedule(step, self.stage.steps, self.stage.optimizer)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * share
        rate = self.stage.optimizer.learning_rate * share
        norm = float(accelerator.clip_grad_norm_(self.trained, self.stage.optimizer.max_grad_norm))
        agreed = self._agree(parts, received)
        loss = agreed.loss
        if math.isfinite(loss) and math.isfinite(norm):
            self.optimizer.step()
            self.skipped.clear()
            line |= {"objective": minimised, "loss": loss, "learning_rate": rate, "grad_norm": norm}
            line |= {"answer_tokens": int(tokens.sum())}
            line |= {"loss_by_task": means(agreed.by_task, tokens), **self.scales.shares()}
            self.pending.append(line | {"seconds": time.perf_counter() - started})
        else:
            reason = f"the loss is {loss}" if not math.isfinite(loss) else f"the norm of the gradient is {norm}"
            self._skip(line, reason, self._suspects(batches, [part.loss for part in parts]))
        self.optimizer.zero_grad()
        return agreed.stopping

    def _agree(self, parts: list[Part], received: list[int]) -> Agreed:
        """What all processes know of a step."""
        nothing = torch.zeros(1 + len(CODES), device=self.accelerator.device)
        losses = sum((torch.cat([part.loss[None], part.by_task]) for part in parts), nothing)
        told = torch.full_like(losses[:1], float(bool(received)))
        everywhere = self.accelerator.reduce(torch.cat([told, losses]))
        return Agreed(float(everywhere[1]), bool(everywhere[0] > 0), everywhere[2:])

    def _backward(self, batch: Prepared, minimised: Minimised, counted: torch.Tensor, number: int) -> Part:
        """Add the gradient of batch `number` of this process; its part of the step's loss."""
        with ExitStack() as stack:
            if number + 1 < -(-self.stage.batch.accumulate // self.accelerator.num_processes):
                stack.enter_context(self.accelerator.no_sync(self.objective))
            weights = self.task_weights[batch.tasks]
            loss, row_losses = self.objective(batch.inputs, batch.transcribes, weights, counted, minimised)
            # Processes are averaged, but the loss is a sum over all their tokens.
            self.accelerator.backward(loss * self.accelerator.num_processes)
        return Part(loss.detach(), batch.summed(row_losses))

    # --- steps that teach nothing ---

    def _suspects(self, batches: list[Batch], parts: list[torch.Tensor]) -> list[str]:
        """Ids of the batches whose loss is no number, over all processes; of all batches where only gradients are."""
        mine = [[row.id for row in batch.rows] for batch in batches]
        broken = [ids for ids, part in zip(mine, parts, strict=True) if not part.isfinite()]
        everyone = gather_object([(broken, mine)])
        found = [ids for theirs, _ in everyone for ids in theirs] or [ids for _, theirs in everyone for ids in theirs]
        return [name for ids in found for name in ids]

    def _skip(self, line: dict[str, Any], reason: str, ids: list[str]) -> None:
        """Leave the weights as they are and say why; all processes come here in the same step."""
        self.skipped.append(reason)
        self.pending.append(line | {"skipped": reason, "ids": ids})
        among = f"; its clips: {named(ids)}" if ids else ""
        console.warn(f"step {line['step']} is skipped, {reason}{among}.")

    def _given_up(self, done: int) -> WavLLMError:
        return WavLLMError(
            f"Steps {done - MOST_SKIPPED + 1} to {done} taught nothing, the last because {self.skipped[-1]}: look at "
            f"their clips (the ids are in {self.folder.path / 'log.jsonl'}), or lower "
            f"stages.{self.number - 1}.optimizer.learning_rate with --set; the same command continues from the last "
            "saved state."
        )

    # --- what is written ---

    def _tensorboard(self, step: int):
        """A TensorBoard writer that drops what an interrupted run logged beyond `step`."""
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(self.folder.path / "tensorboard"), purge_step=step + 1)

    def _flush(self, bar: Progress, task: TaskID, done: int) -> None:
        """Log the pending steps."""
        lines, self.pending = self.pending, []
        losses = [f"{line['objective']}: loss {line['loss']:.3f}" for line in lines if "loss" in line]
        bar.update(task, completed=done, note=losses[-1] if losses else "")
        if self.accelerator.is_main_process:
            self._log("log.jsonl", lines)
            for line in lines:
                for key in ("loss", "learning_rate", "grad_norm", "scale_dead", "scale_clipped"):
                    if key in line:
                        self.board.add_scalar(f"train/{key}", line[key], line["step"])
                for task, loss in line.get("loss_by_task", {}).items():
                    self.board.add_scalar(f"train/loss/{task}", loss, line["step"])

    def _log(self, name: str, lines: list[dict]) -> None:
        texts = [json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines]
        append_text(self.folder.path / name, "".join(texts))

    def _save_state(self, done: int) -> None:
        if self.accelerator.is_main_process:
            self.folder.save_state(State(done), self.bare, self.optimizer)
        self.accelerator.wait_for_everyone()

    # --- validation ---

    def _validation_is_due(self, done: int) -> bool:
        section = self.stage.validation
        if not done:  # a checkpoint that the user has chosen: how good was it before?
            start = self.folder.record.start if self.folder.record else None
            return bool(section and start and start.chosen)
        return bool(section and (done % section.every == 0 or done == self.stage.steps))

    def _is_validated(self, done: int) -> bool:
        """Was the validation after step `done` logged, or was its process stopped before?"""
        logged = self.accelerator.is_main_process and done in self.folder.validated_steps()
        return bool(self.accelerator.reduce(torch.tensor(int(logged), device=self.accelerator.device)))

    def _validate(self, done: int) -> None:
        """Log the loss on the validation manifest, and show some answers."""
        assert self.validator is not None
        loss = self.validator.loss(self.bare)
        if not self.accelerator.is_main_process:
            return
        left_out = {"left_out": loss.left_out} if loss.left_out else {}
        self._log("log.jsonl", [{"step": done, "validation_loss": loss.value, **left_out}])
        if loss.left_out:
            console.warn(
                f"step {done}: the validation loss of {len(loss.left_out)} rows is no number; they are left out: "
                f"{named(loss.left_out)}."
            )
        if loss.value is None:
            console.warn(f"step {done}: no row of the validation manifest can be used.")
            return
        self.board.add_scalar("validation/loss", loss.value, done)
        console.info(f"step {done}: validation loss {loss.value:.4f}")
        answers = self.validator.answers(self.bare)
        self._log("samples.jsonl", [{"step": done, **answer} for answer in answers])
        short = [[textwrap.shorten(str(cell), SHOWN) for cell in answer.values()] for answer in answers]
        console.table(f"step {done}", ("id", "reference", "hypothesis"), short, console.err, right=False)


def named(ids: Sequence[str]) -> str:
    """The first of many ids."""
    return ", ".join(ids[:NAMED]) + (" …" if len(ids) > NAMED else "")
