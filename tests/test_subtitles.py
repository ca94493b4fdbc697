"""Subtitles: every word once, at most two lines, rounded to milliseconds, never two at the same time."""

import random
from itertools import pairwise

import pytest

from wavllm_cli.inference.subtitles import LINE, Cue, cues_of, srt, vtt
from wavllm_cli.systems.base import Answer


def said(*parts, name="transcript"):
    return [{"name": name, "text": text, "start": start, "end": end} for start, end, text in parts]


def test_golden():
    steps = said((0, 1.9996, "Dogs & cats <3"), (3599.5, 360_000.25, "Ende."))
    cues = cues_of(Answer("Dogs & cats <3 Ende.", steps=steps))
    assert srt(cues) == (
        "1\n00:00:00,000 --> 00:00:02,000\nDogs & cats <3\n\n2\n00:59:59,500 --> 100:00:00,250\nEnde.\n"
    )
    assert vtt(cues) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nDogs &amp; cats &lt;3\n\n00:59:59.500 --> 100:00:00.250\nEnde.\n"
    )


def test_a_long_part_is_divided_by_its_characters():
    text = "a" * 39 + " " + "b" * 40 + " " + "c" * 40 + " " + "d" * 41
    first, second = cues_of(Answer(text, steps=said((10, 26, text))))
    assert (first.start, first.end, second.start, second.end) == (10_000, 17_900, 17_900, 26_000)
    assert first.lines == ("a" * 39, "b" * 40) and second.lines == ("c" * 40, "d" * 41)


def test_what_two_overlapping_parts_have_heard_is_shown_once():
    steps = said((0, 30, "so we went up the hill and"), (28, 58, "up the hill and down again"))
    first, second = cues_of(Answer("so we went up the hill and down again", steps=steps))
    assert (first.lines, second.lines) == (("so we went up the hill and",), ("down again",))
    assert (first.end, second.start) == (28_000, 28_000)


def test_whatever_the_times_cues_come_one_after_the_other():
    random.seed(0)
    for _ in range(50):
        parts = []
        for n in range(random.randrange(1, 12)):
            start = random.choice([0, 1, 1.0004, random.uniform(0, 90)])
            text = " ".join(f"{n}.{i}" + "x" * random.randrange(60) for i in range(random.randrange(1, 40)))
            parts.append((start, start + random.choice([0, 0.0001, random.uniform(0, 30)]), text))
        parts.sort(key=lambda part: part[0])
        text = " ".join(text for *_, text in parts)
        cues = cues_of(Answer(text, steps=said(*parts)))
        assert "".join("".join(cue.lines) for cue in cues).replace(" ", "") == text.replace(" ", "")
        assert all(cue.start < cue.end for cue in cues)
        assert all(before.end <= after.start for before, after in pairwise(cues))
        assert all(len(cue.lines) <= 2 and max(map(len, cue.lines)) <= LINE for cue in cues)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("Hallo Welt.", None),
        ("Hallo Welt.", said((0, 1, "Hello world."))),  # an answer about the transcript
        ("Hello world.", [{"name": "transcript", "text": "Hello world."}]),
        ("Hello world.", [*said((0, 1, "Hello")), {"name": "transcript", "text": "world."}]),
    ],
    ids=["no steps", "other words", "no times", "times in part"],
)
def test_without_times_of_its_words_an_answer_has_no_subtitles(text, steps):
    assert cues_of(Answer(text, steps=steps)) is None


def test_the_steps_that_say_what_the_answer_says():
    steps = said((0, 1, "Hello world.")) + said((0, 1, "Hallo Welt."), name="translation")
    assert cues_of(Answer("Hallo Welt.", steps=steps)) == [Cue(0, 1000, ("Hallo Welt.",))]
    assert cues_of(Answer("Hello, world", steps=steps)) == [Cue(0, 1000, ("Hello world.",))]


def test_nothing_said_is_no_cue():
    assert cues_of(Answer("", steps=said((0, 30, "")))) == [] and vtt([]) == "WEBVTT\n" and srt([]) == ""
