"""Texts that belong together: by the ids that stand in their lines, as Kaldi and sclite write them, or line by line.

Ids are `id<tab>words`, `id words` (Kaldi) or `words (id)` (sclite's trn). First words are ids where each is another one
and has a digit and something else in it, or where all files have the same ones in another order.
"""

import re
from collections.abc import Mapping, Sequence

from wavllm_cli import console
from wavllm_cli.errors import ManifestError, listed

MAX_IDS = 5  # in an error

_FORMS = {
    "words (id)": re.compile(r"(?P<words>.*?)\s*\((?P<id>[^()\s]+)\)\s*"),
    "id<tab>words": re.compile(r"(?P<id>[^\t]*\S)[^\S\t]*\t(?P<words>.*)"),
    "id words": re.compile(r"(?P<id>(?=\S*\d)(?=\S*[^\d\s.,:%€$])\S+)(?:[ \t]+(?P<words>.*))?"),
}
_FIRST_WORD = re.compile(r"(?P<id>\S+)(?:\s+(?P<words>.*))?")

Lines = Sequence[str]


def keyed(files: Sequence[tuple[str, Lines]]) -> list[dict[str, str]]:
    """The texts of several files by their ids, all with the same ids in the order of the first file.

    Args:
        files: names, for messages, and lines; the first file is the reference.

    Raises:
        ManifestError: some files have ids and others have none, ids differ, or there are more or fewer lines.
    """
    found = [_by_form(lines) for _, lines in files]
    if not any(form for form, _ in found):
        found = _by_first_words([lines for _, lines in files])
    if not any(form for form, _ in found):
        _require_as_many_lines(files)
        return [{str(number): text for number, text in enumerate(lines, 1)} for _, lines in files]
    (reference, _), with_ids = files[0], next(i for i, (form, _) in enumerate(found) if form)
    for (name, _), (form, _) in zip(files, found, strict=True):
        if not form:
            raise ManifestError(
                f"{files[with_ids][0]} has ids in its lines ({found[with_ids][0]}), but {name} has none: give both "
                "the same ids, or take them out of both, for example with cut -d' ' -f2-."
            )
    texts = [texts for _, texts in found]
    for (name, _), own in zip(files[1:], texts[1:], strict=True):
        _require_same_ids(reference, texts[0], name, own)
    console.info(f"The lines have ids ({found[0][0]}), which are no words: they say which lines belong together.")
    return [{id: own[id] for id in texts[0]} for own in texts]


def _by_form(lines: Lines) -> tuple[str, dict[str, str]]:
    """The form of ids that every line has, and the texts by id; ("", {}) if there is none."""
    said = [line for line in lines if line.strip()]
    for form, pattern in _FORMS.items():
        matches = [pattern.fullmatch(line.strip()) for line in said]
        texts = {match["id"]: (match["words"] or "").strip() for match in matches if match}
        if said and len(texts) == len(said):
            return form, texts
    return "", {}


def _by_first_words(files: Sequence[Lines]) -> list[tuple[str, dict[str, str]]]:
    """First words that are the same in all files, each once, but in another order are ids even without digits."""
    found = []
    for lines in files:
        matches = [match for line in lines if (match := _FIRST_WORD.match(line.strip()))]
        texts = {match["id"]: (match["words"] or "").strip() for match in matches}
        found.append(texts if len(texts) == len(matches) else {})
    first = found[0]
    alike = bool(first) and all(texts.keys() == first.keys() for texts in found)
    if alike and any(list(texts) != list(first) for texts in found):
        return [("id words", texts) for texts in found]
    return [("", {}) for _ in files]


def _require_as_many_lines(files: Sequence[tuple[str, Lines]]) -> None:
    (reference, targets), *others = files
    for name, lines in others:
        if len(lines) != len(targets):
            raise ManifestError(
                f"{name} has {len(lines)} lines, but {reference} has {len(targets)}: line by line, each answer needs "
                "its right answer. Ids in all lines, as in `id words` or `words (id)`, would say which belong together."
            )


def _require_same_ids(reference: str, targets: Mapping[str, str], name: str, texts: Mapping[str, str]) -> None:
    missing, surplus = [id for id in targets if id not in texts], [id for id in texts if id not in targets]
    problems = []
    if missing:
        problems.append(f"lines without an answer: {len(missing)} of {len(targets)} ({listed(missing, MAX_IDS)})")
    if surplus:
        problems.append(f"answers to no line: {len(surplus)} of {len(texts)} ({listed(surplus, MAX_IDS)})")
    if problems:
        raise ManifestError(f"{name} does not fit {reference} by the ids in their lines: {'; '.join(problems)}.")
