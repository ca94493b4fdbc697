"""A model to hand to others: what they can get by name stays a name, everything else is inside."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from wavllm_cli.convert.bundle import bundle
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.model.load import load_model, taught_seconds
from wavllm_cli.model.modeling_wavllm import WavLLMForConditionalGeneration

LOCAL = ("acoustic_encoder", "language_model")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def cache(monkeypatch, home):
    monkeypatch.setenv("WAVLLM_CACHE", str(home / "cache"))


@pytest.fixture(scope="module")
def checkpoint(home, backbones, tiny_config, tiny_processor, randomize):
    """A stage's result: its Whisper lies in the user's cache, the others in folders of this machine."""
    whisper = home / "cache" / "models" / "whisper-tiny.en"
    paths = {part: home / part for part in LOCAL} | {"semantic_encoder": whisper}
    for part, path in paths.items():
        shutil.copytree(backbones[part]["path"], path)
    config = tiny_config(backbones={part: {"path": str(path), "local": True} for part, path in paths.items()})
    for part in (config.acoustic_config, config.text_config):
        part.name_or_path = str(home)  # as training leaves them
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WAVLLM_CACHE", str(home / "cache"))
        model = randomize(WavLLMForConditionalGeneration.from_backbones(config), trained_only=True)
        model.save_pretrained(home / "stage2")
    tiny_processor.save_pretrained(home / "stage2")
    (home / "stage2" / "recipe.yaml").write_text(f"data: {home}\nstages: [{{max_audio_seconds: 7}}]\n")
    return home / "stage2"


@pytest.fixture(scope="module")
def logits(home):
    """Function: a checkpoint's folder -> its logits for a clip and an instruction, computed in float32."""

    @torch.no_grad()
    def make(folder):
        model, processor = load_model(str(folder))
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
        noise = torch.randn(9000, generator=torch.Generator().manual_seed(0)).numpy()
        return model(**processor(text="hello", audio=noise)).logits

    return make


def test_a_fetched_backbone_goes_by_its_name_in_every_checkpoint(checkpoint):
    entries = json.loads((checkpoint / "config.json").read_text())["backbones"]
    assert entries["semantic_encoder"] == {"path": "whisper-tiny.en", "known": True}
    assert entries["language_model"] == {"path": str(checkpoint.parent / "language_model"), "local": True}


def test_a_bundle_needs_nothing_but_what_has_a_name(checkpoint, home, logits, monkeypatch, tmp_path):
    expected = logits(checkpoint)
    made = bundle(str(checkpoint), tmp_path / "made", "float16")
    assert made.named == {"semantic_encoder": "whisper-tiny.en"}
    assert made.bytes == sum(file.stat().st_size for file in (tmp_path / "made").iterdir())
    whole = sum(file.stat().st_size for file in (*home.glob("*/model.safetensors"),))
    tensors = load_file(tmp_path / "made" / "model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert (tmp_path / "made" / "model.safetensors").stat().st_size < 0.6 * whole
    assert not any(name.startswith("semantic_encoder.") for name in tensors)

    elsewhere = tmp_path / "elsewhere"
    shutil.move(tmp_path / "made", elsewhere / "bundle")
    monkeypatch.setenv("WAVLLM_CACHE", str(elsewhere))
    with pytest.raises(WavLLMError, match=r"whisper-tiny\.en is not on this machine yet: `wavllm models get whis"):
        load_model(str(elsewhere / "bundle"))
    shutil.copytree(home / "cache" / "models", elsewhere / "models")
    away = home.with_name("away")
    home.rename(away)  # the machine that it was made on
    try:
        found = logits(elsewhere / "bundle")
    finally:
        away.rename(home)
    assert 0 < (found - expected).abs().max() < 0.02 * expected.abs().max()
    assert taught_seconds(str(elsewhere / "bundle")) == taught_seconds(str(checkpoint)) == 7


def test_nothing_in_it_tells_of_the_machine(checkpoint, home, tmp_path):
    bundle(str(checkpoint), tmp_path / "made", "float16")
    for file in (tmp_path / "made").iterdir():
        assert str(home).encode() not in file.read_bytes() and str(tmp_path).encode() not in file.read_bytes(), file


def test_the_same_command_again_has_nothing_to_do(checkpoint, tmp_path, wavllm):
    command = ("export", "--model", checkpoint, "--to", "bundle", "--output", tmp_path / "made")
    code, out, err = wavllm(*command, "--json")
    assert code == 0 and json.loads(out)["named"] == {"semantic_encoder": "whisper-tiny.en"}
    assert load_file(tmp_path / "made" / "model.safetensors")["fusion.weight"].dtype == torch.float32
    code, _, err = wavllm(*command)
    assert code == 0 and "is complete already" in err and "semantic_encoder is referred to as whisper-tiny.en" in err
    code, _, err = wavllm(*command, "--dtype", "float16")
    assert code == 2 and "made exists already" in err
    assert wavllm(*command, "--prompt", "Hi")[0] == 2


def test_numbers_beyond_half_precision_are_named(checkpoint, tmp_path):
    shutil.copytree(checkpoint, tmp_path / "large")
    model, _ = load_model(str(checkpoint))
    with torch.no_grad():
        model.fusion.weight[0, 0] = 1e5
    model.save_pretrained(tmp_path / "large")
    with pytest.raises(WavLLMError, match=r"^1 tensors hold numbers that float16 .*\(first: fusion\.weight\)"):
        bundle(str(tmp_path / "large"), tmp_path / "made", "float16")
    assert not (tmp_path / "made").exists()


def test_no_model(tmp_path):
    with pytest.raises(UsageError, match="There is no model folder"):
        bundle(str(tmp_path / "nowhere"), tmp_path / "made")
