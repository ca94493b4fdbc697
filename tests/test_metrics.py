"""The registry of metrics: what each says of itself is what it measures."""

import numpy as np
import pytest

from wavllm_cli.errors import UsageError
from wavllm_cli.scoring.following.constraints import Constraint
from wavllm_cli.scoring.measure import Measure, share
from wavllm_cli.scoring.metrics import bertscore
from wavllm_cli.scoring.metrics.metric import Constrained, Judged, Labels, Texts
from wavllm_cli.scoring.metrics.registry import METRICS, measures, metrics_of, require_metric, spelled_out

GIVEN = {
    Texts: Texts(["a b", "c"], [["a b"], ["c", "d"]], ["a c", "d"], "en", encoder="tiny@1"),
    Labels: Labels(["yes", "no"], ["yes", "yes"], "yes-no"),
    Judged: Judged([[True, False], [True]], "rules"),
    Constrained: Constrained(["a", "b, c"], [[Constraint("punctuation:no_comma")]] * 2),
}


@pytest.fixture(autouse=True)
def no_encoder(monkeypatch):
    def fake(references, hypotheses, model, language, rescale):
        return Measure("bertscore", np.ones((len(references), 2)), share, f"bertscore|{model}|{language}|{rescale}")

    monkeypatch.setattr(bertscore, "bert_score", fake)


@pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
def test_a_metric_measures_what_it_says_of_itself(metric):
    given = GIVEN[metric.kind]
    for figure in measures([metric.code], given):
        assert figure.metric.partition("/")[0] == metric.code
        assert (figure.unit, figure.lower_is_better) == (metric.unit, metric.lower_is_better)
        assert figure.signature.lower().startswith(metric.code.split("_")[0][:3].lower())
        assert len(figure.rows) == 2 and figure.value == pytest.approx(figure.value)


def test_every_kind_of_answers_has_metrics_in_the_order_of_the_list():
    rouge = ["rouge1", "rouge2", "rougeL"]
    assert metrics_of(Texts) == ["wer", "cer", "bleu", "chrf", "ter", *rouge, "bertscore", "exact"]
    assert metrics_of(Labels) == ["accuracy", "balanced_accuracy", "macro_f1"]
    assert metrics_of(Judged) == ["ifr", "instructions"]


def test_one_metric_may_have_several_figures():
    given = Texts(["Mr. A"], [["Mr. A"]], ["mister a"], normalizer="all")
    names = [figure.metric for figure in measures(["wer"], given)]
    assert len(names) == 6 and names[1] == "wer/lower"


def test_figures_have_names_for_people():
    assert spelled_out("wer/lower") == "word error rate (lower)"
    assert spelled_out("rougeL") == "ROUGE-L"
    assert spelled_out("another") == "another"
    assert len({metric.name for metric in METRICS.values()}) == len(METRICS)


def test_a_metric_that_there_is_not_is_refused_with_the_nearest_and_all():
    require_metric("wer")
    with pytest.raises(UsageError, match=r"unknown metric 'blue': did you mean 'bleu'\? There are wer, cer, bleu"):
        require_metric("blue")


def test_bertscore_without_an_encoder_is_refused():
    with pytest.raises(UsageError, match="BERTScore needs an encoder"):
        list(measures(["bertscore"], Texts(["a"], [["a"]], ["a"])))
