import copy

import pytest
import torch
from peft import PeftModel
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

from wavllm_cli.convert.export import export
from wavllm_cli.errors import UsageError
from wavllm_cli.model.load import load_model

PROMPT = "Translate the audio clip into German."


@pytest.fixture(scope="module")
def folders(released, tiny_model, tiny_processor, tmp_path_factory):
    """Checkpoints by name: the released one, a stage-1 model with alpha = 2 rank and one with a prompt adapter, both
    with grouped-query attention."""
    made = {"released": released().folder}
    for name, options in {"stage1": {"prompt_adapter_width": None, "lora_alpha": 8.0}, "stage2": {}}.items():
        made[name] = tmp_path_factory.mktemp("export") / name
        tiny_model(**options).save_pretrained(made[name])
        tiny_processor.save_pretrained(made[name])
    return made


@pytest.fixture
def spoken():
    """Function: a checkpoint's folder -> its logits for a clip and PROMPT, and what its LLM was given."""

    @torch.no_grad()
    def make(folder):
        model, processor = load_model(str(folder))
        inputs = processor(text=PROMPT, audio=torch.randn(9000, generator=torch.Generator().manual_seed(0)).numpy())
        audio = [inputs[key] for key in ("input_ids", "input_features", "input_values", "audio_lengths")]
        return model(**inputs).logits, model.embed(*audio)

    return make


@torch.no_grad()
@pytest.mark.parametrize("name", ["released", "stage1", "stage2"])
def test_exports_answer_as_the_model_does(folders, spoken, name, tmp_path):
    """The bare LLM with the adapter, and the merged LLM, from the same speech and text embeddings."""
    logits, embeds = spoken(folders[name])
    prompt = None if name == "stage1" else PROMPT
    for kind in ("base", "merged", "peft"):
        export(str(folders[name]), tmp_path / kind, kind, prompt)
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    bare = base(inputs_embeds=embeds).logits
    assert (bare - logits).abs().max() > 1e-2
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert (merged(inputs_embeds=embeds).logits - logits).abs().max() < 1e-4
    adapted = PeftModel.from_pretrained(copy.deepcopy(base), tmp_path / "peft")
    assert (adapted(inputs_embeds=embeds).logits - logits).abs().max() < 1e-4
    with adapted.disable_adapter():
        assert torch.equal(adapted(inputs_embeds=embeds).logits, bare)


@torch.no_grad()
def test_the_adapter_is_made_for_its_prompt(folders, spoken, tmp_path):
    logits, embeds = spoken(folders["released"])
    export(str(folders["released"]), tmp_path / "base", "base")
    export(str(folders["released"]), tmp_path / "peft", "peft", "Something else entirely?")
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    adapted = PeftModel.from_pretrained(base, tmp_path / "peft")
    assert (adapted(inputs_embeds=embeds).logits - logits).abs().max() > 1e-2
    with safe_open(tmp_path / "peft" / "adapter_model.safetensors", "pt") as file:
        assert file.metadata()["prompt"] == "Something else entirely?"


def test_a_stage_1_adapter_is_exported_as_it_is(folders, tmp_path):
    export(str(folders["stage1"]), tmp_path / "peft", "peft")
    model = load_model(str(folders["stage1"]))[0]
    adapter = PeftModel.from_pretrained(AutoModelForCausalLM.from_config(model.config.text_config), tmp_path / "peft")
    assert (adapter.peft_config["default"].r, adapter.peft_config["default"].lora_alpha) == (4, 8)
    weights = {n.replace(".default", ""): p for n, p in adapter.base_model.model.named_parameters() if "lora" in n}
    own = {n: p for n, p in model.language_model.named_parameters() if "lora" in n}
    assert weights.keys() == own.keys()
    assert all(torch.equal(weights[name], own[name]) for name in own)


def test_tokenizer_and_precision(folders, tmp_path):
    export(str(folders["released"]), tmp_path / "merged", "merged", PROMPT, dtype="bfloat16")
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "merged").dtype == torch.bfloat16
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "merged")
    own = load_model(str(folders["released"]))[1].tokenizer
    assert tokenizer.encode(" </SPEECH> x", add_special_tokens=False) == own.encode(
        " </SPEECH> x", add_special_tokens=False
    )


def test_the_reference_of_the_llm_is_kept(tiny_config, tiny_processor, backbones, tmp_path):
    from wavllm_cli.model.modeling_wavllm import WavLLMForConditionalGeneration

    model = WavLLMForConditionalGeneration.from_backbones(tiny_config(backbones=backbones, prompt_adapter_width=None))
    model.save_pretrained(tmp_path / "model")
    tiny_processor.save_pretrained(tmp_path / "model")
    exported = export(str(tmp_path / "model"), tmp_path / "peft", "peft")
    assert exported.base == backbones["language_model"]["path"]
    base = AutoModelForCausalLM.from_pretrained(exported.base)
    config = PeftModel.from_pretrained(base, tmp_path / "peft").peft_config["default"]
    assert config.base_model_name_or_path == exported.base


def test_wrong_use(folders, tmp_path):
    with pytest.raises(UsageError, match="depends on the instruction: say which with --prompt"):
        export(str(folders["stage2"]), tmp_path / "peft", "peft")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="exists already"):
        export(str(folders["stage2"]), tmp_path / "file", "merged", PROMPT)
    with pytest.raises(UsageError, match="no model folder"):
        export(str(tmp_path / "nowhere"), tmp_path / "peft", "peft", PROMPT)
