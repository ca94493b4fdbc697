"""A WavLLM as a system: single answers and batches, log-probabilities, streaming, what it refuses."""

import re
import shutil
from collections import Counter

import numpy as np
import pytest
from fake_system import drained

from wavllm_cli.data.batch import clips_of
from wavllm_cli.errors import UsageError
from wavllm_cli.model import limits
from wavllm_cli.systems import wavllm
from wavllm_cli.systems.asking import ask, stream
from wavllm_cli.systems.base import Answer, Failure, Item, Options
from wavllm_cli.systems.decoding import Decoding
from wavllm_cli.systems.generation import NOT_FINITE
from wavllm_cli.systems.streaming import Tokens
from wavllm_cli.systems.wavllm import WavLLM


@pytest.fixture(scope="module")
def samples():
    return np.random.default_rng(1).normal(0, 0.1, 20_000).astype(np.float32)


@pytest.fixture(scope="module")
def clips(answering):
    """The rows of the manifest of `answering` as items."""
    return [Item.of(clip.row, clip.read()) for clip in clips_of(answering / "manifest.jsonl")]


@pytest.fixture
def answer(system, samples):
    """Function: the answer about the clip."""

    def ask_it() -> Answer:
        (answer,) = ask(system, [Item("", "hello", samples)])
        return answer

    return ask_it


def test_a_clip_is_encoded_once_for_many_questions(system, samples, decoding):
    encoded = []
    decoding(logprobs=True)
    hook = system.model.semantic_encoder.register_forward_hook(lambda *_: encoded.append(1))
    answers = [ask(system, [Item("", prompt, samples * 0.5)])[0] for prompt in ("hello", "what", "hello")]
    hook.remove()
    assert len(encoded) == 1 and answers[0] == answers[2] != answers[1]


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}, {"temperature": 0.7, "seed": 5}], ids=str)
def test_logprobs_are_those_of_the_bare_network(system, decoding, answer, samples, options):
    """A forward pass over prompt and answer gives the same, whatever way the answer was found."""
    import torch

    decoding(logprobs=True, **options)
    answer = answer()
    assert len(answer.logprobs) == len(answer.token_ids) == 6
    assert answer.text == system.processor.decode(answer.token_ids, skip_special_tokens=True).strip()
    inputs = system.processor(text="hello", audio=samples)
    new = torch.tensor([answer.token_ids])
    inputs["input_ids"] = torch.cat([inputs["input_ids"], new], dim=1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    with torch.no_grad():
        expected = system.model(**inputs).logits[0, -7:-1].log_softmax(-1).gather(1, new.T)[:, 0]
    torch.testing.assert_close(torch.tensor(answer.logprobs), expected, rtol=1e-4, atol=1e-5)


def test_greedy_answers_are_those_of_transformers(system, samples):
    inputs = system.processor(text=["hello", "say it"], audio=[samples, None])
    expected = system.model.generate(**inputs, max_new_tokens=6, do_sample=False)
    texts = system.processor.answers(expected, inputs)
    assert [answer.text for answer in system.generate(inputs, ["a", "b"])] == texts


def test_a_model_hears_at_once_what_it_was_taught_with(answering, tmp_path):
    untold = WavLLM(str(answering / "model"), Options(device="cpu"))
    assert (untold.longest_clip, untold.window) == (60, 30)
    shutil.copytree(answering / "model", tmp_path / "model")
    (tmp_path / "model" / "recipe.yaml").write_text("stages: [{max_audio_seconds: 12}]")
    told = WavLLM(str(tmp_path / "model"), Options(device="cpu"))
    assert (told.longest_clip, told.window) == (12, 12)


def test_an_answer_without_its_end_was_cut(system, decoding, answer, monkeypatch):
    decoding(logprobs=True)
    cut = answer()
    assert cut.warnings == ["cut at 6 tokens"]
    end = cut.token_ids[2]
    monkeypatch.setattr(system.model.generation_config, "eos_token_id", end)
    ended = answer()
    assert (ended.token_ids, ended.warnings) == (cut.token_ids[: cut.token_ids.index(end) + 1], None)


@pytest.mark.parametrize("options", [{}, {"num_beams": 2}, {"temperature": 0.7}, {"logprobs": True}], ids=str)
def test_output_that_is_no_number_is_no_answer(system, decoding, samples, options, monkeypatch):
    """Of a batch only the row that it belongs to: here the one whose clip makes the speech features infinite."""
    decoding(**options)
    embed = type(system.model).embed

    def broken(self, *args):
        embeds = embed(self, *args)
        embeds[0] = float("nan")
        return embeds

    alone = system.generate(system.processor(text=["hello"], audio=[samples]), ["b"])[0]
    monkeypatch.setattr(type(system.model), "embed", broken)
    inputs = system.processor(text=["hello", "hello"], audio=[samples, samples])
    first, second = system.generate(inputs, ["a", "b"])
    assert (first, second.text) == (NOT_FINITE, alone.text)


def test_what_does_not_fit_is_refused_with_the_length_that_does(system, monkeypatch):
    long = np.zeros(16_000 * 120, np.float32)
    items = [Item("a", "hello", long), Item("b", "word " * 500), Item("c", "hello", long[: 16_000 * 30])]
    monkeypatch.setattr("wavllm_cli.model.limits.available_memory", lambda _: 2**28 + 2**20)
    sentences = [failure.sentence for failure in ask(system, items)]
    assert re.search(r"120 s of audio \(1,500 tokens\), .* has 1,024: at most \d\d s of audio", sentences[0])
    assert re.search(r"its instruction of 2,205 tokens and an answer of 6 need", sentences[1])
    assert re.search(r"the clip is 30 s long; .* the longest that fits is \d+ s\.$", sentences[2])


def test_what_cannot_fit_is_known_without_the_weights(answering, monkeypatch):
    monkeypatch.setattr(wavllm, "load_model", None)
    system = WavLLM.open(Options(str(answering / "model"), device="cpu"))
    assert "at most" in system.problem(Item("a", "hello", np.zeros(16_000 * 120, np.float32)))
    monkeypatch.setattr("wavllm_cli.model.limits.available_memory", lambda _: 2**28 + 2**20)
    assert "the longest that fits" in system.memory_problem(Item("a", "hello", np.zeros(16_000 * 30, np.float32)))


def test_as_many_clips_go_together_as_memory_holds(system, samples, monkeypatch):
    items = [Item(name, "hello", samples) for name in "abcd"]
    enough = limits.encoding_memory(system.config, len(samples), system.dtype, 2)
    monkeypatch.setattr("wavllm_cli.model.limits.available_memory", lambda _: enough)
    assert [system.fits(items[:n]) for n in (1, 2, 3)] == [True, True, False]


def test_rows_of_sampled_beams_go_one_by_one(system, decoding):
    assert system.batch_limits(8).max_utterances == 8
    decoding(temperature=1.0, num_beams=2)
    assert system.batch_limits(8).max_utterances == 1


def test_an_answer_longer_than_the_model_is_refused(answering):
    system = WavLLM.open(Options(str(answering / "model"), device="cpu", decoding=Decoding(max_new_tokens=1024)))
    with pytest.raises(UsageError, match=r"An answer of 1,024 tokens has no room: the language model has 1,024"):
        system.load()


def test_a_token_that_the_model_does_not_know_is_a_sentence(system, monkeypatch):
    monkeypatch.setattr(system.processor.tokenizer, "encode", lambda *_, **__: [5, 9000])
    (failure,) = ask(system, [Item("a", "hello")])
    assert re.search(r"needs token 9000, but the model .* embeds \d+: its tokenizer was made for", failure.sentence)


def test_answers_of_a_batch_end_with_their_own_eos(system, decoding, clips, monkeypatch):
    """Rows of a batch end at different tokens; what pads them is left out."""
    decoding(logprobs=True, max_new_tokens=10)
    before = ask(system, clips)
    often = Counter(token for answer in before for token in answer.token_ids).most_common(1)[0][0]
    monkeypatch.setattr(system.model.generation_config, "eos_token_id", often)
    lengths = set()
    for whole, ended in zip(before, ask(system, clips), strict=True):
        end = whole.token_ids.index(often) + 1 if often in whole.token_ids else 10
        assert ended.token_ids == whole.token_ids[:end]
        np.testing.assert_allclose(ended.logprobs, whole.logprobs[:end], rtol=1e-4, atol=1e-5)
        lengths.add(end)
    assert len(lengths) > 1


def test_sampling_follows_the_seed_and_not_the_batch(system, decoding, clips):
    texts = []
    for seed, size in ((1, 3), (1, 8), (2, 3)):
        decoding(temperature=1.5, seed=seed)
        batches = [clips[start : start + size] for start in range(0, len(clips), size)]
        texts.append([answer.text for batch in batches for answer in ask(system, batch)])
    assert texts[0] == texts[1] != texts[2]


def test_a_model_in_memory_answers_as_its_checkpoint(system, clips):
    live = WavLLM.live("live", system.model, system.processor, system.decoding)
    assert ask(live, clips) == ask(system, clips)


# --- as it comes ---


@pytest.mark.parametrize("options", [{}, {"temperature": 0.9, "seed": 3}, {"num_beams": 2}], ids=str)
def test_what_streams_is_the_answer(system, decoding, clips, options):
    decoding(max_new_tokens=20, **options)
    pieces, answer = drained(stream(system, clips[0]))
    assert answer == ask(system, clips[:1])[0]
    assert "".join(pieces) == answer.text
    assert (len(pieces) > 3) == ("num_beams" not in options)


def test_a_stream_that_nobody_reads_ends(system, decoding, clips, monkeypatch):
    decoding(max_new_tokens=200)
    drawn = []
    put = Tokens.put
    monkeypatch.setattr(Tokens, "put", lambda self, value: (drawn.append(1), put(self, value)))
    pieces = stream(system, clips[0])
    next(pieces)
    pieces.close()
    assert len(drawn) < 190


def test_what_cannot_be_answered_streams_nothing(system):
    pieces, failure = drained(stream(system, Item("b", "word " * 500)))
    assert pieces == [] and isinstance(failure, Failure)
