"""Who answers where a command names nobody: what the user has set, else the small cascade, which is fetched if need be.

A model that happens to lie in `runs/` is nobody's choice and never taken.
"""

from collections.abc import Callable
from dataclasses import replace

from wavllm_cli import console
from wavllm_cli.data.known_models import KnownModel, known
from wavllm_cli.errors import UsageError
from wavllm_cli.models.default import default_model
from wavllm_cli.models.get import fetch, require_agreement
from wavllm_cli.systems.base import Options, System
from wavllm_cli.systems.registry import open_system

USUAL = "wavllm"  # whose models --model names
RECOGNISERS = ("whisper-base", "whisper-tiny.en")  # the first that is here, else the first
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
    if model is not None:
        return system or USUAL, model
    if system in (None, USUAL) and (found := default_model()):
        console.info(f"model: {found[0]} (set by {found[1]})")
        return USUAL, found[0]
    if system in (None, "cascade"):
        return "cascade", _small_cascade(yes)
    return system, None


def _small_cascade(yes: bool) -> str:
    """The cascade's model of two, both on this machine."""
    recognisers = [known(name) for name in RECOGNISERS]
    recogniser = next((model for model in recognisers if model.present), recognisers[0])
    parts = [recogniser, known(LANGUAGE_MODEL)]
    missing = [part for part in parts if not part.present]
    try:
        require_agreement(missing, yes)
    except UsageError as error:
        names = " ".join(part.name for part in missing)
        raise UsageError(f"No model is named. {error} Or: `wavllm models get {names}`, or --model NAME.") from error
    for part in missing:
        fetch(part)
    name = "+".join(part.name for part in parts)
    console.info(f"model: {name} – {', '.join(map(_described, parts))}; it hears words, no voices and no other sounds")
    return name


def _described(part: KnownModel) -> str:
    return f"{part.name} {part.use}"
