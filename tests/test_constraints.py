"""Constraints by the ids of IFEval."""

import json

import pytest

from wavllm_cli.data.schema import Hypothesis
from wavllm_cli.errors import ManifestError
from wavllm_cli.scoring.following.constraints import (
    CHECKS,
    SPEECH_IFEVAL,
    Constraint,
    constraints_of,
    is_met,
    is_met_loosely,
)

LESS, LEAST = "less than", "at least"

# id, arguments, answers that meet it, answers that do not
CASES = [
    ("keywords:existence", {"keywords": ["tea", "C++"]}, ["Teatime with c++"], ["tea", "C tea"]),
    ("keywords:frequency", {"keyword": "tea", "frequency": 2, "relation": LEAST}, ["Tea, tea"], ["tea"]),
    ("keywords:frequency", {"keyword": "tea", "frequency": 2, "relation": LESS}, ["tea"], ["tea tea"]),
    ("keywords:forbidden_words", {"forbidden_words": ["tea"]}, ["teatime"], ["Tea!"]),
    ("keywords:letter_frequency", {"letter": "E", "let_frequency": 3, "let_relation": LEAST}, ["Eele"], ["eel"]),
    ("language:response_language", {"language": "hi"}, ["मैं घर जा रहा हूँ"], ["I am going home to my house."]),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": LEAST}, ["Tea. Cake."], ["Dr. Tea came."]),
    ("length_constraints:number_words", {"num_words": 3, "relation": LESS}, ["two words"], ["well-known cat"]),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, ["a\n***\nb", "***a***b"], ["a\nb", "a******b"]),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "So"},
        ['One.\n\n"So, two.'],
        ["So.", "One.\n\nSome.", "a\n\nso\n\nc"],
    ),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, ["[a] and [b]"], ["[a]"]),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, ["Bye.\np. s. more"], ["PS more"]),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, ["P.P.S more"], ["P.S. more"]),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, ["* a\n- b"], ["• a\n• b", "* a", "** a\n* b"]),
    ("detectable_format:constrained_response", {}, ["My answer is maybe."], ["maybe"]),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, ["*a* **b**"], ["**a**", "* *"]),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "Section", "num_sections": 2},
        ["Section 1 a\nSection 2 b"],
        ["Section one, Section 2"],
    ),
    ("detectable_format:json_format", {}, ['{"a": 1}', '```json\n{"a": [1]}\n```', '"text"'], ["{'a': 1}", "a {}"]),
    ("detectable_format:title", {}, ["<<Cats>>\nThey purr."], ["<< >>", "<Cats>"]),
    ("combination:two_responses", {}, ["a\n******\nb"], ["a", "a******a", "a******b******c"]),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Who?"}, ["who? Me."], ['"Who?" Me.', "Me. Who?"]),
    ("startend:end_checker", {"end_phrase": "The end."}, ['It was. the end." '], ["The end. Bye."]),
    ("startend:quotation", {}, [' "a" '], ['"', '"a', "“a”"]),
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": LEAST}, ["A BIG cat"], ["A"]),
    (
        "change_case:english_capital",
        {},
        ["THIS IS MY HOUSE, AND THAT IS MY GARDEN."],
        ["This", "DAS IST MEIN HAUS"],
    ),
    ("change_case:english_lowercase", {}, ["this is my house, and that is my garden."], ["This", "das ist mein haus"]),
    ("punctuation:no_comma", {}, ["a; b"], ["a, b"]),
]


@pytest.mark.parametrize(("id", "arguments", "met", "unmet"), CASES, ids=[case[0] for case in CASES])
def test_each_constraint_is_met_by_some_answers_and_not_by_others(id, arguments, met, unmet):
    constraint = Constraint(id, arguments)
    assert [is_met(answer, constraint) for answer in met] == [True] * len(met)
    assert [is_met(answer, constraint) for answer in unmet] == [False] * len(unmet)
    assert is_met(" \n", constraint) is False  # nothing meets nothing


def test_every_id_has_a_case():
    assert {case[0] for case in CASES} == set(CHECKS)


@pytest.mark.parametrize(
    ("id", "arguments", "answer"),
    [
        ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n\nb"),
        ("detectable_format:number_bullet_lists", {"num_bullets": 3}, "• a\\n2. b\n- c"),
        ("combination:repeat_prompt", {"prompt_to_repeat": "Who?"}, '"Who?" Me.'),
        ("change_case:english_capital", {}, "DAS IST DEIN HAUS UND DEIN GARTEN"),
        ("change_case:english_lowercase", {}, "das ist dein haus und dein garten"),
    ],
)
def test_speech_ifeval_reads_some_ids_more_widely(id, arguments, answer):
    assert is_met(answer, Constraint(id, arguments)) is False
    assert is_met(answer, Constraint(id, arguments, SPEECH_IFEVAL)) is True


def test_loosely_a_first_or_last_line_and_asterisks_do_no_harm():
    json_format = Constraint("detectable_format:json_format")
    for answer in ("Sure:\n{}", "{}\nDone.", "Sure:\n{}\nDone.", "**{}**"):
        assert (is_met(answer, json_format), is_met_loosely(answer, json_format)) == (False, True)
    assert is_met_loosely("Sure:\nHere:\n{}", json_format) is False


@pytest.mark.parametrize(
    ("constraint", "why"),
    [
        (Constraint("keywords:rhyme"), "unknown constraint keywords:rhyme"),
        (Constraint("startend:end_checker", {"end_phrase": None}), "startend:end_checker without end_phrase"),
        (
            Constraint("length_constraints:number_words", {"num_words": 3, "relation": "about"}),
            "length_constraints:number_words with relation 'about'",
        ),
        (
            Constraint("detectable_format:number_bullet_lists", {"num_bullets": "three"}),
            "detectable_format:number_bullet_lists with num_bullets 'three'",
        ),
        (Constraint("keywords:existence", {"keywords": "tea"}), "keywords:existence with keywords 'tea'"),
    ],
)
def test_what_cannot_be_known_is_unknown_and_says_why(constraint, why):
    assert constraint.unknown == why
    assert is_met("tea", constraint) is None and is_met_loosely("tea", constraint) is None


def row(**extra):
    return Hypothesis(id="r", audio="a.wav", task="sqqa", prompt="", text="x", extra=extra)


def test_constraints_stand_in_a_rows_own_columns():
    ids, kwargs = ["punctuation:no_comma", "startend:end_checker"], [{}, {"end_phrase": "x"}]
    expected = [Constraint(id, given) for id, given in zip(ids, kwargs, strict=True)]
    assert constraints_of(row(instruction_id_list=ids, kwargs=kwargs)) == expected
    as_text = row(instruction_id_list=json.dumps(ids), kwargs=json.dumps([json.dumps(one) for one in kwargs]))
    assert constraints_of(as_text) == expected
    assert constraints_of(row(instruction_id_list=["punctuation:no_comma"])) == [Constraint("punctuation:no_comma")]
    assert constraints_of(row(note="x")) == [] == constraints_of(row(instruction_id_list=[]))
    speech = row(instruction_id_list=ids[:1], instruction_reading=SPEECH_IFEVAL)
    assert constraints_of(speech) == [Constraint(ids[0], {}, SPEECH_IFEVAL)]


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"instruction_id_list": ["a", "b"], "kwargs": [{}]}, 'row r: "instruction_id_list" should be a list of names'),
        ({"instruction_id_list": ["a"], "kwargs": ["b"]}, '"kwargs" a list with an object for each'),
        ({"instruction_id_list": ["a"], "instruction_reading": "mine"}, "is 'mine'; there are ifeval, speech-ifeval"),
    ],
)
def test_columns_that_are_not_ifevals_are_named(extra, message):
    with pytest.raises(ManifestError, match=message):
        constraints_of(row(**extra))
