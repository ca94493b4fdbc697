"""What a language model of the miniature is pretrained on: rows of every task whose answer is in the words, as text.

The words stand where speech will be, spelled as noisily as an encoder hears them.
"""

from collections.abc import Iterable, Sequence
from random import Random

from wavllm_cli.data.schema import Utterance
from wavllm_cli.mini import asked
from wavllm_cli.mini.asked import AboutScenes
from wavllm_cli.mini.casting import moods
from wavllm_cli.mini.exchanges import exchanges
from wavllm_cli.mini.real_digits import digit_strings
from wavllm_cli.mini.spelled import Noise, spelled
from wavllm_cli.mini.wordings import drawn_from
from wavllm_cli.mini.world import Scene
from wavllm_cli.prompts.multitask import compose
from wavllm_cli.prompts.pools import attach

SHARES = {  # of all rows; most are combined: what is answered alone is not yet answered amid other things
    "asr": 0.04,
    "st": 0.06,
    "sqa": 0.08,
    "free": 0.04,
    "summary": 0.03,
    "ii": 0.47,
    "cot": 0.13,
    "digits": 0.06,
    "open": 0.05,
    "jumbled": 0.04,
}
SEVERAL = ("asr", "st", "sqa", "free", "digits")  # what ii and cot rows are composed of
WITH_SUMMARY = 0.5  # of the ii and cot rows, about as many may ask for a summary
INSTRUCTIONS = 0.45  # as many, of all rows, are there for ii rows to ask between questions about the clip
NOISY, SHORT = (4, 20), (2, 12)  # words that are jumbled: fewest, most


def text_rows(split: str, count: int, scenes: Sequence[Scene], sentences: Sequence[str], seed: int) -> list[Utterance]:
    """About `count` rows without audio, in random order.

    Args:
        scenes: of the closed world.
        sentences: of open English, to be copied.
    """
    rng, asking = Random(f"text {split} {seed}"), drawn_from(split)
    said = [
        asked.transcription(f"{split}-scene-{i:05d}", one.text, split, audio=one.key) for i, one in enumerate(scenes)
    ]
    about, summaries = AboutScenes(scenes, said, seed), asked.summaries(said, scenes, seed)
    kinds = {
        "asr": said,
        "st": about.translated,
        "sqa": about.chosen,
        "free": about.free,
        "summary": [step.row for step in summaries if step.what == "summary"],
        "digits": _about_digits(split, round(SHARES["digits"] * count), seed),
        "open": _said(split, "open", sentences),
        "jumbled": _jumbled(split, "jumbled", len(said), _words(sentences, scenes), NOISY, rng),
    }
    few = 2 * round(WITH_SUMMARY * SHARES["ii"] * count)  # of each clip a summary, and its translation
    instructions = _instructions(split, round(INSTRUCTIONS * count), seed)
    rows = [*(row for kind in SEVERAL for row in kinds[kind]), *instructions]
    for kind in ("ii", "cot"):
        kinds[kind] = compose(rows, kind, round(SHARES[kind] * count), seed, *asking, summaries[:few])
    drawn = [row for kind, some in kinds.items() for row in _some(some, round(SHARES[kind] * count), rng)]
    texts = [spelled(row, seed) for row in attach(drawn, seed, *asking)]
    rng.shuffle(texts)
    return texts


def copied_rows(
    split: str, count: int, scenes: Sequence[Scene], sentences: Sequence[str], seed: int
) -> list[Utterance]:
    """A few words in any order, or digits, cleanly spelled, to be copied.

    A language model that is given nothing else for a while finds out how to copy; amid noise hardly.
    """
    rng = Random(f"copied {split} {seed}")
    said = _jumbled(split, "copied", count - count // 4, _words(sentences, scenes), SHORT, rng)
    said += _said(split, "copied-digits", digit_strings(split, count // 4, seed + 1))
    return _clean(said, split, seed, rng)


def chosen_rows(
    split: str, count: int, scenes: Sequence[Scene], sentences: Sequence[str], seed: int
) -> list[Utterance]:
    """Questions with choices: half ask which word is said, the rest about scenes and digits. Cleanly spelled.

    Their answers are single letters, which hardly count among longer answers: the skill comes by itself or not at all.
    """
    rng, words = Random(f"chosen {split} {seed}"), _words(sentences, scenes)
    jumbled = _jumbled(split, "chosen", count // 2, words, SHORT, rng)
    digits = _said(split, "chosen-digits", digit_strings(split, count // 6, seed + 2))
    told = scenes[: count - len(jumbled) - len(digits)]
    said = _said(split, "chosen-scene", [scene.text for scene in told])
    _, about_digits = asked.about_digits(digits, seed)
    rows = [*asked.heard_words(jumbled, words, seed), *asked.choices(said, told, seed), *about_digits]
    return _clean(rows, split, seed, rng)


def exchange_rows(split: str, count: int, seed: int) -> list[Utterance]:
    """Instructions without a clip, and as many questions that are heard, cleanly spelled, with nothing beside them."""
    rng = Random(f"exchanges {split} {seed}")
    rows = _instructions(split, count // 2, seed)
    for i, one in enumerate(exchanges(split, count - len(rows), seed + 1, spoken=True)):
        said = asked.transcription(f"{split}-aloud-{i:05d}", one.prompt, split, audio=one.prompt)
        rows.append(spelled(asked.aloud(said, one.answer), seed, Noise()))
    rng.shuffle(rows)
    return rows


def felt_rows(split: str, count: int, scenes: Sequence[Scene], seed: int) -> list[Utterance]:
    """Questions about the speaker's mood, alone and among others, about as many; noisily spelled.

    A language model that has read them knows how such answers are worded, and has a word for what adapters hear.
    """
    rng, asking = Random(f"felt {split} {seed}"), drawn_from(split)
    scenes = scenes[: count // 2]
    said = _said(split, "felt", [scene.text for scene in scenes])
    felt = [asked.mood(row, rng.choice(list(moods()))) for row in said]
    about = AboutScenes(scenes, said, seed)
    rows = [*said, *felt, *about.translated, *about.free, *_instructions(split, len(said), seed)]
    several = [row for kind in ("ii", "cot") if said for row in compose(rows, kind, len(said), seed, *asking)]
    felt += [row for row in several if any(part.task == "er" for part in row.parts or ())]
    return [spelled(row, seed) for row in attach(_some(felt, count, rng), seed, *asking)]


def _instructions(split: str, count: int, seed: int) -> list[Utterance]:
    return asked.instructions(f"{split}-written", split, count, seed + 1)


def _clean(rows: Iterable[Utterance], split: str, seed: int, rng: Random) -> list[Utterance]:
    """Cleanly spelled, with instructions, in random order."""
    rows = list(rows)
    rng.shuffle(rows)
    return [spelled(row, seed, Noise()) for row in attach(rows, seed, *drawn_from(split))]


def _about_digits(split: str, count: int, seed: int) -> list[Utterance]:
    """Strings of digits to be transcribed, translated and asked about."""
    said = _said(split, "digits", dict.fromkeys(digit_strings(split, count, seed)))
    translated, questions = asked.about_digits(said, seed)
    return [*said, *translated, *questions]


def _words(sentences: Sequence[str], scenes: Sequence[Scene]) -> list[str]:
    return [word for text in (*sentences, *(one.text for one in scenes)) for word in text.split()]


def _jumbled(
    split: str, kind: str, count: int, words: list[str], sizes: tuple[int, int], rng: Random
) -> list[Utterance]:
    """Words in any order, to be copied: none can be guessed from those before."""
    return _said(split, kind, (" ".join(rng.choices(words, k=rng.randint(*sizes))) for _ in range(count)))


def _said(split: str, kind: str, texts: Iterable[str]) -> list[Utterance]:
    """Transcriptions of clips that do not exist: the texts stand for them."""
    return [asked.transcription(f"{split}-{kind}-{i:05d}", text, split, audio=text) for i, text in enumerate(texts)]


def _some(rows: Iterable[Utterance], count: int, rng: Random) -> list[Utterance]:
    rows = list(rows)
    return rng.sample(rows, min(count, len(rows)))
