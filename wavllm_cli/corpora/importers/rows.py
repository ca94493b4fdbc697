"""Utterances out of records: audio measured, an instruction for each, ids, splits."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import tee
from pathlib import Path
from typing import Any
from unicodedata import normalize

from wavllm_cli import console, strict_json
from wavllm_cli.corpora import DUPLICATE, ENCODING, FORM, NO_AUDIO, NO_TEXT, OUTSIDE, Adjusted, Draft, LeftOut, Skipped
from wavllm_cli.corpora.folders import audio_below
from wavllm_cli.corpora.importers import Own, Record
from wavllm_cli.corpora.importers.columns import names
from wavllm_cli.corpora.importers.partition import partition
from wavllm_cli.corpora.lengths import measured, segment
from wavllm_cli.data.audio import AudioInfo
from wavllm_cli.data.files import is_text, shown
from wavllm_cli.data.manifest import validated
from wavllm_cli.data.schema import ROUNDED, Utterance
from wavllm_cli.data.skipped import SKIPPED
from wavllm_cli.errors import UsageError, listed
from wavllm_cli.prompts.pools import language_name, load_pool, pick, split_pool
from wavllm_cli.tasks.registry import SINGLE, TASKS, UNPROMPTED, nearest_task, task_called
from wavllm_cli.text.languages import language_tag

RENAMED = "renamed"  # an id that another row has
LENGTH = "length"  # a file that is longer or shorter than is said
JOINED = "joined"  # several recordings, heard one after the other
GAP = 0.5  # seconds between them
SIDES = ("A", "B")  # of a call

# Whose words are the right answer of a task, where there is no `target`; an `answer` is that of any.
TARGETS = {code: task.answered_by for code, task in TASKS.items() if task.answered_by}
WORDS = (*TARGETS.values(), "answer")  # of a record; a manifest has no such keys
ON_ONE_LINE = ("asr", "st")  # tasks whose targets have no lines of their own
TEXTS = ("speaker", "group", "split")  # which may come as numbers

Found = Utterance | Skipped


def drafts(records: Iterable[Record | Skipped], corpus: str, out: Path, options: Own) -> Iterator[Draft]:
    """Manifests of all records, one for each split.

    Args:
        records: in their order.
        corpus: what rows are said to come from, where they do not say it.
        out: folder of the manifests.
        options: for what they do not say.

    Raises:
        UsageError: an option names what there is not.
    """
    task = task_called(options.task, SINGLE) if options.task else None
    maker = _Maker(corpus, out, options, task)
    written = list(partition(maker.rows(records), options))
    _warn_of_others(out, {draft.name for draft in written})
    yield from written


def _warn_of_others(out: Path, names: set[str]) -> None:
    """Manifests of an earlier command may hold the same rows in other splits."""
    others = sorted(path.name for path in out.glob("*.jsonl") if path.name not in {*names, SKIPPED})
    if others:
        console.warn(f"{shown(out)} holds {listed(others, 5)} of an earlier command too, perhaps with the same rows.")


class _Maker:
    """Makes utterances."""

    def __init__(self, corpus: str, out: Path, options: Own, task: str | None):
        self.corpus, self.out, self.options, self.task = corpus, out.resolve(), options, task
        self._ids = _Ids()

    def rows(self, records: Iterable[Record | Skipped]) -> Iterator[Found]:
        ahead, records = tee(records)
        files = ((path, None) for one in ahead if isinstance(one, Record) for path in one.audio)
        lengths = measured(files)
        for record in console.track(records, "reading"):
            if isinstance(record, Skipped):
                yield record
            else:
                infos = [next(lengths)[1] for _ in record.audio]
                yield from self._row(record, infos)

    def _row(self, record: Record, infos: list[AudioInfo | Skipped]) -> Iterator[Found]:
        try:
            fields, notes = self._audio(record, infos)
            row = validated(fields | self._words(record), Utterance)
        except _Unusable as error:
            yield error.skipped
            return
        except (UsageError, ValueError) as error:
            row = str(error).rstrip(".")
        if isinstance(row, str):
            yield Skipped(record.place, FORM, row.removeprefix(": ").rstrip("."))
        else:
            yield from notes
            yield from self._ids.apart(row, "id" in record.fields)

    # --- what is heard ---

    def _audio(self, record: Record, infos: list[AudioInfo | Skipped]) -> tuple[dict[str, Any], list[Skipped]]:
        """`audio`, `start`, `duration` and their like, and what is to be told of them."""
        good = [info for info in infos if isinstance(info, AudioInfo)]
        for path, info in zip(record.audio, infos, strict=True):
            if isinstance(info, Skipped):
                raise _Unusable(record, info.reason, info.detail)
            if not is_text(path):
                raise _Unusable(record, ENCODING, "its path is not UTF-8, which a manifest is: rename it")
        if not good:
            return {"audio": None}, []
        if len(good) > 1:
            return self._pieces(record, good)
        ((path,), (info,)) = record.audio, good
        channel = _channel(record, info)
        clip = {"audio": audio_below(path, self.out), "channel": channel}
        if record.start is None and record.end is None:
            return clip | {"duration": info.duration}, _about_length(record, info)
        end = info.duration if record.end is None else record.end
        part = segment(record.place, record.start or 0.0, end, info.duration)
        if isinstance(part, Skipped):
            raise _Unusable(record, OUTSIDE, part.detail + _in_milliseconds(record, info))
        return clip | {"start": part.start, "duration": part.duration}, [part.adjusted] if part.adjusted else []

    def _pieces(self, record: Record, infos: list[AudioInfo]) -> tuple[dict[str, Any], list[Skipped]]:
        if record.start is not None or record.end is not None or "channel" in record.fields:
            raise _Unusable(record, FORM, "has several recordings, and a time or channel that may be of any of them")
        pieces = [
            {"audio": audio_below(path, self.out), "duration": info.duration}
            for path, info in zip(record.audio, infos, strict=True)
        ]
        total = sum(info.duration for info in infos) + GAP * (len(infos) - 1)
        told = f"{len(pieces)} recordings are heard one after the other, with {GAP:g} s between them"
        return {"audio": pieces, "gap": GAP, "duration": total}, [Adjusted(record.place, JOINED, told)]

    # --- what is said ---

    def _words(self, record: Record) -> dict[str, Any]:
        """All other keys."""
        given = {key: clean for key, value in record.fields.items() if (clean := _clean(value)) not in ("", None)}
        task = self._task(record, given)
        target, transcript, extra = _answer(task, given)
        own_prompt = given.pop("prompt", None)
        if TASKS[task].needs_audio and not record.audio and "speech_text" not in given:
            raise _Unusable(record, NO_AUDIO, "names no recording")
        if target is None and own_prompt is None:
            raise _Unusable(record, NO_TEXT, f"no {TARGETS.get(task, 'target')}")
        given.pop("channel", None)
        given |= {key: str(given[key]) for key in TEXTS if isinstance(given.get(key), int | float)}
        row = given | {
            "id": str(given.get("id") or _name(record)),
            "task": task,
            "target": target,
            "transcript": transcript,
            "language": _language(given.get("language") or self.options.language),
            "target_language": _language(given.get("target_language") or self.options.target_language),
            "corpus": given.get("corpus") or self.corpus,
            "extra": _unpacked(record.extra) | extra or None,
        }
        return row | {"prompt": self._prompt(record, row, own_prompt)}

    def _task(self, record: Record, given: dict[str, Any]) -> str:
        if told := given.pop("task", None):
            return _task_named(str(told))
        if self.task:
            return self.task
        answered = "answer" in given or ("target" in given and "text" not in given)
        if answered and "prompt" in given:
            return "sqa" if record.audio else "sft"
        return "asr"

    def _prompt(self, record: Record, row: dict[str, Any], own: Any) -> str:
        if prompt := own or self.options.prompt:
            return str(prompt)
        task = row["task"]
        if task == "sqqa":
            return ""  # the question is in the audio
        if task not in (*UNPROMPTED, "summ"):
            raise _Unusable(record, NO_TEXT, f"no question or instruction, which a row of {task} needs")
        wording = pick(split_pool(load_pool(task), "seen"), self.options.seed, row["id"])
        if "{language}" in wording:
            return wording.replace("{language}", language_name(row["target_language"], row["id"]))
        return wording


def _unpacked(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Where a table has `extra` as JSON text, what is in it."""
    packed = extra.get("extra")
    try:
        own = strict_json.loads(packed) if isinstance(packed, str) else None
    except ValueError:
        own = None
    return (
        {key: value for key, value in extra.items() if key != "extra"} | own if isinstance(own, dict) else dict(extra)
    )


class _Unusable(Exception):
    """A record that cannot be a row."""

    def __init__(self, record: Record, reason: str, detail: str):
        super().__init__(detail)
        self.skipped = Skipped(record.place, reason, detail)


# --- audio ---


def _channel(record: Record, info: AudioInfo) -> int | None:
    """From 0, also where it is called A or B."""
    told = record.fields.get("channel")
    if told is None:
        return None
    text = str(told).strip()
    if text.upper() in SIDES:
        channel = SIDES.index(text.upper())
    elif text.removesuffix(".0").isdecimal():
        channel = int(text.removesuffix(".0"))
    else:
        raise _Unusable(record, FORM, f"its channel {text!r} is not a number from 0, A or B")
    if channel >= info.channels:
        there = "1 channel" if info.channels == 1 else f"{info.channels} channels, from 0"
        raise _Unusable(record, OUTSIDE, f"there is no channel {text}: the file has {there}")
    return channel


def _about_length(record: Record, info: AudioInfo) -> list[Skipped]:
    if record.length is None or abs(record.length - info.duration) <= ROUNDED:
        return []
    told = f"is said to be {record.length:g} s long; all of it is taken, {info.duration:.3f} s as decoded"
    return [Adjusted(record.place, LENGTH, told)]


def _in_milliseconds(record: Record, info: AudioInfo) -> str:
    """What may be wrong with times that lie beyond the end of a file."""
    if (record.start or 0.0) < 1000 or (record.start or 0.0) / 1000 >= info.duration:
        return ""
    return "; if its times are milliseconds, say so by --map COLUMN=start:ms"


# --- words ---


def _answer(task: str, given: dict[str, Any]) -> tuple[str | None, str | None, dict[str, Any]]:
    """Target and transcript, taken out of what is given, and other answers that are not the task's."""
    words = {key: given.pop(key) for key in WORDS if key in given}
    text = words.get("text")
    answers = (given.pop("target", None), words.get(TARGETS.get(task, "")), words.get("answer"))
    own = next((answer for answer in answers if answer is not None), None)
    others = {key: value for key, value in words.items() if key != "text" and value != own}
    transcript = given.pop("transcript", None) or text or (own if task == "asr" else None)
    if task in ON_ONE_LINE and own is not None:
        own = " ".join(str(own).split())
    return _text(own), transcript and " ".join(str(transcript).split()), others


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _clean(value: Any) -> Any:
    return normalize("NFC", value).strip() if isinstance(value, str) else value


def _task_named(said: str) -> str:
    word = re.sub(r"\W+", "_", said.strip().lower())
    for code, others in names()["tasks"].items():
        if word in others:
            return code
    return task_called(nearest_task(said, TASKS) or said, TASKS)


def _language(said: Any) -> str | None:
    return language_tag(str(said)) if said else None


# --- ids ---


def _name(record: Record) -> str:
    if record.start is None and record.end is None:
        return record.name
    end = "" if record.end is None else f"-{round(1000 * record.end):07d}"
    return f"{record.name}-{round(1000 * (record.start or 0)):07d}{end}"


class _Ids:
    """No id twice in a split: a row that says the same as one before it is left out, others are numbered."""

    def __init__(self) -> None:
        self._said: dict[tuple[str | None, str], int] = {}
        self._numbers: Counter[tuple[str | None, str]] = Counter()

    def apart(self, row: Utterance, told: bool) -> Iterator[Found]:
        """The row under an id of its own; where the id that it is told to have is taken, that is said."""
        key = (row.split, row.id)
        said = hash((row.audio, row.channel, row.start, row.duration, row.task, row.prompt, row.target))
        if self._said.get(key) == said:
            yield LeftOut(row.id, DUPLICATE, "is there twice")
            return
        while (row.split, row.id) in self._said:
            self._numbers[key] += 1
            row = row.model_copy(update={"id": f"{key[1]}-{self._numbers[key] + 1}"})
        if told and row.id != key[1]:
            yield Adjusted(key[1], RENAMED, f"the id is taken: this row is called {row.id}")
        self._said[row.split, row.id] = said
        yield row
