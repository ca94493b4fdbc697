from importlib.metadata import version

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer

import wavllm_cli
from wavllm_cli.scoring.metrics.rouge import NAMES, UnicodeTokenizer, rouge


def values(reference: str, text: str, language: str | None) -> list[float]:
    return [measure.value for measure in rouge([reference], [text], language)]


def test_figures_worked_out_by_hand():
    # 3 of 4 words found among 3; 1 of 3 pairs of words among 2; in order: "the cat", and one more word.
    one, two, longest = values("the cat sat down", "the cat down", "en")
    assert one == pytest.approx(2 * 1 * 0.75 / 1.75)
    assert two == pytest.approx(2 * (1 / 2) * (1 / 3) / (1 / 2 + 1 / 3))
    assert longest == pytest.approx(one)


def test_the_value_is_the_mean_of_the_rows():
    for measure in rouge(["a b", "c d", "e"], ["a b", "c x", ""], "en"):
        assert measure.value == pytest.approx(np.mean(measure.rows))
        np.testing.assert_array_equal(measure.rows[[0, 2]], [1, 0])


def test_equal_texts_score_one_in_scripts_that_rouge_score_does_not_know():
    own = RougeScorer(["rouge1"])
    for text in ("我们今天去北京。", "Привет, мир", "नमस्ते दुनिया", "สวัสดี"):
        assert own.score(text, text)["rouge1"].fmeasure == 0
        assert values(text, text, None) == [1, 1, 1]


def test_words_with_umlauts_stay_whole():
    assert [len(RougeScorer(["rouge1"])._tokenizer.tokenize(word)) for word in ("Größe", "Käse")] == [2, 2]
    assert values("Größe", "Gr", "de")[0] == 0
    assert values("große Käse", "Große, Käse!", "de") == [1, 1, 1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("L'été à 東京!", ["l", "été", "à", "東", "京"]),
        ("Größe 3,5 – snake_case", ["größe", "3", "5", "snake", "case"]),
        ("GPUで動く", ["gpu", "で", "動", "く"]),
        ("नमस्ते", ["नमस्ते"]),
        ("한국어 문장", ["한국어", "문장"]),
        (" ?! ", []),
    ],
)
def test_words_of_any_script(text, words):
    assert UnicodeTokenizer().tokenize(text) == words


@pytest.mark.parametrize(
    ("language", "references", "english"),
    [
        ("en", ["Größe"], True),
        ("en-GB", ["a"], True),
        ("English", ["a"], True),
        ("de", ["a"], False),
        (None, ["plain ASCII", "more"], True),
        (None, ["plain ASCII", "Größe"], False),
    ],
)
def test_the_signature_names_the_tokeniser(language, references, english):
    tokenizer = "rouge-score" if english else f"wavllm-{wavllm_cli.__version__}"
    measures = rouge(references, references, language)
    expected = [f"{name}|f|stem:no|tok:{tokenizer}|rouge-score:{version('rouge-score')}" for name in NAMES]
    assert [measure.signature for measure in measures] == expected


def test_rows_without_words_count_as_wrong():
    for measure in rouge(["a", "", "", "..."], ["", "a", "", "..."], "en"):
        np.testing.assert_array_equal(measure.rows, [0, 0, 0, 0])


def test_no_pairs_other_names_and_unequal_lengths():
    assert [measure.value for measure in rouge([], [], "de")] == [0, 0, 0]
    assert [measure.metric for measure in rouge(["a"], ["a"], "en", names=("rouge3",))] == ["rouge3"]
    with pytest.raises(ValueError, match="rouge"):
        rouge(["a"], ["a"], "en", names=("rougeX",))
    with pytest.raises(ValueError, match="2 references but 1 hypotheses"):
        rouge(["a", "b"], ["a"], "en")


def test_the_nearest_reference_counts():
    measure, *_ = rouge([["a b c", "d e f"], "g h"], ["d e f", "g x"], "en")
    assert measure.rows.tolist() == [1, 0.5] and "|refs:var|" in measure.signature
    assert "|refs:2|" in rouge([["a", "b"]], ["b"], "en")[0].signature
    assert "refs" not in rouge(["a"], ["b"], "en")[0].signature
