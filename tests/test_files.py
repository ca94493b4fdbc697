import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from wavllm_cli.data.files import replacing, require_new, require_space
from wavllm_cli.errors import WavLLMError


def test_the_next_run_removes_what_a_killed_one_left(tmp_path):
    """And not what a living process writes, or what belongs to another name."""
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom wavllm_cli.data.files import replacing\n"
        "for name in sys.argv[1:]:\n"
        "    draft = replacing(Path(name)).__enter__()\n"
        "    draft.mkdir()\n"
        "    (draft / 'half').touch()\n"
        "os._exit(9)"
    )
    names = [str(tmp_path / name) for name in ("model", "model.2")]
    assert subprocess.run([sys.executable, "-c", script, *names], check=False).returncode == 9
    (of_model, of_other) = sorted(tmp_path.iterdir(), key=lambda draft: len(draft.name))
    living = of_model.with_suffix(".1")
    living.touch()
    require_new(tmp_path / "model")
    assert set(tmp_path.iterdir()) == {of_other, living}
    with replacing(tmp_path / "model") as draft:
        draft.mkdir()
    assert set(tmp_path.iterdir()) == {tmp_path / "model", of_other, living}


def test_a_disk_that_is_too_small(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    require_space(tmp_path / "new" / "model", 1_000_000)
    with pytest.raises(WavLLMError, match=rf"model needs 1.1 GB, but 0.0 GB are free in {tmp_path}\."):
        require_space(tmp_path / "new" / "model", 1_100_000_000)
