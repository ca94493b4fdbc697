"""Result files of other benchmarks, as their projects publish them, as our rows: `score --from`.

Verdicts that such files hold already stay in the rows' own columns; nothing is scored by them.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

from wavllm_cli.errors import UsageError, did_you_mean
from wavllm_cli.scoring.answer_files import Raw, Table, read_table
from wavllm_cli.scoring.following.constraints import COLUMNS, IDS, KWARGS, READING, SPEECH_IFEVAL
from wavllm_cli.tasks.answers.choice import listed_choices

GENDERS = ["male", "female"]

Row = Mapping[str, Any]
Layout = Callable[[Row, int], Iterator[dict[str, Any]]]  # a row of theirs and its number -> rows of ours


def read_layout(source: str, name: str) -> Table:
    """Read a result file of another project.

    Args:
        source: as for `answer_files.read_table`.
        name: of a layout: a key of `LAYOUTS`.

    Raises:
        UsageError: there is no such layout.
        ManifestError: the file cannot be read.
    """
    if name not in LAYOUTS:
        raise UsageError(f"--from {name} is no layout{did_you_mean(name, LAYOUTS)}; there are {', '.join(LAYOUTS)}.")
    table = read_table(source, {})
    rows = [(number, row) for number, raw in table.rows for row in _translated(raw, number, name)]
    return Table(table.name, table.path, table.unit, rows)


def _translated(raw: Raw, number: int, name: str) -> Iterator[Raw]:
    if isinstance(raw, str):
        yield raw
        return
    try:
        yield from LAYOUTS[name](raw, number)
    except KeyError as missing:
        yield f": key {missing} is missing, which rows of {name} have."


def _speech_ifeval(row: Row, number: int) -> Iterator[dict[str, Any]]:
    """A line of outputs/MODEL/*.jsonl: closed questions, creative writing, chains of thought; or of its reports."""
    asked = {"wer": "asr", "accuracy": "sqa"}.get(row["metric"], "sqa")
    choices = None
    if row["dataset"] == "Speech_emotion_recognition" and row["metric"] == "accuracy":
        asked = "er"
    elif row["metric"] == "accuracy":
        choices = _offered(row["instruction"]) or GENDERS
    kept = (*COLUMNS, "dataset", "metric", "key", "follow_instruction_list", "eval_response", "correct")
    extra = {key: row[key] for key in kept if key in row}
    yield {
        "id": str(row.get("id", number)),
        "audio": row["audio_filepath"],
        "task": asked,
        "prompt": row["instruction"],
        "target": row.get("label"),
        "text": row["response"],
        "language": "en",
        "choices": choices,
        "extra": extra | ({READING: SPEECH_IFEVAL} if IDS in row else {}),
    }


def _offered(instruction: str) -> list[str]:
    """`Who? Choose the answer from "a", "b" or "c".` -> ["a", "b", "c"]; quotes may stand in choices too."""
    _, said, offer = instruction.split("\n")[0].partition("Choose the answer from")
    first, last = offer.find('"'), offer.rfind('"')
    return re.split(r'",\s*"|"\s+or\s+"', offer[first + 1 : last]) if said and first < last else []


def _mmau(row: Row, number: int) -> Iterator[dict[str, Any]]:
    """An entry of mmau-test(-mini).json with an answer; right answers are published of test-mini alone."""
    given = next((key for key in ("model_prediction", "model_output") if key in row), "model_prediction")
    kept = ("task", "dataset", "category", "sub-category", "difficulty", "match")
    yield {
        "id": str(row.get("id", number)),
        "audio": row.get("audio_id"),
        "task": "sqa",
        "prompt": row["question"],
        "target": row.get("answer"),
        "text": row[given],
        "choices": listed_choices(row["choices"]),
        "corpus": "MMAU",
        "split": row.get("split"),
        "extra": {key: row[key] for key in kept if key in row},
    }


# --- ISA-Bench ---

# What its tasks are called -> ours, and what else there is to say.
_ISA_TASKS: dict[str, dict[str, Any]] = {
    "asr": {"task": "asr", "language": "en"},
    "emotion_recognition": {"task": "er", "choices": ["happy", "sad", "angry", "neutral"]},
    "gender_recognition": {"task": "sqa", "choices": GENDERS},
    "translation_ec": {"task": "st", "language": "en", "target_language": "zh"},
    "audiocaption": {"task": "sqa"},
}
# The parts of its rows with several instructions. The files do not hold the instructions' words: these stand for them.
_ISA_PARTS = {
    "ASR": ("asr", "Transcribe the recording.", "text"),
    "SER": ("er", "Name the speaker's emotion.", "emotion"),
    "GR": ("sqa", "Which gender has the speaker? A. male; B. female", "gender"),
}


def _isa_bench(row: Row, number: int) -> Iterator[dict[str, Any]]:
    """An item with the answers to all variations of its instruction (d, f), or to several instructions (n)."""
    stem = f"{PurePath(row['path']).stem}-{number}"
    if "instructions" in row:
        for variant, answer in _leaves(row["instructions"]["variations"]):
            yield _isa_parts(row, answer) | {"id": f"{stem}/{variant}"}
        return
    target, *references = row["text"].split("|") if row["task"] == "audiocaption" else [row["text"]]
    for variant, answer in _leaves(row["variation_responses"]):
        yield {
            "id": f"{stem}/{variant}",
            "audio": row["path"],
            "prompt": ", ".join(row["base"]),
            "target": target,
            "references": references or None,
            "text": answer["response"],
            "corpus": "ISA-Bench",
            "extra": {"variant": variant.split("/")[0], **_isa_constraints(variant, answer)},
            **_ISA_TASKS[row["task"]],
        }


def _isa_parts(row: Row, answer: Row) -> dict[str, Any]:
    parts = []
    for name in answer["task"].split("|"):
        task, prompt, key = _ISA_PARTS[name]
        parts.append({"task": task, "prompt": prompt, "target": row[key]})
    return {
        "audio": row["path"],
        "task": "ii",
        "prompt": "; ".join(part["prompt"] for part in parts),
        "text": answer["response"],
        "transcript": row["text"],
        "language": "en",
        "parts": parts,
        "corpus": "ISA-Bench",
        "extra": {key: answer[key] for key in ("separator", "key") if key in answer},
    }


def _leaves(answers: Any, path: str = "") -> Iterator[tuple[str, Row]]:
    """Where each answer stands, as "case/upper_case" or "prefix/1", and the object with its `response`."""
    if isinstance(answers, str):
        yield path, {"response": answers}
    elif isinstance(answers, dict) and "response" in answers:
        yield path, answers
    else:
        below = answers.items() if isinstance(answers, dict) else enumerate(answers, 1)
        for name, inner in below:
            yield from _leaves(inner, f"{path}/{name}" if path else str(name))


def _isa_constraints(variant: str, answer: Row) -> dict[str, Any]:
    """The forms that its variations ask for, as far as IFEval has ids for them."""
    begin, _, end = answer.get("lrt", "").partition("|")
    begin, end = answer.get("prefix", begin), answer.get("suffix", end)
    asked: list[tuple[str, dict[str, str]]] = []
    if variant == "upper_case":
        asked.append(("change_case:english_capital", {}))
    if variant == "lower_case":
        asked.append(("change_case:english_lowercase", {}))
    if begin:
        asked.append(("combination:repeat_prompt", {"prompt_to_repeat": begin}))
    if end:
        asked.append(("startend:end_checker", {"end_phrase": end}))
    if "key" in answer:
        asked.append(("detectable_format:json_format", {}))
    if not asked:
        return {}
    return {IDS: [id for id, _ in asked], KWARGS: [given for _, given in asked], READING: SPEECH_IFEVAL}


LAYOUTS: dict[str, Layout] = {"speech-ifeval": _speech_ifeval, "isa-bench": _isa_bench, "mmau": _mmau}
