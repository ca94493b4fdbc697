"""wavllm: teach a chat LLM to listen, from raw corpora to scored answers.

What is public is imported when it is first named: `import wavllm_cli` itself loads nothing.
"""

__version__ = "0.1.0"

TYPE_CHECKING = False  # as type checkers know it; importing `typing` for it would take longer than all of this
if TYPE_CHECKING:
    from wavllm_cli.corpora.prepare import prepare
    from wavllm_cli.data.audio import read_audio
    from wavllm_cli.data.manifest import read_manifest, write_manifest
    from wavllm_cli.data.schema import Hypothesis, Utterance
    from wavllm_cli.model.configuration_wavllm import WavLLMConfig
    from wavllm_cli.model.load import load_model
    from wavllm_cli.model.modeling_wavllm import WavLLMForConditionalGeneration
    from wavllm_cli.model.processing_wavllm import WavLLMProcessor
    from wavllm_cli.scoring.command import score

_MODULES = {
    "prepare": "corpora.prepare",
    "read_audio": "data.audio",
    "read_manifest": "data.manifest",
    "write_manifest": "data.manifest",
    "Hypothesis": "data.schema",
    "Utterance": "data.schema",
    "WavLLMConfig": "model.configuration_wavllm",
    "load_model": "model.load",
    "WavLLMForConditionalGeneration": "model.modeling_wavllm",
    "WavLLMProcessor": "model.processing_wavllm",
    "score": "scoring.command",
}

__all__ = [
    "Hypothesis",
    "Utterance",
    "WavLLMConfig",
    "WavLLMForConditionalGeneration",
    "WavLLMProcessor",
    "load_model",
    "prepare",
    "read_audio",
    "read_manifest",
    "score",
    "write_manifest",
]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
