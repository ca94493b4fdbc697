import argparse
import os
import pickle
import zipfile

import pytest
import torch

from wavllm_cli.convert.torch_file import read_torch_file
from wavllm_cli.errors import UsageError, WavLLMError


class Program:
    """Unpickled, it runs a shell command."""

    def __init__(self, command: str):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "final.pt"
    torch.save({"model": {"a": torch.arange(6.0).view(2, 3)}, "cfg": {"lr": 0.1}, "args": None}, path)
    return path


def test_content(checkpoint):
    content = read_torch_file(checkpoint)
    assert torch.equal(content["model"]["a"], torch.arange(6.0).view(2, 3))
    assert content["cfg"] == {"lr": 0.1} and content["args"] is None


def test_tensors_are_mapped_not_read(tmp_path):
    """The resident memory of the process grows by far less than the file's size."""
    path = tmp_path / "large.pt"
    torch.save({"a": torch.ones(64, 2**18)}, path)  # 64 MiB

    def resident() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = resident()
    content = read_torch_file(path)
    assert resident() - before < 16 * 2**20
    assert content["a"][63, 5] == 1


def test_a_file_from_before_the_archives(tmp_path):
    path = tmp_path / "old.pt"
    torch.save({"a": torch.ones(2)}, path, _use_new_zipfile_serialization=False)
    assert torch.equal(read_torch_file(path)["a"], torch.ones(2))


def test_bookkeeping_of_a_training_run_is_read_as_empty_objects(checkpoint):
    content = {"model": {"a": torch.ones(2)}, "args": argparse.Namespace(command="rm -r /", lr=0.1)}
    torch.save(content, checkpoint)
    content = read_torch_file(checkpoint)
    assert torch.equal(content["model"]["a"], torch.ones(2))
    assert not vars(content["args"])


@pytest.mark.parametrize("archive", [True, False])
def test_code_is_refused_and_never_runs(tmp_path, archive):
    marker = tmp_path / "ran"
    path = tmp_path / "final.pt"
    content = {"model": {"a": torch.ones(2)}, "more": Program(f"touch {marker}")}
    torch.save(content, path, _use_new_zipfile_serialization=archive)
    with pytest.raises(UsageError, match=r"final.pt holds Python objects beside tensors \(posix.system\) and was not"):
        read_torch_file(path)
    path.write_bytes(pickle.dumps(Program(f"touch {marker}"), protocol=2))
    with pytest.raises(UsageError, match=r"posix\.system"):
        read_torch_file(path)
    assert not marker.exists()


# --- the numbers are the ones that were written ---


@pytest.fixture
def rezipped(checkpoint, tmp_path):
    """The same checkpoint, compressed as any archiver does it."""
    path = tmp_path / "rezipped.pt"
    with zipfile.ZipFile(checkpoint) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    return path


def test_a_compressed_archive_is_unpacked_instead_of_mapped(rezipped):
    assert torch.equal(read_torch_file(rezipped)["model"]["a"], torch.arange(6.0).view(2, 3))


def test_a_compressed_archive_that_memory_cannot_hold_is_refused(rezipped, monkeypatch):
    monkeypatch.setattr("wavllm_cli.data.archive.free_memory", lambda: 100)
    with pytest.raises(WavLLMError, match=r"compressed archive that needs .* GB of memory to unpack.*zip -0 -r"):
        read_torch_file(rezipped)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_flipped_bit_is_found(checkpoint, rezipped, compressed):
    path = rezipped if compressed else checkpoint
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        entry = next(e for e in archive.infolist() if e.filename.endswith("/data/0"))
    start = entry.header_offset + 30 + int.from_bytes(content[entry.header_offset + 26 :][:2], "little")
    start += int.from_bytes(content[entry.header_offset + 28 :][:2], "little")
    content[start + entry.compress_size // 2] ^= 4
    path.write_bytes(content)
    with pytest.raises(WavLLMError, match=r"is damaged \(.+\): copy or download it again"):
        read_torch_file(path)


def test_files_without_checksums_say_so(tmp_path, capsys):
    tensors = {"a": torch.arange(6.0)}
    torch.save(tensors, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    try:
        torch.serialization.set_crc32_options(False)
        torch.save(tensors, tmp_path / "unchecked.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    for name in ("old.pt", "unchecked.pt"):
        assert torch.equal(read_torch_file(tmp_path / name)["a"], tensors["a"])
        assert "without checksums" in capsys.readouterr().err


def test_a_pointer_of_git_lfs_says_what_to_do(tmp_path):
    (tmp_path / "final.pt").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(WavLLMError, match=r"only a Git LFS pointer, not the file itself: run `git lfs pull`"):
        read_torch_file(tmp_path / "final.pt")


def test_what_is_no_checkpoint(tmp_path, checkpoint):
    def refused(error, sentence: str, content: bytes | None = None) -> None:
        path = tmp_path / "file.pt"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(error, match=sentence) as caught:
            read_torch_file(path)
        assert "\n" not in str(caught.value)

    refused(UsageError, "does not exist")
    refused(UsageError, "is not a PyTorch checkpoint", b"This is a text that somebody named final.pt.\n")
    refused(UsageError, "is not a PyTorch checkpoint", b"")
    refused(UsageError, "is not a PyTorch checkpoint", bytes(range(256)) * 40)
    whole = checkpoint.read_bytes()
    for size in (10, len(whole) // 2, len(whole) - 1):
        refused(WavLLMError, "is damaged: the end of the checkpoint is missing", whole[:size])
    with zipfile.ZipFile(tmp_path / "file.pt", "w") as file:
        file.writestr("readme.txt", "hello")
    refused(UsageError, "is not a PyTorch checkpoint, or it is damaged")
    with pytest.raises(UsageError, match="is a folder"):
        read_torch_file(tmp_path)
