import numpy as np
import pytest
import soundfile

from wavllm_cli.data.manifest import read_manifest, write_manifest
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import ManifestError
from wavllm_cli.training.survey import Survey, most_tokens, survey, surveyed


def row(name, **fields):
    given = {"audio": "a.wav", "duration": 1.0, "task": "asr", "prompt": "p", "target": "t"} | fields
    return Utterance(id=name, **given)


@pytest.fixture
def manifest(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(16_000), 16_000)
    (tmp_path / "folder.wav").mkdir()
    rows = [
        row("good", group="g1"),
        row("no target", target=None, audio="gone.wav"),
        row("gone", audio="gone.wav", group="g2"),
        row("folder", audio="folder.wav"),
        row("long", duration=20.0),
        row("text", audio=None, duration=None, group="g3"),
        row("waits", audio=None, duration=None, speech_text="say it"),
        row("unmeasured", duration=None, target="ä"),
        row("both", duration=None, audio=[{"audio": "a.wav", "duration": 1.0}, {"audio": "a.wav", "duration": 0.5}]),
    ]
    write_manifest(tmp_path / "m.jsonl", rows)
    return tmp_path / "m.jsonl"


def test_columns_tell_what_can_be_used(manifest):
    found = Survey(manifest)
    unusable = found.unusable(10.0)
    assert {reason: [found.rows[i].id for i in rows] for reason, rows in unusable.items()} == {
        "no target": ["no target"],
        "audio file missing": ["gone"],
        "audio file is a folder": ["folder"],
        "longer than 10 s": ["long"],
        "speech_text not spoken yet": ["waits"],
    }
    used = found.usable(unusable)
    assert [found.clips[i].row.id for i in used] == ["good", "text", "unmeasured", "both"]
    assert found.groups(used) == {"g1", "g3"} and found.is_text[used].tolist() == [False, True, False, False]
    assert np.array_equal(found.seconds[used], [1.0, 0.0, np.nan, 1.5], equal_nan=True)
    assert found.most_tokens[used].tolist() == [4, 4, 2 + 1 + 22, 4]
    assert most_tokens("ab ") == 4


def test_the_digest_is_that_of_the_rows_whatever_they_are_packed_in(manifest):
    write_manifest(manifest.with_suffix(".parquet"), read_manifest(manifest))
    assert Survey(manifest).sha256 == Survey(manifest.with_suffix(".parquet")).sha256


def test_rows_of_no_one_and_several_files_are_looked_at_in_order(tmp_path):
    audio = [None, "a.wav", [{"audio": "b.wav"}, {"audio": "gone.wav"}], "b.wav", "gone.wav", None]
    rows = [row(str(i), audio=names, group=f"g{i % 2}") for i, names in enumerate(audio)]
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).touch()
    write_manifest(tmp_path / "m.jsonl", rows)
    found = Survey(tmp_path / "m.jsonl")
    (missing,) = found.unusable(10.0).values()
    assert missing.tolist() == [2, 4] and found.usable({"": missing}).tolist() == [0, 1, 3, 5]
    assert found.groups(np.array([0, 4])) == {"g0"} and len(found) == len(rows)


def test_a_look_is_taken_again_only_at_another_file(manifest):
    first = survey(manifest)
    assert surveyed(manifest) is first and survey(manifest) is not first
    write_manifest(manifest, read_manifest(manifest)[:1])
    assert len(surveyed(manifest)) == 1
    manifest.unlink()
    with pytest.raises(ManifestError, match="does not exist"):
        surveyed(manifest)
