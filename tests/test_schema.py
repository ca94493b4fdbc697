"""The row itself: what it takes, and what it keeps of what it does not know."""

import json
from datetime import date

import pytest
from pydantic import ValidationError

from wavllm_cli.data.pieces import Piece
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


PIECES = [{"audio": "a.wav", "duration": 1.5}, {"audio": "b.wav", "start": 2, "duration": 1, "channel": 1}]


def test_audio_may_be_pieces():
    row = Utterance(**ASR | {"audio": PIECES, "gap": 0.25})
    assert [piece.audio for piece in row.pieces] == ["a.wav", "b.wav"] and row.known_duration == 2.75
    assert Utterance.model_validate_json(row.json_line()) == row and hash(row.audio)
    assert json.loads(row.json_line())["audio"][0] == {"audio": "a.wav", "start": 0.0, "duration": 1.5}
    assert Utterance(**ASR | {"audio": [{"audio": "a.wav"}]}).known_duration is None
    (piece,) = Utterance(**ASR, channel=1, start=2, duration=3).pieces
    assert piece == Piece(audio="a.wav", channel=1, start=2, duration=3)
    assert Utterance(**ASR | {"audio": None}).pieces == ()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"audio": PIECES, "channel": 1}, 'key "channel" belongs into each of the pieces that "audio" lists'),
        ({"audio": PIECES, "start": 1}, 'key "start" belongs into each of the pieces that "audio" lists'),
        ({"audio": PIECES, "duration": 9}, 'key "duration" says 9 s, but the pieces and gaps are 2.5 s'),
        ({"gap": 1}, 'key "gap" is the silence between pieces, but "audio" is not a list of them'),
        ({"audio": 5}, 'key "audio" should be a valid string, not 5'),
        ({"audio": []}, 'key "audio" lists no pieces'),
        ({"audio": [{"audio": "a", "level": 3}]}, 'key "audio.0.level" should be less than or equal to 0, not 3'),
        ({"audio": [{"start": 1}]}, 'key "audio.0.audio" is missing'),
        ({"audio": ["a.wav"]}, 'key "audio.0" should be an object, not \'a.wav\''),
        ({"audio": [{"audio": "a", "lenght": 1}]}, 'key "audio.0": unknown key "lenght": there are audio, start, '),
        ({"audio": [{"audio": "a", "durations": 1}]}, 'key "audio.0": unknown key "durations": did you mean "dur'),
        ({"turns": [{"start": 0, "duration": 1, "text": "a"}]}, 'key "turns.0.speaker" is missing'),
        ({"parts": [{"task": "asr", "promt": "p"}]}, 'key "parts.0": unknown key "promt": did you mean "prompt"?'),
    ],
)  # fmt: skip
def test_what_is_wrong_within_a_row(fields, sentence):
    assert problem(**fields).startswith(sentence)


def test_pieces_may_have_a_speaker_each():
    row = Utterance(**ASR | {"audio": PIECES}, speaker=["anna", "ben"])
    assert row.speaker == row.speakers == ("anna", "ben") and Utterance.model_validate_json(row.json_line()) == row
    assert Utterance(**ASR, speaker='["anna", "ben"]').speakers == ("anna", "ben")  # as Parquet holds it
    assert Utterance(**ASR, speaker="[anna]").speakers == ("[anna]",) and Utterance(**ASR).speakers == ()
    assert Utterance(**ASR | {"audio": PIECES}, speaker="anna").speakers == ("anna",)
    assert problem(audio=PIECES, speaker=["anna"]).endswith('piece of "audio": it lists 1, there are 2 pieces')
    assert problem(speaker=5) == 'key "speaker" should be a valid string, not 5'
    assert problem(speaker=["a", 5]) == 'key "speaker.1" should be a valid string, not 5'


def test_text_that_waits_for_speech_is_no_row_of_text():
    assert Utterance(**ASR | {"audio": None, "speech_text": "say it"}).awaits_speech
    assert not Utterance(**ASR, speech_text="said").awaits_speech
    assert not Utterance(**ASR | {"audio": None}).awaits_speech
