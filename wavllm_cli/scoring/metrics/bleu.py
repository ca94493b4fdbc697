"""BLEU, chrF and TER by sacrebleu: its own statistics, figures, signatures and paired tests."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from wavllm_cli.scoring.measure import SEED, Measure, References, check_pairs, listed
from wavllm_cli.scoring.metrics.metric import Metric, Texts
from wavllm_cli.text.languages import language_code

if TYPE_CHECKING:
    import numpy as np
    from sacrebleu.metrics.base import Metric as Scorer

# sacrebleu's tokenisers for languages that its default, 13a, does not split into words; by codes and names.
TOKENIZERS = {
    **dict.fromkeys(("zh", "zho", "cmn", "yue", "mandarin", "cantonese"), "zh"),
    **dict.fromkeys(("ja", "jpn"), "ja-mecab"),
    **dict.fromkeys(("ko", "kor", "korean"), "ko-mecab"),
    **dict.fromkeys(("th", "tha", "thai", "lo", "lao", "km", "khm", "khmer", "my", "mya", "burmese"), "char"),
}


@dataclass(frozen=True, eq=False, kw_only=True)
class TranslationMeasure(Measure):
    """A measure of sacrebleu's, in points.

    Attributes:
        scorer: sacrebleu's metric, set up for the language.
        sentence_scorer: the same for single rows.
        references: those of each of N rows.
        hypotheses: N texts.
    """

    scorer: "Scorer"
    sentence_scorer: "Scorer"
    references: list[list[str]]
    hypotheses: Sequence[str]

    @cached_property
    def rows(self) -> "np.ndarray":
        """(N,) the figure of each row alone; BLEU over the orders of n-grams that the row has (effective order)."""
        return _figure(self.sentence_scorer)(self.statistics)


def bleu(references: References, hypotheses: Sequence[str], target_language: str | None) -> TranslationMeasure:
    """BLEU with the tokeniser that the target language needs.

    Args:
        references: one or more a row, of which sacrebleu uses all; an empty one matches nothing.
        hypotheses: same length; an empty one counts as fully wrong.
        target_language: a code or an English name ("de", "zh_CN", "Korean"); None: one that puts spaces between words.

    Raises:
        ValueError: the two sequences differ in length.
    """
    from sacrebleu.metrics import BLEU

    scorer = BLEU(tokenize=_tokenizer(target_language))
    sentence_scorer = copy(scorer)
    sentence_scorer.effective_order = True
    return _measure("bleu", scorer, sentence_scorer, references, hypotheses)


def chrf(references: References, hypotheses: Sequence[str], target_language: str | None) -> TranslationMeasure:
    """chrF2, on characters whatever the language; arguments and errors as for `bleu`."""
    from sacrebleu.metrics import CHRF

    scorer = CHRF()
    return _measure("chrf", scorer, scorer, references, hypotheses)


def ter(references: References, hypotheses: Sequence[str], target_language: str | None) -> TranslationMeasure:
    """Translation edit rate; arguments and errors as for `bleu`.

    For Chinese, Japanese and Korean, sacrebleu's Asian support sets Han characters and punctuation apart. It has
    nothing for Thai, Lao, Khmer and Burmese: there a run without spaces is one word.
    """
    from sacrebleu.metrics import TER

    asian = _tokenizer(target_language) in ("zh", "ja-mecab", "ko-mecab")
    scorer = TER(normalized=asian, asian_support=asian)  # Asian support does nothing where texts are not normalised
    return _measure("ter", scorer, scorer, references, hypotheses)


def paired_test(a: TranslationMeasure, b: TranslationMeasure, seed: int = SEED) -> tuple[float, float]:
    """How likely a difference at least as large as that of two systems is, if they are equally good.

    Both are sacrebleu's tests. Systems of equal figures get 1; sacrebleu's formula, which compares strictly, would call
    two different that are equal whatever is exchanged. Takes about 100 kB of memory a row.

    Args:
        a: one system.
        b: the other, by the same metric on the same references.

    Returns:
        p of approximate randomisation (10,000 trials), p of the paired bootstrap (1,000 resamples).

    Raises:
        ValueError: the two are not of the same metric and references.
    """
    if a.signature != b.signature or a.references != b.references:
        raise ValueError("a paired test needs two systems scored by the same metric on the same references")
    if a.value == b.value:
        return 1.0, 1.0
    with _seeded(seed):
        return _p_value(a, b, "ar"), _p_value(a, b, "bs")


def _tokenizer(language: str | None) -> str:
    return TOKENIZERS.get(language_code(language or ""), "13a")


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """sacrebleu takes its seed from the environment, and 0 for none."""
    before = os.environ.get("SACREBLEU_SEED")
    os.environ["SACREBLEU_SEED"] = str(seed or SEED)
    try:
        yield
    finally:
        if before is None:
            del os.environ["SACREBLEU_SEED"]
        else:
            os.environ["SACREBLEU_SEED"] = before


# --- all that is not public in sacrebleu; the tests compare its results with those of the public functions ---


def _measure(
    metric: str,
    scorer: "Scorer",
    sentence_scorer: "Scorer",
    references: References,
    hypotheses: Sequence[str],
) -> TranslationMeasure:
    import numpy as np

    check_pairs(references, hypotheses)
    references = listed(references)
    # With an empty pair at the end, no rows at all are no special case to sacrebleu; it has as many references as the
    # row before, because sacrebleu's signature says how many there are.
    padding = [""] * len(references[-1]) if references else [""]
    streams: Any = list(zip_longest(*references, padding))
    rows = scorer._extract_corpus_statistics([*hypotheses, ""], streams)
    name = scorer._compute_score_from_stats(rows[-1]).name
    return TranslationMeasure(
        metric=metric,
        statistics=np.array(rows)[:-1],
        figure=_figure(scorer),
        signature=f"{name}|{scorer.get_signature()}",
        lower_is_better=metric == "ter",
        unit="points",
        scorer=scorer,
        sentence_scorer=sentence_scorer,
        references=references,
        hypotheses=hypotheses,
    )


def _figure(scorer: "Scorer") -> "Callable[[np.ndarray], np.ndarray]":
    import numpy as np

    return lambda sums: np.array([scorer._compute_score_from_stats(row).score for row in sums.tolist()], dtype=float)


def _p_value(a: TranslationMeasure, b: TranslationMeasure, test: str) -> float:
    from sacrebleu.significance import PairedTest

    # The statistics are known already: handing them over in place of texts saves counting everything four times.
    counted = copy(a.scorer)
    vars(counted)["_extract_corpus_statistics"] = lambda rows, references: rows
    systems: Any = [("a", a.statistics.astype(float)), ("b", b.statistics.astype(float))]
    results: Any = PairedTest(systems, {a.metric: counted}, references=None, test_type=test)()[1]
    return results[a.signature.split("|")[0]][1].p_value


# --- what the registry knows ---


def _metric(
    code: str, name: str, meaning: str, of: Callable[..., Measure], lower_is_better: bool = False
) -> Metric[Texts]:
    def apply(given: Texts) -> list[Measure]:
        return [of(given.references, given.texts, given.language)]

    return Metric(code, name, Texts, apply, "points", lower_is_better, meaning)


METRICS = (
    _metric("bleu", "BLEU", "how many runs of one to four words a reference has too, up to 100", bleu),
    _metric("chrf", "chrF2", "how many runs of one to six characters are those of a reference, up to 100", chrf),
    _metric(
        "ter",
        "translation edit rate",
        "edits that lead to a reference, for 100 of its words",
        ter,
        lower_is_better=True,
    ),
)
