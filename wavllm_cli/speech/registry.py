"""The engines by the names that `--engine` takes; none is imported before it is asked for."""

from importlib import import_module
from typing import TYPE_CHECKING

from wavllm_cli.errors import UsageError, did_you_mean, shortened

if TYPE_CHECKING:
    from wavllm_cli.speech.engine import Engine

ENGINES = {
    "espeak": "wavllm_cli.speech.espeak.Espeak",
    "hf": "wavllm_cli.speech.huggingface.HuggingFace",
    "openai": "wavllm_cli.speech.server.Server",
    "piper": "wavllm_cli.speech.piper.Piper",
}


def engine_class(name: str) -> "type[Engine]":
    """The class of an engine.

    Raises:
        UsageError: there is none of this name.
    """
    if name not in ENGINES:
        raise UsageError(
            f"There is no engine {shortened(name)!r}{did_you_mean(name, ENGINES)}; there are {', '.join(ENGINES)}."
        )
    module, cls = ENGINES[name].rsplit(".", 1)
    return getattr(import_module(module), cls)
