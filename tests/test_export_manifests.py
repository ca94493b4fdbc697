"""What is exported comes back through the importers as the same clips and words."""

import json
from io import BytesIO

import numpy as np
import pytest
import soundfile

from wavllm_cli.corpora.exporters import export
from wavllm_cli.corpora.prepare import prepare
from wavllm_cli.data.batch import clips_of
from wavllm_cli.data.manifest import read_manifest, write_manifest
from wavllm_cli.data.schema import Utterance
from wavllm_cli.data.sharding import write_shards
from wavllm_cli.errors import ManifestError, UsageError, WavLLMError

RATE = 16_000


def row(name, audio, target, **fields):
    given = {"task": "asr", "prompt": "Say it.", "language": "en", "split": "train"} | fields
    return Utterance(id=name, audio=audio, target=target, **given)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own data")
    random = np.random.default_rng(0)
    (folder / "b").mkdir()
    for name, channels in (("a.wav", 1), ("call 1.flac", 2), ("b/a.wav", 1)):
        soundfile.write(folder / name, random.normal(0, 0.1, (4 * RATE, channels)), RATE)
    rows = [
        row("s1-whole", "a.wav", "one two", speaker="s1", duration=4.0, extra={"snr": 3.5}, references=["one, two"]),
        row("part", "b/a.wav", "drei grüße", speaker="s2", start=1.25, duration=1.5, language="de"),
        row("left", "call 1.flac", "four", channel=0, duration=2.0, speaker="s3"),
        row("right", "call 1.flac", "five", channel=1, start=0.5, duration=2.0),
        row("text", None, "o n e", task="sft", prompt="Spell one."),
        row("joined", [{"audio": "a.wav", "duration": 1.0}, {"audio": "b/a.wav", "start": 1.0}], "yes", gap=0.5),
    ]
    write_manifest(folder / "m.jsonl", rows)
    return folder / "m.jsonl"


def imported(kind, root, out):
    """The clips that an importer makes, by their words."""
    prepare(kind, root, out)
    return {clip.row.target: clip for path in sorted(out.glob("*.jsonl")) if path.name != "skipped.jsonl"
            for clip in clips_of(path)}  # fmt: skip


@pytest.mark.parametrize("kind", ["lhotse", "kaldi"])
def test_segments_speakers_and_words_come_back(manifest, tmp_path, kind):
    made = export(manifest, kind, tmp_path / "theirs")
    assert made.rows == 4 and made.left_out == {"no audio": 1, "joined of pieces": 1}
    found = imported(kind, tmp_path / "theirs", tmp_path / "ours")
    before = {clip.row.target: clip for clip in clips_of(manifest) if clip.row.target in found}
    assert len(before) == 4 == len(found)
    for words, clip in before.items():
        again = found[words].row
        assert again.id.endswith(clip.row.id) and again.language == clip.row.language
        assert (again.speaker, again.start, again.channel) == (clip.row.speaker, clip.row.start, clip.row.channel)
        assert again.duration == pytest.approx(clip.row.duration, abs=1e-5)
        assert np.array_equal(found[words].read(), clip.read())


@pytest.mark.parametrize("kind", ["parquet", "hf"])
def test_audio_inside_comes_back(manifest, tmp_path, kind):
    made = export(manifest, kind, tmp_path / "theirs")
    assert made.rows == 6 and made.left_out == {}
    found = imported("hf", tmp_path / "theirs", tmp_path / "ours")
    for clip in clips_of(manifest):
        again = found[clip.row.target]
        fields = ("id", "task", "prompt", "speaker", "language", "references", "extra")
        assert [getattr(again.row, name) for name in fields] == [getattr(clip.row, name) for name in fields]
        if clip.paths:
            assert np.allclose(again.read(), clip.read(), atol=2**-15)
        else:
            assert again.row.audio is None


def test_kaldi_files_are_sorted_as_kaldi_wants_them(manifest, tmp_path):
    export(manifest, "kaldi", tmp_path / "k")
    tables = {path.name: path.read_text().splitlines() for path in (tmp_path / "k").iterdir()}
    assert all(lines == sorted(lines, key=str.encode) for lines in tables.values())
    assert [line.split()[0] for line in tables["text"]] == [line.split()[0] for line in tables["utt2spk"]]
    assert (
        "s2-part a-2 1.250000 2.750000" in tables["segments"] and "call_1-1 call_1 B" in tables["reco2file_and_channel"]
    )
    (piped,) = (line for line in tables["wav.scp"] if line.startswith("call_1-1 "))
    assert piped.endswith("call 1.flac' -t wav - remix 2 |")


def test_datasets_itself_reads_it(manifest, tmp_path):
    datasets = pytest.importorskip("datasets")
    export(manifest, "hf", tmp_path / "hf")
    saved = datasets.load_from_disk(str(tmp_path / "hf"))
    assert isinstance(saved.features["audio"], datasets.Audio) and saved["target"][0] == "one two"
    content = saved.cast_column("audio", datasets.Audio(decode=False))[0]["audio"]["bytes"]
    assert len(soundfile.read(BytesIO(content))[0]) == 4 * RATE


def test_lhotse_itself_finds_nothing_wrong(manifest, tmp_path):
    lhotse = pytest.importorskip("lhotse")
    export(manifest, "lhotse", tmp_path / "lhotse")
    cuts = lhotse.CutSet.from_manifests(
        recordings=lhotse.load_manifest(tmp_path / "lhotse" / "recordings.jsonl.gz"),
        supervisions=lhotse.load_manifest(tmp_path / "lhotse" / "supervisions.jsonl.gz"),
    )
    lhotse.validate(cuts)
    assert sum(len(cut.supervisions) for cut in cuts) == 4


def test_shards_are_exported_as_what_is_in_them(manifest, tmp_path):
    write_shards(manifest, tmp_path / "shards", 1)
    export(tmp_path / "shards" / "m.jsonl", "parquet", tmp_path / "p")
    export(manifest, "parquet", tmp_path / "q")
    from pyarrow.parquet import read_table

    contents = [
        [audio and audio["bytes"] for audio in read_table(tmp_path / name)["audio"].to_pylist()] for name in "pq"
    ]
    assert contents[0] == contents[1]
    with pytest.raises(WavLLMError, match=r"no row that kaldi can say: .*audio within an archive"):
        export(tmp_path / "shards" / "m.jsonl", "kaldi", tmp_path / "k")
    assert not (tmp_path / "k").exists()


def test_what_cannot_be_is_said(manifest, tmp_path, wavllm):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(UsageError, match="exists already"):
        export(manifest, "kaldi", tmp_path / "full")
    write_manifest(tmp_path / "m.jsonl", [row("a", "gone.wav", "x", start=1.0)])
    with pytest.raises(WavLLMError, match=r"a: .*gone\.wav cannot be exported"):
        export(tmp_path / "m.jsonl", "parquet", tmp_path / "p")
    assert not (tmp_path / "p").exists()
    export(manifest, "parquet", tmp_path / "q")
    with pytest.raises(
        ManifestError, match=r"with the audio inside, not a .*manifest: make one of it by `wavllm prep hf"
    ):
        read_manifest(tmp_path / "q" / "00000.parquet")
    code, out, _ = wavllm("prep", "export", manifest, "--to", "lhotse", "--out", tmp_path / "new", "--json")
    assert code == 0 and json.loads(out)["rows"] == 4 and len(read_manifest(manifest)) == 6
