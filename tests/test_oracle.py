"""The converted model against an independent transcription of the network that reads the original tensors."""

import numpy as np
import pytest
import torch
from oracle import Oracle
from sentencepiece import SentencePieceProcessor

from wavllm_cli.data.audio import read_audio
from wavllm_cli.data.audio_paths import resolve_audio
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.data.schema import Hypothesis
from wavllm_cli.model.load import load_model
from wavllm_cli.model.processing_wavllm import LLAMA2
from wavllm_cli.model.prompt_lora import LoRALinear

EOS = 2
PROMPTS = ("Translate the audio clip into German.", "", 'What? "A. yes";  B. no', "Transcribe </s> it.")
SECONDS = (2, 10, 31, 67)  # one window, two with a short last one, three


def voice(seconds: float) -> np.ndarray:
    """A chirp in noise, its length no multiple of any hop."""
    generator = np.random.default_rng(int(seconds))
    t = np.arange(round(seconds * 16_000) + 37) / 16_000
    return (0.2 * np.sin(2 * np.pi * (150 + 20 * t) * t) + generator.normal(0, 0.05, len(t))).astype(np.float32)


@pytest.fixture(scope="module")
def encode(sentencepiece_file):
    """Function: an instruction -> the token ids of the template's left and right part and of the quoted prompt."""
    pieces = SentencePieceProcessor(model_file=str(sentencepiece_file))
    left = [pieces.bos_id(), *pieces.encode(LLAMA2.left + "<SPEECH>")]
    return lambda prompt: (left, pieces.encode(f" </SPEECH> {prompt} [/INST]"), pieces.encode(f'"{prompt}"'))


def oracle_of(checkpoint) -> Oracle:
    sizes = checkpoint.sizes
    return Oracle(checkpoint.tensors, sizes.semantic_heads, sizes.acoustic_heads, sizes.heads, sizes.acoustic_strides)


@pytest.fixture(scope="module")
def oracle(released):
    return oracle_of(released())


@pytest.fixture(scope="module")
def model(released):
    """In one piece as the original took a clip of any length; ours cuts those of over a minute into windows."""
    loaded = load_model(str(released().folder))[0]
    loaded.acoustic_encoder.window = None
    return loaded


@pytest.fixture(scope="module")
def processor(released):
    return load_model(str(released().folder))[1]


@pytest.fixture(scope="module")
def references(oracle, encode):
    """The oracle's logits for each clip and prompt."""
    pairs = zip(SECONDS, PROMPTS, strict=True)
    return [oracle.logits(torch.from_numpy(voice(seconds)), *encode(prompt)) for seconds, prompt in pairs]


@torch.no_grad()
@pytest.mark.parametrize("row", range(4))
def test_logits(model, processor, references, row):
    inputs = processor(text=PROMPTS[row], audio=voice(SECONDS[row]))
    logits = model(**inputs).logits[0]
    assert logits.shape == references[row].shape
    assert (logits - references[row]).abs().max() < 1e-4
    assert references[row].std() > 0.5


@torch.no_grad()
@pytest.mark.parametrize("rows", [3, pytest.param(4, marks=pytest.mark.slow)])
def test_logits_of_a_batch_of_unequal_lengths(model, processor, references, rows):
    inputs = processor(text=list(PROMPTS[:rows]), audio=[voice(seconds) for seconds in SECONDS[:rows]])
    logits = model(**inputs).logits
    for row, reference in zip(logits, references[:rows], strict=True):
        assert (row[-len(reference) :] - reference).abs().max() < 1e-4


@pytest.mark.parametrize("use_cache", [True, False])
def test_greedy_tokens(model, processor, oracle, encode, use_cache):
    inputs = processor(text=list(PROMPTS[:2]), audio=[voice(2), voice(3)])
    length = inputs["input_ids"].shape[1]
    ids = model.generate(**inputs, do_sample=False, max_new_tokens=12, use_cache=use_cache)[:, length:].tolist()
    for row, seconds, prompt in zip(ids, (2, 3), PROMPTS[:2], strict=True):
        expected = oracle.greedy(torch.from_numpy(voice(seconds)), *encode(prompt), count=12, eos=EOS)
        assert row[: len(expected)] == expected
        assert len(set(expected)) > 3


@torch.no_grad()
def test_scale_of_each_prompt(model, processor, oracle, encode):
    """One by one and batched, from 0 to 3, in the original order."""
    texts = processor(text=list(PROMPTS))
    scales = model.get_lora_scale(texts["prompt_ids"], texts["prompt_mask"], 4)[:, : model.scale_layout.emitted]
    for scale, prompt in zip(scales, PROMPTS, strict=True):
        expected = oracle.scale(encode(prompt)[2])
        torch.testing.assert_close(scale, expected, rtol=1e-4, atol=1e-5)
        assert (expected == 0).any() and (expected == 3).any() and ((expected > 0) & (expected < 3)).any()


@torch.no_grad()
def test_speech_embeddings(model, processor, oracle):
    inputs = processor(text="", audio=voice(31))
    audio = [inputs[key] for key in ("input_features", "input_values", "audio_lengths")]
    torch.testing.assert_close(
        model.get_audio_features(*audio)[0], oracle.speech(torch.from_numpy(voice(31))), rtol=1e-4, atol=1e-4
    )


@torch.no_grad()
@pytest.mark.parametrize(
    "options", [{"weight_norm": "parametrizations"}, {"prompt_adapter": False}, {"seed": 1}], ids=str
)
def test_other_checkpoints(released, encode, options):
    checkpoint = released(**options)
    model, processor = load_model(str(checkpoint.folder))
    logits = model(**processor(text=PROMPTS[0], audio=voice(2))).logits[0]
    expected = oracle_of(checkpoint).logits(torch.from_numpy(voice(2)), *encode(PROMPTS[0]))
    assert (logits - expected).abs().max() < 1e-4


@pytest.mark.parametrize("table", ["en2de", "asr", pytest.param("CoT-task-story", marks=pytest.mark.slow)])
def test_original_manifests_are_answered_to_the_digit(released, oracle, encode, shared_data, tmp_path, table, wavllm):
    """Real clips by the original tables, whose audio paths lead nowhere here."""
    examples = shared_data / "wavllm_examples"
    table, out = examples / f"{table}.tsv", tmp_path / "hypotheses.jsonl"
    command = ["infer", table, "--audio-root", examples / "audio", "--model", released().folder, "--output", out]
    decoding = ["--temperature", 0, "--max-new-tokens", 8, "--logprobs", "--device", "cpu"]
    code, _, err = wavllm(*map(str, [*command, *decoding]))
    assert code == 0 and f"{table.name}: the audio of 1 of 1 rows has moved" in err
    (row,) = read_manifest(out, Hypothesis)
    samples = torch.from_numpy(read_audio(resolve_audio(row, table, examples / "audio")))
    expected = oracle.greedy(samples, *encode(row.prompt), count=8, eos=EOS)
    assert row.token_ids == expected
    left, right, prompt = encode(row.prompt)
    logits = oracle.logits(samples, left, right + expected, prompt)[-len(expected) - 1 : -1]
    logprobs = logits.log_softmax(-1).gather(1, torch.tensor(expected)[:, None])[:, 0]
    assert (torch.tensor(row.logprobs) - logprobs).abs().max() < 1e-4


def scale_in_one_order(model, processor):
    """As if s were not reordered where it multiplies q and k."""
    for layer in model.modules():
        if isinstance(layer, LoRALinear):
            layer.channels = slice(0, model.scale_layout.emitted)


def no_bos_after_speech(model, processor):
    processor.template["bos_after_speech"] = False


def equal_layer_weights(model, processor):
    model.acoustic_encoder.layer_weights.data.fill_(1)


def another_norm_epsilon(model, processor):
    model.get_decoder().norm.variance_epsilon = 1e-2


@torch.no_grad()
@pytest.mark.parametrize("damage", [scale_in_one_order, no_bos_after_speech, equal_layer_weights, another_norm_epsilon])
def test_the_comparison_notices(released, references, damage):
    """Each of these mistakes changes the logits far beyond the tolerance."""
    model, processor = load_model(str(released().folder))
    damage(model, processor)
    difference = (model(**processor(text=PROMPTS[0], audio=voice(2))).logits[0] - references[0]).abs().max()
    assert difference > 1e-3
