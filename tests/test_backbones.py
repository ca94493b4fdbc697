import copy
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    LlamaForCausalLM,
    WavLMModel,
    WhisperForConditionalGeneration,
    WhisperModel,
)

from wavllm_cli import recipe as recipes
from wavllm_cli.data.origin import locate
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.model.backbones import backbone_config, load_backbone, load_backbones
from wavllm_cli.model.build import design
from wavllm_cli.model.configuration_wavllm import BACKBONES
from wavllm_cli.model.groups import is_backbone_tensor
from wavllm_cli.model.initialization import GLU_GAIN, HEARD
from wavllm_cli.model.load import load_model
from wavllm_cli.model.modeling_wavllm import WavLLMForConditionalGeneration


@pytest.fixture(scope="module")
def model(tiny_config, backbones):
    torch.manual_seed(0)
    return WavLLMForConditionalGeneration.from_backbones(tiny_config(backbones=backbones))


@pytest.fixture(scope="module")
def batch(collate, utterances):
    return collate(utterances)


def sources(backbones: dict) -> dict[str, torch.nn.Module]:
    path = {part: source["path"] for part, source in backbones.items()}
    return {
        "semantic_encoder": WhisperForConditionalGeneration.from_pretrained(path["semantic_encoder"]).model.encoder,
        "acoustic_encoder": WavLMModel.from_pretrained(path["acoustic_encoder"]),
        "language_model": LlamaForCausalLM.from_pretrained(path["language_model"]),
    }


def assert_backbones_are(model, backbones: dict) -> None:
    tensors = model.state_dict()
    for part, source in sources(backbones).items():
        prefix = part if part == "language_model" else f"{part}.model"
        own = {n.removeprefix(f"{prefix}.").replace(".base_layer", ""): t for n, t in tensors.items()
               if n.startswith(prefix) and "lora_" not in n}  # fmt: skip
        assert own.keys() == source.state_dict().keys()
        for name, tensor in source.state_dict().items():
            assert torch.equal(own[name], tensor), name


def test_backbones_are_the_pretrained_ones(model, backbones):
    assert_backbones_are(model, backbones)
    assert not model.training


def test_the_rest_is_fresh(model):
    """Missing tensors are written by our own rules: neither what memory held nor the LLM's noise in LoRA's B."""
    for name, parameter in model.named_parameters():
        if is_backbone_tensor(name):
            continue
        if name.endswith(("layer_weights", "layer_norm.weight", "prompt_adapter.up.bias")):
            assert torch.equal(parameter, torch.ones_like(parameter)), name
        elif name.endswith(("bias", "lora_B.weight", "prompt_adapter.up.weight")):
            assert not parameter.any(), name
        else:  # zero-mean, and as wide as the inputs are many
            words = model.get_input_embeddings().weight.pow(2).mean().sqrt() / HEARD**0.5
            gains = {"conv": GLU_GAIN, "lora_A": 3**-0.5, "fusion": words.item()}
            gain = next((gain for part, gain in gains.items() if part in name), 1.0)
            std = gain * parameter[0].numel() ** -0.5
            assert parameter.std().item() == pytest.approx(std, rel=0.3), name
            assert parameter.mean().abs() < 0.3 * std, name


def test_a_model_built_without_checkpoints_starts_the_same_way(tiny_config):
    torch.manual_seed(0)
    test_the_rest_is_fresh(WavLLMForConditionalGeneration(tiny_config()))


@pytest.mark.parametrize(
    "parts", [["semantic_encoder"], ["language_model"], ["acoustic_encoder", "language_model"], []]
)
def test_parts_without_a_checkpoint_are_initialised_by_their_own_classes(tiny_config, backbones, parts):
    torch.manual_seed(0)
    chosen = {part: backbones[part] for part in parts}
    model = WavLLMForConditionalGeneration.from_backbones(tiny_config(backbones=chosen or None))
    assert not model.training
    reference = WavLLMForConditionalGeneration(tiny_config())
    sinusoids = "semantic_encoder.model.embed_positions.weight"
    assert torch.equal(model.get_parameter(sinusoids), reference.get_parameter(sinusoids))
    for name, parameter in reference.named_parameters():
        if parameter.numel() > 30:
            actual, expected = (p.std().item() for p in (model.get_parameter(name), parameter))
            assert actual == pytest.approx(expected, rel=0.5, abs=1e-3), name
    for name, buffer in reference.named_buffers():
        assert torch.equal(model.get_buffer(name), buffer), name


def test_fresh_lora_and_prompt_adapter_leave_the_llm_as_it_was(model, backbones, batch):
    with torch.no_grad():
        embeds = model.embed(*(batch[k] for k in ("input_ids", "input_features", "input_values", "audio_lengths")))
        llm = sources(backbones)["language_model"]
        positions = (batch["attention_mask"].cumsum(-1) - 1).clamp(min=0)
        expected = llm(inputs_embeds=embeds, attention_mask=batch["attention_mask"], position_ids=positions).logits
        torch.testing.assert_close(model(**batch).logits, expected)


# --- Whisper's checkpoint (F5) ---


@pytest.mark.parametrize("cls", [WhisperForConditionalGeneration, WhisperModel])
def test_whisper_encoder_out_of_a_full_checkpoint(tiny_config, tmp_path, cls):
    whisper = cls(tiny_config().semantic_config)
    whisper.save_pretrained(tmp_path)
    encoder = load_backbone("semantic_encoder", locate(str(tmp_path)))
    expected = whisper.get_encoder().state_dict()
    assert encoder.state_dict().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in encoder.state_dict().items())


@pytest.mark.parametrize(
    ("part", "lost"),
    [
        ("semantic_encoder", "model.encoder.layers.1.fc1.weight"),
        ("acoustic_encoder", "encoder.layers.0.attention.q_proj.weight"),
        ("language_model", "model.layers.1.mlp.up_proj.weight"),
    ],
)
def test_an_incomplete_checkpoint_is_refused(backbones, tmp_path, part, lost):
    shutil.copytree(backbones[part]["path"], tmp_path, dirs_exist_ok=True)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors[lost]
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    name = lost.removeprefix("model.encoder.") if part == "semantic_encoder" else lost
    with pytest.raises(WavLLMError, match=rf"lacks 1 of its tensors \(first: {name}\)"):
        load_backbone(part, locate(str(tmp_path)))


def test_wavlm_without_its_masking_vector_is_complete(backbones, tmp_path):
    shutil.copytree(backbones["acoustic_encoder"]["path"], tmp_path, dirs_exist_ok=True)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["masked_spec_embed"]
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    assert load_backbone("acoustic_encoder", locate(str(tmp_path))).masked_spec_embed.isfinite().all()


@pytest.mark.parametrize("part", BACKBONES)
def test_not_a_checkpoint(tmp_path, part):
    for path in (str(tmp_path), str(tmp_path / "nowhere")):
        with pytest.raises(WavLLMError, match=rf"^The {part} '.*' cannot be loaded: "):
            load_backbone(part, locate(path))
        with pytest.raises(WavLLMError, match=rf"^The configuration of the {part} '.*' cannot be read: "):
            backbone_config(part, locate(path))


# --- saving and loading ---


def trained(model) -> set[str]:
    return {name for name in model.state_dict() if not is_backbone_tensor(name)}


@pytest.fixture
def stepped(model, randomize):
    """The model after training, so to speak."""
    return randomize(copy.deepcopy(model), trained_only=True)


def test_only_trained_tensors_are_saved(stepped, backbones, batch, tmp_path):
    stepped.save_pretrained(tmp_path)
    assert set(load_file(tmp_path / "model.safetensors")) == trained(stepped)
    loaded = WavLLMForConditionalGeneration.from_pretrained(tmp_path)
    assert_backbones_are(loaded, backbones)
    for name, tensor in stepped.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    for (name, buffer), (_, other) in zip(stepped.named_buffers(), loaded.named_buffers(), strict=True):
        assert torch.equal(buffer, other), name
    assert loaded.config.text_config is loaded.language_model.config
    with torch.no_grad():
        torch.testing.assert_close(loaded(**batch).logits, stepped(**batch).logits)
    again = tmp_path / "again"
    loaded.save_pretrained(again)
    assert (again / "model.safetensors").read_bytes() == (tmp_path / "model.safetensors").read_bytes()


def test_auto_model_finds_the_backbones_too(stepped, batch, tmp_path):
    stepped.save_pretrained(tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(AutoModel.from_pretrained(tmp_path)(**batch).logits, stepped(**batch).logits)


def test_backbones_without_reference_are_saved(tiny_config, backbones, tmp_path):
    """Encoders made from scratch beside a pretrained LLM."""
    config = tiny_config(backbones={"language_model": backbones["language_model"]})
    model = WavLLMForConditionalGeneration.from_backbones(config)
    model.save_pretrained(tmp_path)
    saved = set(load_file(tmp_path / "model.safetensors"))
    assert saved == {n for n in model.state_dict() if not n.startswith("language_model.") or ".lora_" in n}
    loaded = WavLLMForConditionalGeneration.from_pretrained(tmp_path).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in model.state_dict().items())


def test_full_needs_nothing_else(tiny_config, backbones, batch, tmp_path):
    elsewhere = {part: {"path": str(tmp_path / part)} for part in backbones}
    for part, source in backbones.items():
        shutil.copytree(source["path"], elsewhere[part]["path"])
    model = WavLLMForConditionalGeneration.from_backbones(tiny_config(backbones=elsewhere))
    model.save_pretrained(tmp_path / "full", full=True)
    assert model.config.backbones == elsewhere
    for part in backbones:
        shutil.rmtree(tmp_path / part)
    loaded = WavLLMForConditionalGeneration.from_pretrained(tmp_path / "full")
    assert loaded.config.backbones is None
    assert_backbones_are(loaded, backbones)
    with torch.no_grad():
        torch.testing.assert_close(loaded(**batch).logits, model(**batch).logits)


def test_dtype_is_float32_unless_asked_for(tiny_config, backbones, tmp_path):
    half = LlamaForCausalLM.from_pretrained(backbones["language_model"]["path"], dtype=torch.bfloat16)
    half.save_pretrained(tmp_path)
    chosen = backbones | {"language_model": {"path": str(tmp_path)}}
    for options, dtype in (({}, torch.float32), ({"dtype": torch.bfloat16}, torch.bfloat16)):
        for config in (tiny_config(backbones=chosen), tiny_config()):
            model = WavLLMForConditionalGeneration.from_backbones(config, **options)
            assert {p.dtype for p in model.parameters()} == {dtype}


def test_what_was_trained_beside_half_precision_backbones_is_loaded_in_float32(tiny_config, backbones, tmp_path):
    model = WavLLMForConditionalGeneration.from_backbones(tiny_config(backbones=backbones), torch.bfloat16)
    for name, parameter in model.named_parameters():
        if not is_backbone_tensor(name):
            parameter.data = parameter.data.float() + 1e-4
    model.save_pretrained(tmp_path)
    loaded = WavLLMForConditionalGeneration.from_pretrained(tmp_path)
    assert loaded.dtype == torch.float32
    for name in trained(model):
        assert torch.equal(loaded.state_dict()[name], model.state_dict()[name]), name


def test_a_recipes_folders_are_the_same_ones_from_everywhere(tiny_processor, backbones, tmp_path, monkeypatch):
    """Written as hub ids are, found as folders: never asked of the hub, also where they are gone."""
    for part, source in backbones.items():
        shutil.copytree(source["path"], tmp_path / "own" / part)
    tiny_processor.tokenizer.save_pretrained(tmp_path / "own" / "language_model")
    tiny_processor.feature_extractor.save_pretrained(tmp_path / "own" / "semantic_encoder")
    tiny_processor.acoustic_feature_extractor.save_pretrained(tmp_path / "own" / "acoustic_encoder")
    monkeypatch.chdir(tmp_path)
    config, processor = design(recipes.load("tiny", [f"model.{part}={{path: own/{part}}}" for part in backbones]), ())
    model = WavLLMForConditionalGeneration.from_backbones(config)
    model.save_pretrained("run")
    processor.save_pretrained("run")
    monkeypatch.chdir("/")
    loaded = load_model(str(tmp_path / "run"))[0]
    assert_backbones_are(loaded, backbones)
    assert loaded.config.backbones == {
        part: {"path": str(tmp_path / "own" / part), "local": True} for part in BACKBONES
    }
    shutil.rmtree(tmp_path / "own" / "language_model")
    with pytest.raises(UsageError, match=rf"cannot be loaded: there is no folder {tmp_path}/own/language_model\."):
        load_model(str(tmp_path / "run"))


# --- other LLMs ---

LLM = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2,
    "max_position_embeddings": 1024, "initializer_range": 0.15,
}  # fmt: skip


@pytest.mark.parametrize(
    ("family", "fields"),
    [
        ("qwen2", {}),
        pytest.param("qwen2", {"tie_word_embeddings": True}, marks=pytest.mark.slow),
        ("qwen3", {"head_dim": 16}),
        pytest.param("mistral", {}, marks=pytest.mark.slow),
        ("gemma2", {"tie_word_embeddings": True}),
        pytest.param("granite", {}, marks=pytest.mark.slow),
        ("llama", {"num_key_value_heads": 4}),
        pytest.param("llama", {"tie_word_embeddings": True}, marks=pytest.mark.slow),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value) or "plain",
)
def test_any_llm(tiny_config, tiny_tokenizer, backbones, randomize, utterances, collate, tmp_path, family, fields):
    config = AutoConfig.for_model(family, **(LLM | {"vocab_size": len(tiny_tokenizer)} | fields))
    llm = AutoModelForCausalLM.from_config(config)
    for name, parameter in llm.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    llm.save_pretrained(tmp_path / "llm")
    chosen = backbones | {"language_model": {"path": str(tmp_path / "llm"), "revision": None}}
    text_config = backbone_config("language_model", locate(str(tmp_path / "llm")))
    model = WavLLMForConditionalGeneration.from_backbones(tiny_config(backbones=chosen, text_config=text_config))

    tensors = {n.replace(".base_layer", ""): t for n, t in model.language_model.state_dict().items() if "lora" not in n}
    assert tensors.keys() == llm.state_dict().keys()
    assert all(torch.equal(t, llm.state_dict()[n]) for n, t in tensors.items())
    tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert tied == bool(fields.get("tie_word_embeddings"))

    randomize(model, trained_only=True)
    batch = collate(utterances)
    seen = []
    llm.model.norm.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.no_grad():
        llm(batch["prompt_ids"][1:2])  # the longest prompt
        torch.testing.assert_close(
            model.get_lora_scale(batch["prompt_ids"], batch["prompt_mask"], 4)[1:2],
            model.prompt_adapter(seen[0], batch["prompt_mask"][1:2]),
        )
    with torch.no_grad():
        expected = model(**batch).logits
        short = collate(utterances[:1])
        torch.testing.assert_close(
            expected[:1, -short["input_ids"].shape[1] :], model(**short).logits, rtol=1e-4, atol=1e-4
        )
    beams = {"do_sample": False, "num_beams": 2, "max_new_tokens": 3}
    answers = model.generate(**batch, **beams)
    for full in (False, True):
        model.save_pretrained(tmp_path / f"{full}", full=full)
        loaded = WavLLMForConditionalGeneration.from_pretrained(tmp_path / f"{full}")
        assert (loaded.get_output_embeddings().weight is loaded.get_input_embeddings().weight) == tied
        with torch.no_grad():
            torch.testing.assert_close(loaded(**batch).logits, expected)
        assert torch.equal(loaded.generate(**batch, **beams), answers)


def test_an_llm_with_fused_projections_is_refused(tiny_config, backbones, tmp_path):
    config = AutoConfig.for_model("phi3", **(LLM | {"vocab_size": 50}))
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    config = tiny_config(backbones=backbones | {"language_model": {"path": str(tmp_path)}}, text_config=config)
    with pytest.raises(UsageError, match=r"^Phi3ForCausalLM has 0 attention modules with separate q_proj, k_proj"):
        WavLLMForConditionalGeneration.from_backbones(config)


def test_names_in_wavllm(tiny_config, backbones):
    state = load_backbones(tiny_config(backbones=backbones))
    model = WavLLMForConditionalGeneration(tiny_config())
    assert set(state) == {name for name in model.state_dict() if is_backbone_tensor(name)}
