import math

import numpy as np
import pytest

from wavllm_cli.data.schema import Hypothesis
from wavllm_cli.scoring.following.constraints import SPEECH_IFEVAL, Constraint
from wavllm_cli.scoring.metrics.ifeval import ifeval
from wavllm_cli.scoring.tasks import Options, measure

COMMA, JSON = Constraint("punctuation:no_comma"), Constraint("detectable_format:json_format")
ODD = Constraint("keywords:rhyme")


def figures(answers, constraints):
    return {m.metric.removeprefix("ifeval/"): m for m in ifeval(answers, constraints)}


def test_figures_are_of_answers_and_of_constraints_strictly_and_loosely():
    found = figures(["{}", "Sure:\n{}", "a, b", ""], [[COMMA, JSON], [JSON], [COMMA, JSON], [COMMA]])
    assert {name: m.value for name, m in found.items()} == {
        "prompt-strict": 1 / 4,
        "instruction-strict": 2 / 6,
        "prompt-loose": 2 / 4,
        "instruction-loose": 3 / 6,
    }
    np.testing.assert_array_equal(found["instruction-strict"].rows, [1, 0, 0, 0])
    assert found["prompt-strict"].signature.startswith("ifeval/prompt-strict|ids:ifeval|wavllm:")


def test_unknown_constraints_are_named_and_in_no_figure():
    found = figures(["{}", "a, b", "x"], [[JSON, ODD], [COMMA, ODD], [ODD]])
    answers, constraints = found["prompt-strict"], found["instruction-strict"]
    assert answers.value == 0 and answers.counts == {"met": 0, "answers": 1, "unknown": 2}
    assert constraints.value == 1 / 2
    assert constraints.counts == {"met": 1, "constraints": 2, "unknown": 3, "unknown constraint keywords:rhyme": 3}
    assert all(math.isnan(m.value) for m in ifeval(["x"], [[ODD]]))


def test_rows_of_any_task_with_constraints_are_a_group_beside_their_tasks(capsys):
    def row(name, task, text, ids, **more):
        extra = {"instruction_id_list": ids, "instruction_reading": SPEECH_IFEVAL}
        return Hypothesis(id=name, audio="a.wav", task=task, prompt="Do it.", text=text, extra=extra, **more)

    rows = [
        row("1", "asr", "GOOD DAY", ["change_case:english_capital"], target="good day"),
        row("2", "sqqa", "no json", ["detectable_format:json_format", "keywords:rhyme"]),
        row("3", "asr", "good day", [], target="good day"),
    ]
    found = {group.name: group for group in measure(rows, Options())}
    assert list(found) == ["asr", "sqqa", "ifeval"]
    group = found["ifeval"]
    assert [r.id for r in group.scored] == ["1", "2"]
    assert [m.metric for m in group.measures][:2] == ["ifeval/prompt-strict", "ifeval/instruction-strict"]
    assert [[v.followed for v in of] for of in group.verdicts] == [[True], [False, None]]
    assert "|ids:speech-ifeval|" in group.measures[0].signature
    assert "1 constraints cannot be checked and are in no figure: unknown constraint keywords:rhyme (1)" in " ".join(
        capsys.readouterr().err.split()
    )
    assert "ifeval" not in {group.name for group in measure(rows, Options(metrics=("wer",)))}
    only = {group.name: group for group in measure(rows, Options(metrics=("ifeval",)))}
    assert len(only["ifeval"].measures) == 4 and not only["asr"].measures


def test_every_answer_needs_its_constraints():
    with pytest.raises(ValueError, match="1 references but 2 hypotheses"):
        ifeval(["a", "b"], [[JSON]])
