"""What `wavllm convert` does: the released fairseq checkpoint to a model folder. `to_fairseq` is the way back.

Tensors go from the mapped checkpoint to the new files a shard at a time, so that a 15 GB checkpoint needs little more
memory than one shard.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors.torch import save_file
from torch import Tensor
from transformers import GenerationConfig, PreTrainedTokenizerBase
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME

from wavllm_cli import console
from wavllm_cli.convert import layout
from wavllm_cli.convert.finished import finished, key_of, leave_record, save_tensors
from wavllm_cli.convert.sizes import Heads, read_config
from wavllm_cli.convert.tokenizer import load_sentencepiece
from wavllm_cli.convert.torch_file import read_torch_file
from wavllm_cli.data.archive import archive_digest
from wavllm_cli.data.files import digest, owned, replacing, require_space
from wavllm_cli.data.origin import entry_of, locate
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.model.backbones import backbone_tensors
from wavllm_cli.model.configuration_wavllm import WavLLMConfig
from wavllm_cli.model.groups import is_backbone_tensor
from wavllm_cli.model.processing_wavllm import LLAMA2, WavLLMProcessor

SHARD = "2GB"
MOST_SHARED = 2  # times the stored bytes that all tensors together may claim, where some share theirs
# What the network does not use but the way back needs: the original names in their order, and the unused tensors.
LEFTOVERS = "fairseq.safetensors"
RELEASED_TEMPLATE = replace(LLAMA2, bos_after_speech=True)


@dataclass(frozen=True)
class Converted:
    """What has been written."""

    output: str
    tensors: int
    parameters: int
    unused: list[str]
    references: dict[str, str]
    seconds: float

    def show(self) -> None:
        if self.unused:
            console.info(f"not used by the network: {', '.join(self.unused)}")
        for part, path in self.references.items():
            console.info(f"{part} equals {path} and is referred to")
        console.info(
            f"{self.tensors} tensors with {self.parameters:,} parameters in {self.seconds:.0f} s → {self.output}"
        )

    def data(self) -> dict[str, Any]:
        return asdict(self)


def from_fairseq(
    checkpoint: Path,
    tokenizer_file: Path,
    output: Path,
    heads: Heads,
    references: Mapping[str, str],
    full: bool = False,
    dtype: str | None = None,
) -> Converted:
    """Write a model folder; one that the same command has finished is left as it is.

    Args:
        tokenizer_file: the sentencepiece model of the LLM.
        references: backbones (`config.BACKBONES`) to compare with the checkpoint's and then refer to instead of
            storing them: a hub id or folder, `ID@REVISION` for another revision than main.
        full: store the backbones all the same.
        dtype: of the stored tensors; by default each keeps its own.

    Raises:
        UsageError: not a released checkpoint, wrong tokenizer or heads, an output that exists.
        WavLLMError: a damaged file, a reference that differs from the checkpoint, or too small a disk.
    """
    started = time.perf_counter()

    def key() -> str:
        inputs = {"checkpoint": archive_digest(checkpoint), "tokenizer": digest(tokenizer_file)}
        return key_of("convert", inputs, {"heads": heads, "references": references, "full": full, "dtype": dtype})

    with owned(output):
        result = finished(output, key)
        if result is None:
            result = _convert(checkpoint, tokenizer_file, output, heads, references, full, dtype, key)
        return Converted(**result | {"output": str(output), "seconds": time.perf_counter() - started})


def _convert(
    checkpoint: Path,
    tokenizer_file: Path,
    output: Path,
    heads: Heads,
    references: Mapping[str, str],
    full: bool,
    dtype: str | None,
    key: Callable[[], str],
) -> dict[str, Any]:
    """The work of `from_fairseq`; what it reports but for the time."""
    tokenizer = load_sentencepiece(tokenizer_file)
    content = read_torch_file(checkpoint)
    made_from = key()
    originals = _tensors_of(checkpoint, content)
    released = {layout.canonical_name(name): tensor for name, tensor in originals.items()}
    if len(released) < len(originals):
        raise UsageError(f"{checkpoint} is not a WavLLM checkpoint: it has a weight-normed tensor under two names.")
    shapes = {name: tuple(tensor.shape) for name, tensor in released.items()}
    config = read_config(shapes, heads)
    expected = layout.expected_shapes(config)
    if problems := layout.find_problems(shapes, expected):
        raise UsageError(f"{checkpoint} is not a complete WavLLM checkpoint.", *problems)
    _fit_tokenizer(config, tokenizer, tokenizer_file)
    # The only tensor that may be missing: then all of WavLM's layers weigh alike.
    released.setdefault(layout.LAYER_WEIGHTS, torch.ones(expected["acoustic_encoder.layer_weights"]))
    state = _ReleasedState(released, expected, heads.language_model, getattr(torch, dtype) if dtype else None)
    config.dtype = state.outline["language_model.lm_head.weight"].dtype
    sources = {part: _source(reference) for part, reference in references.items()}
    for part, source in sources.items():
        _require_equal(part, source, state)
    config.backbones = None if full else sources or None
    stored = {n: t for n, t in state.outline.items() if not is_backbone_tensor(n, config.backbones or ())}
    unused = {name: tensor for name, tensor in released.items() if name.startswith(layout.UNUSED)}
    require_space(output, sum(tensor.nbytes for tensor in [*stored.values(), *unused.values()]))
    result = {
        "tensors": len(stored),
        "parameters": sum(tensor.numel() for tensor in stored.values()),
        "unused": sorted(unused),
        "references": {} if full else dict(references),
    }
    with replacing(output) as draft:
        draft.mkdir()
        _write_tensors(draft, state, stored)
        save_tensors(unused, draft / LEFTOVERS, _origin(originals, content))
        config.architectures = ["WavLLMForConditionalGeneration"]
        config.save_pretrained(draft)
        _released_generation(tokenizer).save_pretrained(draft)
        WavLLMProcessor.for_config(config, tokenizer, template=RELEASED_TEMPLATE).save_pretrained(draft)
        leave_record(draft, made_from, result)
    return result


def _tensors_of(checkpoint: Path, content: Any) -> dict[str, Tensor]:
    """The tensors of a fairseq checkpoint, under its key `model`."""
    tensors = content.get("model", content) if isinstance(content, dict) else None
    names = tensors if isinstance(tensors, dict) else {}
    if not any(isinstance(name, str) and name.startswith(layout.PREFIXES) for name in names):
        raise UsageError(
            f"{checkpoint} is not a WavLLM checkpoint: no tensor's name begins with {', '.join(layout.PREFIXES)}."
        )
    strange = [name for name, value in names.items() if not (isinstance(name, str) and isinstance(value, Tensor))]
    if strange:
        raise UsageError(f"{checkpoint} is not a WavLLM checkpoint: {strange[0]} is not a tensor.")
    _require_plain(checkpoint, names)
    return names


def _require_plain(checkpoint: Path, tensors: Mapping[str, Tensor]) -> None:
    """Dense floating-point tensors, each of the size that the file holds for it: a view may claim any shape."""
    problems = [
        ("dense floating-point numbers", [n for n, t in tensors.items() if not (t.is_floating_point() and _dense(t))]),
        ("of any size", [n for n, t in tensors.items() if not t.numel()]),
        ("stored at their full size", [n for n, t in tensors.items() if _dense(t) and _stored_bytes(t) < t.nbytes]),
    ]
    found = [
        f"{checkpoint} is not a WavLLM checkpoint: {len(names)} of its tensors are not {kind} "
        f"({', '.join(layout.collapse(names)[:3])})."
        for kind, names in problems
        if names
    ]
    if found:
        raise UsageError(*found)
    storages = {tensor.untyped_storage().data_ptr(): _stored_bytes(tensor) for tensor in tensors.values()}
    if sum(tensor.nbytes for tensor in tensors.values()) > MOST_SHARED * sum(storages.values()):
        raise UsageError(f"{checkpoint} is not a WavLLM checkpoint: most of its tensors share their numbers.")


def _dense(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided and not tensor.is_quantized


def _stored_bytes(tensor: Tensor) -> int:
    return tensor.untyped_storage().nbytes()


def _fit_tokenizer(config: WavLLMConfig, tokenizer: PreTrainedTokenizerBase, file: Path) -> None:
    """Note the tokenizer's special tokens, and put the placeholder of speech beyond all of its tokens."""
    text = config.text_config
    if tokenizer.bos_token_id is None or tokenizer.eos_token_id is None:
        raise UsageError(f"The tokenizer {file} has no BOS or no EOS piece: it is not LLaMA's.")
    if len(tokenizer) > text.vocab_size:
        console.warn(
            f"{file} has {len(tokenizer)} pieces, the checkpoint embeds {text.vocab_size}: texts that need the others "
            "cannot be read."
        )
    text.update(_special_tokens(tokenizer))
    config.audio_token_id = max(len(tokenizer), text.vocab_size)


def _special_tokens(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    return {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}


class _ReleasedState:
    """The tensors of a released checkpoint as ours, each made when it is asked for.

    Attributes:
        outline: all of them without their values, for planning.
    """

    def __init__(self, released: Mapping[str, Tensor], shapes: layout.Shapes, heads: int, dtype: torch.dtype | None):
        self.released, self.heads, self.dtype = released, heads, dtype
        self.outline = {
            name: torch.empty(shape, dtype=dtype or self._original(name).dtype, device="meta")
            for name, shape in shapes.items()
        }

    def __getitem__(self, name: str) -> Tensor:
        tensor = self._original(name)
        return layout.from_original(name, tensor, self.heads).to(self.dtype or tensor.dtype)

    def _original(self, name: str) -> Tensor:
        return self.released[layout.original_name(name)]


def _source(reference: str) -> dict[str, Any]:
    """A folder, or `ID@REVISION`, as an entry of `config.backbones`."""
    path, _, revision = (reference, "", "") if Path(reference).is_dir() else reference.partition("@")
    return entry_of(locate(path, revision or None).pinned())


def _require_equal(part: str, source: dict[str, Any], state: _ReleasedState) -> None:
    """A backbone is referred to only if it is, tensor by tensor, the one in the checkpoint.

    Two precisions are compared in the coarser one.
    """
    pretrained = backbone_tensors(part, source)
    names = [name for name in state.outline if is_backbone_tensor(name, [part])]
    different = []
    for name in console.track(names, f"comparing {part}"):
        ours, theirs = state[name], pretrained.get(name)
        if theirs is not None:
            ours, theirs = (t.to(min(ours.dtype, theirs.dtype, key=lambda d: d.itemsize)) for t in (ours, theirs))
        if theirs is None or not torch.equal(ours, theirs):
            different.append(layout.original_name(name))
    if different:
        raise WavLLMError(
            f"The {part} {source['path']} is not the one in the checkpoint: {len(different)} of {len(names)} tensors "
            f"differ ({', '.join(layout.collapse(different)[:3])}); leave it out to store the checkpoint's own."
        )


def _write_tensors(folder: Path, state: _ReleasedState, outline: dict[str, Tensor]) -> None:
    """model.safetensors, or shards with their index, as the hub's libraries read them.

    Raises:
        WavLLMError: a number is not finite, which would make every answer of the model empty.
    """
    plan = split_torch_state_dict_into_shards(outline, max_shard_size=SHARD)
    strange: dict[str, int] = {}
    with console.progress_bar() as bar:
        task = bar.add_task("writing tensors", total=len(outline), note="")
        for file, members in plan.filename_to_tensors.items():
            shard = {}
            for name in members:
                shard[name] = state[name]
                if not_finite := shard[name].numel() - int(shard[name].isfinite().sum()):
                    strange[layout.original_name(name)] = not_finite
                bar.advance(task)
            save_file(shard, folder / file, metadata={"format": "pt"})
    if strange:
        counts = ", ".join(f"{name} {count:,}" for name, count in list(strange.items())[:3])
        raise WavLLMError(
            f"{sum(strange.values()):,} numbers in {len(strange)} tensors are not finite"
            f"{f' in {state.dtype}' if state.dtype else ''} ({counts}): no answer could come of them."
        )
    if plan.is_sharded:
        index = {"metadata": plan.metadata, "weight_map": plan.tensor_to_filename}
        (folder / SAFE_WEIGHTS_INDEX_NAME).write_text(json.dumps(index, indent=2), encoding="utf-8")


def _released_generation(tokenizer: PreTrainedTokenizerBase) -> GenerationConfig:
    """Decoding as released: sampling at temperature 0.5 from all tokens, at most 512 new ones.

    Its generator never chooses token 0, nor EOS as the first token of an answer.
    """
    return GenerationConfig(
        do_sample=True,
        temperature=0.5,
        top_k=0,
        top_p=1.0,
        max_new_tokens=512,
        min_new_tokens=1,
        suppress_tokens=[0],
        **_special_tokens(tokenizer),
    )


def _origin(originals: Mapping[str, Tensor], content: Mapping[str, Any]) -> dict[str, str]:
    """What `to_fairseq` needs to write the same file: names in their order, and options if they are plain data."""
    origin = {"names": json.dumps(list(originals))}
    try:
        return origin | {"cfg": json.dumps(content["cfg"])}
    except (KeyError, TypeError):
        return origin
