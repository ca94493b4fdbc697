import re
from collections import Counter

import pytest
from pydantic import ValidationError

from wavllm_cli.data.schema import Hypothesis
from wavllm_cli.scoring.published import SOURCES, Published, load, published_of

CLEAN = {"corpus": "librispeech", "split": "test-clean"}
OTHER = {"corpus": "LibriSpeech", "split": "test_other"}
COVOST = {"corpus": "CoVoST 2", "split": "test", "language": "en", "target_language": "de"}


def row(**fields):
    return Hypothesis(**{"id": "a", "audio": "a.wav", "task": "asr", "prompt": "", "text": ""} | fields)


def figures(source, said):
    return {p.system: p.value for p in published_of("asr", [row(**said)]) if p.source == source}


def test_every_figure_is_there_once_and_its_unit_fits_its_metric():
    assert max(Counter((p.system, p.task, p.corpus, p.metric, p.source) for p in load().figures).values()) == 1
    for p in load().figures:
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
    for i, said in enumerate((CLEAN, OTHER)):
        assert figures("independent", said) == {system: round(wers[i], 4) for system, wers in logs.items()}


def test_a_claim_and_a_measurement_of_the_same_system_stand_side_by_side():
    assert figures("paper", CLEAN)["SALMONN-7B"] == 0.021
    assert figures("independent", CLEAN)["SALMONN-7B"] == 0.1027


def test_figures_stand_only_beside_rows_that_are_all_of_the_same_corpus_and_split():
    rows = [row(**COVOST, task="st")] * 3
    found = {p.system: p.value for p in published_of("st", rows)}
    assert found == published_bleu() == {p.system: p.value for p in published_of("st/de", rows)}
    for other in ({"split": "dev"}, {"split": None}, {"target_language": "fr"}, {"corpus": None}):
        assert published_of("st", [*rows, row(**COVOST | other, task="st")]) == []
    assert published_of("sft", rows) == published_of("asr", rows) == []
    assert all(p.task == "ii" for p in published_of("ii/asr", [row(**CLEAN)]))


def published_bleu():
    return {"WavLLM": 23.6, "SALMONN": 18.6, "Qwen-Audio": 25.1, "Qwen2-Audio": 29.9, "Qwen2.5-Omni": 30.2}


def test_what_nobody_knows_the_rows_of_stands_beside_none():
    unknown = {p.corpus for p in load().figures} - load().test_sets.keys()
    assert "IEMOCAP" in unknown
    assert published_of("er", [row(task="er", corpus="IEMOCAP", split="Session5")]) == []


def test_the_origin_says_corpus_source_and_note():
    emotion = next(p for p in load().figures if p.task == "er")
    assert emotion.origin == "IEMOCAP; secondary; which split is not known"
    assert published_of("asr", [row(**CLEAN)])[0].origin == "LibriSpeech test-clean; paper, arXiv 2404.00656"


@pytest.mark.parametrize(
    "wrong", [{"source": "hearsay"}, {"unit": "percent"}, {"value": float("nan")}, {"value": -0.1}, {"color": "red"}]
)
def test_an_entry_that_says_something_else_is_refused(wrong):
    right = load().figures[0].model_dump()
    with pytest.raises(ValidationError, match=re.escape(next(iter(wrong)))):
        Published.model_validate(right | wrong)
