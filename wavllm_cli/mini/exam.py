"""What the miniature's systems are asked: all test manifests as one, so that a system is loaded once; and controls.

`set_exam` writes the questions, `sort_answers` takes a system's answers apart again, test by test, and
`score_answers` compares those of all systems.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Any

import yaml

from wavllm_cli import console
from wavllm_cli.data.audio_paths import relocated
from wavllm_cli.data.manifest import read_manifest, write_manifest
from wavllm_cli.data.schema import Hypothesis, Utterance
from wavllm_cli.errors import UsageError, counted
from wavllm_cli.mini.casting import drawn
from wavllm_cli.mini.vocabulary import kinds, world
from wavllm_cli.scoring.command import score
from wavllm_cli.scoring.tasks import Options

EVERYTHING = "everything"  # the exam with all tests
EXAMS = (EVERYTHING, "instructions", "voices")
WORLD, WRONG_AUDIO, CONTENT = "world", "wrong-audio", "world-content"
CHAINS, SUMMARIES = "cot", "cot-summary"
MADE_OF = {WRONG_AUDIO: WORLD, CONTENT: WORLD, SUMMARIES: CHAINS}  # tests that are no manifests of their own
CLIP = ("audio", "gap", "channel", "start", "duration")  # what says which sound a row is about
SUMMARY_CHAIN = ["asr", "sft", "st"]  # the tasks of a chain that translates a summary


@cache
def plan_of_exam() -> dict[str, Any]:
    """What exam.yaml holds."""
    return yaml.safe_load(files("wavllm_cli.mini").joinpath("exam.yaml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Tests:
    """The test manifests of a folder, and what is made of them.

    Attributes:
        data: the folder.
        most: rows that are taken of each, drawn by their ids: what takes turns in a manifest, such as moods, would
            be missed by every second row; None: all.
    """

    data: Path
    most: int | None = None

    @property
    def manifests(self) -> dict[str, Path]:
        """Those that there are, by what follows `test-`: first those that exam.yaml knows, in its order."""
        found = {path.stem.removeprefix("test-"): path for path in sorted(self.data.glob("test-*.jsonl"))}
        known = [name for name in plan_of_exam()["tests"] if name in found]
        return {name: found[name] for name in dict.fromkeys([*known, *found])}

    def rows(self, manifest: str) -> list[Utterance]:
        """Raises: ManifestError: it cannot be read."""
        rows = read_manifest(self.manifests[manifest])
        return list(rows) if self.most is None else drawn(rows, self.most)

    def names(self, exam: str) -> list[str]:
        """The tests of an exam, those among them that are made here."""
        manifests = self.manifests
        there = {*manifests, *(made for made, source in MADE_OF.items() if source in manifests)}
        if CHAINS in manifests and not any(map(_is_about_summary, self.rows(CHAINS))):
            there.remove(SUMMARIES)
        known = plan_of_exam()["tests"]
        ordered = [*(name for name in known if name in there), *sorted(there - known.keys())]
        return [name for name in ordered if exam == EVERYTHING or exam in known.get(name, {}).get("asked", ())]

    def metrics(self, test: str) -> list[str]:
        """What `wavllm score` is to measure, by the task of the first row; none: what the task is used to."""
        first = read_manifest(self.manifests[MADE_OF.get(test, test)])[0]
        return plan_of_exam()["metrics"].get(first.task, [])


# --- questions ---


def set_exam(tests: Tests, folder: Path, seed: int) -> None:
    """Write a manifest for each exam; ids say which test a row is of.

    Args:
        folder: where EXAM.jsonl is written.
        seed: of the pairs of rows and audio that do not belong together.

    Raises:
        UsageError: too many rows say the same.
        ManifestError: a manifest cannot be read.
    """
    asked = {name: relocated(tests.rows(name), path, folder / path.name) for name, path in tests.manifests.items()}
    if WORLD in asked:
        asked[WRONG_AUDIO] = with_wrong_audio(asked[WORLD], seed)
    for exam in EXAMS:
        names = [name for name in tests.names(exam) if name in asked]
        write_manifest(folder / f"{exam}.jsonl", _named((name, asked[name]) for name in names))


def _named(tests: Iterable[tuple[str, Sequence[Utterance]]]) -> Iterator[Utterance]:
    for name, rows in tests:
        yield from (row.model_copy(update={"id": f"{name}/{row.id}"}) for row in rows)


def with_wrong_audio(rows: Sequence[Utterance], seed: int) -> list[Utterance]:
    """Each row with the audio of another one that says something else.

    In the order of what is said, half the way round leads out of every group of equal texts, and away from those that
    begin alike: beside its neighbour in that order a row that is heard rightly is two thirds wrong instead of all.

    Raises:
        UsageError: more than half of the rows say the same.
    """
    shuffled = list(rows)
    Random(seed).shuffle(shuffled)
    shuffled.sort(key=lambda row: row.target or "")
    texts = [row.target for row in shuffled]
    same, half = max(map(texts.count, texts), default=0), len(texts) // 2
    if same > half:
        raise UsageError(f"{same} of {len(texts)} rows say the same: too little audio says something else.")
    others = {row.id: shuffled[(place + half) % len(shuffled)] for place, row in enumerate(shuffled)}
    return [row.model_copy(update={key: getattr(others[row.id], key) for key in CLIP}) for row in rows]


# --- answers ---


def sort_answers(answers: Path | None, questions: Path, folder: Path, file: str, system: str) -> None:
    """Write a system's answers test by test, and what is derived of them; a row without an answer gets an empty one.

    Args:
        answers: what `wavllm infer` wrote; None: the right answers, whose scores are the best that there can be.
        questions: what it was asked.
        folder: TEST/FILE is written there.
        system: how reports call it.
    """
    target = folder / "TEST" / file
    asked = relocated(list(read_manifest(questions)), questions, target)
    if answers is None:
        given = {row.id: Hypothesis(**row.model_dump(), text=row.target or "") for row in asked}
    else:
        given = {row.id: row for row in relocated(list(read_manifest(answers, Hypothesis)), answers, target)}
    if silent := sum(row.id not in given for row in asked):
        console.warn(f"{system}: {counted(silent, 'row')} without an answer, which counts as an empty one.")
    by_test: dict[str, list[Hypothesis]] = {}
    for row in asked:
        test, _, own_id = row.id.partition("/")
        answer = given.get(row.id) or Hypothesis(**row.model_dump(), text="")
        by_test.setdefault(test, []).append(answer.model_copy(update={"id": own_id, "system": system}))
    if WORLD in by_test:
        by_test[CONTENT] = [row for row in map(_content_alone, by_test[WORLD]) if row.target]
    if CHAINS in by_test:
        by_test[SUMMARIES] = [row for row in by_test[CHAINS] if _is_about_summary(row)]
    for test, rows in by_test.items():
        if rows:
            write_manifest(folder / test / file, rows)


def score_answers(answers: Sequence[Path], metrics: Sequence[str], output: Path) -> None:
    """What `wavllm score ANSWERS… --metric … --output …` does.

    Raises:
        ManifestError: answers do not fit together.
    """
    score([str(path) for path in answers], options=Options(metrics=tuple(metrics)), output=output)


def _is_about_summary(row: Utterance) -> bool:
    return [part.task for part in row.parts or ()] == SUMMARY_CHAIN


@cache
def content_words() -> frozenset[str]:
    """Words that stand in slots of the closed world's sentences and never in what is fixed about them."""
    slots = {word for words in kinds().values() for phrase in words for word in phrase.lower().split()}
    fixed = {
        word
        for story in world()["stories"]
        for english, _ in story["sentences"]
        for word in english.lower().split()
        if "{" not in word
    }
    return frozenset(slots | world()["digits"].keys()) - fixed


def _content_alone(row: Hypothesis) -> Hypothesis:
    return row.model_copy(update={"target": _content(row.target or ""), "text": _content(row.text)})


def _content(text: str) -> str:
    return " ".join(word for word in text.lower().split() if word.strip(".,!?") in content_words())
