"""Feature extractors make their tables when they are loaded: sizes out of a file are looked at first."""

from collections.abc import Iterator
from typing import Any

from wavllm_cli.data.origin import Origin, read_json
from wavllm_cli.errors import WavLLMError

# What tables and buffers are made by, and the most that a spectrum of speech can use.
MOST = {"feature_size": 4096, "n_fft": 65_536, "hop_length": 65_536, "chunk_length": 3600, "sampling_rate": 400_000}


def require_extractors(origin: Origin) -> None:
    """Refuse feature extractors of sizes that no audio needs.

    Raises:
        WavLLMError: names the file and the size.
    """
    for name in ("preprocessor_config.json", "processor_config.json"):
        if file := origin.file(name):
            for settings in _sections(read_json(file)):
                for key, most in MOST.items():
                    value = settings.get(key, 1)
                    if not isinstance(value, int) or not 0 < value <= most:
                        raise WavLLMError(f"{file} has {key} {value!r}: a whole number up to {most:,} makes sense.")


def _sections(settings: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield settings
    for value in settings.values():
        if isinstance(value, dict):
            yield value
