"""What is asked about a clip of the miniature whose words are known: rows of each task, and steps of chains."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random

from wavllm_cli.corpora import TRANSCRIBE, TRANSLATE
from wavllm_cli.data.schema import Utterance
from wavllm_cli.mini.casting import moods
from wavllm_cli.mini.digits import questions as digit_questions
from wavllm_cli.mini.exchanges import exchanges
from wavllm_cli.mini.world import Scene, german_digits, world
from wavllm_cli.prompts.clauses import Step
from wavllm_cli.prompts.sqa import Question, can_be_read_back, to_rows
from wavllm_cli.prompts.summaries import INSTRUCTIONS
from wavllm_cli.text.words import count_words

CORPUS = "mini"
GERMAN = "de"
SAID_AND_FELT = "Transcribe the speech, then name the mood."
SPARE_WORDS = 3  # that the limit of a summary may exceed its length by
TRIED = 20  # words of all clips, so that at least two are not said in one


def transcription(name: str, text: str, split: str, **fields: object) -> Utterance:
    """The asr row of a clip, which other rows about it are made from."""
    about = {"id": name, "target": text, "transcript": text, "split": split, "corpus": CORPUS, "language": "en"}
    return Utterance.model_validate({"audio": None, "task": "asr", "prompt": TRANSCRIBE} | about | fields)


def translation(row: Utterance, german: str) -> Utterance:
    """The st row of a transcribed clip."""
    translated = {"target": german, "target_language": GERMAN, "prompt": TRANSLATE.format(language="German")}
    return row.model_copy(update={"id": f"{row.id}-st", "task": "st"} | translated)


def choices(rows: Sequence[Utterance], scenes: Sequence[Scene], seed: int) -> list[Utterance]:
    """A question with three choices about each clip of a scene."""
    asked = []
    for row, scene in zip(rows, scenes, strict=True):
        rng = Random(f"choices {seed} {row.id}")
        one = rng.choice(scene.questions)
        asked.append(Question(f"{row.id}-sqa", row, one.question, one.answer, tuple(rng.sample(one.wrong, 2))))
    return to_rows(filter(can_be_read_back, asked), seed)


def free_questions(rows: Sequence[Utterance], scenes: Sequence[Scene], seed: int) -> list[Utterance]:
    """A question without choices about each clip of a scene: the answer itself is asked for."""
    asked = []
    for row, scene in zip(rows, scenes, strict=True):
        one = Random(f"free {seed} {row.id}").choice(scene.questions)
        asked.append(Question(f"{row.id}-free", row, one.question, one.answer))
    return to_rows(filter(can_be_read_back, asked), seed)


@dataclass(frozen=True)
class AboutScenes:
    """Clips of scenes and what is asked about them, each row of a list about another clip.

    Attributes:
        scenes: of the clips.
        said: transcriptions.
    """

    scenes: Sequence[Scene]
    said: list[Utterance]
    seed: int

    @cached_property
    def translated(self) -> list[Utterance]:
        """Into German."""
        return [translation(row, scene.german) for row, scene in zip(self.said, self.scenes, strict=True)]

    @cached_property
    def chosen(self) -> list[Utterance]:
        """Questions with choices."""
        return choices(self.said, self.scenes, self.seed)

    @cached_property
    def free(self) -> list[Utterance]:
        """Questions without."""
        return free_questions(self.said, self.scenes, self.seed)

    @property
    def rows(self) -> list[Utterance]:
        return [*self.said, *self.translated, *self.chosen, *self.free]


def mood(row: Utterance, felt: str) -> Utterance:
    """The er row of a transcribed clip that is said in a mood."""
    asked = {"id": f"{row.id}-mood", "task": "er", "prompt": "", "target": felt, "choices": list(moods())}
    return row.model_copy(update=asked)


def said_and_felt(row: Utterance) -> Utterance:
    """An er row as a transcription that ends with the mood's word.

    For alignment alone: CTC teaches the adapters to say a mood as they say words, long before one answer of one word
    among many does.
    """
    told = f"{row.transcript} {row.target}"
    asked = {"id": f"{row.id}-felt", "task": "asr", "prompt": SAID_AND_FELT, "target": told, "choices": None}
    return row.model_copy(update=asked)


def heard_words(rows: Iterable[Utterance], words: Sequence[str], seed: int) -> list[Utterance]:
    """Which of three words is said? The wrong ones are words of other rows."""
    asked = []
    for row in rows:
        rng = Random(f"heard {seed} {row.id}")
        said = (row.target or "").split()
        wrong = [word for word in dict.fromkeys(rng.choices(words, k=TRIED)) if word not in said]
        question = rng.choice(world()["heard_words"])
        asked.append(Question(f"{row.id}-heard", row, question, rng.choice(said), tuple(wrong[:2])))
    return to_rows(filter(can_be_read_back, asked), seed)


def summaries(rows: Sequence[Utterance], scenes: Sequence[Scene], seed: int) -> list[Step]:
    """The summary of each clip of a scene and its translation, as steps of multi-task rows."""
    steps = []
    for row, scene in zip(rows, scenes, strict=True):
        rng = Random(f"summary {seed} {row.id}")
        words = count_words(scene.summary) + rng.randint(0, SPARE_WORDS)
        prompt = rng.choice(INSTRUCTIONS).format(words=words)
        asked = {"id": f"{row.id}-summary", "task": "sft", "prompt": prompt, "target": scene.summary}
        steps.append(Step("summary", row.model_copy(update=asked), words))
        steps.append(
            Step("summary-st", translation(row, scene.summary_german).model_copy(update={"id": f"{row.id}-summary-st"}))
        )
    return steps


def about_digits(rows: Iterable[Utterance], seed: int) -> tuple[list[Utterance], list[Utterance]]:
    """Translations of clips of digit strings, and questions about them."""
    rows = list(rows)
    translated = [translation(row, german_digits(row.target or "")) for row in rows]
    return translated, list(digit_questions(rows, Random(f"digit questions {seed}")))


def instructions(kind: str, split: str, count: int, seed: int) -> list[Utterance]:
    """Text instructions; their ids begin with `kind`."""
    return [
        transcription(f"{kind}-{i:05d}", one.answer, split, task="sft", prompt=one.prompt, transcript=None)
        for i, one in enumerate(exchanges(split, count, seed, spoken=False))
    ]


def aloud(row: Utterance, answer: str) -> Utterance:
    """The sqqa row of a transcribed clip in which somebody asks for something."""
    return row.model_copy(update={"task": "sqqa", "prompt": "", "target": answer})
