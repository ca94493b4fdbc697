import random
from math import comb
from time import process_time

import pytest

from wavllm_cli.data.schema import Hypothesis, Utterance
from wavllm_cli.errors import UsageError
from wavllm_cli.prompts.clauses import Step
from wavllm_cli.prompts.multitask import CHAINS, compose
from wavllm_cli.prompts.pools import load_pool, load_roles, split_pool
from wavllm_cli.scoring.following.verdicts import judge
from wavllm_cli.tasks.registry import STEPS


def clip(i, *tasks):
    """One clip's rows; each task's target can be told from every other's."""
    common = {"audio": f"{i}.wav", "start": 1.5, "duration": 3.0, "language": "en", "transcript": f"words of {i}"}
    own = {
        "asr": {"target": f"words of {i}"},
        "st": {"target": f"Worte von {i}.", "target_language": "de"},
        "sv": {"target": "yes"},
        "er": {"target": "sad"},
        "sqa": {"target": "B", "prompt": f"What about {i}? A. this; B. that.", "choices": ["this", "that"]},
        "sqqa": {"target": "an answer"},
    }
    return [Utterance(**{"id": f"clip{i}-{t}", "task": t, "prompt": "", **common, **own[t]}) for t in tasks]


def text(i):
    return Utterance(id=f"text{i}", audio=None, task="sft", prompt=f"Question {i}?", target=f"Reply {i}")


ALL = ("asr", "st", "sv", "er", "sqa")


@pytest.fixture
def rows():
    return [row for i in range(6) for row in clip(i, *ALL)] + [text(i) for i in range(5)]


def test_ii_rows_ask_two_to_four_things_of_one_clip(rows):
    source = {row.id: row for row in rows}
    made = compose(rows, "ii", 200, seed=0)
    assert len(made) == 200
    assert {len(row.parts) for row in made} == {2, 3, 4}
    for row in made:
        assert (row.task, row.start, row.duration) == ("ii", 1.5, 3.0)
        about_clip = [part for part in row.parts if part.task != "sft"]
        assert about_clip
        number = row.audio.removesuffix(".wav")
        mine = {source[f"clip{number}-{task}"].target for task in ALL}
        assert {part.target for part in about_clip} <= mine
        assert len({(part.task, part.prompt) for part in row.parts}) == len(row.parts)


def test_the_prompt_holds_every_instruction_in_order_behind_its_connective(rows):
    roles = load_roles("ii")
    for row in compose(rows, "ii", 100, seed=3):
        rest = row.prompt
        for i, part in enumerate(row.parts):
            role = "first" if i == 0 else "last" if i == len(row.parts) - 1 else "next"
            connective = next(c for c in sorted(roles[role], key=len, reverse=True) if rest.startswith(c + ", "))
            rest = rest.removeprefix(connective + ", ")
            if part.task == "sft":
                ignore = next(c for c in roles["text"] if rest.startswith(c + ", "))
                rest = rest.removeprefix(ignore + ", ")
            wording = part.prompt.rstrip(" .;:")
            assert rest.startswith(wording)
            rest = rest.removeprefix(wording).removeprefix("; ")
        assert rest == ""


def test_the_target_is_every_answer_in_order_behind_its_lead_in(rows):
    for kind in ("ii", "cot"):
        for row in compose(rows, kind, 12, seed=1):
            lead_ins = [STEPS[part.task].lead_in.replace("{language}", "German") for part in row.parts]
            assert row.target == "\n".join(lead + part.target for lead, part in zip(lead_ins, row.parts, strict=True))
            answer = Hypothesis(**row.model_dump(), text=row.target)
            assert all(verdict.followed for verdict in judge(answer))  # the scorer accepts the reference as an answer


def test_cot_transcribes_and_then_translates_the_text():
    (row,) = compose(clip(0, "asr", "st", "sv"), "cot", 1, seed=0)
    assert [part.task for part in row.parts] == ["asr", "st"]
    assert row.parts[1].prompt in [w.replace("{language}", "German") for w in load_roles("cot")["translate"]]
    assert row.target == "The transcription is: words of 0\nThe German translation is: Worte von 0."
    assert (row.task, row.audio, row.target_language, row.transcript) == ("cot", "0.wav", "de", "words of 0")


def test_a_translation_in_a_chain_works_on_the_text_and_a_question_on_sound_and_text():
    roles = load_roles("cot")
    for row in compose([r for i in range(20) for r in clip(i, "asr", "st", "sqa")], "cot", 40, seed=0):
        expected, other = ("text", "given") if row.parts[1].task == "st" else ("given", "text")
        second = row.prompt.split("; ", 1)[1]
        assert any(second.startswith(c + ", ") for c in roles[expected])
        assert not any(second.startswith(c + ", ") for c in roles[other])


def test_every_task_stands_in_every_place(rows):
    made = compose(rows, "ii", 300, seed=0)
    assert {row.parts[0].task for row in made} == {row.parts[-1].task for row in made} == {*ALL, "sft"}


def test_the_result_depends_on_the_seed_and_not_on_the_order_of_rows(rows):
    def lines(rows, seed):
        return [row.model_dump_json() for row in compose(rows, "ii", 150, seed)]

    shuffled = random.Random(5).sample(rows, len(rows))
    assert lines(rows, 1) == lines(shuffled, 1)
    assert lines(rows, 1) != lines(rows, 2)


def test_ids_are_unique_and_stay_when_more_rows_are_asked_for(rows):
    few, many = compose(rows, "ii", 50, seed=0), compose(rows, "ii", 300, seed=0)
    assert len({row.id for row in many}) == 300
    assert few == many[:50]


def test_every_clip_comes_once_before_any_comes_twice(rows):
    made = compose(rows, "ii", 12, seed=0)
    assert len({row.audio for row in made[:6]}) == len({row.audio for row in made[6:]}) == 6


def test_when_combinations_run_out_all_of_them_are_delivered_and_the_shortfall_is_said(capsys):
    rows = clip(0, "asr", "sv", "er") + [text(i) for i in range(4)]
    # c of 3 clip rows and t of 4 texts: 1..4 rows about the clip, at most 2 texts, 2 to 4 parts altogether
    shapes = [(1, 1), (1, 2), (2, 0), (2, 1), (2, 2), (3, 0), (3, 1)]
    total = sum(comb(3, c) * comb(4, t) for c, t in shapes)
    made = compose(rows, "ii", 1000, seed=0)
    assert len(made) == total == 68
    assert len({frozenset((part.task, part.target) for part in row.parts) for row in made}) == total
    assert "1000 ii rows were asked for, but these manifests hold only 68" in capsys.readouterr().err
    compose(rows, "ii", 68, seed=0)
    assert capsys.readouterr().err == ""


def test_the_same_question_twice_is_one_question():
    rows = clip(0, "asr", "sv")
    again = [row.model_copy(update={"id": row.id + "-again", "prompt": "Other words."}) for row in rows]
    assert len(compose(rows + again + rows, "ii", 50, seed=0)) == 1


def test_clips_are_told_apart_by_their_start():
    first, second = clip(0, "asr"), [clip(0, "sv")[0].model_copy(update={"start": 9.0})]
    with pytest.raises(UsageError, match="No ii row can be composed"):
        compose(first + second, "ii", 1, seed=0)


def test_rows_without_target_or_instruction_take_no_part():
    rows = [*clip(0, "asr", "sqqa"), clip(0, "sv")[0].model_copy(update={"target": None})]
    with pytest.raises(UsageError, match="No ii row can be composed"):
        compose(rows, "ii", 1, seed=0)


@pytest.mark.parametrize(
    ("kind", "n", "message"),
    [
        ("cot", 1, "No cot row can be composed: .*asr, and one of st, sqa and er, or a summary"),
        ("iii", 1, "unknown kind of multi-task rows 'iii'"),
        ("ii", 0, "0 rows were asked for"),
    ],
)
def test_what_cannot_be_composed_is_said(kind, n, message):
    with pytest.raises(UsageError, match=message):
        compose(clip(0, "asr", "sv"), kind, n, seed=0)


def test_unseen_wordings_are_kept_apart(rows):
    def openings(split):
        return {row.prompt.split(", ")[0] for row in compose(rows, "ii", 200, seed=0, split=split)}

    first = load_roles("ii")["first"]
    assert openings("seen") == set(split_pool(first, "seen"))
    assert openings("unseen") == set(split_pool(first, "unseen"))


@pytest.mark.slow
def test_ten_thousand_rows_take_seconds_not_minutes():
    rows = [row for i in range(3000) for row in clip(i, *ALL)] + [text(i) for i in range(500)]
    start = process_time()
    assert len({row.id for row in compose(rows, "ii", 10_000, seed=0)}) == 10_000
    assert process_time() - start < 10


# --- longer chains, and what a chat model has written ---


def written(i):
    base = clip(i, "asr")[0]
    summary = {
        "id": f"s{i}",
        "task": "sft",
        "prompt": "Summarise the clip in at most 9 words",
        "target": f"summary {i}",
    }
    translated = {"id": f"t{i}", "task": "st", "target": f"Kurz {i}", "target_language": "de"}
    return [
        Step("summary", base.model_copy(update=summary), words=9),
        Step("summary-st", base.model_copy(update=translated)),
    ]


def test_every_chain_is_composed_with_the_connectives_that_it_needs():
    made = compose(clip(0, "asr", "st", "sqa", "er"), "cot", 99, seed=0, written=written(0))
    leans_on = {"asr": "first", "st": "text", "er": "given", "sqa": "given", "sft": "given"}
    for row in made:
        for part, connective in zip(row.parts, connectives(row), strict=True):
            assert connective in load_roles("cot")[leans_on[part.task]]
    tasks = {"summary": "sft", "summary-st": "st"}
    assert sorted(tuple(part.task for part in row.parts) for row in made) == sorted(
        tuple(tasks.get(what, what) for what in chain) for chain in CHAINS
    )
    assert ["sft" in [part.task for part in row.parts] for row in made] == [True] * 2 + [False] * 5


def connectives(row):
    """What stands before each of a prompt's instructions."""
    found, rest = [], row.prompt
    for part in row.parts:
        before, instruction, rest = rest.partition(f", {part.prompt.rstrip(' .;:')}")
        assert instruction
        found.append(before.removeprefix("; "))
    assert not rest
    return found


def test_it_is_always_said_what_is_translated():
    rows = [row for i in range(40) for row in clip(i, "asr", "er", "st")]
    steps = [step for i in range(20) for step in written(i)]
    made = [row for row in compose(rows, "cot", 160, seed=0, written=steps) if len(row.parts) == 3]
    summaries, emotions = ([row for row in made if row.parts[1].task == task] for task in ("sft", "er"))
    assert len(summaries) == 20 and len(emotions) == 40
    for row in summaries:
        number = row.audio.removesuffix(".wav")
        assert row.parts[2].prompt in [
            w.replace("{language}", "German") for w in load_roles("cot")["translate-summary"]
        ]
        assert row.target.endswith(f"\nThe summary is: summary {number}\nThe German translation is: Kurz {number}")
        assert "9 words" in row.parts[1].prompt and "{" not in row.prompt
    for row in emotions:
        assert "transcript" in row.parts[2].prompt and row.parts[2].target.startswith("Worte von")


def test_clips_with_a_summary_come_first_and_their_first_row_has_it():
    rows = [row for i in range(30) for row in clip(i, "asr", "st", "er", "sv")] + [text(i) for i in range(9)]
    steps = [step for i in (3, 14, 25) for step in written(i)]
    for kind in ("ii", "cot"):
        made = compose(rows, kind, 30, seed=0, written=steps)
        assert {row.audio for row in made[:3]} == {"3.wav", "14.wav", "25.wav"}
        assert all("The summary is: " in row.target for row in made[:3])
        assert len({row.audio for row in made}) == 30


def test_the_translation_of_a_summary_is_a_step_of_chains_only():
    made = compose(clip(0, "asr", "sv"), "ii", 99, seed=0, written=written(0))
    assert len(made) == 4  # sets of two and three out of asr, sv and the summary
    assert not any("Kurz" in row.target for row in made)


def test_an_instruction_about_the_clip_is_not_called_one_about_text():
    go_on = clip(0, "asr")[0].model_copy(update={"id": "c", "task": "sft", "prompt": "Go on.", "target": "And then"})
    (row,) = compose([*clip(0, "asr"), go_on], "ii", 1, seed=0)
    assert "The answer to the instruction about the audio is: And then" in row.target
    assert not any(f"{ignore}, Go on" in row.prompt for ignore in load_roles("ii")["text"])


def test_wordings_of_the_user_take_the_place_of_those_of_their_task_or_role(rows):
    pools = {"asr": ["Schreib alles auf"], "ii": ["first: Erstens", "next: Dann"], "sqa": ["Frage: {prompt}"]}
    made = compose(rows, "ii", 200, seed=0, split="all", pools=pools)
    lasts = load_roles("ii")["last"]
    for row in made:
        assert row.prompt.startswith("Erstens, ") and row.prompt.count("; Dann, ") == len(row.parts) - 2
        assert any(f"; {last}, " in row.prompt for last in lasts)
    asked = {part.prompt for row in made for part in row.parts if part.task in ("asr", "er")}
    assert "Schreib alles auf" in asked and asked & set(load_pool("er")) and not asked & set(load_pool("asr"))


def test_further_right_answers_stay_with_their_part():
    rows = [Utterance(id="a", audio="x.wav", task="asr", prompt="p", target="one two", extra={"snr": 1})]
    rows.append(rows[0].model_copy(update={"id": "b", "task": "er", "target": "happy", "references": ["excited"]}))
    (row,) = compose(rows, "cot", 1, seed=1)
    assert row.references is None and [part.references for part in row.parts] == [None, ["excited"]]
