"""A Whisper and a chat LLM in a row."""

import json

import numpy as np
import pytest
from fake_system import drained

from wavllm_cli.data.audio import write_wav
from wavllm_cli.data.manifest import write_manifest
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import UsageError
from wavllm_cli.systems import asking, recogniser
from wavllm_cli.systems.base import Answer, Item, Options, SystemFailed
from wavllm_cli.systems.cascade import Cascade, wants_transcript
from wavllm_cli.systems.decoding import Decoding
from wavllm_cli.systems.recogniser import Said, Transcript


@pytest.fixture(autouse=True)
def hears_all(monkeypatch):
    """Noise is no voice: without a detector it is recognised as if it were."""
    monkeypatch.setattr(recogniser, "find_detector", lambda: None)


@pytest.fixture(scope="module")
def models(tiny_whisper, tiny_llm) -> str:
    return f"{tiny_whisper()}+{tiny_llm()}"


@pytest.fixture(scope="module")
def cascade(models):
    return Cascade.open(Options(models, device="cpu", decoding=Decoding(max_new_tokens=6)))


def test_a_transcript_is_what_was_heard_and_an_answer_is_the_llms(cascade, noise):
    clip = noise(1.0)
    items = [Item("words", "Transcribe the audio.", clip), Item("row", "x", clip, "asr"), Item("q", "Summarise.", clip)]
    words, row, answer = cascade.answer(items, None)
    (heard,) = cascade.recogniser.transcripts(items[:1])
    assert words == row and words.text == heard.text and words.warnings is None
    assert answer.text != heard.text and answer.steps == words.steps
    assert [step["name"] for step in words.steps] == ["transcript"] * len(heard.said)
    for item, whole in zip(items, (words, row, answer), strict=True):
        assert drained(cascade.stream(item))[1] == whole


def test_a_text_goes_to_the_llm_and_silence_to_nobody(cascade):
    silence = np.zeros(16_000, np.float32)
    items = [Item("text", "Transcribe the audio."), Item("asr", "x", silence, "asr"), Item("q", "Summarise.", silence)]
    text, asr, question = cascade.answer(items, None)
    assert text.text and text.steps is None
    assert asr == Answer("", warnings=["no speech was recognised"])
    assert question == Answer("No speech was recognised in the recording.", warnings=["no speech was recognised"])


def test_dots_are_nothing_heard(cascade, noise, monkeypatch):
    dots = Transcript((Said(" …", 0.0, 1.0), Said(" .", 1.0, 2.0)), "… .")
    monkeypatch.setattr(cascade.recogniser, "transcripts", lambda items: [dots for _ in items])
    asr, question = asking.ask(cascade, [Item("asr", "x", noise(1.0), "asr"), Item("q", "Summarise.", noise(1.0))])
    assert asr.text == "" and question.text == "No speech was recognised in the recording."


def test_a_task_decides_where_it_can_and_the_instruction_elsewhere(noise):
    def wanted(prompt: str, task: str | None) -> bool:
        return wants_transcript(Item("a", prompt, noise(0.1), task))

    assert wanted("whatever", "asr") and wanted("Transcribe.", "sqa") and wanted("Transcribe.", None)
    assert not wanted("Transcribe.", "st") and not wanted("Summarise.", None)


def test_who_wants_a_transcript_never_meets_the_language_model(models, tiny_llm, noise):
    whisper, clip = models.split("+")[0], noise(1.0)
    cascade = Cascade.open(Options(f"{whisper}+{tiny_llm(template=None)}", device="cpu"))
    (words,) = asking.ask(cascade, [Item("a", "Transcribe.", clip)])
    assert words.text and "chat" not in vars(cascade)
    with pytest.raises(SystemFailed, match="has no chat template") as caught:
        asking.ask(cascade, [Item("a", "Summarise.", clip)])
    assert caught.value.exit_code == 2


def test_a_conversation_is_about_one_transcript(cascade, noise, monkeypatch):
    clip, heard = noise(1.2), []
    recognised = cascade.recogniser._recognised
    monkeypatch.setattr(cascade.recogniser, "_recognised", lambda clips: [heard.extend(clips), recognised(clips)][1])
    (first,) = asking.ask(cascade, [Item("a", "Who speaks?", clip)])
    (second,) = asking.ask(cascade, [Item("b", "Why?", clip, history=(("Who speaks?", first.text),))])
    assert len(heard) == 1 and first.steps == second.steps and isinstance(second, Answer)


@pytest.mark.parametrize("name", ["whisper", "+llm", "whisper+", "a+b+c"])
def test_two_models_are_named(name):
    with pytest.raises(UsageError, match=r"written WHISPER\+LLM"):
        Cascade.open(Options(name))


def test_both_models_and_the_decoding_are_in_the_fingerprint(models, tiny_whisper, tiny_llm):
    def fingerprint(name: str, **decoding):
        return Cascade.open(Options(name, device="cpu", decoding=Decoding(**decoding))).fingerprint()

    first = fingerprint(models)
    assert fingerprint(models) == first
    others = [f"{tiny_whisper(scale=1.0)}+{tiny_llm()}", f"{tiny_whisper()}+{tiny_llm(rms_norm_eps=1e-5)}"]
    assert len({first.model, *(fingerprint(name).model for name in others)}) == 3
    assert fingerprint(models, seed=1).since(first) == "seed 0, now 1"


def test_a_file_and_a_manifest_are_answered_and_scored(wavllm, models, noise, tmp_path):
    write_wav(tmp_path / "a.wav", noise(1.0))
    write_wav(tmp_path / "b.wav", noise(5.0, seed=1))
    rows = [
        Utterance(id="a", audio="a.wav", task="asr", prompt="Write it down.", target="a word", duration=1.0),
        Utterance(id="b", audio="b.wav", task="asr", prompt="Write it down.", target="a word", duration=5.0),
        Utterance(id="t", audio=None, task="sft", prompt="hello", target="hello"),
    ]
    write_manifest(tmp_path / "m.jsonl", rows)
    how = ["--system", "cascade", "--model", models, "--max-new-tokens", "4", "--device", "cpu"]
    code, out, _ = wavllm("infer", tmp_path / "a.wav", "Transcribe the audio.", *how, "--json")
    assert code == 0 and json.loads(out)["model"] == models
    code, _, err = wavllm("infer", tmp_path / "m.jsonl", *how, "--output", tmp_path / "h.jsonl")
    assert code == 0, err
    written = [json.loads(line) for line in (tmp_path / "h.jsonl").read_text().splitlines()]
    assert [row["id"] for row in written] == ["a", "b", "t"] and {row["system"] for row in written} == {models}
    assert written[0]["text"] == json.loads(out)["text"]
    code, _, err = wavllm("score", tmp_path / "h.jsonl", "--output", tmp_path / "scores.json")
    assert code == 0, err
