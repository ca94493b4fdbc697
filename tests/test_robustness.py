import math
import random
from itertools import product

import pytest

from wavllm_cli.data.schema import Hypothesis, Part
from wavllm_cli.scoring.robustness import robustness
from wavllm_cli.scoring.scores import Robustness
from wavllm_cli.scoring.tasks import Options, measure


def row(audio, prompt, target, text, task="asr", **more):
    name = f"{audio} {prompt} {target} {more.get('start', '')}"
    return Hypothesis(id=name, audio=audio, prompt=prompt, target=target, text=text, task=task, **more)


def of(rows, **options):
    (group,) = (group for group in measure(rows, Options(**options)) if "/" not in group.name)
    return robustness(group)


CROSSED = [
    row("1", "P", "a b c d", "a b c x"),  # 1 of 4
    row("1", "Q", "a b c d", "a b x x"),  # 2 of 4
    row("2", "P", "e f", "e x"),  # 1 of 2
    row("2", "Q", "e f", "e f"),  # 0 of 2
    row("2", "R", "e f", "x x"),  # 2 of 2
]
FOUND = Robustness(
    "wer", items=2, wordings=3, mean=6 / 14, best=1 / 6, worst=4 / 6, spread=4 / 6 - 1 / 6, unit="fraction"
)


def test_error_rates_by_hand_the_lower_the_better():
    assert of(CROSSED) == FOUND


def test_accuracy_by_hand_the_higher_the_better():
    def speakers(audio, **texts):
        return [row(audio, f"{prompt}: is there one speaker?", "yes", text, "sv") for prompt, text in texts.items()]

    rows = [*speakers("1", P="yes", Q="no"), *speakers("2", P="yes", Q="yes"), *speakers("3", P="no", Q="who knows")]
    assert of(rows) == Robustness("accuracy", 3, 2, mean=3 / 6, best=2 / 3, worst=1 / 3, spread=1 / 3, unit="fraction")


def test_best_and_worst_are_the_extremes_of_all_ways_to_choose_a_wording_for_each_item():
    rng = random.Random(0)
    items = []
    for clip in range(5):
        target = [f"w{i}" for i in range(rng.randrange(1, 9))]
        texts = [" ".join(w for w in target if rng.random() > 0.3) for _ in range(3)]
        items.append(
            [row(str(clip), prompt, " ".join(target), text) for prompt, text in zip("PQR", texts, strict=True)]
        )
    plain = Options(normalizer="none")
    chosen = [measure(rows, plain)[0].measures[0].value for rows in product(*items)]
    found = of([row for rows in items for row in rows], normalizer="none")
    assert (found.best, found.worst) == (min(chosen), max(chosen))
    assert found.best < found.mean < found.worst


def test_figures_of_a_corpus_are_recomputed_not_averaged():
    target = "der letzte Bus fährt um zehn Uhr"
    texts = {"P": "der letzte Bus fährt um zehn", "Q": "der Bus fährt um zehn Uhr"}
    rows = [row(clip, prompt, target, text, "st") for clip in "12" for prompt, text in texts.items()]
    found = of(rows)
    alone = [measure([r for r in rows if r.prompt == prompt], Options())[0].measures[0].value for prompt in texts]
    assert (found.metric, found.unit) == ("bleu", "points")
    assert (found.worst, found.best) == (pytest.approx(min(alone)), pytest.approx(max(alone)))


def test_items_with_one_wording_are_left_out():
    assert of([*CROSSED, row("3", "P", "g h", "x y"), row("3", "P", "g i", "x y")]) == FOUND
    assert of([row("1", "P", "a", "a"), row("2", "Q", "b", "b")]) is None


def test_the_same_wording_twice_is_no_second_wording():
    twice = [row("1", "P", "a b", "a b"), row("1", "P", "a b", "a x").model_copy(update={"id": "again"})]
    assert of(twice) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"start": 0.0}, {"start": 2.0}),
        ({"target": "a"}, {"target": "b"}),
        ({"audio": "1"}, {"audio": "2"}),
        ({"task": "st", "target_language": "de"}, {"task": "st", "target_language": "fr"}),
    ],
)
def test_another_stretch_of_audio_answer_or_language_is_another_item(one, other):
    same = {"audio": "1", "target": "a", "text": "a", "task": "asr"}
    rows = [row(**same | fields | {"prompt": prompt}) for fields, prompt in ((one, "P"), (other, "Q"))]
    assert all(robustness(group) is None for group in measure(rows, Options()))
    assert of([rows[0], rows[0].model_copy(update={"id": "x", "prompt": "Q"})]).items == 1


def test_questions_with_different_choices_are_different_items():
    def question(words, choices, in_prompt):
        listed = "; ".join(f"{letter}. {choice}" for letter, choice in zip("AB", choices, strict=True))
        prompt, more = (f"{words} {listed}.", {}) if in_prompt else (words, {"choices": choices})
        return row("1", prompt, "A", "A", "sqa", **more)

    for in_prompt in (True, False):
        same = [question(words, ["here", "there"], in_prompt) for words in ("Where?", "In which place?")]
        different = [question("Where?", ["here", "there"], in_prompt), question("When?", ["now", "then"], in_prompt)]
        assert of(same).wordings == 2
        assert of(different) is None


def test_where_the_instruction_is_the_item_there_are_no_wordings_of_it():
    for task in ("sft", "sqa"):
        rows = [row("1", prompt, "by bus", "by bus", task) for prompt in ("How did she go?", "By what means?")]
        assert [robustness(group) for group in measure(rows, Options())] == [None]
    without_audio = [row(None, prompt, "a", "a", "sqqa") for prompt in "PQ"]
    assert of(without_audio) is None


def test_multi_task_rows_and_their_parts_have_wordings_too():
    def multi(asr, sv):
        parts = [Part(task="asr", prompt=asr, target="the bus left"), Part(task="sv", prompt=sv, target="yes")]
        return row("1", f"{asr}; {sv}", None, "the bus left\nyes", "ii", parts=parts)

    rows = [multi("Transcribe.", "Is there one speaker?"), multi("Write down what is said.", "Only one speaker?")]
    found = {group.name: robustness(group) for group in measure(rows, Options())}
    assert {name: (r.metric, r.items, r.wordings) for name, r in found.items()} == {
        "ii": ("ifr", 1, 2),
        "ii/asr": ("wer", 1, 2),
        "ii/sv": ("accuracy", 1, 2),
    }


def test_silence_and_rows_that_are_not_scored_break_nothing():
    silent = [row("1", "P", "", "thank you"), row("1", "Q", "", "")]
    found = of([*silent, row("2", "P", None, "a"), row("2", "Q", None, "a")])
    assert (found.items, found.best, found.worst, found.spread) == (1, 0, math.inf, math.inf)
    assert of([row("2", "P", None, "a"), row("2", "Q", None, "a")]) is None
    assert of(silent, metrics=("ifr",)) is None  # nothing that could be measured


def test_it_is_about_the_first_metric():
    assert of(CROSSED, metrics=("cer",)).metric == "cer"
