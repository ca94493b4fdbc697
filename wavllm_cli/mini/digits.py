"""What corpora of spoken digit strings share: keeping splits apart, questions about the clips, text instructions.

The questions have exact answers, so that a toy model can be taught, and measured, on more than transcription.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from random import Random
from typing import NamedTuple, Self

import numpy as np

from wavllm_cli import console
from wavllm_cli.corpora import TRANSCRIBE, Draft, Skipped
from wavllm_cli.data.audio import SAMPLE_RATE
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import UsageError

WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
)
SPLITS = ("test", "dev", "train")  # in the order they are drawn: what is in one is kept out of the next

TRAIN_STRINGS = 3000
SHORT = (1, 3)  # digits in the strings that a curriculum begins with
SHORT_STRINGS = 2000
SPELLED_STRINGS = 4000
GAP = "-"
PAUSE_LEVEL = 1e-3  # standard deviation, full scale is 1
LONGEST = 20  # digits in a string
EXCLUSIVE = 3  # digits: strings this long or longer are in one split only; of shorter ones there are too few

Digits = tuple[int, ...]
Fact = tuple[str, str]  # instruction, answer


class Lengths(NamedTuple):
    """The shortest and the longest digit string."""

    low: int
    high: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """`3..6` -> (3, 6); `4` -> (4, 4)."""
        low, dots, high = text.partition("..")
        if not low.isdecimal() or (dots and not high.isdecimal()):
            raise UsageError(f"--digits {text!r} must look like 3..6 or 4.")
        return cls(int(low), int(high or low))

    def __str__(self) -> str:
        return f"{self.low}..{self.high}"


USUAL = Lengths(3, 6)


def check_range(digits: tuple[int, int], count: int) -> None:
    """Raise UsageError unless digit strings of these lengths and this number can be made."""
    low, high = digits
    if not 1 <= low <= high <= LONGEST:
        raise UsageError(f"Digit strings from {low} to {high} digits cannot be made: use 1 to {LONGEST}, low to high.")
    if count < 1:
        raise UsageError(f"{count} digit strings were asked for: ask for at least 1.")
    if low < EXCLUSIVE:
        console.warn(
            f"Strings of fewer than {EXCLUSIVE} digits are so few that test strings recur in train; "
            "for these only the recordings or voices are held out."
        )


def is_taken(string: Digits, taken: set[Digits]) -> bool:
    """Whether a string belongs to another split."""
    return len(string) >= EXCLUSIVE and string in taken


def quiet(seconds: float, rng: Random) -> np.ndarray:
    """A pause: faint noise, since a recording is never digitally silent."""
    noise = np.random.default_rng(rng.randrange(2**32))
    return noise.normal(0, PAUSE_LEVEL, round(seconds * SAMPLE_RATE)).astype(np.float32)


def words(digits: Iterable[int]) -> str:
    """(3, 4, 5) -> "three four five"."""
    return " ".join(WORDS[d] for d in digits)


def asr_row(name: str, audio: str, seconds: float, digits: Digits, **fields: str) -> Utterance:
    """The transcription row of a clip."""
    text = words(digits)
    about = {"id": name, "audio": audio, "duration": seconds, "target": text, "transcript": text}
    return Utterance(**about, task="asr", prompt=TRANSCRIBE, language="en", **fields)  # type: ignore[arg-type]


def beginner_drafts(clips: Iterable[Utterance | Skipped], total: int, corpus: str, seed: int) -> Iterator[Draft]:
    """What a curriculum begins with: the shortest strings, and strings spelled the way an encoder hears them."""
    yield Draft("train", clips, total, "short")
    yield Draft("train", _spelled_rows(corpus, Random(f"spelled {seed}")), SPELLED_STRINGS, "spelled")


def drafts(split: str, clips: Iterable[Utterance | Skipped], total: int, corpus: str, seed: int) -> Iterator[Draft]:
    """A split's three manifests: transcription, questions about the same clips, text instructions."""
    rows: list[Utterance] = []

    def kept() -> Iterator[Utterance | Skipped]:
        for clip in clips:
            if isinstance(clip, Utterance):
                rows.append(clip)
            yield clip

    yield Draft(split, kept(), total)
    yield Draft(split, questions(rows, Random(f"questions {split} {seed}")), len(rows), "sqa")
    facts = instructions(seed)[split]
    yield Draft(split, _sft_rows(facts, split, corpus), len(facts), "sft")


# --- questions about a clip ---


def questions(rows: Sequence[Utterance], rng: Random) -> Iterator[Utterance]:
    """One question about each clip; every letter is the right one equally often.

    Args:
        rows: transcription rows of digit strings.
    """
    strings = [tuple(WORDS.index(word) for word in (row.transcript or "").split()) for row in rows]
    lengths = sorted({len(string) for string in strings})
    letters = {k: _balanced(k, rng) for k in (2, 3)}
    for row, string in zip(rows, strings, strict=True):
        question, answer, wrong = rng.choice(_kinds(string, lengths))(string, lengths, rng)
        place = next(letters[len(wrong) + 1])
        choices = [*wrong[:place], answer, *wrong[place:]]
        listed = "; ".join(f"{letter}. {choice}" for letter, choice in zip("ABC", choices, strict=False))
        yield row.model_copy(
            update={
                "id": f"{row.id}-sqa",
                "task": "sqa",
                "prompt": f"{question} {listed}",
                "choices": choices,
                "target": "ABC"[place],
            }
        )


Question = tuple[str, str, list[str]]  # question, right answer, wrong answers
Kind = Callable[[Digits, Sequence[int], Random], Question]  # the clip's digits, all lengths in the split


def _kinds(string: Digits, lengths: Sequence[int]) -> list[Kind]:
    kinds: list[Kind] = [_which, _odd_or_even] if len(string) == 1 else [_first, _last, _odd_or_even]
    return [*kinds, _how_many] if len(lengths) > 1 else kinds


def _first(string: Digits, lengths: Sequence[int], rng: Random) -> Question:
    wordings = ("Which digit comes first?", "What is the first digit?", "Which number does the speaker begin with?")
    return rng.choice(wordings), WORDS[string[0]], _other_digits(string, string[0], rng)


def _last(string: Digits, lengths: Sequence[int], rng: Random) -> Question:
    wordings = ("Which digit comes last?", "What is the last digit?", "Which number does the speaker end with?")
    return rng.choice(wordings), WORDS[string[-1]], _other_digits(string, string[-1], rng)


def _which(string: Digits, lengths: Sequence[int], rng: Random) -> Question:
    wordings = ("Which digit is spoken?", "What number does the speaker say?")
    return rng.choice(wordings), WORDS[string[0]], _other_digits(string, string[0], rng)


def _how_many(string: Digits, lengths: Sequence[int], rng: Random) -> Question:
    wordings = ("How many digits are spoken?", "How many numbers does the speaker say?")
    n = len(string)
    likely = [k for k in lengths if k != n]
    rng.shuffle(likely)
    near = [k for k in (n + 1, n - 1, n + 2) if k > 0 and k not in likely]
    return rng.choice(wordings), str(n), [str(k) for k in (likely + near)[:2]]


def _odd_or_even(string: Digits, lengths: Sequence[int], rng: Random) -> Question:
    digit = "digit" if len(string) == 1 else "last digit"
    wordings = (f"Is the {digit} odd or even?", f"Is the {digit} an odd or an even number?")
    parities = ("even", "odd")
    return rng.choice(wordings), parities[string[-1] % 2], [parities[1 - string[-1] % 2]]


def _other_digits(string: Digits, right: int, rng: Random) -> list[str]:
    """Two wrong digits, one of them spoken in the clip too where there is one: hearing a word must not be enough."""
    spoken = sorted(set(string) - {right})
    silent = sorted(set(range(10)) - set(string))
    rng.shuffle(spoken)
    rng.shuffle(silent)
    wrong = [*spoken[:1], *silent, *spoken[1:]][:2]
    rng.shuffle(wrong)
    return [WORDS[d] for d in wrong]


def _balanced(k: int, rng: Random) -> Iterator[int]:
    """0 to k - 1 in random order, again and again."""
    while True:
        yield from rng.sample(range(k), k)


# --- text instructions ---


def instructions(seed: int) -> dict[str, list[Fact]]:
    """Instructions about numbers that need no audio: split -> distinct (instruction, answer), none in two splits."""
    rng = Random(f"instructions {seed}")
    facts = list(dict(chain(_neighbours(), _spellings(), _sums(rng), _comparisons(rng), _reversals(rng))).items())
    rng.shuffle(facts)
    tenth = len(facts) // 10
    return {"test": facts[:tenth], "dev": facts[tenth : 2 * tenth], "train": facts[2 * tenth :]}


def _neighbours() -> Iterator[Fact]:
    for n in range(10):
        low, high = WORDS[n], WORDS[n + 1]
        for wording in ("What number comes after {}?", "Which number follows {}?", "Count on from {} by one."):
            yield wording.format(low), high
        for wording in ("What number comes before {}?", "Which number precedes {}?", "Count back from {} by one."):
            yield wording.format(high), low


def _spellings() -> Iterator[Fact]:
    for word in WORDS[:11]:
        for wording in ("Spell the word {}.", "How is {} spelled?", "Write {} letter by letter."):
            yield wording.format(word), " ".join(word)


def _sums(rng: Random) -> Iterator[Fact]:
    wordings = ("What is {} plus {}?", "Add {} and {}.", "How much is {} and {} together?")
    for a in range(10):
        for b in range(a, 10):
            x, y = rng.sample((a, b), 2)
            yield rng.choice(wordings).format(WORDS[x], WORDS[y]), WORDS[a + b]


def _comparisons(rng: Random) -> Iterator[Fact]:
    wordings = ("Which is larger, {} or {}?", "Name the larger number: {} or {}.")
    for a in range(10):
        for b in range(a + 1, 10):
            x, y = rng.sample((a, b), 2)
            yield rng.choice(wordings).format(WORDS[x], WORDS[y]), WORDS[b]


def _reversals(rng: Random) -> Iterator[Fact]:
    wordings = ("Say the numbers {} backwards.", "Reverse the order of {}.", "Read {} from right to left.")
    for string in sorted({tuple(rng.randrange(10) for _ in range(rng.randint(2, 4))) for _ in range(240)}):
        if string != string[::-1]:
            yield rng.choice(wordings).format(words(string)), words(reversed(string))


# --- speech in letters ---


def _spelled_rows(corpus: str, rng: Random) -> Iterator[Utterance]:
    """Text rows in the form of a transcription: each digit repeated as if frame by frame, with gaps and mistakes.

    A language model without pretraining learns from them, at the price of text, to read a noisy slot in order.
    """
    for number in range(SPELLED_STRINGS):
        string = tuple(rng.randrange(10) for _ in range(rng.randint(1, 6)))
        frames = [GAP] * rng.randint(0, 2)
        for digit in string:
            frames += [_frame(digit, rng) for _ in range(rng.randint(2, 6))] + [GAP] * rng.randint(1, 3)
        yield _text_row(
            f"{corpus}-train-spelled-{number:05d}",
            f"<SPEECH> {' '.join(frames)} </SPEECH> {TRANSCRIBE}",
            words(string),
            corpus,
            "train",
        )


def _frame(digit: int, rng: Random) -> str:
    """What one frame is taken for: the digit, four times in five."""
    return WORDS[digit] if rng.random() < 0.8 else rng.choice((GAP, *WORDS[:10]))


def _sft_rows(facts: Sequence[Fact], split: str, corpus: str) -> Iterator[Utterance]:
    for number, (prompt, target) in enumerate(facts):
        yield _text_row(f"{corpus}-{split}-sft-{number:03d}", prompt, target, corpus, split)


def _text_row(name: str, prompt: str, target: str, corpus: str, split: str) -> Utterance:
    about = {"id": name, "prompt": prompt, "target": target, "corpus": corpus, "split": split}
    return Utterance(**about, audio=None, task="sft", language="en")  # type: ignore[arg-type]
