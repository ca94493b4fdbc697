"""Which corpora there are: the modules with an `ABOUT`, found without importing them."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from wavllm_cli.corpora import About, Draft
from wavllm_cli.errors import UsageError, did_you_mean

PACKAGES = (
    "wavllm_cli.corpora",
    "wavllm_cli.corpora.importers",
    "wavllm_cli.mini",
)  # by name: only what is asked for is imported
MARK = b"\nABOUT = "


class Corpus(Protocol):
    """A module that is a corpus."""

    ABOUT: About
    Options: type

    @staticmethod
    def manifests(root: Path | None, out: Path, options: Any) -> Iterator[Draft]:
        """Its manifests, one after the other.

        Args:
            root: the corpus as its owner ships it; None where `ABOUT.root` is.
            out: folder of the manifests, for new audio and for paths that are relative to it.
            options: an `Options`.
        """


def names() -> list[str]:
    """The corpora by the names that `wavllm prep` has for them, in alphabetical order."""
    return sorted(_modules())


def find(name: str) -> Corpus:
    """A corpus by its name.

    Raises:
        UsageError: there is none of this name.
    """
    modules = _modules()
    if name not in modules:
        raise UsageError(f"There is no corpus {name!r}{did_you_mean(name, modules)}: there are {', '.join(names())}.")
    return cast(Corpus, import_module(modules[name]))


def _modules() -> dict[str, str]:
    return {
        path.stem.replace("_", "-"): f"{package}.{path.stem}"
        for package in PACKAGES
        for path in Path(import_module(package).__path__[0]).glob("*.py")
        if MARK in path.read_bytes()
    }
