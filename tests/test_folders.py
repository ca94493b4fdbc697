import os
from unicodedata import normalize

import pytest

from wavllm_cli.corpora import UNREADABLE, Skipped
from wavllm_cli.corpora.folders import audio_name, holding, named, not_found, one_of_copies, require_folder, walk
from wavllm_cli.errors import UsageError, WavLLMError


def is_split(folder):
    return (folder / "split.txt").is_file()


@pytest.fixture
def root(tmp_path):
    for path in ("a/train", "a/train/deeper", "b/._dev", "b/dev", "1/2/3/4/5/6"):
        (tmp_path / path).mkdir(parents=True)
        (tmp_path / path / "split.txt").write_text(path)
    (tmp_path / "b" / "circle").symlink_to(tmp_path)
    return tmp_path


def test_folders_are_found_where_they_lie(root):
    found, skipped = holding(root, is_split)
    assert [str(path.relative_to(root)) for path in found] == ["a/train", "b/dev"] and not skipped
    assert holding(root / "a" / "train", is_split)[0] == [root / "a" / "train"]


def test_a_folder_that_cannot_be_read_is_told(root, monkeypatch):
    listdir = os.listdir

    def refused(path):
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied")
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refused)
    found, skipped = holding(root, is_split)
    assert len(found) == 1 and [(one.item, one.reason) for one in skipped] == [(f"{root}/b", UNREADABLE)]
    assert any(isinstance(one, Skipped) for one in walk(root))
    with pytest.raises(WavLLMError, match=r"Nothing of .* can be read: .*/b may not be read: permission denied"):
        not_found(root, "a toy", "split.txt", is_split, skipped)


def test_what_is_no_corpus_is_told_what_is(root):
    with pytest.raises(UsageError, match=rf"is not a toy: there is no split\.txt in it\. Name {root}/a/train instead"):
        not_found(root / "a/train/deeper", "a toy", "split.txt", is_split, [])
    (root / "1" / "toy.tar.gz").touch()
    with pytest.raises(UsageError, match=r"no split\.txt in it, but toy\.tar\.gz: unpack it\."):
        not_found(root / "1", "a toy", "split.txt", is_split, [])
    with pytest.raises(UsageError, match=r"toy\.tar\.gz is a file: unpack it and name the folder"):
        require_folder(root / "1" / "toy.tar.gz")
    with pytest.raises(UsageError, match=r"split\.txt is a file: name the folder that the corpus lies in"):
        require_folder(root / "a/train/split.txt")


def test_copies_must_be_the_same(root):
    first, second = root / "a/train/split.txt", root / "b/dev/split.txt"
    with pytest.raises(UsageError, match=f"A toy is there twice, and not the same: name {first.parent} or"):
        one_of_copies([first, second], "A toy")
    second.write_bytes(first.read_bytes())
    assert one_of_copies([first, second], "A toy") == first


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_are_found_however_they_are_composed(tmp_path, form):
    name = normalize(form, "Zoë.wav")
    (tmp_path / name).touch()
    for asked in ("NFC", "NFD"):
        assert named(tmp_path, normalize(asked, name)).is_file()
    assert not named(tmp_path, "Chloë.wav").exists()


def test_rows_name_audio_from_their_manifest_on(tmp_path):
    odd = tmp_path / os.fsdecode(b"caf\xe9")
    assert audio_name(tmp_path / "out/a.wav", tmp_path / "out") == audio_name(odd / "a.wav", odd) == "a.wav"
    assert audio_name(tmp_path / "a.wav", tmp_path / "out") == str(tmp_path / "a.wav")
    with pytest.raises(UsageError, match=r"caf\\xe9/a\.wav is not UTF-8, which a manifest is: rename it"):
        audio_name(odd / "a.wav", tmp_path / "out")
