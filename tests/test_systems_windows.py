"""Long recordings window by window, by a system that hears words which the samples hold."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from fake_system import FakeSystem, drained

from wavllm_cli.data import pauses
from wavllm_cli.systems import asking, windows
from wavllm_cli.systems.base import Answer, Failure, Item, SystemFailed
from wavllm_cli.systems.windows import Windows

RATE = 16_000
WORD = 6_400  # samples: 0.4 s, which no frame of the pause finder divides
STEP = 1 / 8192  # of amplitude between two words, exact in float32
ASR = "Transcribe the audio."
ASKED = "What is the topic of the talk?"


class Hearing(FakeSystem):
    """Hears the words of `spoken`, something else where less than half of one is there; counts what it reads.

    Attributes:
        heard: the seconds of every batch of clips.
        room: characters of a text that it can read.
        deaf_to: a word; a clip that holds it raises `error`.
    """

    longest_clip, window = 60.0, 30.0

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[list[float]] = []
        self.room, self.deaf_to, self.error = 10_000, "", ValueError("broken")

    def problem(self, item: Item) -> str | None:
        return "its instruction is too long" if len(item.prompt) > self.room else None

    def answer(self, items: Sequence[Item], inputs: Any) -> list[Answer | Failure]:
        if clips := [item.length / RATE for item in items if item.samples is not None]:
            self.heard.append(clips)
        return [self._answered(item) for item in items]

    def _answered(self, item: Item) -> Answer | Failure:
        if item.samples is None:
            return Answer(f"{len(re.findall(r'^[0-9]+[.] ', item.prompt, re.MULTILINE))} parts")
        words = heard(item.samples)
        if self.deaf_to in words:
            raise self.error
        return Answer(" ".join(words) if item.prompt == ASR else f"{len(words)} words")


def spoken(numbers: Sequence[int | None]) -> np.ndarray:
    """Each word as 0.4 s of its own amplitude; None is a pause as long."""
    levels = np.array([0.0 if n is None else 0.25 + n * STEP for n in numbers], np.float32).repeat(WORD)
    return levels * np.where(np.arange(len(levels)) % 2, np.float32(-1), np.float32(1))


def heard(samples: np.ndarray) -> list[str]:
    levels = np.abs(samples)
    edges = [0, *(np.flatnonzero(np.diff(levels)) + 1), len(levels)]
    words = []
    for start, end in pairwise(edges):
        if levels[start] and end > start:
            word = f"w{round((levels[start] - 0.25) / STEP)}"
            words.append(word if end - start >= WORD / 2 else f"frag{word}")
    return words


def speech(seconds: float, without_pause: tuple[float, float] = (0, 0)) -> list[int | None]:
    """Words with a pause after each seventh, but for a stretch of some seconds."""
    first, last = (round(limit * RATE / WORD) for limit in without_pause)
    return [n if n % 8 != 7 or first <= n < last else None for n in range(round(seconds * RATE / WORD))]


def said(numbers: Sequence[int | None]) -> str:
    return " ".join(f"w{n}" for n in numbers if n is not None)


@pytest.fixture(autouse=True)
def by_loudness(monkeypatch):
    monkeypatch.setattr(pauses, "find_detector", lambda: None)
    monkeypatch.setattr(windows, "find_detector", lambda: None)


@pytest.fixture
def system():
    return Hearing()


@pytest.fixture
def long(system):
    return Windows(system)


TALK = speech(600, without_pause=(200, 320))
CLIP = spoken(TALK)


def only(system, item):
    (outcome,) = asking.ask(system, [item])
    return outcome


# --- transcripts ---


def test_ten_minutes_have_every_word_once(long, system):
    """Also where nobody draws breath for two minutes, and words are cut in two."""
    answer = only(long, Item("talk", ASR, CLIP))
    assert answer.text == said(TALK) and answer.warnings is None
    assert max(map(max, system.heard)) <= 30 and all(sum(batch) <= 16 * 30 for batch in system.heard)
    assert any("frag" in step["text"] for step in answer.steps)
    assert {step["name"] for step in answer.steps} == {"window"}
    assert answer.steps[0]["start"] == 0 and answer.steps[-1]["end"] == 600
    for before, after in pairwise(answer.steps):
        assert 0 <= before["end"] - after["start"] <= 2


def test_words_that_come_again_stay(long):
    numbers = [None if n is None else n % 20 for n in TALK]
    assert only(long, Item("talk", ASR, spoken(numbers))).text == said(numbers)


def test_a_stream_is_the_transcript_as_it_grows(long, system):
    pieces, answer = drained(asking.stream(long, Item("talk", ASR, CLIP)))
    assert "".join(pieces) == answer.text == said(TALK)
    assert len(pieces) == len(system.heard) == len(answer.steps) > 20
    assert answer == only(long, Item("talk", ASR, CLIP))


@pytest.mark.parametrize(
    ("task", "prompt", "in_order"),
    [
        ("asr", ASKED, True),
        ("st", ASKED, True),
        ("er", ASR, False),
        ("sqa", ASR, True),
        ("sqa", ASKED, False),
        (None, ASR, True),
        (None, "Translate the talk into German.", True),
        (None, "Summarize the talk.", False),
    ],
)
def test_the_task_or_the_words_say_whether_answers_follow_each_other(long, task, prompt, in_order):
    answer = only(long, Item("talk", prompt, CLIP[: 100 * RATE], task=task))
    assert (answer.text == " ".join(step["text"] for step in answer.steps)) == in_order


def test_nobody_is_asked_what_is_said_in_silence(long, system):
    numbers = [*range(100), *[None] * 200, *range(100, 200)]
    assert only(long, Item("talk", ASR, spoken(numbers))).text == said(numbers)
    assert sum(map(sum, system.heard)) < 160 - 30


# --- questions ---


def test_an_instruction_is_followed_in_each_window_and_then_for_all(long, system):
    answer = only(long, Item("talk", ASKED, CLIP))
    counts = [int(step["text"].split()[0]) for step in answer.steps]
    assert answer.text == f"{len(counts)} parts" and len(counts) > 20
    assert sum(counts) >= len(said(TALK).split())
    assert drained(asking.stream(long, Item("talk", ASKED, CLIP))) == ([answer.text], answer)


def test_answers_without_room_in_one_question_are_put_together_in_rounds(long, system):
    system.room = 450
    answer = only(long, Item("talk", ASKED, CLIP))
    parts = [step for step in answer.steps if step["name"] == "part"]
    assert re.fullmatch(r"\d parts", answer.text) and len(parts) > 2 and answer.warnings is None
    assert parts[0]["start"] == 0 and parts[0]["end"] > 40


def test_a_system_that_cannot_read_leaves_the_parts_as_they_are(long, system, monkeypatch):
    monkeypatch.setattr(system, "problem", lambda item: None if item.length else "it needs a recording")
    answer = only(long, Item("talk", ASKED, CLIP[: 100 * RATE]))
    assert re.fullmatch(r"(\d:\d\d-\d:\d\d: \d+ words\n?)+", answer.text)
    assert answer.warnings == ["the answers about its parts, which could not be made one: it needs a recording"]


def test_a_question_that_is_asked_in_the_clip_is_not_cut(long, system):
    only(long, Item("talk", "", CLIP))
    assert system.heard == [[600.0]]


# --- what fits ---


def test_clips_that_fit_are_handed_on_as_they_are(long, system):
    items = [Item(f"clip{n}", ASR, CLIP[: n * RATE]) for n in (1, 30, 60)] + [Item("text", "hello")]
    assert asking.ask(long, items) == asking.ask(Hearing(), items)
    assert system.heard == [[1, 30, 60]]
    assert [drained(asking.stream(long, item)) for item in items] == [
        drained(asking.stream(Hearing(), item)) for item in items
    ]


def test_short_and_long_clips_and_text_in_one_batch(long, system):
    items = [
        Item("long", ASR, CLIP[: 200 * RATE]),
        Item("text", "hello"),
        Item("short", ASR, CLIP[: 10 * RATE]),
        Item("0 long", ASKED, CLIP[: 90 * RATE]),
    ]
    texts = [outcome.text for outcome in asking.ask(long, items)]
    assert texts[:3] == [said(TALK[:500]), "0 parts", said(TALK[:25])]
    assert re.fullmatch(r"\d parts", texts[3])
    assert system.heard[0] == [10.0]


def test_windows_are_as_short_as_they_must_be(long, system, monkeypatch):
    def problem(item):
        return f"at most 9 s of audio with this {item.prompt}" if item.length > 9 * RATE else None

    monkeypatch.setattr(system, "problem", problem)
    assert only(long, Item("talk", ASR, CLIP[: 45 * RATE])).text == said(TALK[: 45 * RATE // WORD + 1])
    assert max(map(max, system.heard)) <= 7.5
    monkeypatch.setattr(system, "problem", lambda item: "at most 3 s of audio" if item.length > 3 * RATE else None)
    assert only(long, Item("talk", ASR, CLIP)) == Failure("at most 3 s of audio.")


def test_how_an_item_is_cut_is_found_out_once(long, system, monkeypatch):
    asked = []
    monkeypatch.setattr(system, "problem", lambda item: asked.append(item.id))
    answer = only(long, Item("talk", ASR, CLIP))
    assert sorted(asked) == sorted(["talk", *(f"{n} talk" for n in range(len(answer.steps)))])


def test_no_memory_for_a_window_is_said_before_anything_runs(long, system, monkeypatch):
    monkeypatch.setattr(system, "memory_problem", lambda item: f"{item.length / RATE:g} s are too long")
    assert asking.refusal(long, Item("talk", ASR, CLIP)) == Failure("30 s are too long.")


def test_windows_share_a_batch_as_clips_may(long, system):
    long.batch_limits(2)
    only(long, Item("talk", ASR, CLIP))
    assert max(map(len, system.heard)) == 2


def test_settings_tell_of_windows_where_there_are_any(long, system):
    assert long.fingerprint() == system.fingerprint()
    assert long.settings_about(60) == {}
    assert long.settings_about(61) == {"windows": "of 30 s, cut by loudness"}


# --- what goes wrong ---


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("broken"), "it cannot be answered: broken"),
        (MemoryError(), "it does not fit into the memory of nowhere, even alone"),
    ],
)
def test_a_window_without_an_answer_costs_the_others_nothing(long, system, error, sentence):
    system.deaf_to, system.error = "w600", error
    for answer in (only(long, Item("a", ASR, CLIP)), drained(asking.stream(long, Item("a", ASR, CLIP)))[1]):
        (warning,) = answer.warnings
        span = re.fullmatch(re.escape(sentence) + r": nothing about (\d):(\d\d)-(\d):(\d\d)", warning)
        start, end = (60 * int(span[i]) + int(span[i + 1]) for i in (1, 3))
        assert start <= 600 * 0.4 < end and end - start <= 31
        there = [word for word in answer.text.split() if "frag" not in word]  # at the edges of the hole
        missing = [word for word in said(TALK).split() if word not in there]
        assert "w600" in missing and len(missing) <= 75
        assert len(there) + len(missing) == len(said(TALK).split())


def test_no_answer_about_any_window_is_none_about_the_clip(long, system, monkeypatch):
    monkeypatch.setattr(system, "_answered", lambda item: Failure("it is noise."))
    sentence = only(long, Item("a", ASR, CLIP[: 70 * RATE])).sentence
    assert re.fullmatch(r"none of its \d windows has an answer; the first, 0:00-0:\d\d: it is noise\.", sentence)


def test_a_system_that_fails_ends_it(long, system):
    system.deaf_to, system.error = "w600", SystemFailed("Device x has failed.")
    with pytest.raises(SystemFailed):
        only(long, Item("a", ASR, CLIP))


def test_warnings_of_windows_name_their_times(long, system, monkeypatch):
    monkeypatch.setattr(system, "_answered", lambda item: Answer("x", [1], [0.0], warnings=["cut at 6 tokens"]))
    answer = only(long, Item("a", ASR, CLIP))
    assert re.fullmatch(r"cut at 6 tokens in 0:00-0:\d\d, .* and \d+ more", answer.warnings[0])
    assert answer.token_ids is None and answer.steps[0]["token_ids"] == [1] and answer.steps[0]["logprobs"] == [0.0]
