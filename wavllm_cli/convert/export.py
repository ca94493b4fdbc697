"""What `wavllm export` does: the LLM as it is for one instruction, for software that knows nothing of WavLLM.

The prompt adapter reads the instruction and nothing else. So for a fixed one its scale s is a constant, and
`W x + s * (B A x)` is an ordinary LoRA with B' = diag(s) B, which can be kept as an adapter or merged into W.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from peft import LoraConfig
from peft.utils import SAFETENSORS_WEIGHTS_NAME
from torch import Tensor
from transformers import AutoModelForCausalLM

from wavllm_cli import console
from wavllm_cli.convert.finished import contents, finished, key_of, leave_record, save_tensors
from wavllm_cli.data.files import owned, replacing
from wavllm_cli.data.origin import Origin, locate, stored_origin
from wavllm_cli.errors import UsageError
from wavllm_cli.model.load import check_source, load_config, load_model
from wavllm_cli.model.modeling_wavllm import WavLLMForConditionalGeneration
from wavllm_cli.model.processing_wavllm import WavLLMProcessor
from wavllm_cli.model.prompt_lora import PROJECTIONS, LoRALinear

LoRA = dict[str, tuple[Tensor, Tensor]]

PEFT_PREFIX = "base_model.model."  # of every tensor in a PEFT checkpoint


@dataclass(frozen=True)
class Exported:
    """What has been written."""

    output: str
    kind: str
    prompt: str | None
    base: str | None

    def show(self) -> None:
        console.info(f"{self.kind} → {self.output}")
        if self.kind == "peft" and self.base is None:
            console.info("its LLM is stored in the checkpoint: write it with --to base")

    def data(self) -> dict[str, Any]:
        return asdict(self)


def export(
    source: str,
    output: Path,
    to: str,
    prompt: str | None = None,
    dtype: str | None = None,
    trust: bool = False,
) -> Exported:
    """Write the LLM of a checkpoint as other software loads it; what the same command has finished is left as it is.

    Args:
        to: `peft`, an adapter for `PeftModel.from_pretrained`; `merged`, the LLM with the adapter in its weights;
            `base`, the LLM without it.
        prompt: the instruction that the adapter is made for; without a prompt adapter (stage 1) it makes no difference.
        dtype: to compute and write in; by default the LLM's.
        trust: run code that the model's files bring along.

    Raises:
        UsageError: no such model, no instruction where one is needed, or an output that exists.
    """
    check_source(source)

    def key() -> str:
        return key_of("export", contents(locate(source)), {"to": to, "prompt": prompt, "dtype": dtype})

    with owned(output):
        result = finished(output, key)
        if result is None:
            result = _export(source, output, to, prompt, dtype, trust, key)
        return Exported(str(output), **result)


def _export(
    source: str, output: Path, to: str, prompt: str | None, dtype: str | None, trust: bool, key: Callable[[], str]
) -> dict[str, Any]:
    """The work of `export`; what it reports but for the output."""
    made_from = key()
    model, processor = load_model(source, _dtype(source, dtype, trust), trust)
    entry = (model.config.backbones or {}).get("language_model")
    base = stored_origin(entry) if entry else None
    result = {"kind": to, "prompt": prompt, "base": base and base.path}
    with torch.inference_mode(), replacing(output) as draft:
        draft.mkdir()
        if to == "peft":
            _save_adapter(draft, model, _lora(model, processor, prompt), prompt, base)
        else:
            _save_llm(draft, model, {} if to == "base" else _lora(model, processor, prompt))
            processor.tokenizer.save_pretrained(draft)
        leave_record(draft, made_from, result)
    return result


def _dtype(source: str, asked: str | None, trust: bool) -> torch.dtype | Literal["auto"]:
    """The asked one, or the LLM's: a frozen one is kept in half precision beside float32 LoRA."""
    own = asked or load_config(source, trust).text_config.dtype
    return getattr(torch, str(own).removeprefix("torch.")) if own else "auto"


def _lora(model: WavLLMForConditionalGeneration, processor: WavLLMProcessor, prompt: str | None) -> LoRA:
    """For each projection, by its name in the LLM: A (rank, in) and B' (out, rank), to be applied with `_factor`.

    B' = diag(s) B; without a prompt adapter the factor is all of s, and B' is B.
    """
    if prompt is None and model.prompt_adapter is not None:
        raise UsageError("The model's LoRA depends on the instruction: say which with --prompt.")
    text = processor(text=prompt or "").to(model.device)
    scale = model.get_lora_scale(text["prompt_ids"], text["prompt_mask"], batch_size=1)[0] / _factor(model)
    return {
        name: (layer.lora_A.weight, layer.lora_B.weight * scale[model.scale_layout.slices[_last(name)], None])
        for name, layer in model.language_model.named_modules()
        if isinstance(layer, LoRALinear)
    }


def _alpha(model: WavLLMForConditionalGeneration) -> float:
    """Of the exported adapter: a factor alpha / rank of 1 where the scale is in B'."""
    return model.config.lora_alpha if model.prompt_adapter is None else model.config.lora_rank


def _factor(model: WavLLMForConditionalGeneration) -> float:
    return _alpha(model) / model.config.lora_rank


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _save_adapter(
    folder: Path, model: WavLLMForConditionalGeneration, lora: LoRA, prompt: str | None, base: Origin | None
) -> None:
    tensors = {}
    for name, (a, b) in lora.items():
        tensors[f"{PEFT_PREFIX}{name}.lora_A.weight"] = a.contiguous()
        tensors[f"{PEFT_PREFIX}{name}.lora_B.weight"] = b.to(a.dtype).contiguous()
    save_tensors(tensors, folder / SAFETENSORS_WEIGHTS_NAME, {"format": "pt", "prompt": prompt or ""})
    LoraConfig(
        r=model.config.lora_rank,
        lora_alpha=_alpha(model),
        target_modules=list(PROJECTIONS),
        base_model_name_or_path=base and base.path,
        revision=base and base.revision,
        task_type="CAUSAL_LM",
        inference_mode=True,
    ).save_pretrained(folder)


def _save_llm(folder: Path, model: WavLLMForConditionalGeneration, lora: LoRA) -> None:
    """The LLM by its own class. The model is not needed afterwards: its weights are changed in place."""
    state = {name.replace(".base_layer.", "."): t for name, t in model.language_model.state_dict().items()}
    for name, (a, b) in lora.items():
        state[f"{name}.weight"] += (_factor(model) * b.float() @ a.float()).to(a.dtype)
    with torch.device("meta"):
        llm = AutoModelForCausalLM.from_config(model.config.text_config, trust_remote_code=False)
    llm.load_state_dict({name: t for name, t in state.items() if ".lora_" not in name}, assign=True)
    llm.save_pretrained(folder)
