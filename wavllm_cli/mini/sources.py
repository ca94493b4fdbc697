"""`sources.json`: what the miniature's data are made of, under which licences, and who speaks in which split."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from wavllm_cli import strict_json
from wavllm_cli.data.files import digest, write_text
from wavllm_cli.data.schema import Utterance
from wavllm_cli.mini import open_english
from wavllm_cli.mini.given import Given
from wavllm_cli.mini.real import Recordings
from wavllm_cli.mini.takes import Studio
from wavllm_cli.speech.piper import known_voices

NAME = "sources.json"
_LICENCE = re.compile(r"licen[cs]e|public domain|CC0|CC BY", re.IGNORECASE)


def write(path: Path, made: Mapping[str, Sequence[Utterance]], given: Given, studio: Studio) -> None:
    """Write it.

    Args:
        made: the rows of each manifest.
        given: what the user brought.
        studio: who spoke.
    """
    sources = [*_engines(studio), *map(_recordings, given.sets), *_digits(given), *_sentences(given)]
    about = {"sources": sources, "manifests": {name: _manifest(rows) for name, rows in made.items()}}
    write_text(path, strict_json.dumps(about, indent=1) + "\n")


def _engines(studio: Studio) -> list[dict[str, Any]]:
    espeak = {"name": "espeak-ng", "package": f"espeakng-loader {version('espeakng-loader')}", "licence": "GPL-3.0"}
    if not studio.piper:
        return [espeak, {"name": "piper", "used": False, "why": "it is not installed"}]
    return [
        espeak,
        *(
            {"name": voice, "package": known_voices()[voice]["package"], "licence": known_voices()[voice]["license"]}
            | {"sha256": studio.piper.networks[voice].sha256.split()}
            for voice in studio.natural
        ),
    ]


def _recordings(one: Recordings) -> dict[str, Any]:
    """What a folder says of itself: its licence is not for us to decide."""
    readme = next(iter(sorted(one.folder.glob("README*"))), None)
    lines = readme.read_text(encoding="utf-8", errors="replace").splitlines() if readme else []
    files = [*one.manifests, *sorted(one.folder.glob("LICEN[CS]E*"))]
    return {
        "name": one.name,
        "licence": [line.strip() for line in lines if _LICENCE.search(line)] or "unknown",
        "for test alone": one.for_test_alone,
        "rows": len(one.rows),
        "sha256": {file.name: digest(file) for file in files},
    }


def _digits(given: Given) -> list[dict[str, Any]]:
    if not given.fsdd:
        return [{"name": "Free Spoken Digit Dataset", "used": False, "why": "--fsdd was not given"}]
    speakers: dict[str, list[str]] = {}
    for speaker, split in sorted({(one.speaker, one.split) for one in given.digits}):
        speakers.setdefault(split, []).append(speaker)
    sha256 = {given.fsdd.name: digest(given.fsdd)} if given.fsdd.is_file() else {}
    about = {"name": "Free Spoken Digit Dataset", "licence": "CC BY-SA 4.0", "recordings": len(given.digits)}
    return [about | {"speakers": speakers, "sha256": sha256}]


def _sentences(given: Given) -> list[dict[str, Any]]:
    if not given.written:
        used = "what is read in the real recordings" if given.sets else "none"
        return [{"name": "open English", "used": False, "why": "--sentences was not given", "instead": used}]
    files = open_english.files_of(given.written)
    is_wordnet = files[0].name in open_english.WORDNET
    return [
        {
            "name": "usage examples of WordNet's glosses" if is_wordnet else given.written.name,
            "licence": "WordNet 3.0" if is_wordnet else "unknown",
            "sentences": len(given.sentences),
            "sha256": {file.name: digest(file) for file in files},
        }
    ]


def _manifest(rows: Sequence[Utterance]) -> dict[str, Any]:
    """How many rows of which corpora, how long, and whose voices are heard."""
    speakers = Counter(speaker for row in rows for speaker in row.speakers)
    return {
        "rows": len(rows),
        "hours": round(sum(row.duration or 0.0 for row in rows) / 3600, 2),
        "corpora": dict(sorted(Counter(row.corpus or "unknown" for row in rows).items())),
        "voices": dict(sorted(speakers.items())),
    }
