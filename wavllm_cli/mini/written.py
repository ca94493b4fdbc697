"""What a language model of the miniature is pretrained on: rows of every task whose answer is in the words, as text.

The words stand where speech will be, spelled as noisily as an encoder hears them.
"""

from collections.abc import Iterable, Sequence
from random import Random

from wavllm_cli.data.schema import Utterance
from wavllm_cli.mini import asked
from wavllm_cli.mini.real_digits import digit_strings
from wavllm_cli.mini.spelled import Noise, spelled
from wavllm_cli.mini.world import Scene
from wavllm_cli.prompts.multitask import compose
from wavllm_cli.prompts.pools import attach

SHARES = {  # of all rows
    "asr": 0.08,
    "st": 0.12,
    "sqa": 0.12,
    "free": 0.05,
    "summary": 0.05,
    "ii": 0.1,
    "cot": 0.1,
    "digits": 0.1,
    "open": 0.1,
    "jumbled": 0.12,
    "sft": 0.06,
}
WITH_SUMMARY = 0.5  # of the ii and cot rows, about as many may ask for a summary
NOISY, SHORT = (4, 20), (2, 12)  # words that are jumbled: fewest, most


def text_rows(
    split: str,
    count: int,
    scenes: Sequence[Scene],
    sentences: Sequence[str],
    instructions: Sequence[Utterance],
    seed: int,
) -> list[Utterance]:
    """About `count` rows without audio, in random order.

    Args:
        scenes: of the closed world.
        sentences: of open English, to be copied.
        instructions: text instructions, as they are.
    """
    rng = Random(f"text {split} {seed}")
    said = [
        asked.transcription(f"{split}-scene-{i:05d}", one.text, split, audio=one.key) for i, one in enumerate(scenes)
    ]
    kinds = {
        "asr": said,
        "st": [asked.translation(row, scene.german) for row, scene in zip(said, scenes, strict=True)],
        "sqa": asked.choices(said, scenes, seed),
        "free": asked.free_questions(said, scenes, seed),
        "summary": [step.row for step in asked.summaries(said, scenes, seed) if step.what == "summary"],
        "digits": _about_digits(split, round(SHARES["digits"] * count), seed),
        "open": _said(split, "open", sentences),
        "jumbled": _jumbled(split, len(said), _words(sentences, scenes), NOISY, rng),
    }
    few = round(WITH_SUMMARY * SHARES["ii"] * count)
    summaries = asked.summaries(said[:few], scenes[:few], seed)
    rows = [*kinds["asr"], *kinds["st"], *kinds["sqa"], *kinds["free"], *instructions]
    for kind in ("ii", "cot"):
        kinds[kind] = compose(rows, kind, round(SHARES[kind] * count), seed, written=summaries)
    drawn = [row for kind, some in kinds.items() for row in _some(some, round(SHARES[kind] * count), rng)]
    texts = [spelled(row, seed) for row in attach(drawn, seed)]
    texts += _some(instructions, round(SHARES["sft"] * count), rng)
    rng.shuffle(texts)
    return texts


def copied_rows(
    split: str, count: int, scenes: Sequence[Scene], sentences: Sequence[str], seed: int
) -> list[Utterance]:
    """A few words in any order, cleanly spelled: every other row wants them copied, the rest ask which word is said.

    A language model that is given nothing else for a while finds out how to copy and to compare; amid noise hardly.
    """
    rng, words = Random(f"copied {split} {seed}"), _words(sentences, scenes)
    said = _jumbled(split, count, words, SHORT, rng)
    rows = [*said[::2], *asked.heard_words(said[1::2], words, seed)]
    rng.shuffle(rows)
    return [spelled(row, seed, Noise()) for row in attach(rows, seed)]


def _about_digits(split: str, count: int, seed: int) -> list[Utterance]:
    said = _said(split, "digits", digit_strings(split, count, seed))
    translated, questions = asked.about_digits(said, seed)
    return [rows[i % 3] for i, rows in enumerate(zip(said, translated, questions, strict=True))]


def _words(sentences: Sequence[str], scenes: Sequence[Scene]) -> list[str]:
    return [word for text in (*sentences, *(one.text for one in scenes)) for word in text.split()]


def _jumbled(split: str, count: int, words: list[str], sizes: tuple[int, int], rng: Random) -> list[Utterance]:
    """Words in any order, to be copied: none can be guessed from those before."""
    return _said(split, "jumbled", (" ".join(rng.choices(words, k=rng.randint(*sizes))) for _ in range(count)))


def _said(split: str, kind: str, texts: Iterable[str]) -> list[Utterance]:
    """Transcriptions of clips that do not exist: the texts stand for them."""
    return [asked.transcription(f"{split}-{kind}-{i:05d}", text, split, audio=text) for i, text in enumerate(texts)]


def _some(rows: Iterable[Utterance], count: int, rng: Random) -> list[Utterance]:
    rows = list(rows)
    return rng.sample(rows, min(count, len(rows)))
