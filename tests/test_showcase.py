"""The demo clips: test rows that may be given on, picked by chance, each a small file of its own."""

import json

import pytest
import soundfile
from showcase_rows import write_test_rows

from wavllm_cli.data.batch import Clip
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.errors import WavLLMError
from wavllm_cli.mini import showcase
from wavllm_cli.mini.showcase import CLIPS, MANIFEST, picks, sources, write_showcase
from wavllm_cli.tasks.registry import TASKS


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_test_rows(folder)
    return folder


@pytest.fixture(scope="module")
def made(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "clips"
    write_showcase(data, folder)
    return folder


def test_there_is_a_dozen_of_every_task_that_is_heard():
    assert 12 <= sum(pick.count for pick in picks()) <= 16
    assert {"asr"} | {pick.manifest for pick in picks()} >= {task for task in TASKS if task not in ("sft", "summ")}
    assert {pick.corpus for pick in picks()} - {None} <= sources().keys()


def test_each_clip_is_a_small_file_with_its_answer_and_its_licence(made):
    rows = read_manifest(made / MANIFEST)
    assert len(rows) == sum(pick.count for pick in picks())
    for row in rows:
        file = made / row.audio
        assert file.stat().st_size <= showcase.LARGEST and file.parent == made
        assert row.duration == pytest.approx(soundfile.info(file).duration, abs=1e-3) and row.target
        assert row.extra == {"source": sources()[row.corpus].title, "licence": sources()[row.corpus].licence}
        assert len(Clip(row, (file,)).read()) == pytest.approx(16_000 * row.duration, abs=1)
    assert {file.name for file in made.iterdir()} == {row.audio for row in rows} | {MANIFEST}


def test_chance_picks_the_same_again(data, made, tmp_path):
    write_showcase(data, tmp_path / "again")
    for file in made.iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes()


def test_joined_pieces_become_one_recording(made):
    (row,) = [row for row in read_manifest(made / MANIFEST) if row.audio == "sv-1.flac"]
    assert row.duration == 1.25 and row.gap is None and row.speaker == ("a", "b")


def test_too_few_rows_are_a_sentence_and_leave_nothing(data, tmp_path, monkeypatch):
    monkeypatch.setattr(showcase, "picks", lambda: [showcase.Pick("world", 5)])
    with pytest.raises(WavLLMError, match=r"test-world\.jsonl has only 4 of 5 rows"):
        write_showcase(data, tmp_path / "clips")
    monkeypatch.setattr(showcase, "picks", lambda: [showcase.Pick("world", 4)])
    monkeypatch.setattr(showcase, "LARGEST_OF_ALL", 1000)
    with pytest.raises(WavLLMError, match=r"more than 1,000: pick fewer"):
        write_showcase(data, tmp_path / "clips")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not CLIPS.is_dir(), reason="this checkout brings no demo clips")
def test_the_clips_of_the_package_may_be_given_on():
    rows = read_manifest(CLIPS / MANIFEST)
    assert sum(file.stat().st_size for file in CLIPS.iterdir()) < showcase.LARGEST_OF_ALL
    for row in rows:
        assert row.extra["licence"] == sources()[row.corpus].licence
        assert soundfile.info(CLIPS / row.audio).frames == round(row.duration * 16_000)
    assert "/home" not in json.dumps([row.model_dump() for row in rows])
