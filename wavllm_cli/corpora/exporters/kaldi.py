"""A Kaldi data directory: wav.scp, segments, text, utt2spk, spk2utt, utt2lang, reco2file_and_channel, in C order."""

import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from wavllm_cli.corpora.exporters import NAME
from wavllm_cli.corpora.exporters.recordings import Recordings, why_no_segment
from wavllm_cli.data.batch import Clip

NO_WORDS = "no words"


def write(clips: Iterable[Clip], folder: Path) -> Iterator[str]:
    """Write the directory. An utterance is called by its speaker first, as Kaldi's sorting wants it."""
    recordings = Recordings()
    tables: dict[str, dict[str, str]] = defaultdict(dict)
    speakers: dict[str, list[str]] = defaultdict(list)
    for clip, why in recordings.segments(clips, lambda clip: why_no_segment(clip) or _why_unsaid(clip)):
        if why:
            yield why
            continue
        row, (path,) = clip.row, clip.paths
        speaker = row.speaker if isinstance(row.speaker, str) else None
        utterance = row.id if speaker is None or row.id.startswith(speaker) else f"{speaker}-{row.id}"
        recording = recordings.name(path) + ("" if row.channel is None else f"-{row.channel}")
        info = recordings.info(path)
        tables["wav.scp"][recording] = _source(path.absolute(), row.channel, info.channels)
        side = "AB"[row.channel] if row.channel in (0, 1) else str(row.channel or "A")
        tables["reco2file_and_channel"][recording] = f"{recordings.name(path)} {side}"
        end = row.start + row.duration if row.duration else info.duration
        tables["segments"][utterance] = f"{recording} {row.start:.6f} {end:.6f}"
        tables["text"][utterance] = " ".join(_words(clip))
        tables["utt2spk"][utterance] = speaker or utterance
        speakers[speaker or utterance].append(utterance)
        if row.language:
            tables["utt2lang"][utterance] = row.language
    tables["spk2utt"] = {speaker: " ".join(sorted(said, key=str.encode)) for speaker, said in speakers.items()}
    for name, table in tables.items():
        lines = [f"{key} {table[key]}\n" for key in sorted(table, key=str.encode)]
        (folder / name).write_text("".join(lines), encoding="utf-8")


def _why_unsaid(clip: Clip) -> str | None:
    names = (clip.row.id, clip.row.speaker or "")
    if any(isinstance(name, str) and name.split() not in ([name], []) for name in names):
        return NAME
    return None if _words(clip) else NO_WORDS


def _words(clip: Clip) -> list[str]:
    return ((clip.row.target if clip.row.task == "asr" else clip.row.transcript) or "").split()


def _source(path: Path, channel: int | None, channels: int) -> str:
    """A file, or a command that picks one of its channels, or makes one of them."""
    if channels == 1 and path.suffix.lower() == ".wav":
        return str(path)
    picked = f" remix {channel + 1}" if channel is not None and channels > 1 else " remix -" if channels > 1 else ""
    return f"sox {shlex.quote(str(path))} -t wav -{picked} |"
