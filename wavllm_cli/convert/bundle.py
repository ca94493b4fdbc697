"""What `wavllm export --to bundle` does: a model to be handed to others.

A checkpoint of a training refers to its frozen backbones where they lie. Those that anybody can get by the same name,
from the hub or by `wavllm models`, stay names; those in a folder of this machine are stored with what was trained.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from wavllm_cli import console
from wavllm_cli.convert.finished import finished, key_of, leave_record
from wavllm_cli.data.files import owned, replacing
from wavllm_cli.errors import WavLLMError
from wavllm_cli.model.load import check_source, load_model, taught_seconds
from wavllm_cli.model.modeling_wavllm import WavLLMForConditionalGeneration
from wavllm_cli.systems.fingerprint import model_digest


@dataclass(frozen=True)
class Bundled:
    """What has been written.

    Attributes:
        named: the backbones that the bundle refers to, each by its name.
        bytes: of all its files.
    """

    output: str
    named: Mapping[str, str]
    bytes: int

    def show(self) -> None:
        for part, name in self.named.items():
            console.info(f"{part} is referred to as {name}")
        console.info(f"{self.bytes / 1e6:.1f} MB → {self.output}")

    def data(self) -> dict[str, Any]:
        return asdict(self)


def bundle(source: str, output: Path, dtype: str | None = None, trust: bool = False) -> Bundled:
    """Write a checkpoint that is complete for anybody; what the same command has finished is left as it is.

    Args:
        dtype: to store all numbers in; by default the checkpoint's.
        trust: run code that the model's files bring along.

    Raises:
        UsageError: no such model, or an output that exists.
        WavLLMError: a number has no room in `dtype`.
    """
    check_source(source)

    def key() -> str:
        options = {"dtype": dtype, "taught_seconds": taught_seconds(source)}
        return key_of("bundle", {"model": model_digest(source)}, options)

    with owned(output):
        result = finished(output, key)
        if result is None:
            made_from = key()
            with replacing(output) as draft:
                draft.mkdir()
                result = {"named": _write(draft, source, dtype, trust)}
                leave_record(draft, made_from, result)
        size = sum(file.stat().st_size for file in output.iterdir())
        return Bundled(str(output), result["named"], size)


def _write(folder: Path, source: str, dtype: str | None, trust: bool) -> dict[str, str]:
    """Returns the backbones that are referred to by name."""
    model, processor = load_model(source, getattr(torch, dtype) if dtype else "auto", trust)
    if dtype:
        model.to(getattr(torch, dtype))  # those layers too that loading keeps in float32
        _require_finite(model, dtype)
    backbones = model.config.backbones or {}
    here = [part for part, entry in backbones.items() if entry.get("local")]
    model.config.taught_seconds = taught_seconds(source)
    for name in model.config.sub_configs:
        getattr(model.config, name).name_or_path = ""  # a folder of this machine is nothing to others
    model.save_pretrained(folder, full=here)
    processor.save_pretrained(folder)
    return {part: entry["path"] for part, entry in backbones.items() if part not in here}


def _require_finite(model: WavLLMForConditionalGeneration, dtype: str) -> None:
    names = [name for name, tensor in model.state_dict().items() if not tensor.isfinite().all()]
    if names:
        raise WavLLMError(
            f"{len(names)} tensors hold numbers that {dtype} has no room for (first: {names[0]}): take another --dtype."
        )
