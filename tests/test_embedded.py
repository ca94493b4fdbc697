import pytest

from wavllm_cli.corpora.importers.embedded import Store


@pytest.mark.parametrize("data, suffix", [
    (b"RIFF....WAVE", ".wav"), (b"fLaC", ".flac"), (b"OggS", ".ogg"), (b"ID3\x04", ".mp3"), (b"\xff\xfb\x90", ".mp3"),
    (b"....ftypM4A ", ".m4a"), (b"what", ".audio"),
])  # fmt: skip
def test_content_tells_the_suffix(tmp_path, data, suffix):
    path = Store(tmp_path).put("a", data)
    assert path == tmp_path / "audio" / f"a{suffix}" and path.read_bytes() == data


def test_names_are_of_files_and_no_two_the_same(tmp_path):
    store = Store(tmp_path)
    names = [store.put(name, b"RIFF").name for name in ("../x/a b", "a", "A", "a", "..", "ü" * 200)]
    assert names == ["x_a_b.wav", "a.wav", "A-2.wav", "a-3.wav", "clip.wav", f"{'ü' * 120}.wav"]


def test_what_is_there_is_left_as_it_is(tmp_path):
    path = Store(tmp_path).put("a", b"RIFF 1")
    before = path.stat().st_ino
    assert Store(tmp_path).put("a", b"RIFF 1").stat().st_ino == before
    assert Store(tmp_path).put("a", b"RIFF 2").read_bytes() == b"RIFF 2"
