"""ROUGE by rouge_score, with a tokeniser for languages other than English."""

from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from itertools import chain

import wavllm_cli
from wavllm_cli.scoring.measure import Measure, References, check_pairs, listed, several, share
from wavllm_cli.scoring.metrics.metric import Metric, Texts
from wavllm_cli.text.languages import language_code
from wavllm_cli.text.normalize import APOSTROPHES
from wavllm_cli.text.words import words

NAMES = ("rouge1", "rouge2", "rougeL")


class UnicodeTokenizer:
    """Lower-case words of any script; where a script puts no spaces between words, each character is one.

    rouge_score's own tokeniser keeps nothing but a-z and 0-9: it finds no words in Chinese and two in "Größe".
    """

    def tokenize(self, text: str) -> list[str]:
        """`"L'été à 東京!"` -> `["l", "été", "à", "東", "京"]`."""
        return list(words(text.translate(APOSTROPHES).replace("'", " ")))


def rouge(
    references: References,
    hypotheses: Sequence[str],
    language: str | None,
    names: Sequence[str] = NAMES,
) -> list[Measure]:
    """The mean F-measure of each kind of ROUGE, without stemming.

    The statistics of a row are its F-measure and 1. A row without words on either side, or on both, counts 0.

    Args:
        references: one or more a row; each measure takes the one that is nearest by it, as rouge_score does.
        hypotheses: same length.
        language: a code or an English name. English is split as rouge_score does, so that figures compare with
            published ones; all else by `UnicodeTokenizer`. None: English if the references hold ASCII only.
        names: as rouge_score calls them.

    Returns:
        One measure per name, in that order.

    Raises:
        ValueError: the two sequences differ in length, or rouge_score has no measure of a name.
    """
    import numpy as np
    from rouge_score.rouge_scorer import RougeScorer

    check_pairs(references, hypotheses)
    references = listed(references)
    english = language_code(language) in ("en", "eng") if language else all(map(str.isascii, chain(*references)))
    scorer = RougeScorer(list(names), tokenizer=None if english else UnicodeTokenizer())
    scores = [scorer.score_multi(texts, text) for texts, text in zip(references, hypotheses, strict=True)]
    tokenizer = "rouge-score" if english else f"wavllm-{wavllm_cli.__version__}"
    return [
        Measure(
            metric=name,
            statistics=np.array([(row[name].fmeasure, 1) for row in scores], dtype=float).reshape(-1, 2),
            figure=share,
            signature=f"{name}|f|stem:no|tok:{tokenizer}{several(references)}|rouge-score:{version('rouge-score')}",
        )
        for name in names
    ]


def _apply(code: str, given: Texts) -> list[Measure]:
    return rouge(given.references, given.texts, given.language, [code])


MEANINGS = {
    "rouge1": "words that answer and reference share",
    "rouge2": "pairs of words that answer and reference share",
    "rougeL": "words that answer and reference share in the same order",
}
METRICS = tuple(
    Metric(code, f"ROUGE-{code.removeprefix('rouge')}", Texts, partial(_apply, code), meaning=MEANINGS[code])
    for code in NAMES
)
