"""Words in any script, numbers as digits, and what two texts have in common."""

import pytest

from wavllm_cli.text.words import (
    NUMBERS,
    common,
    content,
    count_words,
    is_unspaced,
    share_in,
    stems,
    with_digits,
    words,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't stop! 你好", ["don't", "stop", "你", "好"]),
        ("GPU在北京", ["gpu", "在", "北", "京"]),
        ("well-known, 3.5 %", ["well", "known", "3", "5"]),
        ("Größe – schön", ["größe", "schön"]),
        ("한국어 띄어쓰기", ["한국어", "띄어쓰기"]),
        ("สวัสดี", list("สวัสดี")),
        (" … !?", []),
        ("", []),
    ],
)
def test_words_are_normalised_and_those_of_unspaced_scripts_are_characters(text, expected):
    assert list(words(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one two three", 3),
        ("Well, don't -- stop!", 3),
        ("a mother-in-law and/or a 3.5 % rise", 6),
        ("rain—then sun – at last", 5),
        ("e.g. at 8:30 p.m.", 4),
        ("今天上午", 2),
        ("今天天气很好。", 3),
        ("我们用 Python 3 写", 4),
        ("用Python写", 2),
        ("한국어 띄어쓰기", 2),
        ("- * # … ?!", 0),
        ("", 0),
    ],
)
def test_counting_words(text, expected):
    assert count_words(text) == expected


def test_punctuation_and_layout_do_not_change_the_count():
    plain = "the bus left at ten"
    for text in (
        f"**{plain}**",
        f"  {plain}.\n",
        f'"{plain}"',
        f"- {plain} …",
        plain.upper(),
        plain.replace(" ", ",\n"),
    ):
        assert count_words(text) == 5


def test_stems_bring_forms_of_a_word_together_and_compare_unspaced_scripts_by_pairs():
    assert stems("Translations, translated") == stems("translate") == {"trans"}
    assert stems("北京人 Peking") == {"北京", "京人", "pekin"}
    assert stems("北") == stems("") == frozenset()


def test_what_only_holds_a_sentence_together_is_no_content():
    assert content("Please tell me, is it the following?") == frozenset()
    assert content("What is the capital of New Zealand?") == stems("capital new zealand")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Twenty-two degrees", "22 degrees"),
        ("no more than twenty words", "no more than 20 words"),
        ("ninety nine", "99"),
        ("seventeen", "17"),
        ("zero", "0"),
        ("sixty, one by one", "61 by 1"),
        ("someone often tends", "someone often tends"),
        ("12 o'clock", "12 o'clock"),
        ("", ""),
    ],
)
def test_numbers_as_digits(text, expected):
    assert with_digits(text) == expected


def test_every_number_below_a_hundred_has_its_name():
    tens = {n: word for word, n in NUMBERS.items() if n >= 20}
    ones = {n: word for word, n in NUMBERS.items() if n < 20}
    names = [ones[n] if n < 20 else f"{tens[n - n % 10]} {ones[n % 10] if n % 10 else ''}" for n in range(100)]
    assert [with_digits(name) for name in names] == list(map(str, range(100)))


def test_the_longest_common_subsequence():
    assert common(["the", "cat", "sat", "on", "the", "mat"], ["a", "cat", "on", "a", "mat"]) == 3
    assert common(["a", "b"], ["b", "a"]) == 1
    assert common([], ["a"]) == common(["a"], []) == 0


def test_the_share_in_a_source_heeds_the_order():
    assert share_in(["a", "b", "x", "c"], ["a", "b", "c"]) == 0.75
    assert share_in(["c", "b", "a"], ["a", "b", "c"]) == 1 / 3
    assert share_in([], ["a"]) == 0.0


def test_scripts_without_spaces():
    assert is_unspaced("今天天气很好, ok") and is_unspaced("ฉันรักคุณ")
    assert not is_unspaced("good day 今天") and not is_unspaced("") and not is_unspaced("안녕하세요")
