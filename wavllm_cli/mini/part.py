"""A split of the miniature: what is said in it, what was recorded elsewhere, and what is asked about both."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from wavllm_cli.corpora import Skipped
from wavllm_cli.data.pieces import Piece
from wavllm_cli.data.schema import Utterance
from wavllm_cli.mini import asked, real, real_digits
from wavllm_cli.mini.asked import AboutScenes
from wavllm_cli.mini.casting import SPLITS, Casting, conditions, drawn
from wavllm_cli.mini.given import Given
from wavllm_cli.mini.script import write
from wavllm_cli.mini.takes import Clip, Take
from wavllm_cli.mini.wordings import drawn_from
from wavllm_cli.mini.world import Scene, scenes
from wavllm_cli.mini.written import chosen_rows, copied_rows, exchange_rows, felt_rows, text_rows
from wavllm_cli.prompts.clauses import Step
from wavllm_cli.prompts.multitask import compose
from wavllm_cli.prompts.pools import attach
from wavllm_cli.speech.engine import Unspoken

COUNTS = {  # rows of train, dev and test at scale 1
    "world": (9000, 150, 300),
    "er": (3000, 100, 200),
    "sv": (2400, 100, 200),
    "sqqa": (2100, 100, 200),
    "spoken": (2500, 50, 100),
    "digits": (1600, 60, 200),
    "sv-real": (500, 60, 0),
    "sft": (6000, 100, 200),
    "ii": (12_000, 100, 300),
    "cot": (12_000, 100, 300),
    "text": (100_000, 500, 0),
    "words": (10_000, 0, 0),
    "choices": (40_000, 0, 0),
    "exchanges": (240_000, 0, 0),
    "moods": (10_000, 0, 0),
    "text scenes": (28_000, 400, 0),
}
FEWEST = 8  # rows of a kind, at any scale
SHORT = 8.0  # seconds of the read speech that multi-task rows are about …
READ = 0.1  # … and how many of these there are for each row
SUMMARISED = 0.4  # of the scenes: those whose summary multi-task rows may ask for
FOUR = 4  # parts of an ii row that asks for much …
MANY = 6  # … among so many of any size

Kinds = Iterator[tuple[str, list[Utterance]]]  # manifests by the word that follows their split
Clips = Mapping[Take, Clip | Unspoken]


class Part:
    """A split.

    Args:
        cast: of its voices.
        scale: of all numbers of rows.
        given: what the user brings.
    """

    def __init__(self, cast: Casting, scale: float, given: Given):
        self.split, self.seed, self.given = cast.split, cast.seed, given
        self.counts = {kind: _scaled(numbers, self.split, scale) for kind, numbers in COUNTS.items()}
        self.sentences = given.open_sentences(self.split)
        self.script = write(self.counts, self.sentences, cast)

    def unspoken(self, clips: Clips) -> list[Skipped]:
        """What could not be said."""
        lost = {take.text: clips[take] for take in self.script.takes() if isinstance(clips[take], Unspoken)}
        return [Skipped(text, "unspoken", str(why).rstrip(".")) for text, why in lost.items()]

    def manifests(self, clips: Clips, out: Path) -> Kinds:
        """Rows about recordings, then those composed of them, then what needs no audio."""
        world = self._about(self.script.world, clips)
        moods_of, felt = self._felt(clips)
        read, digits = self.given.read_speech(self.split), dict(self._digits(out))
        texts = asked.instructions(f"mini-{self.split}-sft", self.split, self.counts["sft"], self.seed)
        yield from self._worded({"world": world.said, "st": world.translated, "sqa": self._questions(world)})
        yield from self._worded({"er": moods_of, "sv": self._pairs(clips), "sqqa": self._aloud(clips)})
        if self.split == "train":
            yield "felt", [asked.said_and_felt(row) for row in moods_of]
        yield from self._worded({"spoken": self._open(clips)} | digits)
        yield from self._worded(self._real(read))
        yield "sft", texts
        single = [*world.rows, *felt.rows, *moods_of, *(row for rows in digits.values() for row in rows)]
        yield from self._composed([*single, *self._short(read), *texts], self._summaries(world))
        if self.counts["text"]:
            about = scenes(self.split, self.counts["text scenes"], self.seed)
            for kind, rows in (("text", text_rows), ("words", copied_rows), ("choices", chosen_rows)):
                yield kind, rows(self.split, self.counts[kind], about, self.sentences, self.seed)
            yield "exchanges", exchange_rows(self.split, self.counts["exchanges"], self.seed)
            yield "moods", felt_rows(self.split, self.counts["moods"], about, self.seed)

    def _worded(self, kinds: Mapping[str, Iterable[Utterance]]) -> Kinds:
        """Instructions vary over the wordings that are for training."""
        for kind, rows in kinds.items():
            yield kind, list(attach(rows, self.seed, *drawn_from(self.split)))

    # --- what is spoken here ---

    def _row(self, name: str, text: str, take: Take, clips: Clips) -> Utterance | None:
        """The transcription of a clip, where there is one."""
        clip = clips[take]
        if isinstance(clip, Unspoken):
            return None
        heard = {"audio": clip.audio, "duration": clip.seconds, "speaker": take.voice, "extra": conditions(take)}
        return asked.transcription(name, text, self.split, **heard)

    def _about(self, said: Mapping[str, tuple[Scene, Take]], clips: Clips) -> AboutScenes:
        rows = ((scene, self._row(name, scene.text, take, clips)) for name, (scene, take) in said.items())
        told = [(scene, row) for scene, row in rows if row]
        return AboutScenes([scene for scene, _ in told], [row for _, row in told], self.seed)

    def _felt(self, clips: Clips) -> tuple[list[Utterance], AboutScenes]:
        """Rows that ask for the mood, and what else is asked about the same clips."""
        felt = self.script.felt
        about = self._about({name: (scene, take) for name, (scene, _, take) in felt.items()}, clips)
        return [asked.mood(row, felt[row.id][1]) for row in about.said], about

    def _questions(self, about: AboutScenes) -> list[Utterance]:
        """With choices; in train half as many without, which teach to find an answer before letters are at stake."""
        return [*about.chosen, *(about.free[::2] if self.split == "train" else [])]

    def _pairs(self, clips: Clips) -> list[Utterance]:
        rows = []
        for name, takes in self.script.pairs.items():
            said = [clip for take in takes if isinstance(clip := clips[take], Clip)]
            if len(said) == len(takes):
                pieces = [Piece(audio=c.audio, duration=min(c.seconds, real.PIECE), level=real.LEVEL) for c in said]
                rows.append(real.pair(name, pieces, [take.voice for take in takes], self.split, asked.CORPUS))
        return rows

    def _aloud(self, clips: Clips) -> list[Utterance]:
        rows = []
        for name, (exchange, take) in self.script.aloud.items():
            if row := self._row(name, exchange.prompt, take, clips):
                rows.append(asked.aloud(row, exchange.answer))
        return rows

    def _open(self, clips: Clips) -> list[Utterance]:
        rows = (self._row(name, take.text, take, clips) for name, take in self.script.open.items())
        return [row for row in rows if row]

    # --- what was recorded elsewhere ---

    def _digits(self, out: Path) -> Kinds:
        if not self.given.digits:
            return
        said = list(real_digits.rows(self.given.digits, self.split, self.counts["digits"], out, self.seed))
        translated, questions = asked.about_digits(said, self.seed)
        yield from {"digits": said, "digits-st": translated, "digits-sqa": questions}.items()

    def _real(self, read: Sequence[Utterance]) -> dict[str, list[Utterance]]:
        sets, split = self.given.sets, self.split
        pairs = [*real.pairs(sets, split), *real.paired(read, split, self.counts["sv-real"], self.seed)]
        return {
            "read": list(read),
            "accented": [] if split == "train" else self.given.read_speech(split, accented=True),
            "sv-real": pairs,
            "sqa-real": real.questions(sets, split, self.seed),
            "er-real": real.emotions(sets, split),
        }

    def _short(self, read: Sequence[Utterance]) -> list[Utterance]:
        short = [row for row in read if (row.duration or 0) <= SHORT]
        return drawn(short, round(READ * self.counts["ii"]))

    # --- what needs several rows, or no audio ---

    def _summaries(self, about: AboutScenes) -> list[Step]:
        first = slice(round(SUMMARISED * len(about.said)))
        return asked.summaries(about.said[first], about.scenes[first], self.seed)

    def _composed(self, rows: Sequence[Utterance], summaries: Sequence[Step]) -> Kinds:
        for kind in ("ii", "cot"):
            yield kind, compose(rows, kind, self.counts[kind], self.seed, *drawn_from(self.split), summaries)
        if self.split == "test":
            count = self.counts["ii"]
            yield "ii-unseen", compose(rows, "ii", count, self.seed, "unseen", written=summaries)
            many = compose(rows, "ii", MANY * count, self.seed + 1, written=summaries)
            yield "ii-four", [row for row in many if len(row.parts or ()) == FOUR][:count]


def _scaled(numbers: tuple[int, int, int], split: str, scale: float) -> int:
    number = numbers[SPLITS.index(split)]
    return max(FEWEST, round(number * (scale if split == "train" else min(scale, 1.0)))) if number else 0
