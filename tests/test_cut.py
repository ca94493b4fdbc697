"""How a free answer is cut: blocks, labels and numbers as a reader sees them, and no word lost."""

import json
import re

import pytest
from stopwatch import seconds

from wavllm_cli.scoring.following.cut import (
    MAX_ATTEMPTS,
    MAX_NESTING,
    MAX_PIECES,
    MIN_PIECES,
    Piece,
    joined,
    read_answer,
)

# Four answers in the layouts that models use; each is read as the same four texts.
ANSWERS = ["The bus left at ten", "Wellington", "Yes", "Der Bus fuhr um zehn"]
KEYS = ["Transcription", "Capital", "One speaker", "German"]
LAYOUTS = {
    "bare lines": "{0}\n{1}\n{2}\n{3}",
    "gaps": "\n\n{0}\n\n{1}\n\n\n{2}\n \n{3}\n",
    "line ends of Windows": "{0}\r\n{1}\r\n{2}\r\n{3}\r\n",
    "numbers": "1. {0}\n2. {1}\n3. {2}\n4. {3}",
    "brackets": "(1) {0}\n(2) {1}\n(3) {2}\n(4) {3}",
    "keycaps": "1️⃣ {0}\n2️⃣ {1}\n3️⃣ {2}\n4️⃣ {3}",
    "bold numbers": "**1.** {0}\n**2.** {1}\n**3.** {2}\n**4.** {3}",
    "words and numbers": "Task 1: {0}\nTask 2: {1}\nTask 3: {2}\nTask 4: {3}",
    "bullets": "- {0}\n* {1}\n• {2}\n– {3}",
    "emphasis": "**{0}**.\n*{1}*\n_{2}_\n__{3}__!",
    "labels": "Transcription: {0}\nCapital: {1}\nOne speaker: {2}\nGerman: {3}",
    "wide colons": "Transcription：{0}\nCapital：{1}\nOne speaker：{2}\nGerman：{3}",
    "arrows": "Transcription → {0}\nCapital -> {1}\nOne speaker => {2}\nGerman → {3}",
    "bold labels": "**Transcription:** {0}\n**Capital**: {1}\n- **One speaker:** {2}\n1. **German:** {3}",
    "headings": "Transcription:\n{0}\n\nCapital:\n{1}\n\nOne speaker:\n{2}\n\nGerman:\n{3}",
    "hash headings": "# Transcription:\n{0}\n## Capital:\n{1}\n### One speaker:\n{2}\n#### German:\n{3}",
    "one line": "{0}. {1}. {2}. {3}.",
    "list": '["{0}", "{1}", "{2}", "{3}"]',
    "list in an object": '{{"answers": ["{0}", "{1}", "{2}", "{3}"]}}',
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_answers_are_found_in_every_layout(layout):
    pieces = read_answer(LAYOUTS[layout].format(*ANSWERS))
    assert [piece.text.rstrip(".!") for piece in pieces] == ANSWERS
    assert [piece.first for piece in pieces] == [layout != "one line" or i == 0 for i in range(4)]


@pytest.mark.parametrize("layout", ["labels", "wide colons", "arrows", "bold labels", "headings", "hash headings"])
def test_what_introduces_an_answer_is_its_label(layout):
    assert [piece.label for piece in read_answer(LAYOUTS[layout].format(*ANSWERS))] == KEYS


@pytest.mark.parametrize("layout", ["numbers", "brackets", "keycaps", "bold numbers", "words and numbers"])
def test_the_numbers_of_a_list_are_known(layout):
    assert [piece.number for piece in read_answer(LAYOUTS[layout].format(*ANSWERS))] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(dict(zip(KEYS, ANSWERS, strict=True))),
        json.dumps(dict(zip(KEYS, ANSWERS, strict=True)), indent=2),
        json.dumps([{key: answer} for key, answer in zip(KEYS, ANSWERS, strict=True)]),
        json.dumps({"answers": dict(zip(("transcription", "capital", "one_speaker", "german"), ANSWERS, strict=True))}),
        "```json\n" + json.dumps(dict(zip(KEYS, ANSWERS, strict=True))) + "\n```",
    ],
)
def test_values_of_json_are_labelled_by_their_keys(text):
    pieces = read_answer(text)
    assert [piece.text for piece in pieces] == ANSWERS
    assert [piece.label.lower() for piece in pieces] == [key.lower() for key in KEYS]


def test_what_stands_around_json_is_read_in_its_place():
    pieces = read_answer('Sure [as you wish]! Here it is:\n{"a": "The bus left."}\nAnything else?')
    assert [piece.text for piece in pieces] == ["Sure [as you wish]!", "Here it is:", "The bus left.", "Anything else?"]


def test_a_number_beside_a_text_counts_the_items_of_json():
    pieces = read_answer('[{"id": 1, "answer": "Yes"}, {"id": 2, "answer": "Wellington"}, {"n": 3, "answer": true}]')
    assert [(piece.number, piece.text) for piece in pieces[:2]] == [(1, "Yes"), (2, "Wellington")]


def test_true_and_false_are_yes_and_no_and_null_says_nothing():
    assert [piece.text for piece in read_answer('{"one": true, "two": false, "none": null, "size": 2.5}')] == [
        "yes",
        "no",
        "2.5",
    ]


def test_json_that_is_broken_off_is_read_as_text():
    pieces = read_answer('{"transcription": "The bus left at ten", "capital": "Welling')
    said = " ".join(piece.whole for piece in pieces)
    assert "The bus left at ten" in said and "Welling" in said


def test_a_line_in_bold_may_be_a_heading_or_an_answer():
    pieces = read_answer("**Transcription**\nThe bus left.\n\n**Wellington**")
    assert pieces == [
        Piece("Transcription", first=True, block=0, heading=True),
        Piece("The bus left.", "Transcription", first=True, block=1),
        Piece("Wellington", first=True, block=2, heading=True),
    ]


def test_a_heading_ends_at_the_next_gap():
    pieces = read_answer("Transcription:\nthe bus left\nat ten\n\nWellington")
    assert [(piece.label, piece.text) for piece in pieces] == [
        ("Transcription", "the bus left"),
        ("Transcription", "at ten"),
        ("", "Wellington"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "The meeting begins at 8:30 in room 5.",
        "Mr. Smith met Dr. J. Brown on St. John's Road at 9 p.m. on Monday.",
        "B. In the man's car",
        "It cost 3.5 million",
        "The well-known mother-in-law",
        "snake_case_name stays",
    ],
)
def test_what_belongs_together_stays_together(text):
    assert read_answer(text) == [Piece(text, first=True)]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("It rained. We walked! Why? Nobody knows…", ["It rained.", "We walked!", "Why?", "Nobody knows…"]),
        ("今天下雨。我们走路！为什么？", ["今天下雨。", "我们走路！", "为什么？"]),
        ("It rained; we walked", ["It rained;", "we walked"]),
        ("It rained, and the capital is Wellington", ["It rained,", "and the capital is Wellington"]),
        ("Yes — the capital is Wellington", ["Yes", "the capital is Wellington"]),
    ],
)
def test_sentences_and_clauses_of_a_line(text, pieces):
    found = read_answer(text)
    assert [piece.text for piece in found] == pieces
    assert {piece.block for piece in found} == {0}


def test_sentences_may_have_labels_too():
    pieces = read_answer("Transcription: the bus left. Translation: Der Bus fuhr. Capital: Wellington.")
    assert [(piece.label, piece.text) for piece in pieces] == [
        ("Transcription", "the bus left."),
        ("Translation", "Der Bus fuhr."),
        ("Capital", "Wellington."),
    ]


@pytest.mark.parametrize("text", ["", " \n\t\n", "\r\n"])
def test_nothing_has_no_pieces(text):
    assert read_answer(text) == []


def test_pieces_together_say_a_label_that_they_share_once():
    pieces = read_answer("Transcription:\nthe bus left\nat ten\n\nCapital: Wellington")
    assert joined(pieces[:2], with_label=False) == "the bus left at ten"
    assert joined(pieces[:2], with_label=True) == "Transcription: the bus left at ten"
    assert joined(pieces, with_label=False) == "the bus left at ten Capital: Wellington"
    below_bold = read_answer("**Summary**\nlate rain")
    assert joined(below_bold, with_label=True) == "Summary late rain"


def letters(text: str) -> list[str]:
    return re.findall(r"\w", text)


@pytest.mark.parametrize(
    "text",
    [
        ". ".join(f"Sentence number {i} is here" for i in range(500)),
        "\n".join(f"{i % 7} is a number: it has value {i}" for i in range(2000)),
        "\n".join("Yes" for _ in range(2000)),
        "\n".join("今天下雨。" for _ in range(500)),
        "a word " * 5000,
    ],
)
def test_a_long_answer_has_few_pieces_and_all_of_its_words(text):
    pieces = read_answer(text)
    assert len(pieces) <= MAX_PIECES
    assert letters(joined(pieces, with_label=True)) == letters(text)


def test_the_longer_an_answer_the_fewer_pieces_but_its_beginning_is_always_cut():
    counts = [len(read_answer("It rained on us. " * n)) for n in (10, 60, 500, 5000, 50_000)]
    assert counts[:2] == [10, 60] and counts[-1] == MIN_PIECES
    assert counts[2:] == sorted(counts[2:], reverse=True)


def test_endless_brackets_are_text():
    for text in ("[" * 100_000, '{"a":' * 20_000, "[1, " * 20_000, "[]" * 1000 + "{}"):
        assert len(read_answer(text)) <= MAX_PIECES


@pytest.mark.parametrize("depth", [MAX_NESTING + MAX_ATTEMPTS, 500, 940])
def test_brackets_too_deep_for_an_answer_are_text_and_lose_no_word(depth):
    pieces = read_answer('{"a": ' * depth + '"The bus left"' + "}" * depth)
    assert "The bus left" in joined(pieces, with_label=True)
    assert any("{" in piece.whole for piece in pieces)


@pytest.mark.parametrize(
    "unit",
    [
        *("{", "[", "{}", '{"a":', '{"a": "', '["', "(", "*", "**", "# ", "1. ", "a: ", "a:\n", '"', "“a b c "),
        *("→", " — ", "; ", "-", "Mr. ", "!'", "word ", "你", " ", " \n"),
    ],
)
def test_long_answers_are_not_gone_over_again_and_again(unit):
    assert seconds(read_answer, f"x{unit * (20_000 // len(unit))}y") < 1.0
