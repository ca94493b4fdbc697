"""What all measures have in common, and that their figures are those of the tools that they stand on."""

import json
import math
import random
import subprocess
import sys

import jiwer
import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer

from wavllm_cli.scoring.measure import Measure, check_pairs, resampled_sums, share
from wavllm_cli.scoring.metrics.bleu import bleu, chrf, ter
from wavllm_cli.scoring.metrics.rouge import UnicodeTokenizer, rouge
from wavllm_cli.scoring.metrics.wer import character_error_rate, word_error_rate
from wavllm_cli.text.normalize import get_normalizer


def ratio(errors, words) -> Measure:
    return Measure("errors", np.stack([errors, words], axis=1), share, "errors")


def test_the_value_is_the_figure_of_the_sums_not_the_mean_of_the_rows():
    measure = ratio(np.array([1, 1]), np.array([1, 9]))
    assert measure.value == 2 / 10
    np.testing.assert_array_equal(measure.rows, [1, 1 / 9])


def test_a_share_of_nothing_is_zero_or_infinite():
    np.testing.assert_array_equal(share(np.array([[0, 0], [2, 0], [1, 4]])), [0, math.inf, 0.25])


def test_the_interval_is_that_of_a_plain_bootstrap():
    rng = np.random.default_rng(3)
    words = rng.integers(1, 30, size=400)
    errors = rng.binomial(words, 0.1)
    drawn = rng.integers(0, 400, size=(20_000, 400))
    plain = np.percentile(errors[drawn].sum(1) / words[drawn].sum(1), [2.5, 97.5])
    ours = ratio(errors, words).interval(seed=4, resamples=20_000)
    np.testing.assert_allclose(ours, plain, atol=0.0007)  # the interval is 0.014 wide


def test_the_interval_is_repeatable_and_holds_the_value():
    measure = ratio(np.repeat([0, 1], [40, 10]), np.full(50, 4))
    low, high = measure.interval(seed=7)
    assert measure.interval(seed=7) == (low, high) != measure.interval(seed=8)
    assert low < measure.value == 0.05 < high
    assert ratio(np.zeros(50, int), np.full(50, 4)).interval() == (0, 0)


def test_resampled_sums_come_from_as_many_rows_as_there_are_also_block_by_block(monkeypatch):
    monkeypatch.setattr("wavllm_cli.scoring.measure.BLOCK", 7)
    sums = resampled_sums(np.stack([np.arange(10), np.ones(10)], axis=1), seed=1, resamples=333)
    assert sums.shape == (333, 2)
    np.testing.assert_array_equal(sums[:, 1], 10)
    assert abs(sums[:, 0].mean() - 45) < 3 * math.sqrt(10 * 8.25 / 333)


def test_resamples_with_nothing_to_divide_by_are_left_out():
    low, high = ratio(np.array([1, 0, 1]), np.array([0, 4, 2])).interval()
    assert 0 <= low < high < math.inf
    assert all(map(math.isnan, ratio(np.array([2]), np.array([0])).interval()))
    assert all(map(math.isnan, ratio(np.array([], int), np.array([], int)).interval()))


def test_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="2 references but 1 hypotheses"):
        check_pairs(["a", "b"], ["a"])


# --- the same texts, scored by the tools themselves ---

PAIRS = 700  # of each language
WORDS = {
    "en": (" ", "the The cat, sat. on Mr. Smith's mat! don't well-known 3.5 % $20 (so) \"it\" ? a"),
    "de": (" ", "Größe über Straße, Käse! schön – „Grüß Gott“ müde? Äpfel; z.B. 1.000 € im Öl"),
    "zh": ("", "我 们 今天 去 北京 。 ， 看 天气 很好 ！ 吗 ？ 2024 年 GPU"),
    "ja": ("", "猫 は 可愛い です 。 、 東京 に 行き ました カメラ ！ 私 の 2024 年"),
}


def random_pairs(language: str) -> tuple[list[str], list[str]]:
    """References, and hypotheses made from them by mistakes; some of both are empty or hold double spaces."""
    rng = random.Random(language)
    joint, words = WORDS[language][0], WORDS[language][1].split()

    def text(tokens: list[str]) -> str:
        return rng.choice((joint, joint, joint, "  ")).join(tokens)

    references, hypotheses = [], []
    for _ in range(PAIRS):
        reference = rng.choices(words, k=rng.randrange(1, 13)) if rng.random() > 0.03 else []
        heard = [rng.choice(words) if rng.random() < 0.2 else word for word in reference if rng.random() > 0.1]
        extra = rng.choices(words, k=1 if rng.random() < 0.2 else 0)
        references.append(text(reference))
        hypotheses.append(text([*heard, *extra] if rng.random() > 0.03 else []))
    return references, hypotheses


@pytest.fixture(scope="module")
def pairs():
    """(references, hypotheses) of each language."""
    return {language: random_pairs(language) for language in WORDS}


def test_the_pairs_hold_what_is_difficult(pairs):
    references, hypotheses = ([text for pair in pairs.values() for text in pair[side]] for side in (0, 1))
    assert len(references) == len(hypotheses) >= 2000
    both = list(zip(references, hypotheses, strict=True))
    assert {(bool(reference), bool(text)) for reference, text in both} == {(a, b) for a in (0, 1) for b in (0, 1)}
    assert any("  " in text for text in references) and any("ß" in text for text in references)


def run(*command: str) -> str:
    return subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=True).stdout


def files(tmp_path, *sides: list[str]) -> list[str]:
    paths = [tmp_path / name for name in ("references.txt", "hypotheses.txt")]
    for path, texts in zip(paths, sides, strict=True):
        path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return list(map(str, paths))


@pytest.mark.parametrize(
    ("language", "options"),
    [
        ("de", []),
        ("en", []),
        ("zh", ["--tokenize", "zh", "--ter-normalized", "--ter-asian-support"]),
        ("ja", ["--tokenize", "ja-mecab", "--ter-normalized", "--ter-asian-support"]),
    ],
)
def test_bleu_chrf_and_ter_are_those_of_the_sacrebleu_command(pairs, tmp_path, language, options):
    references, hypotheses = files(tmp_path, *pairs[language])
    metrics = ["--metrics", "bleu", "chrf", "ter", "--width", "15", "--format", "json"]
    theirs = json.loads(run("sacrebleu", references, "--input", hypotheses, *metrics, *options))
    for measure, expected in zip((f(*pairs[language], language) for f in (bleu, chrf, ter)), theirs, strict=True):
        assert round(measure.value, 15) == expected["score"]
        assert measure.signature == f"{expected['name']}|{expected['signature']}"


def test_wer_and_cer_are_those_of_jiwer_and_of_its_command(pairs, tmp_path):
    references, hypotheses = ([text for pair in pairs.values() for text in pair[side]] for side in (0, 1))
    none = get_normalizer("none")
    assert word_error_rate(references, hypotheses, none).value == jiwer.wer(references, hypotheses)
    assert character_error_rate(references, hypotheses, none).value == jiwer.cer(references, hypotheses)

    # The command leaves out lines of less than two characters, on each side by itself.
    longer = [pair for pair in zip(references, hypotheses, strict=True) if min(map(len, map(str.strip, pair))) > 1]
    references, hypotheses = map(list, zip(*longer, strict=True))
    assert len(references) >= 2000
    paths = files(tmp_path, references, hypotheses)
    command = ["jiwer.cli", "--reference", paths[0], "--hypothesis", paths[1]]
    assert word_error_rate(references, hypotheses, none).value == float(run(*command))
    assert character_error_rate(references, hypotheses, none).value == float(run(*command, "--cer"))


@pytest.mark.parametrize("language", WORDS)
def test_rouge_is_that_of_rouge_score(pairs, language):
    names = ["rouge1", "rouge2", "rougeL"]
    theirs = RougeScorer(names, tokenizer=None if language == "en" else UnicodeTokenizer())
    scores = [theirs.score(reference, text) for reference, text in zip(*pairs[language], strict=True)]
    for measure in rouge(*pairs[language], language):
        np.testing.assert_array_equal(measure.rows, [row[measure.metric].fmeasure for row in scores])
        assert measure.value == pytest.approx(np.mean(measure.rows), rel=1e-12)
