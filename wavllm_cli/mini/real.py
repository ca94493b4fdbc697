"""Real recordings for the miniature, out of folders of manifests: what they hold decides what they are used for.

Each keeps its own splits, and its audio lies where it lay. A folder whose name begins with `eval-only-` is for test.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from wavllm_cli.corpora import TRANSCRIBE
from wavllm_cli.corpora.pairs import Spoken, balanced
from wavllm_cli.data.audio_paths import audio_paths, with_audio
from wavllm_cli.data.files import shown
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.data.pieces import Piece
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import UsageError
from wavllm_cli.mini.casting import SPLITS, moods, share_of
from wavllm_cli.prompts.sqa import Question, can_be_read_back, to_rows
from wavllm_cli.text.normalize import as_spoken

EVALUATION = "eval-only-"
LONGEST = 30.0  # seconds of a clip
ACCENTED = ("speechocean762",)  # corpora of speakers with another mother tongue, a test set of their own
ONE_WORD = 1 / 3  # of the train rows of a set of single words that are used

GAP = 0.3  # seconds between the two pieces of a pair
PIECE = 3.0  # seconds of each at most
LEVEL = -25.0  # dB that both are brought to: loudness tells nothing of who speaks
YES, NO = "Yes", "No"


@dataclass(frozen=True)
class Recordings:
    """A folder of manifests.

    Attributes:
        manifests: in the order of their names.
        rows: with absolute paths, each with its split.
    """

    folder: Path
    manifests: tuple[Path, ...]
    rows: tuple[Utterance, ...]

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def for_test_alone(self) -> bool:
        return self.name.startswith(EVALUATION)

    def of(self, task: str, split: str) -> list[Utterance]:
        """Rows in English with an answer."""
        if self.for_test_alone and split != "test":
            return []
        wanted = (row for row in self.rows if (row.task, row.split) == (task, split) and row.target)
        return [row for row in wanted if (row.language or "").split("-")[0] == "en"]


def find(folders: Iterable[Path]) -> list[Recordings]:
    """The recordings of folders that hold manifests, or whose folders do.

    Raises:
        UsageError: there is no manifest in one of them.
        ManifestError: one is wrong.
    """
    found: dict[Path, Recordings] = {}
    for folder in folders:
        below = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())] if folder.is_dir() else []
        holding = [(one, tuple(sorted(one.glob("*.jsonl")))) for one in below]
        if not any(manifests for _, manifests in holding):
            raise UsageError(
                f"--real {shown(folder)} holds no manifests: it must be a folder with train.jsonl, dev.jsonl or "
                "test.jsonl, or a folder of such folders."
            )
        for one, manifests in holding:
            if manifests:
                found[one.resolve()] = Recordings(one.resolve(), manifests, tuple(_rows(manifests)))
    return list(found.values())


def _rows(manifests: Iterable[Path]) -> Iterator[Utterance]:
    for manifest in manifests:
        rows = read_manifest(manifest)
        of_file = next((split for split in SPLITS if split in manifest.stem.split("-")), None)
        for row, paths in zip(rows, audio_paths(rows, manifest), strict=True):
            split = row.split if row.split in SPLITS else of_file
            if paths and split:
                absolute = with_audio(row, [str(path.resolve()) for path in paths])
                yield absolute.model_copy(update={"split": split})


def read_speech(sets: Iterable[Recordings], split: str, accented: bool) -> list[Utterance]:
    """Transcribed rows. In train nothing is kept apart; single words are there alone, and not all of them."""
    rows: list[Utterance] = []
    for one in sets:
        mine = [row for row in one.of("asr", split) if (row.duration or 0) <= LONGEST]
        if all(len((row.target or "").split()) == 1 for row in mine):
            mine = [row for row in mine if split == "train" and share_of("one word", row.id) < ONE_WORD]
        rows += [row for row in mine if split == "train" or (row.corpus in ACCENTED) == accented]
    return [row.model_copy(update={"prompt": TRANSCRIBE, "target": as_spoken(row.target or "", "en")}) for row in rows]


def questions(sets: Iterable[Recordings], split: str, seed: int) -> list[Utterance]:
    """Questions with many choices, of which the right one and two others are left."""
    asked = []
    for row in (row for one in sets for row in one.of("sqa", split)):
        wrong = [choice for choice in row.choices or () if choice != row.target]
        if len(wrong) >= 2 and len(wrong) < len(row.choices or ()):
            few = tuple(Random(f"choices {seed} {row.id}").sample(wrong, 2))
            asked.append(Question(row.id, row, row.prompt, row.target or "", few))
    return to_rows(filter(can_be_read_back, asked), seed)


def emotions(sets: Iterable[Recordings], split: str) -> list[Utterance]:
    """Emotions that the miniature has too, offered as its four."""
    labels = list(moods())
    rows = [row for one in sets for row in one.of("er", split) if row.target in labels]
    return [row.model_copy(update={"choices": labels}) for row in rows]


def pairs(sets: Iterable[Recordings], split: str) -> list[Utterance]:
    """Pairs of utterances that are pairs already."""
    return [row for one in sets for row in one.of("sv", split)]


def paired(rows: Sequence[Utterance], split: str, count: int, seed: int) -> list[Utterance]:
    """Pairs made of transcribed rows, half of them of one speaker."""
    by_name = {row.id: row for row in rows if isinstance(row.audio, str) and isinstance(row.speaker, str)}
    spoken = [Spoken(Path(name), str(row.speaker), row.group or name) for name, row in by_name.items()]
    made = []
    for number, (first, second) in enumerate(balanced(spoken, count, seed)):
        two = by_name[str(first.path)], by_name[str(second.path)]
        if two[0].target != two[1].target:
            name = f"mini-{split}-sv-real-{number:05d}"
            made.append(pair(name, [pieces_of(row) for row in two], [str(row.speaker) for row in two], split, "read"))
    return made


def pieces_of(row: Utterance) -> Piece:
    (piece,) = row.pieces
    return Piece(audio=piece.audio, start=piece.start, duration=min(row.duration or PIECE, PIECE), level=LEVEL)


def pair(
    name: str, pieces: Sequence[Piece], speakers: Sequence[str], split: str, corpus: str, **fields: Any
) -> Utterance:
    """The sv row of two pieces."""
    seconds = sum(piece.duration or 0 for piece in pieces) + GAP * (len(pieces) - 1)
    answer = {"target": YES if len(set(speakers)) == 1 else NO, "choices": [YES, NO]}
    about = {"id": name, "task": "sv", "prompt": "", "split": split, "corpus": corpus, "language": "en"}
    heard = {"audio": tuple(pieces), "gap": GAP, "duration": seconds, "speaker": tuple(speakers)}
    return Utterance.model_validate(about | heard | answer | fields)
