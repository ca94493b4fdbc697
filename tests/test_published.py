import re
from collections import Counter

import pytest
from pydantic import ValidationError

from wavllm_cli.scoring.published import SOURCES, Published, load, published_for


def figures(task, metric, source):
    return {(p.system, p.corpus): p.value for p in published_for(task, metric) if p.source == source}


def test_every_figure_is_there_once_and_its_unit_fits_its_metric():
    assert max(Counter((p.system, p.task, p.corpus, p.metric, p.source) for p in load()).values()) == 1
    for p in load():
        assert p.unit == ("points" if p.metric == "bleu" else "fraction")
        assert p.value <= (100 if p.unit == "points" else 1)
        assert p.source in SOURCES


def test_word_error_rates_are_those_of_the_audiobench_logs_to_four_digits():
    """The key "wer" of each system's log, for LibriSpeech test-clean and test-other."""
    logs = {
        "WavLLM": (0.02103218017882069, 0.04798834811886432),
        "SALMONN-7B": (0.10270871845172973, 0.09671439650443565),
        "Qwen-Audio-Chat": (0.020258799562379748, 0.043467569561352074),
        "Qwen2-Audio": (0.035141660693401744, 0.060415760304159495),
        "Whisper-large-v3 + Llama-3-8B": (0.01793865771305693, 0.03714982881570734),
    }
    splits = ("LibriSpeech test-clean", "LibriSpeech test-other")
    expected = {
        (system, split): round(wer, 4) for system, wers in logs.items() for split, wer in zip(splits, wers, strict=True)
    }
    assert figures("asr", "wer", "independent") == expected


def test_a_claim_and_a_measurement_of_the_same_system_stand_side_by_side():
    salmonn = [p for p in published_for("asr", "wer") if p.system == "SALMONN-7B" and "clean" in p.corpus]
    assert {p.source: p.value for p in salmonn} == {"paper": 0.021, "independent": 0.1027}


def test_figures_are_of_the_asked_task_and_metric_only():
    assert {p.system: p.value for p in published_for("st", "bleu")} == {
        "WavLLM": 23.6,
        "SALMONN": 18.6,
        "Qwen-Audio": 25.1,
        "Qwen2-Audio": 29.9,
        "Qwen2.5-Omni": 30.2,
    }
    assert published_for("st", "chrf") == []
    assert published_for("ii/asr", "wer") == []


def test_the_origin_says_corpus_source_and_note():
    assert published_for("er", "accuracy")[0].origin == "IEMOCAP; secondary; which split is not known"
    assert published_for("asr", "wer")[0].origin == "LibriSpeech test-clean; paper, arXiv 2404.00656"


@pytest.mark.parametrize(
    "wrong", [{"source": "hearsay"}, {"unit": "percent"}, {"value": float("nan")}, {"value": -0.1}, {"color": "red"}]
)
def test_an_entry_that_says_something_else_is_refused(wrong):
    right = published_for("sv", "accuracy")[0].model_dump()
    with pytest.raises(ValidationError, match=re.escape(next(iter(wrong)))):
        Published.model_validate(right | wrong)
