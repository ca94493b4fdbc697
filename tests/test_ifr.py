"""Instruction following by rules: each way to follow and to fail, and the verdicts of careful readers."""

import json
import random
from collections import Counter

import numpy as np
import pytest
from agreement import Verdicts, golden, is_decided, shares, table, verdict_of_rules
from stopwatch import seconds

from wavllm_cli.data.schema import Hypothesis, Part
from wavllm_cli.scoring.following.forms import Instruction
from wavllm_cli.scoring.following.verdicts import Verdict, judge
from wavllm_cli.scoring.metrics.ifr import measures

HEARD = "the last bus left at ten and we had to walk all the way home in the rain because nobody had a car"
GERMAN = "Der letzte Bus fuhr um zehn Uhr ab und wir mussten im Regen den ganzen Weg nach Hause laufen."
SUMMARY = "They walked home in the rain."

TRANSCRIBE = Part(task="asr", prompt="transcribe the audio clip into text", target=HEARD)
CAPITAL = Part(task="sft", prompt="what is the capital of New Zealand?", target="Wellington")
SPEAKERS = Part(task="sv", prompt="is there only one speaker in the clip?", target="yes")
TRANSLATE = Part(task="st", prompt="translate the speech into German", target=GERMAN)
EMOTION = Part(task="er", prompt="which emotion does the speaker show?", target="sad")
CHOOSE = Part(task="sqa", prompt="How did they get home? A. By bus; B. On foot; C. In a car", target="B")
SUMMARISE = Part(task="sft", prompt="summarise the text in no more than ten words", target=SUMMARY)
TRANSLATE_IT = Part(task="st", prompt="translate this English summary into German", target="Sie liefen im Regen heim.")

ALL = [TRANSCRIBE, CAPITAL, SPEAKERS, TRANSLATE]
CHAIN = [TRANSCRIBE, SUMMARISE, TRANSLATE_IT]
SAID = {
    TRANSCRIBE: HEARD.capitalize() + ".",
    CAPITAL: "The capital of New Zealand is Wellington.",
    SPEAKERS: "Yes, there is only one speaker.",
    TRANSLATE: GERMAN,
    EMOTION: "The speaker sounds sad.",
    CHOOSE: "B. On foot.",
    SUMMARISE: SUMMARY,
    TRANSLATE_IT: "Sie gingen bei Regen zu Fuß nach Hause.",
}


def verdicts(text: str, parts: list[Part] | None = ALL, **fields) -> list[Verdict]:
    prompt = "; ".join(part.prompt for part in parts or ())
    fields = {"task": "ii", "transcript": HEARD, "language": "en"} | fields
    return judge(Hypothesis(id="r", audio=None, prompt=prompt, parts=parts, text=text, **fields))


def followed(text: str, parts: list[Part] = ALL, **fields) -> list[bool]:
    return [verdict.followed for verdict in verdicts(text, parts, **fields)]


def reasons(text: str, parts: list[Part] = ALL, **fields) -> list[str]:
    return [verdict.reason for verdict in verdicts(text, parts, **fields)]


# --- following ---

CONNECTIVES = ["First", "Next", "Then", "Last"]
LAYOUTS = {
    "lines": "\n".join,
    "gaps": "\n\n".join,
    "one paragraph": " ".join,
    "numbers": lambda said: "\n".join(f"{i}. {text}" for i, text in enumerate(said, 1)),
    "steps": lambda said: "\n".join(f"**Step {i}:** {text}" for i, text in enumerate(said, 1)),
    "bullets": lambda said: "\n".join(f"- {text}" for text in said),
    "chatter": lambda said: "Sure! Here are the answers:\n\n" + "\n".join(said) + "\n\nLet me know if you need more!",
    "a JSON list": lambda said: json.dumps(said, ensure_ascii=False),
    "a JSON object": lambda said: json.dumps({f"answer_{i}": text for i, text in enumerate(said, 1)}),
    "fenced JSON": lambda said: f"```json\n{json.dumps(said)}\n```",
    "connectives": lambda said: "\n".join(f"{word}, {text}" for word, text in zip(CONNECTIVES, said, strict=False)),
}
ORDERS = [ALL, CHAIN, [CHOOSE, EMOTION], [TRANSLATE, TRANSCRIBE], [SPEAKERS, CHOOSE, TRANSCRIBE, CAPITAL]]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("parts", ORDERS, ids=lambda parts: "-".join(part.task for part in parts))
def test_right_answers_in_order_are_followed_in_every_layout(parts, layout):
    task = "cot" if parts is CHAIN else "ii"
    found = verdicts(LAYOUTS[layout]([SAID[part] for part in parts]), parts, task=task)
    assert [(verdict.followed, verdict.reason) for verdict in found] == [(True, "")] * len(parts)


def test_the_text_of_a_verdict_is_the_answer_without_what_introduces_it():
    text = f"**Transcription:** {HEARD}\n**Capital:** Wellington\n**Speakers:** Yes\n**German translation:** {GERMAN}"
    assert [verdict.text for verdict in verdicts(text)] == [HEARD, "Wellington", "Yes", GERMAN]
    lines = f"Transcription:\n{HEARD[:43]}\n{HEARD[44:]}\n\nWellington\nYes\n{GERMAN}"
    assert verdicts(lines)[0].text == HEARD


def test_answers_below_their_repeated_instructions_are_followed():
    assert followed("\n".join(f"{part.prompt}\n{SAID[part]}" for part in ALL)) == [True] * 4


def test_wrong_answers_of_the_right_form_are_followed():
    assert followed(f"{HEARD}\nSydney\nNo\n{GERMAN}") == [True] * 4


# --- failing, one instruction at a time ---


@pytest.mark.parametrize("gone", range(4))
def test_an_answer_that_is_not_there_is_missing_and_no_other(gone):
    said = [SAID[part] for i, part in enumerate(ALL) if i != gone]
    for layout in ("lines", "one paragraph", "bullets"):
        found = verdicts(LAYOUTS[layout](said))
        assert [verdict.followed for verdict in found] == [i != gone for i in range(4)], layout
        assert found[gone].reason == "missing" and found[gone].text == ""


FAILURES = {
    "another language": (
        3,
        "Le dernier bus est parti à dix heures et nous avons dû marcher sous la pluie.",
        "not in de",
    ),
    "not translated": (3, HEARD, "not in de"),
    "an echo": (1, CAPITAL.prompt, "echo"),
    "a refusal": (0, "I'm sorry, but I cannot listen to audio clips.", "refusal"),
    "a placeholder": (3, "[insert translation here]", "placeholder"),
    "a description": (
        0,
        "In this clip someone talks about a night and a walk home in the rain.",
        "not a transcription",
    ),
    "neither yes nor no": (
        2,
        "Yes and no, there is only one speaker and there are two speakers.",
        "neither yes nor no",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failing_answer_is_not_followed_says_why_and_harms_no_other(name):
    index, instead, why = FAILURES[name]
    said = [instead if i == index else SAID[part] for i, part in enumerate(ALL)]
    found = verdicts("\n".join(said))
    assert [verdict.followed for verdict in found] == [i != index for i in range(4)]
    assert why in found[index].reason


@pytest.mark.parametrize(
    ("summary", "why"),
    [
        ("Because nobody had a car, they all had to walk home.", "11 words where 10 are allowed"),
        (HEARD, "the transcript, not a summary"),
        ("Weil niemand ein Auto hatte, gingen alle zu Fuß.", "not in en"),
    ],
)
def test_a_summary_may_be_too_long_a_copy_or_in_another_language(summary, why):
    found = verdicts(f"1. {HEARD}\n2. {summary}\n3. {SAID[TRANSLATE_IT]}", CHAIN, task="cot")
    assert [verdict.followed for verdict in found] == [True, False, True]
    assert found[1].reason == why


@pytest.mark.parametrize("text", ["", " ", "\n\n", "…", "Sure!"])
def test_an_empty_answer_follows_nothing(text):
    assert verdicts(text) == [Verdict(False, "missing", "")] * 4


def test_an_answer_that_refuses_or_repeats_all_says_so():
    assert set(reasons("I'm sorry, I can't process audio.")) == {"refusal"}
    assert set(reasons("\n".join(part.prompt for part in ALL))) == {"echo"}


def test_a_loop_at_the_end_takes_nothing_from_what_stands_before():
    text = "\n".join(SAID[part] for part in ALL[:3]) + "\n" + "Der Bus Der Bus " * 50
    assert followed(text) == [True, True, True, False]


@pytest.mark.parametrize("parts", [None, []])
def test_rows_without_parts_have_no_verdicts(parts):
    assert verdicts("whatever", parts) == []


# --- order ---


def test_answers_in_another_order_are_out_of_order():
    found = verdicts("\n".join(SAID[part] for part in (CAPITAL, SPEAKERS, TRANSLATE, TRANSCRIBE)))
    assert [verdict.followed for verdict in found] == [False, True, True, True]
    assert found[0].reason == "out of order" and found[0].text == SAID[TRANSCRIBE]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ((1, 0, 2, 3), [True, False, True, True]),  # of 0 and 1 the earlier instruction
        ((3, 0, 1, 2), [True, True, True, False]),
        ((3, 2, 1, 0), [True, False, False, False]),
        ((2, 3, 0, 1), [True, True, False, False]),
    ],
)
def test_the_largest_set_in_order_counts_and_the_earlier_one_on_a_tie(order, expected):
    assert followed("\n".join(SAID[ALL[i]] for i in order)) == expected


def test_an_answer_of_the_wrong_form_is_not_in_the_set_in_order():
    """The refused transcription comes last, so that all others stand in order without it."""
    said = [SAID[CAPITAL], SAID[SPEAKERS], GERMAN, "I cannot hear the audio."]
    assert followed("\n".join(said)) == [False, True, True, True]


# --- size ---

WORDS = f"{HEARD} {GERMAN} yes no one speaker Wellington".split()


def words(count: int, seed: int = 0) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=count))


LONG = {
    "5,000 words": words(5000),
    "5,000 words in sentences": ". ".join(words(8, i) for i in range(625)),
    "5,000 words in lines": "\n".join(words(80, i) for i in range(60)),
    "60 sentences": ". ".join(words(8, i) for i in range(60)),
    "2,000 lines": "\n".join(words(5, i) for i in range(2000)),
    "2,000 times yes": "\n".join(["Yes"] * 2000),
    "Chinese": "今天下雨我们走路回家。" * 1500,
    "JSON": json.dumps([words(8, i) for i in range(600)]),
    "braces": "{" * 20_000,
    "pairs of braces": "{}[]" * 5000,
    "nested lists": "[" * 20_000,
    "nested objects": '{"a":' * 5000,
    "quotes": "“a b c d e " * 2000,
    "colons": "a: " * 7000,
    "numbers": "1. " * 7000,
    "denials": "not a man but a woman " * 1000,
    "one word": "a" * 20_000,
    "spaces": "a" + " " * 20_000 + "b",
}


@pytest.mark.parametrize("name", LONG)
def test_long_answers_are_judged_in_a_moment(name):
    """Linear and bounded: 0.1 to 0.5 s each; what is gone over again and again takes 5 s and more."""
    assert seconds(verdicts, LONG[name]) < 3.0


@pytest.mark.parametrize("name", ["5,000 words in lines", "60 sentences", "2,000 lines", "5,000 words in sentences"])
def test_the_work_on_an_answer_is_bounded(name, monkeypatch):
    """Without a bound, 2,000 lines are two million stretches for each instruction."""
    read, characters = Instruction.read, []
    monkeypatch.setattr(Instruction, "read", lambda ask, text, *a: characters.append(len(text)) or read(ask, text, *a))
    verdicts(LONG[name])
    assert len(characters) < 8000 and sum(characters) < 4_000_000


@pytest.mark.parametrize("layout", ["lines", "one paragraph", "numbers"])
def test_what_comes_before_endless_babble_is_found(layout):
    text = LAYOUTS[layout]([SAID[part] for part in ALL])
    assert followed(f"{text}\n" + "\n".join(["Thank you for watching."] * 1000)) == [True] * 4


# --- figures ---


def test_the_rate_counts_rows_that_follow_all_and_the_share_of_instructions():
    rate, share = measures([[True, True], [True, False, False], [True]], "rules")
    assert (rate.metric, rate.value) == ("ifr", 2 / 3)
    assert (share.metric, share.value) == ("instructions", 4 / 6)
    np.testing.assert_array_equal(rate.rows, [1, 0, 1])
    np.testing.assert_allclose(share.rows, [1, 1 / 3, 1])
    assert rate.counts == {"followed": 2, "undecided": 0, "unusable": 0}
    assert share.counts == {"followed": 4, "instructions": 6, "undecided": 0, "unusable": 0}
    assert rate.signature.startswith("ifr|judge:rules|") and share.signature.startswith("instructions|judge:rules|")
    assert not rate.lower_is_better and not share.lower_is_better


def test_rows_whose_verdicts_are_unusable_are_in_neither_figure_but_counted():
    with_none, without = measures([[True], None, [False, True], None], "m"), measures([[True], [False, True]], "m")
    assert [measure.value for measure in with_none] == [measure.value for measure in without] == [1 / 2, 2 / 3]
    assert all(measure.counts["unusable"] == 2 and len(measure.statistics) == 4 for measure in with_none)


def test_a_row_with_something_undecided_and_nothing_failed_is_in_neither_figure_but_counted():
    rate, share = measures([[True, None], [False, None, True], [True], [None]], "rules")
    assert (rate.value, share.value) == (1 / 2, 2 / 3)
    assert rate.counts == {"followed": 1, "undecided": 2, "unusable": 0}
    assert share.counts == {"followed": 2, "instructions": 3, "undecided": 3, "unusable": 0}
    np.testing.assert_array_equal(rate.rows, [np.nan, 0, 1, np.nan])
    assert "|undecided:left out|" in rate.signature


def test_where_nothing_is_known_the_rate_is_unknown():
    for given in ([], [None], [[True, None]]):
        for measure in measures(given, "rules"):
            assert measure.statistics.shape == (len(given), 2)
            assert np.isnan(measure.value) and np.isnan(measure.interval()).all()


# --- undecided ---


def test_an_unrelated_sentence_within_a_line_may_be_an_answer_or_babble():
    found = verdicts(f"{HEARD}. Bananas ripen slowly.", [TRANSCRIBE, CAPITAL])
    assert [verdict.followed for verdict in found] == [True, None]
    assert found[1].reason == "unclear whether it is an answer" and found[1].text == "Bananas ripen slowly."


def test_in_a_line_of_its_own_it_is_an_answer():
    assert followed(f"{HEARD}\nBananas ripen slowly.", [TRANSCRIBE, CAPITAL]) == [True, True]


def test_without_a_transcript_a_transcription_is_undecided():
    found = verdicts(
        f"They all went home\n{SAID[SPEAKERS]}", [Part(task="asr", prompt="transcribe it"), SPEAKERS], transcript=None
    )
    assert [verdict.followed for verdict in found] == [None, True]
    assert found[0].reason == "no transcript to compare it with"


def test_what_may_be_cut_in_several_ways_with_different_verdicts_is_undecided():
    poem = Part(task="sft", prompt="write a line about the sea", target="the sea is wide")
    tale = Part(task="sft", prompt="write a line about a hill", target="a green hill")
    found = verdicts("Grey gulls. Old stones.", [poem, tale, SPEAKERS])
    assert [verdict.followed for verdict in found] == [None, None, False]


# --- the verdicts of careful readers ---

# Rows on which the rules and the readers disagree. One that is no longer wrong must go, so that the list stays true.
DISAGREEMENTS = {
    *("b-ii-merged-03", "b-cot-refusal-02", "b-sqa-other-01", "b-sqa-other-03", "b-sqa-right-content-wrong-02"),
    *("b-sqa-wrong-language-01", "b-sqa-right-05", "b-sqa-wrong-language-02", "c-ii-story-43", "c-cot-rep-25"),
    *("c-sqa-bare-08", "c-sqa-para-13", "c-sv-asr-08", "d-ii-merged-03", "d-ii-leadins-24", "d-cot-right-11"),
    *("d-sqa-text-05", "d-sqa-neg-12", "d-sqa-french-21", "e-ii-partial-02", "e-ii-partial-05"),
    *("e-cot-merged-01", "e-sqa-14", "e-sqa-15", "e-sqa-17", "f-cot-flood-03", "f-sqa-partial-01"),
    *("f-sqa-other-10", "f-sqa-wrong-language-01", "f-sqa-other-17", "f-sv-other-08"),
}
# Rows of which the rules leave something undecided.
UNDECIDED = {
    *("a-ii-other-04", "a-ii-merged-04", "a-cot-repetition-01", "a-cot-right-05", "b-ii-merged-01"),
    *("b-ii-right-content-wrong-02", "b-ii-merged-02", "b-ii-echo-04", "c-ii-merged-41", "d-ii-leadins-25"),
    *("d-ii-merged-29", "d-ii-oneword-41", "e-ii-merged-01", "e-ii-right-11", "e-ii-right-13", "e-ii-merged-02"),
    *("e-ii-merged-03", "e-cot-merged-02", "f-ii-merge-01", "f-ii-cougheq-01", "f-cot-cellar-01"),
}


@pytest.fixture(scope="session")
def rows() -> list[dict]:
    return golden()


@pytest.fixture(scope="session")
def by_rules(rows) -> dict[str, Verdicts]:
    return {row["id"]: verdict_of_rules(row) for row in rows}


def test_the_golden_answers_are_many_and_of_every_kind(rows):
    kinds = Counter(row["kind"] for row in rows)
    assert len(rows) == len({row["id"] for row in rows}) >= 120
    assert min(kinds.values()) >= 5
    assert kinds.keys() == {
        *("right", "right-content-wrong", "partial", "wrong-order", "echo", "wrong-language", "too-long", "refusal"),
        *("json", "lead-ins", "repetition", "merged", "other"),
    }
    assert {row["task"] for row in rows} == {"ii", "cot", "sqa", "sv"}
    assert all(len(row["verdict"]) == len(row["parts"]) for row in rows if row["task"] in ("ii", "cot"))


def test_the_rules_agree_with_careful_readers_where_they_decide(rows, by_rules):
    decided = [row for row in rows if is_decided(by_rules[row["id"]])]
    wrong = {row["id"] for row in decided if by_rules[row["id"]] != row["verdict"]}
    assert wrong - DISAGREEMENTS == set(), "these were right before"
    assert DISAGREEMENTS - wrong == set(), "these are right now: take them off the list"
    undecided = {row["id"] for row in rows} - {row["id"] for row in decided}
    assert undecided - UNDECIDED == set(), "these were decided before"
    assert UNDECIDED - undecided == set(), "these are decided now: take them off the list"


def test_most_is_decided_and_nearly_all_of_that_agrees_in_every_set(rows, by_rules):
    for line in table(rows, by_rules):
        print(line)
    for name in "abcdef":
        several = [row for row in rows if row["id"][0] == name and row["task"] in ("ii", "cot")]
        _, decided, agreeing = shares(several, by_rules)
        assert decided >= 0.85 and agreeing >= 0.95, name
