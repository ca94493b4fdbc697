"""Utterances that the language model has no positions for, found before they are trained on."""

import numpy as np
import pytest
import soundfile

from wavllm_cli.data.manifest import write_manifest
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import UsageError
from wavllm_cli.training.dataset import load_utterances
from wavllm_cli.training.room import Room


def row(name, **fields):
    return Utterance(**{"id": name, "audio": None, "task": "sft", "prompt": "say", "target": "t"} | fields)


@pytest.fixture(scope="module")
def room(tiny_config, tiny_processor):
    return Room(tiny_config(), tiny_processor)


def test_the_last_position_may_be_taken(room, tiny_config, tiny_processor):
    limit = tiny_config().text_config.max_position_embeddings
    for audio, seconds in ((None, 0.0), ("a.wav", 2.0)):
        speech = tiny_processor.audio_tokens(round(seconds * 16_000))
        around = len(tiny_processor.encode("say", speech, "")[0])
        longest = "z" * (limit - around)
        ids, _ = tiny_processor.encode("say", speech, longest)
        assert len(ids) == limit
        assert room.problem(row("a", audio=audio, target=longest), seconds) is None
        sentence = room.problem(row("a", audio=audio, target=longest + "z"), seconds)
        assert f"need {limit + 1:,} positions, the language model has {limit:,}" in sentence


def test_short_texts_are_not_tokenised(room, tiny_processor, monkeypatch):
    monkeypatch.setattr(type(tiny_processor), "encode", None)
    assert room.problem(row("a", target="ﷺ" * 20), 0.0) is None


def test_rows_without_room_are_left_out_by_name(room, tmp_path, capsys):
    soundfile.write(tmp_path / "a.wav", np.zeros(16_000), 16_000)
    rows = [row("good", audio="a.wav"), row("text"), row("long", audio="a.wav", prompt="x " * 900)]
    write_manifest(tmp_path / "m.jsonl", rows)
    found = load_utterances(tmp_path / "m.jsonl", 10, room)
    assert [clip.row.id for clip in found.clips] == ["good", "text"] and found.seconds.tolist() == [1.0, 0.0]
    said = " ".join(capsys.readouterr().err.split())
    assert "1 utterances left out, too long for the language model (first: long: 1.0 s of audio (" in said
    write_manifest(tmp_path / "m.jsonl", rows[2:])
    with pytest.raises(UsageError, match="no usable utterance"):
        load_utterances(tmp_path / "m.jsonl", 10, room)
