import pytest
import soundfile

from wavllm_cli.corpora import prepare
from wavllm_cli.data.audio import read_audio
from wavllm_cli.data.manifest import read_manifest, resolve_audio
from wavllm_cli.errors import UsageError


@pytest.fixture
def root(tmp_path, noise):
    """LibriSpeech/ with two splits; one clip lacks its flac, one its transcript, one is not audio."""
    for split, speaker, chapter, texts in (
        ("train-clean-100", "19", "198", ["NORTHANGER ABBEY", "THIS LITTLE WORK", "NO FLAC"]),
        ("train-clean-100", "103", "1240", ["CHAPTER ONE"]),
        ("dev-other", "116", "288017", ["BROKEN", "IT'S FINE"]),
    ):
        folder = tmp_path / "LibriSpeech" / split / speaker / chapter
        folder.mkdir(parents=True)
        stem = f"{speaker}-{chapter}"
        lines = [f"{stem}-{i:04d} {text}\n" for i, text in enumerate(texts)]
        (folder / f"{stem}.trans.txt").write_text("".join(lines))
        for i, text in enumerate(texts):
            if text == "BROKEN":
                (folder / f"{stem}-{i:04d}.flac").write_text("broken")
            elif text != "NO FLAC":
                soundfile.write(folder / f"{stem}-{i:04d}.flac", noise(0.5 + i), 16_000)
    soundfile.write(folder / f"{stem}-0009.flac", noise(), 16_000)
    (tmp_path / "LibriSpeech" / "SPEAKERS.TXT").write_text("; not a split")
    (tmp_path / "LibriSpeech" / "empty").mkdir()
    return tmp_path


def test_one_manifest_per_split(root, tmp_path, capsys):
    out = tmp_path / "out"
    summary = prepare("librispeech", root / "LibriSpeech", out)
    assert {p.name for p in out.iterdir()} == {"train-clean-100.jsonl", "dev-other.jsonl"}
    rows = read_manifest(out / "train-clean-100.jsonl")
    assert [r.id for r in rows] == ["103-1240-0000", "19-198-0000", "19-198-0001"]
    last = rows[2]
    assert (last.target, last.transcript, last.duration) == ("this little work", "this little work", 1.5)
    assert (last.task, last.speaker, last.language) == ("asr", "19", "en")
    assert (last.corpus, last.split) == ("librispeech", "train-clean-100")
    audio = resolve_audio(last, out / "train-clean-100.jsonl")
    assert audio.is_absolute() and len(read_audio(audio)) == 24_000
    assert {m.path: (m.utterances, m.skipped) for m in summary.manifests} == {
        str(out / "train-clean-100.jsonl"): (3, 1),
        str(out / "dev-other.jsonl"): (1, 2),
    }
    warnings = capsys.readouterr().err
    assert "19-198-0002 (no flac)" in warnings and "116-288017-0009 (no transcript)" in warnings
    assert "116-288017-0000" in warnings and "not audio" in warnings


def test_root_may_be_the_parent_or_one_split(root, tmp_path):
    prepare("librispeech", root / "LibriSpeech", tmp_path / "a")
    prepare("librispeech", root, tmp_path / "b")
    prepare("librispeech", root / "LibriSpeech" / "dev-other", tmp_path / "c")
    for name in ("train-clean-100.jsonl", "dev-other.jsonl"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert [p.name for p in (tmp_path / "c").iterdir()] == ["dev-other.jsonl"]
    assert (tmp_path / "a/dev-other.jsonl").read_bytes() == (tmp_path / "c/dev-other.jsonl").read_bytes()


def test_audio_under_out_gets_a_relative_path(root):
    prepare("librispeech", root / "LibriSpeech", root)
    rows = read_manifest(root / "dev-other.jsonl")
    assert rows[0].audio == "LibriSpeech/dev-other/116/288017/116-288017-0001.flac"
    assert resolve_audio(rows[0], root / "dev-other.jsonl").is_file()


def test_not_librispeech(tmp_path):
    for path, says in ((tmp_path, "is not LibriSpeech"), (tmp_path / "gone", "no folder")):
        with pytest.raises(UsageError, match=says):
            prepare("librispeech", path, tmp_path / "out")
