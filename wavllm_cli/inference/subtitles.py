"""Subtitles out of an answer that is made of timed parts: SubRip (.srt) and WebVTT (.vtt)."""

import html
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from wavllm_cli.systems.base import Answer
from wavllm_cli.text.join import most_units, overlap, units
from wavllm_cli.text.words import words

LINE = 42  # characters
LINES = 2  # of a cue


@dataclass(frozen=True)
class Cue:
    """Lines that are shown together from one moment to another, in milliseconds."""

    start: int
    end: int
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """What is said in a stretch of a recording, in seconds."""

    start: float
    end: float
    words: list[str]  # as `text.join.units` has them

    @property
    def text(self) -> str:
        return "".join(self.words).strip()


def cues_of(answer: Answer) -> list[Cue] | None:
    """The cues of an answer: in order, none longer than two lines, no two at the same time.

    None where no timed steps say what the answer says: those of a translation are about other words.
    """
    steps = answer.steps or []
    for name in dict.fromkeys(step["name"] for step in reversed(steps)):
        named = [step for step in steps if step["name"] == name]
        if all("start" in step and "end" in step for step in named):
            parts = _parts(named)
            if words(" ".join(part.text for part in parts)) == words(answer.text):
                return _in_turn([cue for part in parts for cue in _cues(part)])
    return None


def srt(cues: Sequence[Cue]) -> str:
    """As SubRip."""
    return "\n".join(
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{_text(cue)}\n"
        for number, cue in enumerate(cues, 1)
    )


def vtt(cues: Sequence[Cue]) -> str:
    """As WebVTT, whose text escapes `&`, `<` and `>`."""
    shown = (
        f"\n{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{html.escape(_text(cue), quote=False)}\n"
        for cue in cues
    )
    return "WEBVTT\n" + "".join(shown)


def _parts(steps: Sequence[dict]) -> list[Part]:
    """The parts with words, in the order of time; where two overlap, what both have heard stays in one of them."""
    parts = [Part(float(s["start"]), float(s["end"]), units(s["text"])) for s in steps]
    parts = sorted((part for part in parts if part.words), key=lambda part: part.start)
    for before, after in pairwise(parts):
        if (shared := before.end - after.start) > 0:
            left, right = overlap(before.words, after.words, most_units(after.words, shared))
            del before.words[len(before.words) - left :], after.words[:right]
    return [part for part in parts if part.words]


def _cues(part: Part) -> Iterator[Cue]:
    """A part's lines, two at a time, each for a share of its time that goes by its characters."""
    lines = textwrap.wrap(part.text, LINE, break_on_hyphens=False)
    pages = [tuple(lines[i : i + LINES]) for i in range(0, len(lines), LINES)]
    total = sum(len(line) for line in lines)
    before = 0
    for page in pages:
        after = before + sum(map(len, page))
        start, end = (part.start + (part.end - part.start) * share / total for share in (before, after))
        yield Cue(round(start * 1000), round(end * 1000), page)
        before = after


def _in_turn(cues: Sequence[Cue]) -> list[Cue]:
    """Each cue ends before the next one begins, and lasts."""
    ends = [min(cue.end, after.start) for cue, after in pairwise(cues)] + [cue.end for cue in cues[-1:]]
    turned: list[Cue] = []
    for cue, end in zip(cues, ends, strict=True):
        start = max(cue.start, turned[-1].end if turned else 0)
        turned.append(Cue(start, max(end, start + 1), cue.lines))
    return turned


def _text(cue: Cue) -> str:
    return "\n".join(cue.lines)


def _clock(milliseconds: int, point: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{rest:03}"
