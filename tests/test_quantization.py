from types import SimpleNamespace

import pytest
import torch
from torch import nn
from transformers import BitsAndBytesConfig, HqqConfig, TorchAoConfig
from transformers.quantizers.quantizers_utils import should_convert_module

from wavllm_cli.errors import UsageError
from wavllm_cli.model.modeling_wavllm import WavLLMForConditionalGeneration
from wavllm_cli.model.quantization import KEPT, quantise_llm_only


def test_all_but_the_llms_own_layers_stay(tiny_model):
    """By transformers' own rule of which module a list of names means."""
    linears = [name for name, module in tiny_model().named_modules() if isinstance(module, nn.Linear)]
    quantised = {name for name in linears if should_convert_module(name, list(KEPT))}
    attention = {f"self_attn.{p}_proj.base_layer" for p in "qkvo"}
    own = attention | {f"mlp.{p}_proj" for p in ("gate", "up", "down")}
    assert quantised == {f"language_model.model.layers.{i}.{name}" for i in (0, 1) for name in own}


def kept_by(options, name: str) -> list[str]:
    return options[name] if isinstance(options, dict) else getattr(options, name)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (BitsAndBytesConfig(load_in_8bit=True), "llm_int8_skip_modules"),
        (BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=["mine", "fusion"]), "llm_int8_skip_modules"),
        ({"load_in_4bit": True, "llm_int8_skip_modules": ["mine"]}, "llm_int8_skip_modules"),
        ({"quant_method": "torchao", "modules_to_not_convert": ["mine"]}, "modules_to_not_convert"),
        ({"quant_method": "hqq"}, "skip_modules"),
    ],
    ids=str,
)
def test_each_quantiser_is_told_in_its_own_words(options, name):
    kept = kept_by(quantise_llm_only(options), name)
    assert kept[: len(KEPT)] == list(KEPT) and kept[len(KEPT) :] in ([], ["mine"])


def test_the_names_of_the_lists_are_transformers():
    from inspect import signature

    assert "modules_to_not_convert" in signature(TorchAoConfig).parameters
    assert "skip_modules" in signature(HqqConfig).parameters


def test_a_method_that_can_leave_nothing_out_is_refused():
    with pytest.raises(UsageError, match="would quantise LoRA, adapters and encoders too; use a method"):
        quantise_llm_only(SimpleNamespace(bits=4))


def test_the_list_reaches_the_library(tiny_model, tmp_path, monkeypatch):
    """bitsandbytes is no dependency: the quantiser stops here, with what it was given."""
    from transformers.quantizers.auto import AutoHfQuantizer

    class Stop(Exception):
        pass

    def stop(config, **_):
        raise Stop(config.llm_int8_skip_modules)

    tiny_model().save_pretrained(tmp_path)
    monkeypatch.setattr(AutoHfQuantizer, "from_config", stop)
    with pytest.raises(Stop) as stopped:
        WavLLMForConditionalGeneration.from_pretrained(
            tmp_path, dtype=torch.bfloat16, quantization_config=BitsAndBytesConfig(load_in_8bit=True)
        )
    assert stopped.value.args[0] == list(KEPT)
