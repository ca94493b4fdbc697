"""Who answers where a command names nobody: what the user has set, else the model that comes with the package if it is
good enough for that, else the small cascade. Parts that are not here are fetched, with the user's leave.

A model that happens to lie in `runs/` is nobody's choice and never taken.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from wavllm_cli import console
from wavllm_cli.data.known_models import KnownModel, known
from wavllm_cli.data.origin import locate, read_json
from wavllm_cli.errors import UsageError
from wavllm_cli.models.default import default_model
from wavllm_cli.models.get import fetch_missing
from wavllm_cli.systems.base import Options, System
from wavllm_cli.systems.registry import open_system

USUAL = "wavllm"  # whose models --model names
BUNDLED: str | None = None  # "mini": it answers by default. Of open speech it understands far less than the cascade
RECOGNISERS = ("whisper-base", "whisper-tiny.en")  # of the cascade: the first that is here, else the first
LANGUAGE_MODEL = "smollm2-135m-instruct"


def opener(system: str | None, options: Options, yes: bool) -> Callable[[], System]:
    """Opens the system that a command asks for, or the default one, when it is called."""

    def opened() -> System:
        name, model = chosen(system, options.model, yes)
        return open_system(name, replace(options, model=model))

    return opened


def chosen(system: str | None, model: str | None, yes: bool) -> tuple[str, str | None]:
    """The system and its model, as a command names them or as they are by default; says which it has taken.

    Args:
        yes: fetch what is not here without asking.

    Raises:
        UsageError: something would be fetched and nobody can be asked.
        WavLLMError: nothing was to be fetched, or it cannot be had.
    """
    if system in (None, USUAL) and (name := model or _usual_model()):
        _require_parts(_parts_of(name), f"{name} has frozen parts that are not here", yes)
        return USUAL, name
    if system in (None, "cascade") and model is None:
        return "cascade", _small_cascade(yes)
    return system or USUAL, model


def _usual_model() -> str | None:
    """The user's choice, else the package's model where that answers by default; None where there is neither."""
    if found := default_model():
        console.info(f"model: {found[0]} (set by {found[1]})")
        return found[0]
    if BUNDLED and known(BUNDLED).present:
        console.info(f"model: {BUNDLED} – {known(BUNDLED).use}; for words alone `--system cascade` hears better")
        return BUNDLED
    return None


def _parts_of(model: str) -> list[KnownModel]:
    """The known models that a checkpoint on this machine refers to."""
    origin = locate(model)
    config = Path(origin.path, "config.json")
    entries = read_json(config).get("backbones") if origin.local and config.is_file() else None
    named = entries.values() if isinstance(entries, dict) else ()
    return [known(str(entry.get("path"))) for entry in named if isinstance(entry, dict) and entry.get("known")]


def _small_cascade(yes: bool) -> str:
    """The cascade's model of two, both on this machine."""
    recognisers = [known(name) for name in RECOGNISERS]
    recogniser = next((model for model in recognisers if model.present), recognisers[0])
    parts = [recogniser, known(LANGUAGE_MODEL)]
    _require_parts(parts, "No model is named", yes)
    name = "+".join(part.name for part in parts)
    console.info(f"model: {name} – {', '.join(map(_described, parts))}; it hears words, no voices and no other sounds")
    return name


def _require_parts(parts: Sequence[KnownModel], why: str, yes: bool) -> None:
    try:
        fetch_missing(parts, yes, otherwise=", or --model NAME")
    except UsageError as error:
        raise UsageError(f"{why}. {error}") from error


def _described(part: KnownModel) -> str:
    return f"{part.name} {part.use}"
