"""By what an answer was given: the content of the model's files, and how it decodes.

Two runs with equal fingerprints give the same answers to the same rows. Paths and times are no part of it: a model that
was trained anew into the same folder is another one.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import GenerationConfig
from transformers.utils import cached_file

from wavllm_cli import __version__
from wavllm_cli.data.files import digest

MODEL_FILES = (".safetensors", ".json", ".jinja", ".model", ".txt", ".py")  # what a checkpoint is loaded from
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


def settings_of(generation: GenerationConfig, seed: int, **others: Any) -> dict[str, Any]:
    """A run's settings as resolved; the seed only where something is drawn."""
    names = DECODING + (SAMPLING if generation.do_sample else ())
    settings = {name: getattr(generation, name) for name in names} | others | {"version": __version__}
    return settings | {"seed": seed} if generation.do_sample else settings


def model_digest(source: str) -> str:
    """SHA-256 over the files of a checkpoint folder or hub id, and of the backbones that it refers to."""
    folder = Path(source) if Path(source).is_dir() else Path(cached_file(source, "config.json")).parent
    backbones = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("backbones") or {}
    lines = list(_files(folder))
    for part, entry in sorted(backbones.items()):
        path = Path(entry["path"])
        lines += [part, *(_files(path) if path.is_dir() else (str(entry),))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _files(folder: Path) -> Iterator[str]:
    for file in sorted(folder.iterdir()):
        if file.name.endswith(MODEL_FILES) and file.is_file():
            yield f"{file.name} {digest(file)}"


def _shown(value: Any) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
