import pytest

from wavllm_cli.text.join import joined, overlap, units


@pytest.mark.parametrize(
    ("before", "after", "whole"),
    [
        ("the quick brown fox jumps", "fox jumps over the dog", "the quick brown fox jumps over the dog"),
        ("the quick brown fox ju", "brown, fox jumps over", "the quick brown fox jumps over"),  # a word cut at the end
        ("the quick brown fox jumps", "own fox jumps over", "the quick brown fox jumps over"),  # and at the start
        ("he said no", "No, I will", "he said no I will"),
        (
            "the cat and a dog slept",
            "the end of a very long story",
            "the cat and a dog slept the end of a very long story",
        ),
        ("nothing alike", "at all here", "nothing alike at all here"),
        ("", "a beginning", "a beginning"),
        ("an end", "", "an end"),
        ("今天天气很好，我们去", "我们去公园散步。", "今天天气很好，我们去公园散步。"),
        ("วันนี้อากาศดี", "อากาศดีมาก", "วันนี้อากาศดีมาก"),
        ("我喜欢 Python 和", "Python 和音乐", "我喜欢 Python 和音乐"),
        ("오늘 날씨가", "날씨가 좋다", "오늘 날씨가 좋다"),
    ],
)
def test_what_two_segments_share_stands_once(before, after, whole):
    assert joined([before, after], [0, 2]) == whole


def test_scripts_without_spaces_get_none():
    assert joined(["今日は。", "晴れです。", "OK"], [0, 0, 0]) == "今日は。晴れです。 OK"
    assert joined(["fine.", "今日は", "ok then"], [0, 0, 0]) == "fine.今日はok then"
    assert "".join(units("今日 は OK\n then。")) == "今日 は OK then。"


def test_nothing_is_left_out_where_nothing_is_shared():
    assert joined(["yes yes", "yes yes"], [0, 0]) == "yes yes yes yes"


def test_words_far_from_the_cut_are_not_the_same_moment():
    assert overlap(["one", "two", "three", "four", "five"], ["one", "two", "nine"], 3) == (0, 0)


def test_any_place_of_the_cut_gives_all_words_back():
    words = [f"word{i}" for i in range(60)]
    for cut in range(20, 40):
        for shared in range(1, 8):
            before, after = " ".join(words[: cut + shared]), " ".join(words[cut:])
            assert joined([before, after], [0, 2]).split() == words
