"""Quantising the LLM on loading, and nothing else: what is trained and what listens keep their precision.

transformers' quantisers replace every linear layer of a model but its head, LoRA, adapters and encoders included; those
either fail then or lose what they were trained for. Each quantiser has its own name for the list of what stays.
"""

from typing import Any

from wavllm_cli.errors import UsageError

# Beginnings or ends of module names, as transformers matches them.
KEPT = (
    "semantic_encoder", "acoustic_encoder", "semantic_adapter", "acoustic_adapter", "fusion", "prompt_adapter",
    "lora_A", "lora_B", "lm_head",
)  # fmt: skip
LISTS = ("llm_int8_skip_modules", "modules_to_not_convert", "skip_modules")  # bitsandbytes, most others, HQQ


def quantise_llm_only(options: Any) -> Any:
    """The user's `quantization_config`, an object or a dict, with everything outside the LLM's own layers kept.

    Raises:
        UsageError: this way of quantising cannot leave anything out.
    """
    if isinstance(options, dict):
        name = _list_of(options)
        return options | {name: _joined(options.get(name))}
    for name in LISTS:
        if hasattr(options, name):
            setattr(options, name, _joined(getattr(options, name)))
            return options
    raise UsageError(
        f"{type(options).__name__} would quantise LoRA, adapters and encoders too; use a method that can leave modules "
        "as they are, such as bitsandbytes, torchao, HQQ or Quanto, or `wavllm export --to merged` and quantise that."
    )


def _list_of(options: dict[str, Any]) -> str:
    method = str(options.get("quant_method", "bitsandbytes")).lower()
    if "bitsandbytes" in method or "load_in_4bit" in options or "load_in_8bit" in options:
        return "llm_int8_skip_modules"
    return "skip_modules" if method == "hqq" else "modules_to_not_convert"


def _joined(given: Any) -> list[str]:
    return [*KEPT, *(name for name in given or () if name not in KEPT)]
