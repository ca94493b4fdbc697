import random
from collections import Counter

import pytest

from wavllm_cli.data.schema import Utterance
from wavllm_cli.prompts.sqa import Question, bare, can_be_read_back, to_rows
from wavllm_cli.tasks.answers.choice import parse_choices, read_letter

CLIP = Utterance(
    id="clip",
    audio="a.wav",
    start=1.5,
    duration=3.0,
    task="st",
    prompt="Translate.",
    target="Wann?",
    transcript="when",
    language="en",
    target_language="de",
    speaker="s",
    corpus="c",
    split="test",
)


def question(i, wrong=("Do as he always does", "Change his working time")):
    return Question(f"q{i:03}", CLIP, "What will the man do next?", "Start to take exercise", wrong)


def test_the_prompt_has_the_form_of_the_paper():
    rows = to_rows([question(i) for i in range(3)], seed=0)
    (first,) = [row for row in rows if row.target == "A"]
    listed = "B. Do as he always does; C. Change his working time"
    swapped = "B. Change his working time; C. Do as he always does"
    assert first.prompt in [
        f"What will the man do next? A. Start to take exercise; {rest}." for rest in (listed, swapped)
    ]
    asked = {"id", "task", "prompt", "target", "target_language", "choices", "parts"}
    assert first.model_dump(exclude=asked) == CLIP.model_dump(exclude=asked)
    assert (first.task, first.target_language, first.parts) == ("sqa", None, None)


def test_a_free_question_is_its_own_prompt():
    (row,) = to_rows([question(0, wrong=())], seed=0)
    assert (row.prompt, row.target, row.choices) == ("What will the man do next?", "Start to take exercise", None)


@pytest.mark.parametrize("count", [1, 2, 3, 50, 100])
def test_every_letter_is_right_equally_often(count):
    for seed in range(5):
        mixed = [question(i) for i in range(count)] + [question(count + i, wrong=("No",)) for i in range(count)]
        rows = to_rows(mixed, seed)
        for size in (3, 2):
            letters = Counter(dict.fromkeys("ABC"[:size], 0))
            letters.update(row.target for row in rows if len(row.choices) == size)
            assert max(letters.values()) - min(letters.values()) <= 1
        for row in rows:
            assert row.choices["ABC".index(row.target)] == "Start to take exercise"


def test_the_order_of_the_questions_does_not_matter_and_the_seed_does():
    questions = [question(i) for i in range(30)]
    rows = to_rows(questions, seed=1)
    assert rows == to_rows(random.Random(0).sample(questions, 30), seed=1)
    assert [row.target for row in rows] != [row.target for row in to_rows(questions, seed=2)]
    assert {tuple(sorted(row.choices)) for row in rows} == {tuple(sorted(rows[0].choices))}
    assert len({tuple(row.choices) for row in rows}) == 6  # the wrong ones change places, too


def test_what_passes_is_read_back_by_the_scorer():
    """Texts put together at random from what could mislead `parse_choices`."""
    pieces = [
        "B.",
        "A. ",
        "(C) ",
        "c) ",
        "D:",
        " ",
        ";",
        "?",
        "\n",
        ".",
        "on foot",
        "J. Smith",
        "3.5",
        "Plan B",
        "。",
        "(",
    ]
    rng = random.Random(0)

    def text():
        return "".join(rng.choices(pieces, k=rng.randint(1, 4)))

    passed = 0
    for _ in range(20_000):
        q = Question("q", CLIP, text(), *(lambda a, *wrong: (a, wrong))(*(bare(text()) for _ in range(3))))
        if not all((q.answer, *q.wrong)) or not can_be_read_back(q):
            continue
        passed += 1
        (row,) = to_rows([q], seed=0)
        assert parse_choices(row.prompt) == row.choices
        free = Question("q", CLIP, q.text, "yes")
        assert can_be_read_back(free) and parse_choices(to_rows([free], seed=0)[0].prompt) == []
    assert passed > 500


@pytest.mark.parametrize(
    "choice", ["A. By bus", "by; bus", "by\nbus", "see (B) there", "a) by bus", "1. bus", "by\x1bbus"]
)
def test_what_cannot_be_read_back(choice):
    assert can_be_read_back(question(0))
    assert not can_be_read_back(question(0, wrong=("On foot", choice)))


def test_a_line_break_in_a_free_answer_is_refused():
    assert not can_be_read_back(Question("q", CLIP, "Why?", "a\nb"))


@pytest.mark.parametrize("choice", ["U.S. Army", "At 3.5 degrees", "It's 9:30", "走路去", "Plan B"])
def test_ordinary_choices_can_be_read_back(choice):
    assert can_be_read_back(question(0, wrong=("On foot", choice)))
    (row,) = to_rows([question(0, wrong=("On foot", choice))], seed=0)
    assert parse_choices(row.prompt) == row.choices and read_letter(row.target, row.choices) == row.target


def test_bare():
    assert [bare(text) for text in (" On foot. ", "走路去。", "By bus;", "U.S.", " . ")] == [
        "On foot",
        "走路去",
        "By bus",
        "U.S",
        "",
    ]
