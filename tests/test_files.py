import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from wavllm_cli.data import files
from wavllm_cli.data.files import (
    digest,
    is_lfs_pointer,
    owned,
    replacing,
    require_folder,
    require_new,
    require_output,
    require_space,
    write_text,
)
from wavllm_cli.errors import UsageError, WavLLMError


@pytest.fixture(autouse=True)
def unswept(monkeypatch):
    """As in a fresh process."""
    monkeypatch.setattr(files, "_swept", set())


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_next_run_removes_what_a_killed_one_left(tmp_path):
    """And not what a living process writes."""
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom wavllm_cli.data.files import replacing\n"
        "for name in sys.argv[1:]:\n"
        "    draft = replacing(Path(name)).__enter__()\n"
        "    draft.mkdir()\n"
        "    (draft / 'half').touch()\n"
        "os._exit(9)"
    )
    names = [str(tmp_path / name) for name in ("model", "x" * 250)]
    assert subprocess.run([sys.executable, "-c", script, *names], check=False).returncode == 9
    left = list(tmp_path.iterdir())
    assert len(left) == 2
    pid = left[0].name.split(".")[-2]
    living = left[0].with_name(left[0].name.replace(f".{pid}.", ".1."))
    living.touch()
    require_new(tmp_path / "model")
    assert set(tmp_path.iterdir()) == {living}


def test_content_reaches_the_disk_before_the_name(tmp_path, monkeypatch):
    steps = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (steps.append(os.readlink(f"/proc/self/fd/{fd}")), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (steps.append("rename"), replace(a, b)))
    with replacing(tmp_path / "folder") as draft:
        draft.mkdir()
        (draft / "weights").write_bytes(b"1")
    assert steps == [str(draft / "weights"), str(draft), "rename", str(tmp_path)]


def test_an_output_keeps_its_mode_and_its_link_and_new_ones_get_the_umasks(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "real").chmod(0o640)
    (tmp_path / "link").symlink_to("real")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"
    assert mode(tmp_path / "real") == 0o640
    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "model") as draft:
            draft.mkdir()
            (draft / "weights").touch(mode=0o600)
    finally:
        os.umask(before)
    assert mode(tmp_path / "model" / "weights") == 0o640
    write_text(tmp_path / "cache" / "reply", "secret", private=True)
    assert (mode(tmp_path / "cache"), mode(tmp_path / "cache" / "reply")) == (0o700, 0o600)


def test_a_full_disk_is_called_that(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=40_000))
    expected = rf"weights cannot be written: the disk is full, 0\.0 MB are free in {tmp_path}\."
    for error in (OSError(errno.ENOSPC, "No space left on device"), RuntimeError("unexpected pos 2577152")):
        with pytest.raises(WavLLMError, match=expected), replacing(tmp_path / "weights"):
            raise error
    assert not list(tmp_path.iterdir())


def test_a_disk_that_is_too_small(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    require_space(tmp_path / "new" / "model", 1_000_000)
    with pytest.raises(WavLLMError, match=rf"model needs 1.1 GB, but 1.0 MB are free in {tmp_path}\."):
        require_space(tmp_path / "new" / "model", 1_100_000_000)


def test_outputs_that_cannot_be(tmp_path):
    (tmp_path / "rows.jsonl").touch()
    (tmp_path / "link.jsonl").symlink_to("rows.jsonl")
    os.mkfifo(tmp_path / "pipe.jsonl")
    inputs = [tmp_path / "rows.jsonl"]
    require_output(tmp_path / "new" / "folder" / "out.jsonl", inputs, (".jsonl", ".parquet"))
    for name, sentence in {
        "rows.jsonl": "is an input",
        "link.jsonl": "is an input",
        "out.txt": r"its name must end in \.jsonl, \.parquet",
        ".": "is a folder",
        "pipe.jsonl": "neither a file nor a free name",
        "rows.jsonl/out.jsonl": r"rows\.jsonl is a file, not a folder",
        "x" * 300 + ".jsonl": "x… cannot be the output: File name too long",
        "a\0.jsonl": "null byte",
    }.items():
        with pytest.raises(UsageError, match=sentence):
            require_output(tmp_path / name, inputs, (".jsonl", ".parquet"))
    with pytest.raises(UsageError, match="is a folder"):
        require_output(Path(""), inputs)


def test_one_process_at_a_time_and_a_killed_one_holds_nothing(tmp_path):
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom wavllm_cli.data.files import owned\n"
        "with owned(Path(sys.argv[1])):\n"
        "    print('mine', flush=True)\n"
        "    sys.stdin.read()\n"
        "    os._exit(9)"
    )
    output = tmp_path / "run"
    command = [sys.executable, "-c", script, str(output)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "mine\n"
        with (
            pytest.raises(WavLLMError, match=rf"run is being written by process {other.pid} on .* since"),
            owned(output),
        ):
            pass
        other.communicate("")
    with owned(output):
        assert len(list(tmp_path.iterdir())) == 1
    assert not list(tmp_path.iterdir())


def test_content_is_known_by_its_digest(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert digest(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_git_lfs_pointers_are_known(tmp_path):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    (tmp_path / "pointer").write_text(pointer)
    (tmp_path / "other").write_text("version 1")
    assert is_lfs_pointer(tmp_path / "pointer")
    assert not is_lfs_pointer(tmp_path / "other")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("file", "it is a file, not a folder"),
        ("file/run/stage1", "file is a file, not a folder"),
        ("x" * 300, "File name too long"),
        ("nul\0", "embedded null"),
    ],
)
def test_a_folder_that_cannot_be_made_is_found_before_the_work(tmp_path, name, said):
    (tmp_path / "file").touch()
    require_folder(tmp_path)
    require_folder(tmp_path / "new" / "run")
    with pytest.raises(UsageError, match=said) as refused:
        require_folder(tmp_path / name)
    assert str(refused.value).startswith(f"{tmp_path / name} cannot be the output"[:150])
