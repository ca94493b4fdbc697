import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from released import Sizes, random_checkpoint
from safetensors.torch import load_file
from transformers import AutoModel, AutoProcessor, GenerationConfig, LlamaForCausalLM, WavLMModel
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from wavllm_cli.convert import from_fairseq as module
from wavllm_cli.convert.from_fairseq import Heads, from_fairseq
from wavllm_cli.convert.to_fairseq import to_fairseq
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.model.load import load_model
from wavllm_cli.model.modeling_wavllm import WavLLMForConditionalGeneration

SIZES = replace(Sizes(), vocab=512)
HEADS = Heads(SIZES.semantic_heads, SIZES.acoustic_heads, SIZES.heads)


@pytest.fixture
def checkpoint(tmp_path):
    """Function: tensors (changed by keyword arguments, None removes one) -> the file of a checkpoint."""

    def make(tensors=None, **changes):
        tensors = (random_checkpoint(SIZES) if tensors is None else tensors) | changes
        path = tmp_path / "final.pt"
        torch.save({"model": {n: t for n, t in tensors.items() if t is not None}}, path)
        return path

    return make


def assert_equal_tensors(a: dict, b: dict) -> None:
    assert list(a) == list(b)
    for name, tensor in a.items():
        assert tensor.dtype == b[name].dtype and torch.equal(tensor, b[name]), name


# --- the folder ---


def test_the_folder_is_an_ordinary_model(released):
    checkpoint = released()
    model = AutoModel.from_pretrained(checkpoint.folder)
    assert isinstance(model, WavLLMForConditionalGeneration)
    assert AutoProcessor.from_pretrained(checkpoint.folder).template["bos_after_speech"]
    config = model.config
    assert (config.lora_rank, config.lora_alpha, config.prompt_adapter_width) == (4, 4, 16)
    assert config.backbones is None and config.interleaved_scale
    assert config.text_config.rms_norm_eps == 1e-6
    assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == (1, 2, 0)
    assert config.semantic_config.max_source_positions == 1500 and config.audio_geometry.window == 30 * 16_000
    assert config.acoustic_config.conv_kernel == [10, 3, 3, 3, 3, 2, 2]


def test_decoding_is_the_releases(released):
    generation = GenerationConfig.from_pretrained(released().folder)
    assert (generation.do_sample, generation.temperature, generation.max_new_tokens) == (True, 0.5, 512)
    assert (generation.top_k, generation.top_p) == (0, 1.0)
    assert (generation.min_new_tokens, generation.suppress_tokens) == (1, [0])


def test_the_published_sizes_are_read_off_the_published_shapes():
    from wavllm_cli.convert.layout import expected_shapes, find_problems, original_name
    from wavllm_cli.convert.sizes import read_config
    from wavllm_cli.model.configuration_wavllm import WavLLMConfig

    published = WavLLMConfig(prompt_adapter_width=1024)
    shapes = {original_name(n): s[::-1] if ".lora_" in n else s for n, s in expected_shapes(published).items()}
    config = read_config(shapes, Heads())
    assert not find_problems(shapes, expected_shapes(config))
    assert expected_shapes(config) == expected_shapes(published)
    ours, theirs = config.to_dict(), published.to_dict()
    different = {key for key in theirs if ours[key] != theirs[key]}
    assert different == {"interleaved_scale", "text_config"}
    assert {k for k, v in theirs["text_config"].items() if ours["text_config"][k] != v} == {"max_position_embeddings"}


def test_each_tensor_keeps_its_precision_or_gets_the_asked_one(released, sentencepiece_file, checkpoint, tmp_path):
    tensors = random_checkpoint(SIZES)
    half = {n: t.half() if ".model." in n else t for n, t in tensors.items()}
    path = checkpoint(half)
    from_fairseq(path, sentencepiece_file, tmp_path / "kept", HEADS, {})
    kept = load_file(tmp_path / "kept" / "model.safetensors")
    assert kept["semantic_encoder.model.conv1.weight"].dtype == torch.float16
    assert kept["fusion.weight"].dtype == torch.float32
    from_fairseq(path, sentencepiece_file, tmp_path / "bf16", HEADS, {}, dtype="bfloat16")
    tensors = load_file(tmp_path / "bf16" / "model.safetensors").values()
    assert {tensor.dtype for tensor in tensors} == {torch.bfloat16}
    model = WavLLMForConditionalGeneration.from_pretrained(tmp_path / "bf16")
    assert model.dtype == torch.bfloat16


def test_layer_weights_may_be_missing(sentencepiece_file, checkpoint, tmp_path):
    path = checkpoint(**{"wavlm_encoder.output_weights": None})
    from_fairseq(path, sentencepiece_file, tmp_path / "model", HEADS, {})
    weights = load_file(tmp_path / "model" / "model.safetensors")["acoustic_encoder.layer_weights"]
    assert torch.equal(weights, torch.ones(SIZES.acoustic_layers + 1))


def test_shards(released, sentencepiece_file, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SHARD", "200KB")
    from_fairseq(checkpoint(), sentencepiece_file, tmp_path / "model", HEADS, {})
    assert len(list((tmp_path / "model").glob("model-*-of-*.safetensors"))) > 3
    sharded, whole = (load_model(str(folder))[0] for folder in (tmp_path / "model", released().folder))
    assert_equal_tensors(sharded.state_dict(), whole.state_dict())


# --- references to backbones ---


@pytest.fixture(scope="module")
def pretrained(released, tmp_path_factory):
    """The checkpoint's own encoders and LLM, as their libraries save them."""
    folder = tmp_path_factory.mktemp("pretrained")
    model = load_model(str(released().folder))[0]
    model.semantic_encoder.model.save_pretrained(folder / "whisper")
    state = {n.replace(".base_layer", ""): t for n, t in model.language_model.state_dict().items() if "lora" not in n}
    llm = LlamaForCausalLM(model.config.text_config)
    llm.load_state_dict(state)
    llm.config.rms_norm_eps = 1e-5  # as LLaMA-2-chat's own configuration has it
    llm.half().save_pretrained(folder / "llama")
    wavlm = WavLMModel(model.config.acoustic_config)
    wavlm.load_state_dict(model.acoustic_encoder.model.state_dict())
    wavlm.save_pretrained(folder / "wavlm")
    assert WhisperEncoder.from_pretrained(folder / "whisper")
    names = {"semantic_encoder": "whisper", "acoustic_encoder": "wavlm", "language_model": "llama"}
    return {part: str(folder / name) for part, name in names.items()}


@torch.no_grad()
def test_equal_backbones_are_referred_to(released, pretrained, sentencepiece_file, checkpoint, tmp_path, monkeypatch):
    """Also where the reference is held in half precision."""
    monkeypatch.setattr(module, "SHARD", "20KB")
    tensors = random_checkpoint(SIZES)
    llm = "gpt_model.model_llama."
    tensors = {
        n: t.half().float() if n.startswith(llm) and "lora" not in n and "scale_" not in n else t
        for n, t in tensors.items()
    }
    path = checkpoint(tensors)
    result = from_fairseq(path, sentencepiece_file, tmp_path / "model", HEADS, pretrained)
    assert result.references == pretrained
    model, processor = load_model(str(tmp_path / "model"))
    assert set(model.config.backbones) == set(pretrained)
    stored = {name for file in (tmp_path / "model").glob("model*.safetensors") for name in load_file(file)}
    assert stored and all("lora" in n or not n.startswith("language_model") for n in stored)
    assert not any(".model." in n and "lora" not in n for n in stored)
    from_fairseq(path, sentencepiece_file, tmp_path / "full", HEADS, pretrained, full=True)
    full = load_model(str(tmp_path / "full"))[0]
    assert full.config.backbones is None
    inputs = processor(text="What?", audio=torch.randn(9000).numpy())
    torch.testing.assert_close(model(**inputs).logits, full(**inputs).logits)
    to_fairseq(tmp_path / "model", tmp_path / "again.pt")
    again = torch.load(tmp_path / "again.pt")["model"]
    assert_equal_tensors({name: tensor.float() for name, tensor in again.items()}, tensors)


def test_another_backbone_is_not_referred_to(pretrained, sentencepiece_file, checkpoint, tmp_path):
    name = "audio_encoder.model.layers.1.fc1.bias"
    tensor = random_checkpoint(SIZES)[name]
    tensor[3] += 1e-3
    references = {"semantic_encoder": pretrained["semantic_encoder"]}
    with pytest.raises(
        WavLLMError, match=r"whisper is not the one in the checkpoint: 1 of \d+ tensors differ \(audio_en"
    ):
        from_fairseq(checkpoint(**{name: tensor}), sentencepiece_file, tmp_path / "model", HEADS, references)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["final.pt"]


# --- and back ---


@pytest.mark.parametrize(
    "options",
    [{}, {"weight_norm": "parametrizations"}, {"dtype": torch.float16}, {"prompt_adapter": False}],
    ids=str,
)
def test_round_trip_is_equal_bit_by_bit(released, options, tmp_path):
    checkpoint = released(**options)
    to_fairseq(checkpoint.folder, tmp_path / "again.pt")
    again = torch.load(tmp_path / "again.pt", weights_only=True)
    assert_equal_tensors(again["model"], checkpoint.tensors)
    assert again["cfg"] == {"task": {"_name": "speechllm_task"}}
    to_fairseq(checkpoint.folder, tmp_path / "once-more.pt")
    assert (tmp_path / "once-more.pt").read_bytes() == (tmp_path / "again.pt").read_bytes()


def test_a_model_saved_anew_goes_back_too(released, tmp_path):
    """Without the released names beside it: today's weight norm, and zeros for what the network does not use."""
    model, processor = load_model(str(released().folder))
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    to_fairseq(tmp_path / "model", tmp_path / "again.pt")
    again = torch.load(tmp_path / "again.pt", weights_only=True)["model"]
    expected = random_checkpoint(SIZES, weight_norm="parametrizations")
    assert again.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(again[name], torch.zeros_like(tensor) if name.startswith("audio_proj") else tensor), name


def test_what_the_released_network_cannot_express(tiny_model, tiny_processor, released, tmp_path):
    def refused(model, processor, sentence: str) -> None:
        shutil.rmtree(tmp_path / "model", ignore_errors=True)
        model.save_pretrained(tmp_path / "model")
        processor.save_pretrained(tmp_path / "model")
        with pytest.raises(UsageError, match=sentence):
            to_fairseq(tmp_path / "model", tmp_path / "again.pt")
        assert not (tmp_path / "again.pt").exists()

    refused(tiny_model(), tiny_processor, "its LLM is not LLaMA as the released code has it")
    model, processor = load_model(str(released().folder))
    model.config.interleaved_scale = False
    refused(model, processor, "its prompt adapter counts the channels of q and k in the order of transformers")
    model.config.prompt_adapter_width = None
    model.config.lora_alpha = 8.0
    model.prompt_adapter = None
    refused(model, processor, "its LoRA is multiplied by alpha / rank = 2")


def test_a_damaged_folder_does_not_go_back(released, tmp_path):
    shutil.copytree(released().folder, tmp_path / "model")
    tensors = tmp_path / "model" / "model.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:5000])
    with pytest.raises(WavLLMError, match="model cannot be loaded"):
        to_fairseq(tmp_path / "model", tmp_path / "again.pt")
    assert not (tmp_path / "again.pt").exists()


def test_a_finished_output_is_left_to_the_same_command_only(released, sentencepiece_file, checkpoint, tmp_path, capsys):
    path, folder, back = checkpoint(), tmp_path / "model", tmp_path / "again.pt"
    first = from_fairseq(path, sentencepiece_file, folder, HEADS, {})
    written = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    again = from_fairseq(path, sentencepiece_file, folder, HEADS, {})
    assert replace(again, seconds=0.0) == replace(first, seconds=0.0)
    assert f"{folder} is complete already" in capsys.readouterr().err
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == written
    for change in ({"dtype": "bfloat16"}, {"full": True}):
        with pytest.raises(UsageError, match="exists already"):
            from_fairseq(path, sentencepiece_file, folder, HEADS, {}, **change)
    to_fairseq(folder, back)
    before = back.stat().st_mtime_ns
    to_fairseq(folder, back)
    assert f"{back} is complete already" in capsys.readouterr().err
    assert back.stat().st_mtime_ns == before
    checkpoint(**{"wavlm_audio_proj.bias": torch.zeros(SIZES.width)})
    with pytest.raises(UsageError, match="exists already"):
        from_fairseq(path, sentencepiece_file, folder, HEADS, {})
    (folder / "config.json").write_text("{}")
    with pytest.raises(UsageError, match="exists already"):
        from_fairseq(path, sentencepiece_file, folder, HEADS, {})


# --- what cannot be converted ---


def test_tensors_that_are_not_the_networks_numbers(sentencepiece_file, checkpoint, tmp_path):
    def refused(error, sentence: str, dtype: str | None = None, **changes) -> None:
        with pytest.raises(error, match=sentence) as caught:
            path = checkpoint(tensors, **changes)
            from_fairseq(path, sentencepiece_file, tmp_path / "model", HEADS, {}, dtype=dtype)
        assert "\n" not in str(caught.value)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["final.pt"]

    tensors = random_checkpoint(SIZES)
    bias, norm = "wavlm_audio_proj.bias", "gpt_model.model_llama.norm.weight"
    numbers = torch.ones(SIZES.width)
    numbers[3:5] = torch.tensor([float("nan"), float("inf")])
    refused(WavLLMError, rf"^2 numbers in 1 tensors are not finite \({bias} 2\)", **{bias: numbers})
    large = torch.full((SIZES.width,), 1e6)
    refused(WavLLMError, r"not finite in torch\.float16", "float16", **{bias: large, norm: large})
    whole = torch.ones(SIZES.width, dtype=torch.int64)
    refused(UsageError, rf"1 of its tensors are not dense floating-point numbers \({bias}\)", **{bias: whole})
    refused(UsageError, r"not stored at their full size", **{bias: torch.ones(1).expand(10**9)})
    refused(UsageError, r"not dense floating-point", **{bias: torch.eye(SIZES.width).to_sparse()})
    far = {"gpt_model.model_llama.layers.99999.attention.wq.weight": torch.ones(2, 2)}
    refused(UsageError, r"names a tensor .*layers\.99999\.…, but has \d+ tensors of such layers", **far)
    refused(UsageError, r"1 of its tensors are not of any size", **{bias: torch.ones(10**12, 0)})
    shared = torch.ones(200_000)
    many = {f"audio_proj.{i}": shared for i in range(40)}
    refused(UsageError, r"most of its tensors share their numbers", **many)


def test_all_problems_are_listed_at_once(sentencepiece_file, checkpoint, tmp_path):
    llm = "gpt_model.model_llama."
    path = checkpoint(
        **{
            f"{llm}layers.0.ffn_norm.weight": None,
            f"{llm}layers.1.ffn_norm.weight": None,
            f"{llm}scale_fc_2.bias": None,
            f"{llm}rope.freqs": torch.ones(3),
            "wavlm_audio_proj.bias": torch.ones(7),
            "audio_encoder.adapter.up_layer.weight": torch.ones(2, 2),
        }
    )
    with pytest.raises(UsageError) as caught:
        from_fairseq(path, sentencepiece_file, tmp_path / "model", HEADS, {})
    assert str(caught.value).splitlines() == [
        f"{path} is not a complete WavLLM checkpoint.",
        f"missing: {llm}layers.{{0,1}}.ffn_norm.weight, {llm}scale_fc_2.bias",
        f"surplus: {llm}rope.freqs",
        "of another shape: audio_encoder.adapter.up_layer.weight (2, 2), expected (20, 16), "
        "wavlm_audio_proj.bias (7,), expected (64,)",
    ]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["final.pt"]


def test_heads_must_divide_the_widths(sentencepiece_file, checkpoint, tmp_path):
    def refused(sentence: str, **heads: int) -> None:
        with pytest.raises(UsageError, match=sentence):
            from_fairseq(path, sentencepiece_file, tmp_path / "model", replace(HEADS, **heads), {})

    path = checkpoint()
    refused(r"semantic encoder's width 32 cannot be cut into 20 equal parts, .* --semantic-heads", semantic=20)
    refused(r"acoustic encoder's width 32 cannot be cut into 12 equal parts, .* --acoustic-heads", acoustic=12)
    refused(r"acoustic encoder has 2 heads: give --acoustic-heads 2", acoustic=4)
    refused(r"LLM's width 64 cannot be cut into 64 parts of even size, .* --llm-heads", language_model=64)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"model": {"encoder.layers.0.weight": torch.ones(2)}}, "is not a WavLLM checkpoint: no tensor's name begins"),
        ({"state_dict": {"a": torch.ones(2)}}, "is not a WavLLM checkpoint: no tensor's name begins"),
        ([torch.ones(2)], "is not a WavLLM checkpoint: no tensor's name begins"),
        ({"model": {"audio_encoder.projector.weight": "hello"}}, "audio_encoder.projector.weight is not a tensor"),
    ],
)
def test_a_checkpoint_of_another_project(content, sentence, sentencepiece_file, tmp_path):
    torch.save(content, tmp_path / "final.pt")
    with pytest.raises(UsageError, match=sentence):
        from_fairseq(tmp_path / "final.pt", sentencepiece_file, tmp_path / "model", HEADS, {})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["final.pt"]


def test_nothing_is_overwritten_and_nothing_left_half_written(
    released, sentencepiece_file, checkpoint, tmp_path, monkeypatch
):
    path = checkpoint()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.txt").write_text("x")
    with pytest.raises(UsageError, match="exists already"):
        from_fairseq(path, sentencepiece_file, tmp_path / "model", HEADS, {})
    with pytest.raises(UsageError, match="exists already"):
        to_fairseq(released(weight_norm="parametrizations").folder, path)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_released_generation", interrupted)
    with pytest.raises(KeyboardInterrupt):
        from_fairseq(path, sentencepiece_file, tmp_path / "other", HEADS, {})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["final.pt", "model"]


def test_a_disk_that_is_too_small_is_found_out_first(sentencepiece_file, checkpoint, released, tmp_path, monkeypatch):
    path = checkpoint()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    for work in (
        lambda: from_fairseq(path, sentencepiece_file, tmp_path / "model", HEADS, {}),
        lambda: to_fairseq(released().folder, tmp_path / "again.pt"),
    ):
        with pytest.raises(WavLLMError, match="are free in"):
            work()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["final.pt"]


def test_a_tokenizer_larger_than_the_vocabulary_is_warned_about(sentencepiece_file, tmp_path, capsys):
    torch.save({"model": random_checkpoint(Sizes())}, tmp_path / "final.pt")
    from_fairseq(tmp_path / "final.pt", sentencepiece_file, tmp_path / "model", HEADS, {})
    assert "has 512 pieces, the checkpoint embeds 128" in capsys.readouterr().err
    assert json.loads((tmp_path / "model" / "config.json").read_text())["audio_token_id"] == 512
