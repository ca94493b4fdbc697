"""A loaded model: single answers and batches, log-probabilities, what it refuses."""

import numpy as np
import pytest

from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.inference.engine import usable_device


@pytest.fixture(scope="module")
def samples():
    return np.random.default_rng(1).normal(0, 0.1, 20_000).astype(np.float32)


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}, {"temperature": 0.7, "seed": 5}], ids=str)
def test_logprobs_are_those_of_the_bare_network(engine, decoding, samples, options):
    """A forward pass over prompt and answer gives the same, whatever way the answer was found."""
    import torch

    decoding(logprobs=True, **options)
    answer = engine.answer(samples, "hello")
    assert len(answer.logprobs) == len(answer.token_ids) == 6
    assert answer.text == engine.processor.decode(answer.token_ids, skip_special_tokens=True).strip()
    inputs = engine.processor(text="hello", audio=samples)
    new = torch.tensor([answer.token_ids])
    inputs["input_ids"] = torch.cat([inputs["input_ids"], new], dim=1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    with torch.no_grad():
        expected = engine.model(**inputs).logits[0, -7:-1].log_softmax(-1).gather(1, new.T)[:, 0]
    torch.testing.assert_close(torch.tensor(answer.logprobs), expected, rtol=1e-4, atol=1e-5)


def test_greedy_answers_are_those_of_transformers(engine, samples):
    inputs = engine.processor(text=["hello", "say it"], audio=[samples, None])
    expected = engine.model.generate(**inputs, max_new_tokens=6, do_sample=False)
    texts = engine.processor.answers(expected, inputs)
    assert [answer.text for answer in engine.generate(inputs, ["a", "b"])] == texts


def test_an_answer_without_its_end_was_cut(engine, decoding, samples, monkeypatch):
    decoding(logprobs=True)
    tokens = engine.answer(samples, "hello").token_ids
    assert engine.answer(samples, "hello").warnings == ["cut at 6 tokens"]
    monkeypatch.setattr(engine.model.generation_config, "eos_token_id", tokens[2])
    ended = engine.answer(samples, "hello")
    assert (ended.token_ids, ended.warnings) == (tokens[: tokens.index(tokens[2]) + 1], None)


@pytest.mark.parametrize("options", [{}, {"num_beams": 2}, {"temperature": 0.7}, {"logprobs": True}], ids=str)
def test_output_that_is_no_number_is_no_answer(engine, decoding, samples, options, monkeypatch):
    """Of a batch only the row that it belongs to: here the one whose clip makes the speech features infinite."""
    decoding(**options)
    embed = type(engine.model).embed

    def broken(self, *args):
        embeds = embed(self, *args)
        embeds[0] = float("nan")
        return embeds

    alone = engine.generate(engine.processor(text=["hello"], audio=[samples]), ["b"])[0]
    monkeypatch.setattr(type(engine.model), "embed", broken)
    inputs = engine.processor(text=["hello", "hello"], audio=[samples, samples])
    assert [answer and answer.text for answer in engine.generate(inputs, ["a", "b"])] == [None, alone.text]
    with pytest.raises(WavLLMError, match=r"the network's output is not a number \(NaN or infinite\)"):
        engine.answer(samples, "hello")


def test_what_does_not_fit_is_refused_with_the_length_that_does(engine, monkeypatch):
    long = np.zeros(16_000 * 120, np.float32)
    with pytest.raises(WavLLMError, match=r"120 s of audio \(1,500 tokens\), .* has 1,024: at most \d\d s of audio"):
        engine.answer(long, "hello")
    with pytest.raises(WavLLMError, match=r"its instruction of 2,205 tokens and an answer of 6 need"):
        engine.answer(None, "word " * 500)
    monkeypatch.setattr("wavllm_cli.model.limits.available_memory", lambda _: 2**28 + 2**20)
    with pytest.raises(WavLLMError, match=r"the clip is 30 s long; .* the longest that fits is \d+ s"):
        engine.answer(long[: 16_000 * 30], "hello")


def test_an_answer_longer_than_the_model_is_refused(answering):
    from wavllm_cli.inference.decoding import Decoding
    from wavllm_cli.inference.engine import Engine

    with pytest.raises(UsageError, match=r"An answer of 1,024 tokens has no room: the language model has 1,024"):
        Engine(str(answering / "model"), "cpu", decoding=Decoding(max_new_tokens=1024))


def test_a_token_that_the_model_does_not_know_is_a_sentence(engine, monkeypatch):
    monkeypatch.setattr(engine.processor.tokenizer, "encode", lambda *_, **__: [5, 9000])
    with pytest.raises(UsageError, match=r"needs token 9000, but the model .* embeds \d+: its tokenizer was made for"):
        engine.answer(None, "hello")


@pytest.mark.parametrize("name", ["meta", "gpu", "cuda:99", "", "cpu:x"])
def test_devices_that_compute_nothing_are_refused(name):
    with pytest.raises(UsageError, match=r"holds no numbers|cannot be used"):
        usable_device(name)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no config.json"), ("{", "not valid JSON"), ('{"model_type": "llama"}', "holds a 'llama' model")],
)
def test_folders_that_hold_no_wavllm(tmp_path, content, message):
    from wavllm_cli.model.load import load_model

    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(WavLLMError, match=message):
        load_model(str(tmp_path))


def test_a_damaged_checkpoint_is_one_sentence(answering, tmp_path):
    import shutil

    from wavllm_cli.model.load import load_model

    shutil.copytree(answering / "model", tmp_path / "model")
    tensors = tmp_path / "model" / "model.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:2000])
    with pytest.raises(WavLLMError, match="cannot be loaded") as caught:
        load_model(str(tmp_path / "model"))
    assert "\n" not in str(caught.value)
