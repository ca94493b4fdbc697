"""Questions about a clip and the rows that ask them: `Why? A. By bus; B. On foot; C. By car.` with a letter as target.

A free question has no choices: the prompt is the question, the target its answer.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from string import ascii_uppercase

from wavllm_cli.data.schema import Utterance

# What `tasks.answers.choice.parse_choices` takes for the letter of a choice, and the labels that people write.
_LABEL = re.compile(r"(?:^|(?<=[\s;?；？，。]))\(?(?:[A-Z][.):]|[a-z]\))(?:\s|$)|^\(?\w[.):]\s")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # line breaks among them
_ENDS = re.compile(r"^[\s.;。]+|[\s.;。]+$")


@dataclass(frozen=True)
class Question:
    """Attributes:
    id: of the row that will ask it.
    clip: a row about the clip, which describes it.
    text: the question.
    answer: the right choice, or the free answer.
    wrong: the other choices; none where the answer is free.
    """

    id: str
    clip: Utterance
    text: str
    answer: str
    wrong: tuple[str, ...] = ()


def bare(choice: str) -> str:
    """A choice without what separates choices: `" On foot. "` -> `"On foot"`."""
    return _ENDS.sub("", choice)


def can_be_read_back(question: Question) -> bool:
    """Whether the choices found in the row's prompt will be those of the question (`bare` ones, or none), in a line."""
    choices = (question.answer, *question.wrong) if question.wrong else ()
    return not (
        any(_CONTROL.search(text) for text in (question.text, question.answer, *question.wrong))
        or any(_LABEL.search(text) for text in (question.text, *choices))
        or any(";" in choice for choice in choices)
    )


def lettered(choices: Sequence[str]) -> dict[str, str]:
    """`{"A": "By bus", "B": "On foot"}`."""
    return dict(zip(ascii_uppercase, choices, strict=False))


def to_rows(questions: Iterable[Question], seed: int) -> list[Utterance]:
    """The rows, sorted by id, whatever the order of the questions.

    Among rows with the same number of choices every letter is right equally often, give or take one.
    """
    rng = Random(seed)
    questions = sorted(questions, key=lambda question: question.id)
    positions = {size: _balanced(questions, size, rng) for size in sorted({len(q.wrong) + 1 for q in questions})}
    return [_row(question, positions[len(question.wrong) + 1].pop(), rng) for question in questions]


def _balanced(questions: Sequence[Question], size: int, rng: Random) -> list[int]:
    """A place for the right one of `size` choices for each question that has so many."""
    places = rng.sample(range(size), size)
    count = sum(len(question.wrong) + 1 == size for question in questions)
    return rng.sample([places[i % size] for i in range(count)], count)


def _row(question: Question, position: int, rng: Random) -> Utterance:
    choices = rng.sample(question.wrong, len(question.wrong))
    choices.insert(position, question.answer)
    by_letter = lettered(choices)
    listed = "; ".join(f"{letter}. {choice}" for letter, choice in by_letter.items())
    return question.clip.model_copy(
        update={
            "id": question.id,
            "task": "sqa",
            "prompt": f"{question.text} {listed}." if question.wrong else question.text,
            "target": list(by_letter)[position] if question.wrong else question.answer,
            "references": None,
            "target_language": None,
            "choices": choices if question.wrong else None,
            "parts": None,
        }
    )
