"""What `wavllm prep speak` does: rows that wait for a voice get one, all others are carried along."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavllm_cli import console
from wavllm_cli.data.audio_paths import relative_audio, relocated
from wavllm_cli.data.files import owned, require_output, shown
from wavllm_cli.data.manifest import read_manifest, require_writable, write_manifest
from wavllm_cli.data.schema import Utterance
from wavllm_cli.data.skipped import Row, list_skipped, skipped_earlier, skipped_row
from wavllm_cli.errors import UsageError, WavLLMError, listed
from wavllm_cli.speech.clips import clip_name, make, seconds_of
from wavllm_cli.speech.engine import SPEEDS, Engine, Line, NoVoice, Options, Unspoken
from wavllm_cli.speech.registry import engine_class
from wavllm_cli.speech.voices import Cast

COMMAND = "speak"  # what rows of the list of skipped items name in the place of a corpus
NO_TEXT, NO_VOICE, UNSPOKEN = "no-text", "no-voice", "unspoken"  # reasons, for programs
NAMED = 5  # voices or ids in a sentence

_UNSAYABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True)
class Work:
    """What to do beside what an engine is told.

    Attributes:
        out: the manifest to write.
        audio: the folder of the clips; None: `speech` beside the manifest.
        language: of rows that do not say theirs.
        workers: processes, for an engine that is the faster for it.
        seed: of the order in which voices take turns.
    """

    out: Path
    audio: Path | None = None
    language: str | None = None
    workers: int = 1
    seed: int = 0


@dataclass(frozen=True)
class Skip:
    """A row that is in the new manifest no more."""

    id: str
    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.id} ({self.detail})"


@dataclass(frozen=True)
class Spoken:
    """What became of the rows.

    Attributes:
        rows: of the new manifest.
        spoken: those of them that have been given a clip.
        clips: that these are about.
        made: of them in this run; the others were there.
        voices: how many rows each voice says.
    """

    out: Path
    rows: int
    spoken: int
    clips: int
    made: int
    hours: float
    voices: dict[str, int]
    skipped: list[Skip]
    skipped_file: Path | None

    def show(self) -> None:
        columns = [">rows", ">spoken", ">clips", ">made now", ">hours", ">voices"]
        row = (self.rows, self.spoken, self.clips, self.made, console.hours(self.hours), len(self.voices))
        console.table("speech", columns, [tuple(f"{n:,}" if isinstance(n, int) else n for n in row)])
        console.info(f"manifest → {self.out}")
        if self.skipped:
            why = listed([f"{name} {count:,}" for name, count in self.reasons.items()], NAMED)
            console.error(f"{len(self.skipped):,} rows have no clip: {why} → {self.skipped_file}")

    @property
    def reasons(self) -> dict[str, int]:
        return dict(Counter(skip.reason for skip in self.skipped).most_common())

    def data(self) -> dict[str, Any]:
        return {
            **{key: getattr(self, key) for key in ("rows", "spoken", "clips", "made", "hours", "voices", "reasons")},
            "out": str(self.out),
            "skipped": [vars(skip) for skip in self.skipped],
            "skipped_file": str(self.skipped_file) if self.skipped_file else None,
        }


def speak(manifest: Path, engine: str, options: Options, work: Work) -> Spoken:
    """Write a manifest whose rows have voices; the same arguments give the same bytes, also after a kill.

    Raises:
        UsageError: an option is out of range, nobody waits for a voice, or rows do not say their language.
        WavLLMError: the engine does not work, or not one row could be spoken.
    """
    low, high = SPEEDS
    if not low <= options.speed <= high:
        raise UsageError(f"--speed must be from {low:g} to {high:g}, not {options.speed:g}.")
    require_writable(work.out)
    require_output(work.out, [manifest])
    rows = relocated(read_manifest(manifest), manifest, work.out)
    _require_languages(manifest, rows, work.language)
    opened = engine_class(engine).open(options)
    with owned(work.out):
        return _spoken(rows, opened, work)


def _require_languages(manifest: Path, rows: Sequence[Utterance], language: str | None) -> None:
    languages = {row.id: row.language for row in rows if row.awaits_speech}
    if not languages:
        raise UsageError(f"{shown(manifest)} has no row that waits for a voice: one with `speech_text` and no `audio`.")
    unsaid = [row_id for row_id, said in languages.items() if not said]
    if unsaid and not language:
        raise UsageError(
            f"{len(unsaid)} rows of {shown(manifest)} do not say the language of their text (first: {unsaid[0]}): give "
            "--language CODE for them."
        )


def _spoken(rows: Sequence[Utterance], engine: Engine, work: Work) -> Spoken:
    earlier = skipped_earlier(work.out.parent)
    cast = Cast(engine.voices, work.seed)
    lines = {row.id: _line(row, cast, work) for row in rows if row.awaits_speech}
    folder = work.audio or work.out.with_name("speech")
    paths = {line: folder / clip_name(engine, line) for line in lines.values() if isinstance(line, Line)}
    results, made = _recorded(engine, paths, work.workers)
    said, skipped = _outcomes(lines, results)
    if not said:
        raise WavLLMError(f"Not one of {len(lines)} rows could be spoken; the first: {skipped[0]}.")

    def written() -> Iterator[Utterance]:
        for row in rows:
            if row.id in said:
                line, seconds = said[row.id]
                yield _with_clip(row, line, relative_audio(paths[line], work.out), seconds, work.language)
            elif row.id not in lines:
                yield row

    os.sync()  # the clips reach the disk before the manifest that names them
    count = write_manifest(work.out, written())
    heard = {paths[line]: seconds for line, seconds in said.values()}
    voices = dict(sorted(Counter(str(line.voice) for line, _ in said.values()).items()))
    listed_in = _list_skipped(skipped, work.out, earlier)
    hours = sum(heard.values()) / 3600
    return Spoken(work.out, count, len(said), len(heard), made, hours, voices, skipped, listed_in)


def _outcomes(
    lines: Mapping[str, Line | Skip], results: Mapping[Line, float | Unspoken]
) -> tuple[dict[str, tuple[Line, float]], list[Skip]]:
    """By id the lines that have a clip, and its seconds; and the rows that have none."""
    said: dict[str, tuple[Line, float]] = {}
    skipped = []
    for row_id, line in lines.items():
        if isinstance(line, Skip):
            skipped.append(line)
        elif isinstance(result := results[line], Unspoken):
            skipped.append(Skip(row_id, UNSPOKEN, str(result).rstrip(".")))
        else:
            said[row_id] = line, result
    return said, skipped


def _recorded(engine: Engine, paths: Mapping[Line, Path], workers: int) -> tuple[dict[Line, float | Unspoken], int]:
    """Seconds of each line's clip, or why it has none; and how many clips were not there yet."""
    results: dict[Line, float | Unspoken] = {}
    for line, path in paths.items():
        if (seconds := seconds_of(path)) is not None:
            results[line] = seconds
    missing = {line: path for line, path in paths.items() if line not in results}
    for line, result in console.track(make(engine, missing, workers), "speaking", len(missing)):
        results[line] = result
    return results, sum(isinstance(results[line], float) for line in missing)


def _line(row: Utterance, cast: Cast, work: Work) -> Line | Skip:
    text = " ".join((row.speech_text or "").split())
    if not text:
        return Skip(row.id, NO_TEXT, "its speech_text is blank")
    if strange := _UNSAYABLE.search(text):
        return Skip(row.id, NO_TEXT, f"its speech_text holds {strange[0]!r}, which is nothing to say")
    try:
        return Line(text, cast.voice(text, row.language or work.language or ""))
    except NoVoice as error:
        return Skip(row.id, NO_VOICE, str(error))


def _with_clip(row: Utterance, line: Line, audio: str, seconds: float, language: str | None) -> Utterance:
    told = {"language": row.language or language, "transcript": row.transcript or row.speech_text}
    return row.model_copy(update={"audio": audio, "duration": seconds, "start": 0.0, "speaker": line.voice, **told})


def _list_skipped(skipped: Sequence[Skip], out: Path, earlier: Sequence[Row]) -> Path | None:
    """Write what is not in the manifest beside it; what stands there about other manifests stays."""
    split = out.name.split(".")[0]
    own = [skipped_row(COMMAND, split, one.id, one.reason, one.detail) for one in skipped]
    return list_skipped(out.parent, earlier, lambda row: (row["corpus"], row["split"]) == (COMMAND, split), own)
