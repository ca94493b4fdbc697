"""The systems by the names that `--system` takes; none is imported before it is asked for."""

from importlib import import_module
from typing import TYPE_CHECKING

from wavllm_cli.errors import UsageError, did_you_mean, shortened

if TYPE_CHECKING:
    from wavllm_cli.systems.base import Options, System

SYSTEMS = {
    "wavllm": "wavllm_cli.systems.wavllm.WavLLM",
    "audio-chat": "wavllm_cli.systems.audio_chat.AudioChat",
    "cascade": "wavllm_cli.systems.cascade.Cascade",
    "remote": "wavllm_cli.systems.remote.Remote",
}


def open_system(name: str, options: "Options") -> "System":
    """The system of a name as commands ask it: about clips of any length.

    Raises:
        UsageError: there is none of this name, or it cannot do what an option says.
    """
    from wavllm_cli.systems.windows import Windows

    return Windows(system_class(name).open(options))


def system_class(name: str) -> "type[System]":
    """The class of a system.

    Raises:
        UsageError: there is none of this name.
    """
    if name not in SYSTEMS:
        raise UsageError(
            f"There is no system {shortened(name)!r}{did_you_mean(name, SYSTEMS)}; there are {', '.join(SYSTEMS)}."
        )
    module, cls = SYSTEMS[name].rsplit(".", 1)
    return getattr(import_module(module), cls)
