"""What `wavllm score` reads: the answers of one or several systems, beside what they should have been.

Four forms become the same rows: our own hypotheses, answers beside a manifest, pairs of text files, and other people's
JSON, whose keys a mapping translates. Nothing is dropped: ids that do not fit are an error that counts and names them.
"""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavllm_cli.console import visible
from wavllm_cli.data.manifest import checked, read_manifest, validated
from wavllm_cli.data.schema import Hypothesis, Task, Utterance, misspelt_key
from wavllm_cli.errors import ManifestError, UsageError, nearest, shortened
from wavllm_cli.scoring.answer_files import ABSENT, Raw, Table, at, is_text, listed, read_table, read_texts
from wavllm_cli.scoring.following.constraints import COLUMNS, IDS
from wavllm_cli.scoring.layouts import read_layout
from wavllm_cli.text.thinking import without_thinking

MAX_IDS = 5  # ids in an error
ROWS = "rows"  # what a mapping calls the place of the list of rows
TEXTS = ("id", "target", "text")  # numbers will do
REQUIRED = frozenset(name for name, field in Hypothesis.model_fields.items() if field.is_required())
# No metric needs them and they mean many things elsewhere: taken from other people's rows only if the mapping says so.
CLIP = ("audio", "gap", "channel", "start", "duration", "group", "turns", "speech_text")
UNASKED = frozenset((*CLIP, "extra", "token_ids", "logprobs", "steps"))

MEANING = {"text": '"text" (the answer)', "target": '"target" (the right answer)'}
# What other people call our keys, the surest first, and answers before targets: "text" beside "pred_text" is a target.
USUAL_NAMES = {
    "text": "pred.* hyp.* .*response .*output generat.* decoded.* answer text",
    "target": "ref.* ground_?truth gt.* gold.* target.* tgt.* labels? expected.* transcri.* sentence answer text",
    "id": "id (utt|utterance|sample|audio|clip|segment|file)_?(id|name) uttid key .*path file audio",
}


@dataclass(frozen=True)
class System:
    """One system's answers.

    Attributes:
        name: the `system` that all rows share, else the file's stem; different from that of every other system.
        path: None for standard input.
        rows: in the same order for all systems.
    """

    name: str
    path: Path | None
    rows: list[Hypothesis]


def read_systems(
    sources: Sequence[str],
    reference: Path | None = None,
    mapping: Sequence[str] = (),
    task: Task | None = None,
    target_language: str | None = None,
    language: str | None = None,
    layout: str | None = None,
    default_task: Task = "asr",
) -> list[System]:
    """Read the answers of one or several systems to the same rows.

    Args:
        sources: a file for each system: .jsonl, .jsonl.gz or .parquet, .json, text with an answer a line, or `-` for
            JSON Lines on standard input.
        reference: a manifest, which gives everything but the answers, joined by id; or for texts a text of as many
            lines.
        mapping: `OURS=THEIRS` for other people's rows: a key of `Hypothesis`, and what they call it, with dots into
            nested objects; in a .json it may also be a list with an entry for each row. `rows=THEIRS` says where in a
            .json the rows are. Files that are ours stay as they are.
        task: of all rows, whatever they say of it.
        target_language, language: of rows that do not say theirs.
        layout: whose result files the sources are, as `layouts.read_layout` takes it; None: files of rows or texts.
        default_task: of rows that do not say theirs.

    Returns:
        The systems in the order of the sources, all with the same ids and targets in the same order: the reference's,
        else the first system's.

    Raises:
        UsageError: the mapping is wrong or fits no row, or a source comes without the reference that it needs.
        ManifestError: a file cannot be read, rows are wrong (one sentence for each of the first problems), or ids or
            targets do not fit together.
    """
    if not sources:
        raise UsageError("There is nothing to score: name at least one file of answers.")
    if sources.count("-") > 1:
        raise UsageError("Standard input (-) can be read only once.")
    named = _parse_mapping(mapping)
    place = named.pop(ROWS, None)
    known = None
    if layout is not None:
        if reference is not None or mapping:
            raise UsageError("--from knows the right answers and the keys: leave out --reference and --map.")
        tables = [read_layout(source, layout) for source in sources]
    elif reference is not None and is_text(reference):
        tables = read_texts(sources, reference)
    else:
        tables = [read_table(source, named, place) for source in sources]
        if reference is not None:
            known = {row.id: row for row in read_manifest(reference, default_task=task or default_task)}
    _require_all_found(named, tables)
    unsaid = {"task": default_task, "target_language": target_language, "language": language}
    read = [_hypotheses(table, _translation(named, table), known, task, unsaid) for table in tables]
    order: Mapping[str, Utterance] = read[0] if known is None else known
    for table, rows in zip(tables, read, strict=True):
        _require_same_ids(table.name, rows, tables[0].name if known is None else str(reference), order)
        _require_same_questions(table.name, rows, tables[0].name, read[0])
    systems = [[rows[id] for id in order] for rows in read]
    names = _names([table.path for table in tables], systems)
    return [System(name, table.path, rows) for name, table, rows in zip(names, tables, systems, strict=True)]


# --- the mapping ---


def _parse_mapping(mapping: Sequence[str]) -> dict[str, str]:
    """`["text=prediction"]` -> {"text": "prediction"}."""
    ours_to_theirs: dict[str, str] = {}
    known = (*Hypothesis.model_fields, ROWS)
    for pair in mapping:
        ours, _, theirs = (part.strip() for part in pair.partition("="))
        if not ours or not theirs:
            raise UsageError(f'--map {pair!r} is not of the form OURS=THEIRS, such as "text=prediction".')
        if ours not in known:
            meant = nearest(ours, known)
            hint = f'did you mean "{meant}"?' if meant else f"there are {', '.join(known)}."
            raise UsageError(f'--map {pair!r}: we have no key "{ours}"; {hint}')
        if ours in ours_to_theirs:
            raise UsageError(f'--map says twice what "{ours}" is: "{ours_to_theirs[ours]}" and "{theirs}".')
        ours_to_theirs[ours] = theirs
    return ours_to_theirs


def _require_all_found(named: Mapping[str, str], tables: Sequence[Table]) -> None:
    if not all(table.keys for table in tables):
        return  # a file without any row of its own has a worse problem
    for ours, theirs in named.items():
        if not any(table.has(theirs) for table in tables):
            keys = dict.fromkeys(key for table in tables for key in table.example())
            raise UsageError(f'--map {ours}={theirs}: no row has "{theirs}"; the keys are {listed(keys)}.')


def _translation(named: Mapping[str, str], table: Table) -> dict[str, str]:
    """What each of our keys is called in a file, for all that are to be taken from it.

    A file of ours that lacks something of the mapping is not the one that it was written for. In the one that it was,
    what is another text's source has lost its own meaning: after `target=text`, "text" is no answer.
    """
    same = {key: key for key in Hypothesis.model_fields if key in table.keys}
    found = {ours: theirs for ours, theirs in named.items() if table.has(theirs)}
    is_ours = _is_ours(table)
    if not found or (is_ours and len(found) < len(named)):
        return same
    lost = {"text", "target", "references"} & set(found.values()) | (frozenset() if is_ours else UNASKED)
    return {key: key for key in same if key not in lost} | found


def _is_ours(table: Table) -> bool:
    return any(isinstance(row, dict) and row.keys() >= REQUIRED for _, row in table.rows)


def _require_understood(table: Table, translation: Mapping[str, str], has_manifest: bool) -> None:
    """At least one row must have an answer, and a target unless a manifest gives it: else the keys are not ours."""
    is_ours = _is_ours(table)
    needed = ("text",) if has_manifest or is_ours or IDS in table.keys else ("text", "target")
    missing = [key for key in needed if key not in translation]
    renamed = {ours: theirs for ours, theirs in translation.items() if ours != theirs}
    if missing and any(isinstance(row, dict) for _, row in table.rows):
        example = table.example()
        guess = _guess(example, renamed)
        advice = [f"--map {ours}={guess[ours]}" for ours in ("id", *needed) if ours in guess]
        if not advice:
            advice = [f"--map {missing[0]}=KEY", *["or --reference MANIFEST"] * ("target" in missing)]
        raise UsageError(
            f"{table.name} has no {' and no '.join(MEANING[key] for key in missing)}; its keys are {listed(example)}. "
            f"Try {' '.join(advice)}."
        )
    if not renamed and not is_ours and (problem := misspelt_key(table.keys, Hypothesis)):
        raise ManifestError(f"{table.name}: {problem}")


def _guess(example: Mapping[str, Any], renamed: Mapping[str, str]) -> dict[str, str]:
    """What the mapping probably lacks to fit rows like this one."""
    guess = dict(renamed)
    for ours, names in USUAL_NAMES.items():
        free = [key for key, value in example.items() if isinstance(value, str | int) and key not in guess.values()]
        fitting = (key for name in names.split() for key in free if re.fullmatch(name, key.split(".")[-1].lower()))
        guess.setdefault(ours, next(fitting, ours))
    return {ours: theirs for ours, theirs in guess.items() if theirs != ours and ours not in renamed}


# --- rows ---


def _hypotheses(
    table: Table,
    translation: Mapping[str, str],
    known: Mapping[str, Utterance] | None,
    task: Task | None,
    unsaid: Mapping[str, str | None],
) -> dict[str, Hypothesis]:
    """The rows of a table by their ids.

    Args:
        translation: what our keys are called in the table.
        known: the manifest's rows by their ids, if there is one.
        task: of all rows, whatever they say of it.
        unsaid: the task and the languages of rows that do not say theirs.
    """
    if not table.rows:
        raise ManifestError(f"{table.name} has no rows.")
    _require_understood(table, translation, known is not None)
    complete = _is_ours(table) and known is None and all(ours == theirs for ours, theirs in translation.items())

    def hypothesis(number: int, raw: Raw) -> Hypothesis | str:
        fields = raw if complete or isinstance(raw, str) else _completed(raw, number, translation, known)
        if isinstance(fields, str):
            return fields
        added = {key: value for key, value in unsaid.items() if value and fields.get(key) is None}
        row = validated(fields | added | ({"task": task} if task else {}), Hypothesis)
        return row if isinstance(row, str) else row.model_copy(update={"text": without_thinking(row.text)})

    rows = checked(((number, hypothesis(number, raw)) for number, raw in table.rows), table.name, table.unit)
    return {row.id: row for row in rows}


def _completed(
    raw: dict[str, Any], number: int, translation: Mapping[str, str], known: Mapping[str, Utterance] | None
) -> dict[str, Any] | str:
    """The fields of a row that is not all of a hypothesis; null is as good as no key, but not as an answer."""
    taken = {key: at(raw, name) for key, name in translation.items()}
    for key, value in taken.items():
        if key in TEXTS and isinstance(value, float) and not math.isfinite(value):
            id = taken.get("id", number)
            return f' (id {shortened(id)}): key "{translation[key]}" is {value}, which is neither text nor a number.'
    fields = {
        key: _as_text(value) if key in TEXTS else value
        for key, value in taken.items()
        if value is not ABSENT and (value is not None or key in ("text", "target"))
    }
    fields = {"id": str(number), "audio": None, "prompt": ""} | fields
    if constraints := {key: raw[key] for key in COLUMNS if key in raw}:
        fields["extra"] = constraints
    for key in ("text",) if known is not None else ("text", "target"):
        if key in translation and key not in fields:
            return f' (id {shortened(fields["id"])}): key "{translation[key]}" is missing.'
    if fields["text"] is None:
        return f' (id {shortened(fields["id"])}): key "{translation["text"]}" is null; an answer without words is "".'
    if known is not None and isinstance(fields["id"], str) and fields["id"] in known:
        row = known[fields["id"]]
        fields |= dict(row) | {"extra": (fields.get("extra") or {}) | (row.extra or {}) or None}
    return fields


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


# --- several files ---


def _require_same_ids(name: str, ids: Collection[str], of: str, expected: Collection[str]) -> None:
    """Answers to all rows and to no others."""
    unanswered, surplus = [id for id in expected if id not in ids], [id for id in ids if id not in expected]
    problems = [f"{name} does not fit {of}."]
    if unanswered:
        problems.append(
            f"Rows without an answer: {len(unanswered)} of {len(expected)} ({listed(unanswered, MAX_IDS)})."
        )
    if surplus:
        problems.append(f"Answers to no row: {len(surplus)} of {len(ids)} ({listed(surplus, MAX_IDS)}).")
    if len(problems) > 1:
        raise ManifestError(" ".join(problems))


def _require_same_questions(
    name: str, rows: Mapping[str, Hypothesis], of: str, first: Mapping[str, Hypothesis]
) -> None:
    """The same task and right answers in each row."""
    for key in ("task", "target", "references"):
        differing = [id for id, row in rows.items() if getattr(row, key) != getattr(first[id], key)]
        if differing:
            id, what = differing[0], key.removesuffix("s")
            raise ManifestError(
                f"{name} and {of} cannot be compared: the {what}s differ in {len(differing)} of {len(rows)} rows, "
                f"e.g. id {shortened(id)}: {_shown(rows[id], key)} and {_shown(first[id], key)}."
            )


def _shown(row: Hypothesis, key: str) -> str:
    value = getattr(row, key)
    return "none" if value is None else repr(shortened(value))


def _names(paths: Sequence[Path | None], systems: Sequence[list[Hypothesis]]) -> list[str]:
    """A name for each system: its own or the file's stem; where two are alike, the stems, then the folders' too."""
    stems = ["stdin" if path is None else visible(Path(path.name.removesuffix(".gz")).stem) for path in paths]
    shared = [{row.system for row in rows} for rows in systems]
    own = [(next(iter(names)) if len(names) == 1 else None) or stem for names, stem in zip(shared, stems, strict=True)]
    folders = [
        f"{visible(path.absolute().parent.name)}/{stem}" if path else stem
        for path, stem in zip(paths, stems, strict=True)
    ]
    for names in (own, stems, folders):
        if len(set(names)) == len(names):
            return names
    return [f"{name} ({number})" for number, name in enumerate(own, 1)]
