"""One training loop for both stages, on Accelerate: one process or many, fp32 or bf16, killed and continued at will.

Nothing random outlives a step: batches come from a plan that is a function of seed and position, and dropout is
seeded by the step's number. A continued run therefore repeats the uninterrupted one exactly.
"""

import json
import math
import signal
import textwrap
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from rich.progress import Progress, TaskID

from wavllm_cli import console
from wavllm_cli.data.batch import Batch, Collator
from wavllm_cli.data.mixture import Curriculum
from wavllm_cli.errors import WavLLMError
from wavllm_cli.model.modeling_wavllm import WavLLMForConditionalGeneration
from wavllm_cli.model.processing_wavllm import IGNORE, WavLLMProcessor
from wavllm_cli.recipe import Optimizer, Recipe
from wavllm_cli.training.checkpoint import RunFolder, State
from wavllm_cli.training.dataset import (
    MixtureDataset,
    Stream,
    Utterances,
    load_utterances,
    training_manifests,
    validation_batches,
)
from wavllm_cli.training.groups import decay_groups, set_trainable
from wavllm_cli.training.objective import Objective

SHOWN = 120  # characters of a sample in the table; the log has all of it
LOG_EVERY = 10  # steps between two looks at the losses, which stay on the device until then


def learning_rate(step: int, total: int, optimizer: Optimizer) -> float:
    """The rate of step `step` (0-based): linear warm-up, then down to zero at `total`."""
    if step < optimizer.warmup_steps:
        return optimizer.learning_rate * (step + 1) / optimizer.warmup_steps
    progress = (step - optimizer.warmup_steps) / max(1, total - optimizer.warmup_steps)
    factor = {"linear": 1 - progress, "cosine": (1 + math.cos(math.pi * progress)) / 2, "constant": 1.0}
    return optimizer.learning_rate * factor[optimizer.schedule]


@contextmanager
def finish_step_on_interrupt() -> Iterator[list[int]]:
    """Ctrl-C and SIGTERM wait for the end of the step; a second Ctrl-C does not. Yields the signals received."""
    received: list[int] = []
    handlers = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, _frame: object) -> None:
        received.append(number)
        signal.signal(signal.SIGINT, handlers[signal.SIGINT])

    for number in handlers:
        signal.signal(number, handle)
    try:
        yield received
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


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
        self.recipe, self.stage, self.folder, self.processor = (
            recipe,
            recipe.stages[stage_number - 1],
            folder,
            processor,
        )
        self.accelerator = Accelerator(
            mixed_precision="bf16" if self.stage.precision == "bf16" else "no",
            cpu=not torch.cuda.is_available(),  # else several processes on CPUs would not find each other
            # A batch of text alone leaves the adapters without a gradient.
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
        if self.stage.gradient_checkpointing:
            model.language_model.activation_checkpointing_enable({"use_reentrant": False})
        trained = set_trainable(model, self.stage.trainable)
        optimizer = torch.optim.AdamW(
            decay_groups(trained, self.stage.optimizer.weight_decay),
            lr=self.stage.optimizer.learning_rate,
            betas=self.stage.optimizer.betas,
        )
        self.trained = trained
        self.bare = model
        objective = Objective(model, self.stage.ctc.weight if self.stage.ctc else 0.0)
        self.objective, self.optimizer = self.accelerator.prepare(objective, optimizer)
        self.collator = Collator(processor, with_targets=True)
        self.validation: Utterances | None = None
        if self.stage.validation:
            manifest = recipe.manifest(self.stage.validation.manifest)
            self.validation = load_utterances(manifest, self.stage.max_audio_seconds)
        self.pending: list[dict] = []

    # --- the run ---

    def run(self) -> None:
        """Train to the last step, from the newest state if there is one, and save the result.

        Raises:
            KeyboardInterrupt: after Ctrl-C or SIGTERM, once the state of the last whole step is saved.
            WavLLMError: the loss is no longer a number.
        """
        state = self._resume()
        stream = self._stream(state)
        total = self.stage.steps
        with ExitStack() as stack:
            bar = stack.enter_context(console.progress_bar())
            task = bar.add_task("training", total=total, completed=state.step, note="")
            received = stack.enter_context(finish_step_on_interrupt())
            if self.accelerator.is_main_process:
                self.board = stack.enter_context(self._tensorboard(state.step))
            for step in range(state.step, total):
                self._step(step, stream)
                done = step + 1
                if done % LOG_EVERY == 0 or done == total:
                    self._flush(bar, task, done)
                if self.stage.validation and (done % self.stage.validation.every == 0 or done == total):
                    self._flush(bar, task, done)
                    self._validate(done)
                if received or done % self.stage.checkpoint_every == 0 or done == total:
                    self._flush(bar, task, done)
                    self._save_state(done, stream)
                if received:
                    raise KeyboardInterrupt
        if self.accelerator.is_main_process:
            self.folder.save_result(self.bare, self.processor)

    def _resume(self) -> State:
        newest = self.folder.newest_state()
        state = State(0, [0] * self.accelerator.num_processes)
        if newest is not None:
            state = self.folder.load_state(newest, self.bare, self.optimizer)
            console.info(f"continuing from step {state.step}")
        if len(state.positions) != self.accelerator.num_processes:
            raise WavLLMError(
                f"{newest} was written by {len(state.positions)} processes and can't be continued by "
                f"{self.accelerator.num_processes}: start as many, or start over with --restart."
            )
        if self.accelerator.is_main_process:
            self.folder.truncate_logs(state.step)
        return state

    def _stream(self, state: State) -> Stream:
        manifests = training_manifests(self.recipe, self.stage)
        plan = Curriculum(
            self.stage,
            [m.seconds for m in manifests],
            self.recipe.seed,
            self.accelerator.process_index,
            self.accelerator.num_processes,
        )
        position = state.positions[self.accelerator.process_index]
        return Stream(MixtureDataset(manifests, self.collator), plan, position, self.stage.workers)

    # --- one step ---

    def _step(self, step: int, stream: Stream) -> None:
        started = time.perf_counter()
        accelerator = self.accelerator
        torch.manual_seed((self.recipe.seed << 32) + step * accelerator.num_processes + accelerator.process_index)
        self.objective.train()
        batches = [self._on_device(next(stream)) for _ in range(self.stage.batch.accumulate)]
        tokens = accelerator.reduce(sum((inputs["labels"] != IGNORE).sum() for inputs, _ in batches))
        loss = torch.zeros((), device=accelerator.device)
        for i, (inputs, transcribes) in enumerate(batches):
            with ExitStack() as stack:
                if i + 1 < len(batches):
                    stack.enter_context(accelerator.no_sync(self.objective))
                part = self.objective(inputs, transcribes, tokens)
                # Processes are averaged, but the loss is a sum over all their tokens.
                accelerator.backward(part * accelerator.num_processes)
            loss += part.detach()
        rate = learning_rate(step, self.stage.steps, self.stage.optimizer)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        norm = accelerator.clip_grad_norm_(self.trained, self.stage.optimizer.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.pending.append(
            {
                "step": step + 1,
                "loss": accelerator.reduce(loss),
                "learning_rate": rate,
                "grad_norm": norm,
                "answer_tokens": tokens,
                "seconds": time.perf_counter() - started,
            }
        )

    def _on_device(self, batch: Batch) -> tuple[Any, torch.Tensor]:
        """A batch's inputs, and which of its rows are transcriptions of their clip."""
        device = self.accelerator.device
        transcribes = [row.task == "asr" and row.audio is not None for row in batch.rows]
        return batch.inputs.to(device), torch.tensor(transcribes, device=device)

    # --- what is written ---

    def _tensorboard(self, step: int):
        """A TensorBoard writer that drops what an interrupted run logged beyond `step`."""
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(self.folder.path / "tensorboard"), purge_step=step + 1)

    def _flush(self, bar: Progress, task: TaskID, done: int) -> None:
        """Fetch the pending losses from the device and log them."""
        lines = [{k: v.item() if isinstance(v, torch.Tensor) else v for k, v in line.items()} for line in self.pending]
        self.pending.clear()
        for line in lines:
            if not math.isfinite(line["loss"]):
                raise WavLLMError(
                    f"The loss of step {line['step']} is {line['loss']}: lower stages.*.optimizer.learning_rate, or "
                    "look for broken targets; the last saved state is intact."
                )
        if lines:
            bar.update(task, completed=done, note=f"loss {lines[-1]['loss']:.3f}")
        if self.accelerator.is_main_process:
            self._log("log.jsonl", lines)
            for line in lines:
                for key in ("loss", "learning_rate", "grad_norm"):
                    self.board.add_scalar(f"train/{key}", line[key], line["step"])

    def _log(self, name: str, lines: list[dict]) -> None:
        with (self.folder.path / name).open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)

    def _save_state(self, done: int, stream: Stream) -> None:
        position = torch.tensor([stream.position], device=self.accelerator.device)
        positions = self.accelerator.gather(position).tolist()
        if self.accelerator.is_main_process:
            self.folder.save_state(State(done, positions), self.bare, self.optimizer)
        self.accelerator.wait_for_everyone()

    # --- validation ---

    @torch.no_grad()
    def _validate(self, done: int) -> None:
        """The mean loss of an answer token on the validation manifest, and some answers to look at."""
        assert self.validation is not None and self.stage.validation is not None
        accelerator = self.accelerator
        self.bare.eval()
        total = torch.zeros(2, device=accelerator.device)
        batches = validation_batches(
            self.validation, self.stage, self.collator, accelerator.process_index, accelerator.num_processes
        )
        for batch in batches:
            inputs = batch.inputs.to(accelerator.device)
            with accelerator.autocast():
                summed = self.bare(**inputs, num_items_in_batch=1).loss
            total += torch.stack([summed, (inputs["labels"] != IGNORE).sum()])
        loss, tokens = accelerator.reduce(total).tolist()
        if not accelerator.is_main_process:
            return
        self._log("log.jsonl", [{"step": done, "validation_loss": loss / tokens}])
        self.board.add_scalar("validation/loss", loss / tokens, done)
        console.info(f"step {done}: validation loss {loss / tokens:.4f}")
        self._show_samples(done)

    def _show_samples(self, done: int) -> None:
        assert self.validation is not None and self.stage.validation is not None
        batch = Collator(self.processor, with_targets=False)(self.validation.clips[: self.stage.validation.samples])
        if batch.inputs is None:
            return
        inputs = batch.inputs.to(self.accelerator.device)
        with self.accelerator.autocast():
            ids = self.bare.generate(**inputs, do_sample=False, max_new_tokens=self.recipe.generation.max_new_tokens)
        answers = self.processor.answers(ids, inputs)
        rows = [(row.id, row.target, text) for row, text in zip(batch.rows, answers, strict=True)]
        keys = ("id", "reference", "hypothesis")
        self._log("samples.jsonl", [{"step": done, **dict(zip(keys, row, strict=True))} for row in rows])
        short = [[textwrap.shorten(str(cell), SHOWN) for cell in row] for row in rows]
        console.table(f"step {done}", keys, short, console.err, right=False)
