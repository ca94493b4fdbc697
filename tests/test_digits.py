import re
from collections import Counter
from random import Random

import pytest

from wavllm_cli.errors import UsageError
from wavllm_cli.mini.digits import WORDS, asr_row, check_range, instructions, questions, words
from wavllm_cli.tasks.answers.choice import parse_choices


def clips(n: int, low: int, high: int):
    rng = Random(5)
    strings = [tuple(rng.randrange(10) for _ in range(rng.randint(low, high))) for _ in range(n)]
    return [asr_row(f"c{i}", f"{i}.wav", 1.0, s) for i, s in enumerate(strings)]


def right_answer(question: str, spoken: list[str]) -> str:
    """An independent reading of the question."""
    if "odd" in question:
        return "odd" if spoken[-1] in ("one", "three", "five", "seven", "nine") else "even"
    if "How many" in question:
        return str(len(spoken))
    if "last" in question or "end with" in question:
        return spoken[-1]
    assert "first" in question or "begin" in question or len(spoken) == 1, question
    return spoken[0]


@pytest.mark.parametrize("lengths", [(1, 1), (1, 2), (3, 6), (12, 20)])
def test_questions_have_one_right_answer_and_a_balanced_key(lengths):
    rows = clips(600, *lengths)
    asked = list(questions(rows, Random(0)))
    assert len({q.id for q in asked}) == len(rows)
    for row, q in zip(rows, asked, strict=True):
        question = q.prompt.split(" A. ")[0]
        assert (q.task, q.audio, q.transcript) == ("sqa", row.audio, row.transcript)
        assert q.choices["ABC".index(q.target)] == right_answer(question, row.transcript.split())
        assert len(set(q.choices)) == len(q.choices) and parse_choices(q.prompt) == q.choices
    for options in (2, 3):
        key = Counter(q.target for q in asked if len(q.choices) == options)
        assert len(key) == options and max(key.values()) - min(key.values()) <= 1
    kinds = Counter(
        right_answer(q.prompt.split(" A. ")[0], r.transcript.split()) for q, r in zip(asked, rows, strict=True)
    )
    assert {"odd", "even"} <= kinds.keys() and ("3" in kinds or lengths != (3, 6))


def test_a_wrong_digit_is_often_heard_in_the_clip():
    """Else "which digit comes first" could be answered by hearing which of the choices occurs at all."""
    rows = clips(400, 3, 6)
    heard = [
        sum(choice in row.transcript.split() for choice in q.choices)
        for row, q in zip(rows, questions(rows, Random(1)), strict=True)
        if "first" in q.prompt
    ]
    assert len(heard) > 50 and sum(n >= 2 for n in heard) > 0.9 * len(heard)


def number(word: str) -> int:
    return WORDS.index(word)


def test_instructions_are_right():
    found = Counter()
    for prompt, target in [fact for facts in instructions(0).values() for fact in facts]:
        said = re.findall(r"[a-z]+", prompt.lower())
        numbers = [w for w in said if w in WORDS]
        if "spell" in prompt.lower() or "letter" in prompt:
            kind, right = "spell", " ".join(numbers[-1])
        elif "larger" in prompt:
            kind, right = "larger", max(numbers, key=number)
        elif "plus" in said or "add" in said or "together" in said:
            kind, right = "sum", WORDS[sum(map(number, numbers))]
        elif {"backwards", "reverse", "left"} & set(said):
            kind, right = "backwards", " ".join(numbers[::-1])
        else:
            later = bool({"after", "follows", "on"} & set(said))
            numbers = numbers[:1]  # "by one"
            kind, right = ("after" if later else "before"), WORDS[number(numbers[0]) + (1 if later else -1)]
        assert target == right, prompt
        found[kind] += 1
    assert found.keys() == {"spell", "larger", "sum", "backwards", "after", "before"}
    assert min(found.values()) >= 25 and found.total() >= 300


def test_instructions_are_disjoint_and_seeded():
    splits = instructions(3)
    prompts = [prompt for facts in splits.values() for prompt, _ in facts]
    assert len(set(prompts)) == len(prompts)
    assert len(splits["train"]) > 5 * len(splits["test"]) > 100
    assert instructions(3) == splits != instructions(4)


def test_words():
    assert words((3, 4, 5)) == "three four five" and words((0,)) == "zero"


@pytest.mark.parametrize(("digits", "count"), [((0, 3), 5), ((4, 3), 5), ((3, 99), 5), ((3, 6), 0)])
def test_ranges_that_make_no_sense(digits, count):
    with pytest.raises(UsageError):
        check_range(digits, count)


def test_short_strings_come_with_a_warning(capsys):
    check_range((3, 6), 10)
    assert not capsys.readouterr().err
    check_range((2, 6), 10)
    assert "recur in train" in capsys.readouterr().err
