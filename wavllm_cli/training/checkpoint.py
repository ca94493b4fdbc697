"""A stage's folder: what makes it continuable after a kill, and what the next stage and `infer` load.

runs/NAME/stage1/
    run.json             what the run depends on (see `record`), compared when it is continued
    recipe.yaml          the recipe as resolved, for people
    begin/               configuration, tokenizer and processor as the run began
    log.jsonl            one line a logged step, and what was changed on purpose
    samples.jsonl        decoded validation answers
    tensorboard/
    state/step-00000400/ trained tensors, optimiser, steps done (the two newest)
    config.json, model.safetensors, processor and tokenizer files: the result, once the stage has ended
"""

import os
import shutil
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from wavllm_cli import console
from wavllm_cli import recipe as recipes
from wavllm_cli.data.files import digest, replacing, require_space, write_text
from wavllm_cli.data.origin import OWN_PROCESSOR_FILE
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.training.logs import BOARD, LOG, SAMPLES, append_line, log_lines, make_way, truncate_log
from wavllm_cli.training.record import MODEL_FILES, RECORD, Accepted, Record, Result
from wavllm_cli.training.state import KEPT, State, read_state, sound_state, state_folders, step_of, write_state

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["RunFolder", "State"]

RESULT = "model.safetensors"
RECIPE, BEGIN, STATES, WRITING = "recipe.yaml", "begin", "state", "writing"
RESULT_FILES = (*MODEL_FILES, OWN_PROCESSOR_FILE, "generation_config.json", RESULT)


class RunFolder:
    """The folder of one stage of one run."""

    def __init__(self, path: Path):
        self.path = path
        self.states = path / STATES
        self.begin = path / BEGIN
        self._sound: set[Path] = set()  # states that were found to be what was written

    # --- the record ---

    @cached_property
    def record(self) -> Record | None:
        """What the run depends on; None where none has begun.

        Raises:
            WavLLMError: it cannot be read.
        """
        path = self.path / RECORD
        if not path.is_file():
            return None
        try:
            return Record.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise WavLLMError(
                f"{path} cannot be read, so that nobody can say which training {self.path} holds: choose another "
                "--output, or start over with --restart."
            ) from error

    def reread(self) -> None:
        """Forget what was read: another process may have written since."""
        self.__dict__.pop("record", None)
        self._sound.clear()

    def write_record(self, record: Record) -> None:
        write_text(self.path / RECORD, record.model_dump_json(indent=1))
        self.record = record
        self.show_recipe()

    def show_recipe(self) -> None:
        """Write recipe.yaml, if it does not say what the record does."""
        assert self.record is not None
        shown, text = self.path / RECIPE, recipes.dump(self.record.recipe)
        make_way(shown, shown.is_file())
        if not shown.is_file() or shown.read_bytes() != text.encode():
            write_text(shown, text)

    def accept(self, record: Record, step: int, changed: list[str]) -> None:
        """Go on with this recipe, and note what was changed on purpose after a step."""
        if changed:
            record = record.model_copy(update={"changes": [*record.changes, Accepted(step=step, changed=changed)]})
        if record != self.record:
            self.write_record(record)
        if changed:
            append_line(self.path / LOG, {"step": step, "changed": changed})

    # --- states ---

    def has_begun(self) -> bool:
        """Is there anything that would be lost if the run began anew?"""
        return self.record is not None and (self.record.result is not None or bool(state_folders(self.states)))

    def newest_state(self) -> Path | None:
        """The newest state that is as it was written; None where there is none.

        Raises:
            WavLLMError: there are states, but all of them are damaged.
        """
        path, damaged = sound_state(self.states, self._sound)
        if path is None:
            if damaged:
                raise WavLLMError(f"{'; '.join(damaged)}. There is no other training state: start over with --restart.")
            return None
        if damaged and path not in self._sound:
            console.warn(f"{'; '.join(damaged)}: continuing from the state before, of step {step_of(path)}.")
        self._sound.add(path)
        return path

    def save_state(self, state: State, model: "nn.Module", optimizer: "torch.optim.Optimizer") -> None:
        """Add a state, durable and complete or not at all; the newest before it is kept.

        Raises:
            WavLLMError: the disk is too full (it says how much is needed), or cannot be written.
        """
        write_state(self.states, state, model, optimizer)

    def load_state(self, path: Path, model: "nn.Module", optimizer: "torch.optim.Optimizer") -> State:
        """Restore trained tensors and optimiser in place.

        Raises:
            WavLLMError: the state is another model's.
        """
        return read_state(path, model, optimizer)

    # --- logs ---

    def truncate_logs(self, step: int) -> None:
        """Make the logs end at the step from which the run continues, whatever has become of them."""
        for name in (LOG, SAMPLES):
            truncate_log(self.path / name, step)
        make_way(self.path / BOARD, (self.path / BOARD).is_dir())

    def validated_steps(self) -> set[int]:
        """After which steps the validation has been logged."""
        return {line["step"] for line in log_lines(self.path / LOG) if "validation_loss" in line}

    # --- the result ---

    @property
    def finished(self) -> bool:
        """Has the stage made all the steps that its record asks for, and are the files of its result there?"""
        record = self.record
        if record is None or record.result is None or record.result.steps < record.section.steps:
            return False
        return all((self.path / name).is_file() for name in record.result.files)

    def damage_of_result(self) -> str | None:
        """What is wrong with the result of a finished stage, as the rest of a sentence."""
        assert self.record is not None and self.record.result is not None
        for name, written in self.record.result.files.items():
            file = self.path / name
            if not file.stat().st_size:
                return f"{file} is empty"
            if file.suffix == ".safetensors" and digest(file) != written:
                return f"{file} is not what the training wrote"
        return None

    def save_result(self, model: Any, processor: Any) -> None:
        """Each file complete, the tensors last, and then the record that the stage is finished.

        Raises:
            WavLLMError: the files cannot be written.
        """
        assert self.record is not None
        whole = self.path / WRITING
        make_way(whole, whole.is_dir())
        shutil.rmtree(whole, ignore_errors=True)
        with replacing(whole) as draft:
            model.save_pretrained(draft)
            processor.save_pretrained(draft)
        files = sorted(whole.iterdir(), key=lambda file: (file.suffix == ".safetensors", file.name))
        result = Result(steps=self.record.section.steps, files={file.name: digest(file) for file in files})
        for file in files:
            os.replace(file, self.path / file.name)
        whole.rmdir()
        self.write_record(self.record.model_copy(update={"result": result}))

    def require_space(self, model: "nn.Module") -> None:
        """Find out before the work whether the disk takes the states and the result.

        Raises:
            WavLLMError: says how much is needed.
        """
        parameters = list(model.parameters())
        state = 3 * sum(p.numel() * p.element_size() for p in parameters if p.requires_grad)  # Adam's two moments
        result = sum(p.numel() * p.element_size() for p in parameters)
        missing = max(0, KEPT + 1 - len(state_folders(self.states)))  # one more while it is written
        require_space(self.path, missing * state + result)

    # --- whose folder it is ---

    def require_free(self) -> None:
        """Find out before the work that a run which begins here would overwrite what is not its own.

        Raises:
            UsageError: names a file that would be.
        """
        taken = [name for name in self._own_names() if (self.path / name).exists() and name != BEGIN]
        if self.begin.exists():  # a run that was killed when it began leaves it
            known = self.begin.is_dir() and {entry.name for entry in self.begin.iterdir()} <= set(RESULT_FILES)
            taken += [] if known else [BEGIN]
        if taken:
            advice = ", or start over with --restart" if self._looks_ours() else ""
            raise UsageError(
                f"{self.path} holds {taken[0]}, but no record of a run ({RECORD}), and training would overwrite it: "
                f"choose another --output{advice}."
            )

    def require_own(self) -> None:
        """Find out before the work that a folder which is to be cleared is no run's.

        Raises:
            UsageError: names a file in it.
        """
        if self._looks_ours() or not self.path.is_dir():
            return
        entries = sorted(entry.name for entry in self.path.iterdir() if entry.name[0] != ".")
        if entries:
            raise UsageError(
                f"{self.path} is no run's folder: it has no {RECORD}, and --restart will not delete {entries[0]}. "
                "Choose another --output."
            )

    def clear(self) -> None:
        """Forget the run (`--restart`): all that a run writes, and nothing else. The record goes last.

        Raises:
            UsageError: the folder is no run's.
        """
        self.require_own()
        foreign = self._foreign()
        for state in state_folders(self.states):
            shutil.rmtree(state)
        for file in (self.path / BOARD).glob("events.out.tfevents.*"):
            file.unlink()
        for folder in (self.begin, self.path / WRITING):
            for name in RESULT_FILES:
                (folder / name).unlink(missing_ok=True)
        for name in (*RESULT_FILES, LOG, SAMPLES, RECIPE, RECORD):
            if (self.path / name).is_file():
                (self.path / name).unlink()
        for folder in (self.states, self.path / BOARD, self.begin, self.path / WRITING):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        self.reread()
        if foreign:
            more = " …" if len(foreign) > 3 else ""
            console.info(f"{self.path}: {', '.join(foreign[:3])}{more} kept, for no run wrote them")

    def _own_names(self) -> tuple[str, ...]:
        return (RECORD, RECIPE, BEGIN, LOG, SAMPLES, BOARD, STATES, WRITING, *RESULT_FILES)

    def _looks_ours(self) -> bool:
        """Has a run of ours, of any version, written here?"""
        return (self.path / RECORD).is_file() or bool(state_folders(self.states)) or self._shows_recipe()

    def _shows_recipe(self) -> bool:
        """Is recipe.yaml one that a run wrote, and not a user's own?"""
        shown = self.path / RECIPE
        try:
            return recipes.dump(recipes.load(str(shown))) == shown.read_text(encoding="utf-8")
        except (OSError, ValueError, WavLLMError):
            return False

    def _foreign(self) -> list[str]:
        """What lies in the folder and no run writes; hidden files are other processes' drafts and locks."""
        if not self.path.is_dir():
            return []
        own = self._own_names()
        return sorted(entry.name for entry in self.path.iterdir() if entry.name not in own and entry.name[0] != ".")
