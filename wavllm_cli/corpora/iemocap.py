"""IEMOCAP: ten actors in dialogues, each turn with the emotion that most raters heard. A session is a fold."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Self

from wavllm_cli.corpora import DUPLICATE, FORM, UNREADABLE, About, Draft, LeftOut, Seed, Skipped
from wavllm_cli.corpora.folders import audio_name, holding, listed, not_found
from wavllm_cli.corpora.lengths import measured
from wavllm_cli.corpora.splits import DEV, TEST, TRAIN, Shares, drawn
from wavllm_cli.corpora.tables import place, texts
from wavllm_cli.data.audio import AudioInfo
from wavllm_cli.data.files import shown
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import ManifestError, UsageError

ABOUT = About(
    title="IEMOCAP: ten actors in improvised and scripted dialogues, with emotions.",
    licence="research only, by USC's request form",
    size="10,039 turns, 12 hours, 5 sessions; 5,531 turns in the four usual classes",
    tasks=("er",),
    source="https://sail.usc.edu/iemocap/",
    layout="SessionN/dialog/EmoEvaluation/*.txt, SessionN/dialog/transcriptions/*.txt, "
    "SessionN/sentences/wav/DIALOG/TURN.wav",
    root="IEMOCAP_full_release/, its parent, or one session.",
    example="wavllm prep iemocap /data/IEMOCAP_full_release --fold 5 --out data/iemocap",
    out="data/iemocap",
)

WORDS = {
    "neu": "neutral",
    "hap": "happy",
    "sad": "sad",
    "ang": "angry",
    "exc": "excited",
    "fru": "frustrated",
    "sur": "surprised",
    "fea": "fearful",
    "dis": "disgusted",
    "oth": "other",
}  # by the owner's codes
NO_MAJORITY = "xxx"


@dataclass(frozen=True)
class Classes:
    """The owner's codes, class by class; the first code of a class names it."""

    codes: tuple[tuple[str, ...], ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """`neu,hap+exc` -> neutral, and happy or excited.

        Raises:
            UsageError: a code is unknown, or in two classes.
        """
        codes = tuple(tuple(one.split("+")) for one in text.replace(" ", "").split(","))
        each = list(chain(*codes))
        if unknown := [code for code in each if code not in WORDS]:
            raise UsageError(f"There is no emotion {unknown[0]!r} in IEMOCAP: there are {', '.join(WORDS)}.")
        if len(set(each)) < len(each):
            raise UsageError(f"The classes {text} have an emotion twice.")
        return cls(codes)

    def __str__(self) -> str:
        return ",".join(map("+".join, self.codes))

    @property
    def words(self) -> list[str]:
        return [WORDS[codes[0]] for codes in self.codes]

    def word(self, code: str) -> str | None:
        """The class of a code, None where it is in none."""
        return next((WORDS[codes[0]] for codes in self.codes if code in codes), None)


FOUR = Classes((("neu",), ("hap", "exc"), ("sad",), ("ang",)))


@dataclass(frozen=True)
class Options:
    classes: Annotated[Classes, f"Emotions, of {', '.join(WORDS)}; + merges them."] = FOUR
    fold: Annotated[int | None, "Session to test on: train, dev and test instead of a manifest a session."] = None
    seed: Seed = 0


DEV_SHARE = 10  # percent of the turns of the sessions that a fold trains on, in whole dialogues
TURN = re.compile(r"(?P<dialogue>(?P<session>Ses\d\d)[FM]_\w+)_(?P<speaker>[FM])\d+")
SUMMARY = re.compile(r"\[[\d.]+ - [\d.]+\]\s+(\S+)\s+(\w+)\s+\[([\d.]+),\s*([\d.]+),\s*([\d.]+)\]\s*")
SPOKEN = re.compile(r"(\S+)\s+\[[\d.]+-[\d.]+\]:(.*)")
MARK = re.compile(r"\[[^]]*\]")  # [LAUGHTER]


@dataclass(frozen=True)
class Turn:
    """A turn as the raters judged it.

    Args:
        name: the owner's, `Ses01F_script01_1_M003`: F wears the markers in this dialogue, M speaks.
        dialogue: what stands before its last part.
        speaker: the session and the letter of the last part.
        code: what most raters heard.
        facts: what goes into `extra`.
    """

    name: str
    dialogue: str
    speaker: str
    code: str
    wav: Path
    facts: dict[str, Any]


Item = Turn | Skipped


def manifests(root: Path, out: Path, options: Options) -> Iterator[Draft]:
    """A manifest a session, or for a fold its train, dev and test."""
    sessions: dict[str, list[Item]] = {}
    said: dict[str, str] = {}
    names: set[str] = set()
    for folder in _sessions(root):
        sessions.setdefault(folder.name, []).extend(_distinct(_turns(folder, said), names))
    splits = sessions if options.fold is None else _fold(sessions, options.fold, options.seed)
    for split, turns in splits.items():
        yield Draft(split, _rows(turns, said, split, options.classes, out), len(turns))


def _sessions(root: Path) -> list[Path]:
    """The folders of the sessions, and no word of others that cannot be read as long as there is one.

    Raises:
        UsageError: there is none.
    """
    found, unreadable = holding(root, _is_session)
    if not found:
        not_found(root, "IEMOCAP", "Session1/dialog/ …", _is_session, unreadable)
    return sorted(found, key=lambda folder: folder.name)


def _is_session(folder: Path) -> bool:
    return re.fullmatch(r"Session\d", folder.name) is not None and (folder / "dialog").is_dir()


def _fold(sessions: dict[str, list[Item]], number: int, seed: int) -> dict[str, list[Item]]:
    """Train and dev, which are whole dialogues of the other sessions, and test.

    Raises:
        UsageError: there is no such session, or no other.
    """
    tested = f"Session{number}"
    if tested not in sessions or len(sessions) == 1:
        raise UsageError(f"--fold {number} needs {tested} and others to train on: there is {', '.join(sessions)}.")
    others = [turn for name, turns in sessions.items() if name != tested for turn in turns]
    sizes = Counter(turn.dialogue for turn in others if isinstance(turn, Turn))
    split_of = drawn(sizes, Shares(100 - DEV_SHARE, DEV_SHARE, 0), seed)
    splits: dict[str, list[Item]] = {TRAIN: [], DEV: [], TEST: sessions[tested]}
    for turn in others:
        splits[split_of[turn.dialogue] if isinstance(turn, Turn) else TRAIN].append(turn)
    return splits


# --- what the owner's files say ---


def _distinct(turns: Iterable[Item], names: set[str]) -> Iterator[Item]:
    """The turns; of those that are there twice, as after unpacking twice, the first."""
    for turn in turns:
        if isinstance(turn, Skipped):
            yield turn
        elif turn.name in names:
            yield LeftOut(turn.name, DUPLICATE, "is there twice")
        else:
            names.add(turn.name)
            yield turn


def _turns(session: Path, said: dict[str, str]) -> Iterator[Item]:
    """The turns that raters have judged, and what else is there; what is said in them is added to `said`."""
    transcripts, skipped = _transcripts(session)
    said |= transcripts
    yield from skipped
    wavs = session / "sentences" / "wav"
    judged = set()
    for file in _files(session / "dialog" / "EmoEvaluation"):
        turns = [file] if isinstance(file, Skipped) else _judged(file, wavs)
        judged |= {turn.name for turn in turns if isinstance(turn, Turn)}
        yield from turns
    for name in sorted((transcripts.keys() | _recorded(wavs)) - judged):
        yield LeftOut(name, "no-label", "no rater has judged it")


def _judged(file: Path, wavs: Path) -> list[Item]:
    """The turns of a dialogue: of each a summary, and below it what the raters heard."""
    turns: list[Item] = []
    for number, line in enumerate(_lines(file), 1):
        if isinstance(line, Skipped):
            turns.append(line)
        elif line.startswith("["):
            turns.append(_turn(line, wavs) or Skipped(place(file, number), FORM, "is no turn with an emotion"))
        elif line.startswith("C-") and turns and isinstance(turns[-1], Turn):
            turns[-1].facts["votes"].append(_vote(line))
    return turns


def _turn(line: str, wavs: Path) -> Turn | None:
    match = SUMMARY.fullmatch(line)
    if not match or not (name := TURN.fullmatch(match[1])) or match[2] not in (*WORDS, NO_MAJORITY):
        return None
    figures = dict(zip(("valence", "activation", "dominance"), map(float, match.groups()[2:]), strict=True))
    return Turn(
        name=match[1],
        dialogue=name["dialogue"],
        speaker=name["session"] + name["speaker"],
        code=match[2],
        wav=wavs / name["dialogue"] / f"{match[1]}.wav",
        facts={"label": match[2], **figures, "votes": []},
    )


def _vote(line: str) -> str:
    """`C-E2:<tab>Anger; Sadness;<tab>()` -> `C-E2: Anger; Sadness`; the raters' own words in brackets go."""
    rater, heard, *_ = [*line.split("\t"), ""]
    return f"{rater} {heard.strip().rstrip(';')}"


def _transcripts(session: Path) -> tuple[dict[str, str], list[Skipped]]:
    """What is said in each turn, and lines that belong to none."""
    said: dict[str, str] = {}
    skipped: list[Skipped] = []
    for file in _files(session / "dialog" / "transcriptions"):
        if isinstance(file, Skipped):
            skipped.append(file)
            continue
        for number, line in enumerate(_lines(file), 1):
            if isinstance(line, Skipped):
                skipped.append(line)
            elif match := SPOKEN.fullmatch(line.strip()):
                said.setdefault(match[1], " ".join(MARK.sub(" ", match[2]).split()))
            elif line.strip():
                skipped.append(LeftOut(place(file, number), FORM, "names no turn"))
    return said, skipped


def _files(folder: Path) -> list[Path | Skipped]:
    paths, unreadable = listed(folder)
    return [*unreadable, *(path for path in paths if path.suffix == ".txt")]


def _lines(file: Path) -> Iterator[str | Skipped]:
    try:
        yield from texts(file, older="latin-1")
    except ManifestError as error:
        yield Skipped(shown(file), UNREADABLE, str(error).removeprefix(f"{shown(file)} ").rstrip("."))


def _recorded(wavs: Path) -> set[str]:
    dialogues, _ = listed(wavs)
    return {path.stem for folder in dialogues for path in listed(folder)[0] if path.suffix == ".wav"}


# --- rows ---


def _rows(
    turns: list[Item], said: dict[str, str], split: str, classes: Classes, out: Path
) -> Iterator[Utterance | Skipped]:
    wanted = []
    for turn in turns:
        if isinstance(turn, Skipped):
            yield turn
        elif turn.code == NO_MAJORITY:
            yield LeftOut(turn.name, "no-majority", "raters disagree")
        elif (word := classes.word(turn.code)) is None:
            yield LeftOut(turn.name, "other-class", WORDS[turn.code])
        else:
            wanted.append((turn.wav, (turn, word)))
    for (turn, word), info in measured(wanted):
        if isinstance(info, Skipped):
            yield Skipped(turn.name, info.reason, info.detail)
        else:
            yield _row(turn, said.get(turn.name), word, classes, split, info, out)


def _row(
    turn: Turn, said: str | None, word: str, classes: Classes, split: str, info: AudioInfo, out: Path
) -> Utterance:
    heard = WORDS[turn.code]
    return Utterance(
        id=f"iemocap-{turn.name}",
        audio=audio_name(turn.wav, out),
        duration=info.duration,
        task="er",
        prompt="Name the emotion in this voice with one word.",
        target=word,
        references=[heard] if heard != word else None,
        choices=classes.words,
        transcript=said or None,
        language="en",
        speaker=turn.speaker,
        group=turn.dialogue,
        corpus="iemocap",
        split=split,
        extra=turn.facts,
    )
