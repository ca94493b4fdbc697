import json
from random import Random

import pytest

from wavllm_cli.bench import score as bench
from wavllm_cli.bench.processes import run
from wavllm_cli.errors import WavLLMError
from wavllm_cli.scoring.metrics.wer import word_error_rate
from wavllm_cli.text.normalize import get_normalizer


@pytest.mark.slow
def test_every_command_runs_in_every_round_and_is_measured(wavllm):
    code, out, err = wavllm("bench", "score", "--pairs", "300", "--rounds", "2", "--json")
    assert code == 0, err
    measured = json.loads(out)
    assert [run["name"] for run in measured["runs"]] == ["wavllm score", "jiwer"]
    assert all(run["cpu_seconds"] > 0 and run["megabytes"] > 10 for run in measured["runs"])
    assert measured["bootstrap"] > 0
    assert measured["ratio"] > 0


def test_the_texts_are_of_the_size_and_quality_that_is_said(tmp_path):
    paths = bench._write_texts(tmp_path, 2000, Random(1))
    references, hypotheses = (path.read_text().split("\n")[:-1] for path in paths)
    assert len(references) == len(hypotheses) == 2000
    assert all(5 <= len(reference.split()) <= 25 for reference in references)
    rate = word_error_rate(references, hypotheses, get_normalizer("none")).value
    assert rate == pytest.approx(bench.ERRORS, abs=0.01)


def test_a_command_that_fails_is_no_figure(tmp_path):
    with pytest.raises(WavLLMError, match="failed with exit code"):
        run(["-c", "raise SystemExit(3)"])
