"""By what an answer was given: the content of the model's files, and how it decodes.

Two runs with equal fingerprints give the same answers to the same rows. Paths and times are no part of it: a model that
was trained anew into the same folder is another one.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavllm_cli import __version__
from wavllm_cli.data.files import digest
from wavllm_cli.data.origin import identity, locate, read_json

if TYPE_CHECKING:
    from transformers import GenerationConfig

MODEL_FILES = (".safetensors", ".bin", ".json", ".jinja", ".model", ".txt", ".py")  # what a checkpoint is loaded from
DECODING = ("max_new_tokens", "num_beams", "do_sample")
SAMPLING = ("temperature", "top_k", "top_p")


@dataclass(frozen=True)
class Fingerprint:
    """What the answers of a run depend on besides their rows.

    Attributes:
        model: SHA-256 of the model's files.
        settings: everything else, by name.
    """

    model: str
    settings: dict[str, Any]

    @property
    def key(self) -> str:
        """Short enough to stand in every line; differs if anything does."""
        text = json.dumps([self.model, self.settings], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def since(self, other: "Fingerprint") -> str:
        """What has changed since another run, as a part of a sentence."""
        changes = [] if self.model == other.model else ["another model (its files have changed)"]
        for name in sorted(self.settings.keys() | other.settings.keys()):
            before, now = other.settings.get(name), self.settings.get(name)
            if before != now:
                changes.append(f"{name.replace('_', ' ')} {_shown(before)}, now {_shown(now)}")
        return "; ".join(changes)


def settings_of(generation: "GenerationConfig", seed: int, **others: Any) -> dict[str, Any]:
    """A run's settings as resolved; the seed only where something is drawn."""
    names = DECODING + (SAMPLING if generation.do_sample else ())
    settings = {name: getattr(generation, name) for name in names} | others | {"version": __version__}
    return settings | {"seed": seed} if generation.do_sample else settings


def model_digest(source: str) -> str:
    """SHA-256 over the files of a checkpoint folder or hub id, and of the backbones that it refers to."""
    config = locate(source).file("config.json", required=True)
    assert config is not None
    lines = [f"{file.name} {digest(file)}" for file in sorted(config.parent.iterdir()) if _is_model_file(file)]
    for part, entry in sorted((read_json(config).get("backbones") or {}).items()):
        lines.append(f"{part} {identity(entry, config.parent)}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _is_model_file(file: Path) -> bool:
    return file.name.endswith(MODEL_FILES) and file.is_file()


def _shown(value: Any) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
