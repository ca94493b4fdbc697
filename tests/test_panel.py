"""Judges of multi-task rows: what is counted, what is handed on, and that systems are compared on the same rows."""

from dataclasses import replace

import pytest

from wavllm_cli.data.schema import Hypothesis, Part
from wavllm_cli.scoring.panel import ruled, seated
from wavllm_cli.scoring.scores import Judging

KNOWN = [Part(task="asr", prompt="Transcribe it.", target="the cat sat on the mat")]
UNKNOWN = [Part(task="asr", prompt="Transcribe it.")]  # the rules have no words to look for


def row(name, text, parts):
    return Hypothesis(id=name, audio="a.wav", task="ii", prompt="Do it.", parts=parts, text=text)


def rates(panel, rows):
    rates = panel.measures(rows, ["ifr"])
    return {m.metric: (m.value, dict(m.counts)) for m in rates}


def model(**verdicts):
    return Judging("tiny", verdicts, {}, {}, True, None)


def test_by_the_rules_alone_an_undecided_row_is_counted_and_in_no_rate():
    rows = [row("a", "The cat sat on the mat.", KNOWN), row("b", "The dog ran.", UNKNOWN), row("c", "", KNOWN)]
    panel = ruled({"ours": rows})["ours"]
    assert rates(panel, rows) == {"ifr": (1 / 2, {"followed": 1, "undecided": 1, "unusable": 0})}


def test_what_the_rules_leave_open_a_model_decides_and_it_also_stands_alone():
    rows = [row("a", "The cat sat on the mat.", KNOWN), row("b", "The dog ran.", UNKNOWN)]
    panels = ruled({"ours": rows})
    panel = seated({"ours": replace(panels["ours"], judgings=[model(a=[False], b=[True])])})["ours"]
    found = {name: value for name, (value, _) in rates(panel, rows).items()}
    assert found == {"ifr": 1, "ifr/tiny": 1 / 2, "ifr/rules+tiny": 1}


def test_without_anything_undecided_nothing_is_handed_on():
    rows = [row("a", "The cat sat on the mat.", KNOWN)]
    panel = seated({"ours": replace(ruled({"ours": rows})["ours"], judgings=[model(a=[True])])})["ours"]
    assert list(rates(panel, rows)) == ["ifr", "ifr/tiny"]


@pytest.mark.parametrize("judge", ["ifr", "ifr/tiny"])
def test_systems_are_compared_on_the_rows_that_are_decided_for_all(judge):
    """The rules leave row b of the second system open, the model has no verdict on it."""
    first = [row("a", "The cat sat on the mat.", KNOWN), row("b", "", UNKNOWN)]
    second = [row("a", "The cat sat on the mat.", KNOWN), row("b", "The dog ran.", UNKNOWN)]
    panels = ruled({"first": first, "second": second})
    panels["first"] = replace(panels["first"], judgings=[model(a=[True], b=[False])])
    panels["second"] = replace(panels["second"], judgings=[model(a=[True])])
    panels = seated(panels)
    assert rates(panels["first"], first)[judge] == (1, {"followed": 1, "undecided": 0, "unusable": 1})
    assert rates(panels["second"], second)[judge][0] == 1
