"""Memory of the machine, as host, container and ulimit have it."""

import resource

from wavllm_cli.data import memory
from wavllm_cli.model import limits

GIB = 2**30


def test_room_is_the_least_that_host_container_and_ulimit_leave(monkeypatch, tmp_path):
    assert 0 < limits.available_memory("cpu") < 2**50
    (tmp_path / "memory.max").write_text(f"{3 * GIB}\n")
    (tmp_path / "memory.current").write_text(f"{2 * GIB}\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 4096\n")
    monkeypatch.setattr(memory, "CGROUPS", (str(tmp_path / "memory.max"),))
    monkeypatch.setattr(memory, "USED", (str(tmp_path / "memory.current"),))
    monkeypatch.setattr(memory, "_host_room", lambda: 8 * GIB)
    assert limits.available_memory("cpu") == GIB + 4096
    (tmp_path / "memory.max").write_text("max\n")
    assert limits.available_memory("cpu") == 8 * GIB
    monkeypatch.setattr(resource, "getrlimit", lambda _: (10**15, 10**15))
    monkeypatch.setattr(memory, "_host_room", lambda: None)
    assert 10**15 - 10**13 < limits.available_memory("cpu") < 10**15


def test_a_container_has_no_more_than_its_limit(monkeypatch, tmp_path):
    (tmp_path / "memory.max").write_text(f"{GIB}\n")
    monkeypatch.setattr(memory, "CGROUPS", (str(tmp_path / "memory.max"),))
    assert memory.installed_memory() == GIB
    (tmp_path / "memory.max").write_text("max\n")
    assert GIB < memory.installed_memory() < 2**50
