"""The row itself: what it takes, and what it keeps of what it does not know."""

from datetime import date

import pytest
from pydantic import ValidationError

from wavllm_cli.data.schema import Hypothesis, Part, Utterance, problems_in

ASR = {"id": "a", "audio": "a.wav", "task": "asr", "prompt": "p", "target": "t"}


def problem(**fields):
    with pytest.raises(ValidationError) as caught:
        Utterance(**{**ASR, **fields})
    (sentence,) = problems_in(caught.value)
    return sentence


def test_columns_of_ones_own_stand_beside_ours_or_below_extra():
    assert Utterance(**ASR, snr=3, extra={"votes": [1, 2]}).extra == {"votes": [1, 2], "snr": 3}
    assert Utterance(**ASR, extra='{"votes": [1, 2]}').extra == {"votes": [1, 2]}  # as Parquet holds it
    assert Utterance(**ASR, extra={}).extra is Utterance(**ASR).extra is None
    assert Utterance(**ASR, day=date(2024, 2, 29), raw=b"ab").extra == {"day": "2024-02-29", "raw": "YWI="}
    assert Hypothesis(**ASR, text="x", extra={"text": "mine"}).extra == {"text": "mine"}
    row = Utterance(**ASR, snr=3)
    assert Utterance.model_validate_json(row.json_line()) == row


def test_columns_that_cannot_be_kept_are_named():
    assert problem(snr=3, extra={"snr": 4}) == 'key "snr" stands in the row and in its "extra"'
    assert problem(extra=[1]) == 'key "extra" should be a valid dictionary, not [1]'
    assert problem(extra="{").startswith('key "extra" should be an object: not valid JSON')


def test_references_are_further_right_answers():
    row = Utterance(**ASR, references=["u", " "])
    assert row.accepted == ["t", "u"] and Utterance.model_validate_json(row.json_line()) == row
    assert Utterance(**ASR, references="u").references == ["u"]
    assert Utterance(**ASR, references=[]).references is None and "references" not in Utterance(**ASR).json_line()
    assert 'needs a "target"' in problem(target=None, references=["u"])
    assert Part(task="asr", prompt="p", target="t").model_dump() == {"task": "asr", "prompt": "p", "target": "t"}
    assert Part(task="asr", prompt="p", target="t", references=["u"]).model_dump()["references"] == ["u"]
