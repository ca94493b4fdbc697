"""Backbones of the miniature that are made here: the language model's folder, and an acoustic encoder that is deaf."""

import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file

from wavllm_cli.convert.export import export
from wavllm_cli.convert.finished import RECORD
from wavllm_cli.data.files import replacing, require_new
from wavllm_cli.errors import WavLLMError

WEIGHTS = "model.safetensors"
HEARING = "feature_projection.projection.weight"


def export_llm(source: Path, output: Path) -> None:
    """What `wavllm export --to base` does; an earlier export is replaced.

    Raises:
        UsageError: there is no such checkpoint, or something else in the output's place.
    """
    _make_way(output)
    export(str(source), output, "base")


def make_deaf(listener: Path, output: Path) -> None:
    """Write a WavLM again that hears nothing: the control without an acoustic encoder.

    Its projection of what the convolutions have heard is zero, so that its states are the same for all clips of one
    length. The network around it has its sizes and is trained as ever: what it lacks is what that encoder hears, and
    nothing else.

    Raises:
        UsageError: something else is in the output's place.
        WavLLMError: there is no WavLM, or the output cannot be written.
    """
    try:
        tensors = load_file(listener / WEIGHTS)
        tensors[HEARING].zero_()
    except (OSError, KeyError) as error:
        raise WavLLMError(f"{listener / WEIGHTS} is no WavLM whose {HEARING} can be read: {error}.") from error
    _make_way(output)
    with replacing(output) as draft:
        draft.mkdir()
        for file in listener.glob("*config.json"):
            shutil.copy(file, draft)
        save_file(tensors, draft / WEIGHTS, {"format": "pt"})
        (draft / RECORD).write_text("{}\n", encoding="utf-8")


def _make_way(output: Path) -> None:
    """Remove an earlier output of ours, which says so in its record; anything else is an error."""
    if (output / RECORD).is_file():
        shutil.rmtree(output)
    require_new(output)
