"""What a checkpoint holds, read off the headers of its files, and whether it is what its configuration asks for.

Both are compared before anything is allocated: a configuration of unknown origin may ask for any size. The messages are
ends of sentences, see `explaining`.
"""

import math
import pickle
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PreTrainedConfig
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, WEIGHTS_INDEX_NAME, WEIGHTS_NAME

from wavllm_cli.data.archive import check_archive
from wavllm_cli.data.origin import Origin, read_json
from wavllm_cli.errors import UsageError, WavLLMError, reason

Shapes = Mapping[str, tuple[int, ...]]

# What a configuration may ask for whatever its weights hold:
MOST_LAYERS = 1000
MOST_CHANNELS = 2**26  # or any other number
PACKING = 16  # numbers that quantised weights may hold in one
SLACK = 1_000_000  # parameters that a backbone's checkpoint may lack, such as a vector of pretraining
NAMED = 3  # tensors in a message


@contextmanager
def explaining(beginning: str) -> Iterator[None]:
    """Whatever goes wrong while a model is read, here or in a library, becomes the end of this sentence."""
    try:
        yield
    except WavLLMError as error:
        raise type(error)(f"{beginning}: {error}") from error
    except Exception as error:  # safetensors, JSON and hub errors have no common class
        raise WavLLMError(f"{beginning}: {reason(error)}") from error


# --- files ---


def weight_files(origin: Origin, pickled: bool = False) -> list[Path]:
    """The files with a checkpoint's weights, whole or in shards; fetched if they have to be.

    Args:
        pickled: take PyTorch's own files where there are no others.

    Raises:
        UsageError: there are pickled weights only.
        WavLLMError: there are no weights, or a shard is missing.
    """
    if files := _whole_or_shards(origin, SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_INDEX_NAME):
        return files
    if files := _whole_or_shards(origin, WEIGHTS_NAME, WEIGHTS_INDEX_NAME):
        if pickled:
            return files
        raise UsageError(
            f"{origin} holds pickled weights ({files[0].name}) and no {SAFE_WEIGHTS_NAME}. A pickle can run code when "
            "it is loaded: get the model as safetensors from its author."
        )
    raise WavLLMError(f"{origin} has no weights: {SAFE_WEIGHTS_NAME} is missing.")


def _whole_or_shards(origin: Origin, whole: str, index: str) -> list[Path]:
    if file := origin.file(whole):
        return [file]
    if (listing := origin.file(index)) is None:
        return []
    names = read_json(listing).get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise WavLLMError(f"{listing} is no index of shards: it has no weight_map.")
    outside = [name for name in names.values() if Path(name).is_absolute() or ".." in Path(name).parts]
    if outside:
        raise UsageError(f"{listing} names {outside[0]}, which lies outside of its folder.")
    return [_shard(origin, listing, name) for name in dict.fromkeys(names.values())]


def _shard(origin: Origin, listing: Path, name: str) -> Path:
    if (file := origin.file(name)) is None:
        raise WavLLMError(f"{origin} is incomplete: {name}, which {listing.name} names, is missing.")
    return file


def stored_tensors(files: Iterable[Path]) -> dict[str, Tensor]:
    """The tensors in safetensors files, mapped instead of read."""
    state: dict[str, Tensor] = {}
    for file in files:
        state |= load_file(file)
    return state


def stored_shapes(files: Iterable[Path]) -> dict[str, tuple[int, ...]]:
    """The shapes of all tensors in these files, without their values.

    Raises:
        UsageError: a pickle that holds more than tensors.
        WavLLMError: a damaged file.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for file in files:
        shapes |= _header(file) if file.suffix == ".safetensors" else _pickled_shapes(file)
    return shapes


def _header(file: Path) -> dict[str, tuple[int, ...]]:
    try:
        with safe_open(file, framework="pt") as opened:
            return {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise WavLLMError(f"{file} is damaged ({reason(error)}): copy or download it again.") from error


def _pickled_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    is_zip = zipfile.is_zipfile(file)
    if is_zip and not check_archive(file):
        raise UsageError(f"{file} is a compressed archive, which would be read wrongly: zip it without compression.")
    try:
        content = torch.load(file, map_location="meta", weights_only=True, mmap=is_zip)
    except pickle.UnpicklingError as error:
        raise UsageError(
            f"{file} holds pickled weights with Python objects among them, which can run code when they are loaded, or "
            "is damaged: get the model as safetensors from its author."
        ) from error
    except Exception as error:  # what a reader of pickles trips over in a file that is none
        raise WavLLMError(f"{file} is damaged ({reason(error)}): copy or download it again.") from error
    tensors = content if isinstance(content, dict) else {}
    return {name: tuple(tensor.shape) for name, tensor in tensors.items() if isinstance(tensor, Tensor)}


# --- does it fit? ---


def on_meta(build: Callable[[], nn.Module], configs: Iterable[PreTrainedConfig], stored: Shapes) -> nn.Module:
    """A model without values, to compare its tensors with those that are stored.

    Raises:
        WavLLMError: the configuration asks for far more than is stored, or for an impossible size.
    """
    values = sum(map(math.prod, stored.values()))
    for config in configs:
        for key, value in config.to_dict().items():
            # Modules cost time and memory without values too; and WavLM allocates one vector of its width at once.
            most = max(MOST_LAYERS, len(stored)) if "layers" in key else max(MOST_CHANNELS, values)
            if isinstance(value, int) and value > most:
                raise WavLLMError(
                    f"its config.json asks for {key} = {value:,}, its weights hold {len(stored):,} tensors with "
                    f"{values:,} values."
                )
    try:
        with torch.device("meta"):
            return build()
    except (RuntimeError, ValueError, TypeError, ZeroDivisionError, OverflowError, MemoryError) as error:
        raise WavLLMError(f"its config.json describes no possible model: {reason(error)}") from error


def require_all(model: nn.Module, stored: Shapes, meant: Callable[[str], bool], fresh: str = "") -> None:
    """What is stored are exactly the tensors of a model of ours, or those of a part of it.

    Args:
        meant: which tensors of the model have to be there.
        fresh: prefix of the tensors that may be missing.

    Raises:
        WavLLMError: lists what is missing, surplus or of another shape.
    """
    expected = {n: tuple(t.shape) for n, t in model.state_dict().items() if meant(n)}
    own = {n for n, _ in [*model.named_parameters(), *model.named_buffers()]}  # a tied tensor once
    missing = [n for n in expected if n in own and n not in stored and not (fresh and n.startswith(fresh))]
    surplus = [n for n in stored if n not in expected]
    shaped = [f"{n} {stored[n]}, expected {expected[n]}" for n in expected if stored.get(n, expected[n]) != expected[n]]
    problems = [("missing", missing), ("surplus", surplus), ("of another shape", shaped)]
    found = [f"{len(names)} {kind} ({_some(names)})" for kind, names in problems if names]
    if found:
        raise WavLLMError(f"its weights are not those that its config.json describes: {'; '.join(found)}.")


def require_fit(model: nn.Module, stored: Shapes, renames: Mapping[str, str], quantised: bool) -> None:
    """A pretrained checkpoint may name its tensors as it likes, but it has to be large enough and of the same shapes.

    Args:
        renames: patterns in its names and what stands in their place.
        quantised: its tensors are packed, so that only their number of values tells something.

    Raises:
        WavLLMError: names a tensor with both shapes, or both sizes.
    """
    for pattern, replacement in renames.items():
        stored = {re.sub(pattern, replacement, n): shape for n, shape in stored.items()}
    wrapper = f"{getattr(model, 'base_model_prefix', '')}."  # of its name in a model with a head
    inner = {n.removeprefix(wrapper): shape for n, shape in stored.items()} | dict(stored)
    if not quantised:
        for tensor, parameter in model.state_dict().items():
            shape = inner.get(tensor, tuple(parameter.shape))
            if shape != tuple(parameter.shape):
                raise WavLLMError(
                    f"its config.json asks for {tensor} {tuple(parameter.shape)}, its weights hold {shape}."
                )
    needed = sum(parameter.numel() for parameter in model.parameters())
    held = sum(map(math.prod, stored.values())) * (PACKING if quantised else 1)
    if needed > held + SLACK:
        raise WavLLMError(f"its config.json asks for {needed:,} parameters, its weights hold {held:,}.")


def _some(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")
