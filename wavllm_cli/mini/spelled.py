"""Rows about clips as rows of text: what is said is spelled out the way speech tokens are heard, blanks and all.

A language model that has read them knows what to do with a noisy slot before it has heard anything.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from random import Random
from typing import Self

from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import UsageError
from wavllm_cli.model.conversation import SPEECH_CLOSE, SPEECH_OPEN

BY_VOICE = frozenset({"sv"})  # tasks whose answer cannot be written beside the words
BLANK = "-"
CLEAN = 0.2  # share of rows without noise

LONGEST_PIECE = 4  # letters
SIMILAR = ("aeiouy", "bpvf", "dt", "gkcq", "mn", "lr", "szx")  # letters that are taken for each other


@dataclass(frozen=True)
class Noise:
    """How a row is heard: chances from 0 to 1.

    Attributes:
        cut: a word comes in pieces.
        apart: a piece stands apart from the one before.
        longer: a piece is drawn out, by one more frame each time.
        misheard: for a frame a piece is taken for another.
        dropped: a piece is not heard, though most of the word is.
        blank: another blank follows.
    """

    cut: float = 0.0
    apart: float = 0.0
    longer: float = 0.0
    misheard: float = 0.0
    dropped: float = 0.0
    blank: float = 0.0

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """From none to the heaviest; blanks are as many as the speaker is slow, whatever the rest."""
        if rng.random() < CLEAN:
            return cls()
        level = rng.random()
        scaled = {what: most * level for what, most in asdict(HEAVIEST).items()}
        return cls(**{**scaled, "blank": HEAVIEST.blank * rng.random()})


HEAVIEST = Noise(cut=0.3, apart=0.3, longer=0.3, misheard=0.1, dropped=0.05, blank=0.7)


def is_in_words(row: Utterance) -> bool:
    """Whether a row's answer follows from what is said, and from a mood that a word can name; whoever says it."""
    tasks = {row.task, *(part.task for part in row.parts or ())}
    return bool(row.transcript and row.target) and tasks.isdisjoint(BY_VOICE)


def spelled(row: Utterance, seed: int, noise: Noise | None = None) -> Utterance:
    """A row of text: `<SPEECH> th-e- r ed- - do-or </SPEECH> instruction` and the answer.

    Where the answer is the speaker's mood, its word stands in some of the blanks, as what is heard between the words.

    Args:
        row: its transcript is what is said.
        seed: another one, another noise; the same row and seed give the same.
        noise: how it is heard; without it that differs from row to row, with no noise at all among them.

    Raises:
        UsageError: the answer does not follow from the words.
    """
    if not is_in_words(row):
        raise UsageError(
            f"Row {row.id} cannot be spelled out: that takes a transcript, a target, and no part of {sorted(BY_VOICE)}."
        )
    rng = Random(f"spelled {seed} {row.id}")
    heard = [*_heard((row.transcript or "").lower().split(), noise or Noise.drawn(rng), rng)]
    if mood := _mood(row):
        heard = _with_mood(heard, mood, rng)
    return Utterance(
        id=f"{row.id}-spelled-{seed}",
        audio=None,
        task="sft",
        prompt=f"{SPEECH_OPEN} {' '.join(heard)}{SPEECH_CLOSE}{row.prompt}",
        target=row.target,
        language=row.language,
        target_language=row.target_language,
        corpus=row.corpus,
        split=row.split,
    )


def _heard(words: list[str], noise: Noise, rng: Random) -> Iterator[str]:
    """Words and blanks. As with CTC what follows itself at once is one, and what is said twice has a blank between."""
    yield from _blanks(noise, rng)
    before = ""
    for word in words:
        if word == before:
            yield BLANK
        yield _spelled_word(word, noise, rng)
        yield from _blanks(noise, rng)
        before = word


def _blanks(noise: Noise, rng: Random) -> Iterator[str]:
    while rng.random() < noise.blank:
        yield BLANK


def _mood(row: Utterance) -> str | None:
    """The answer to what the row asks about the speaker's mood."""
    return next((asked.target for asked in (row, *(row.parts or ())) if asked.task == "er"), None)


def _with_mood(heard: list[str], mood: str, rng: Random) -> list[str]:
    """Some of the blanks become the mood; where there is none it comes first."""
    blanks = [at for at, piece in enumerate(heard) if piece == BLANK]
    if not blanks:
        return [mood, *heard]
    felt = set(rng.sample(blanks, rng.randint(1, len(blanks))))
    return [mood if at in felt else piece for at, piece in enumerate(heard)]


def _spelled_word(word: str, noise: Noise, rng: Random) -> str:
    """`lamp` -> `l-a am-p`: pieces with blanks between, repeated, misheard, missing."""
    pieces = [*_pieces(word, rng)] if rng.random() < noise.cut else [word]
    missing = rng.choice(pieces)
    if rng.random() < noise.dropped and 2 * len(missing) < len(word):  # more than half of a word must be heard
        pieces.remove(missing)
    text = _drawn_out(pieces[0], noise, rng)
    for piece in pieces[1:]:
        text += " " if rng.random() < noise.apart else BLANK if rng.random() < noise.blank else ""
        text += _drawn_out(piece, noise, rng)
    return text


def _pieces(word: str, rng: Random) -> Iterator[str]:
    while word:
        size = rng.randint(1, LONGEST_PIECE)
        yield word[:size]
        word = word[size:]


def _drawn_out(piece: str, noise: Noise, rng: Random) -> str:
    """The piece, heard once or for longer; for a part of that time perhaps as another one."""
    frames = [piece]
    while rng.random() < noise.longer:
        frames.append(piece)
    if rng.random() < noise.misheard:
        frames.insert(rng.randrange(len(frames) + 1), _misheard(piece, rng))
    return " ".join(frames)


def _misheard(piece: str, rng: Random) -> str:
    """With one letter taken for another."""
    at = rng.randrange(len(piece))
    alike = next((letters for letters in SIMILAR if piece[at] in letters), piece[at])
    return piece[:at] + rng.choice(alike) + piece[at + 1 :]
