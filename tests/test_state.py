"""Training states: durable, checked before use, two of them."""

import json
import os
import stat

import pytest
import torch

from wavllm_cli.errors import WavLLMError
from wavllm_cli.training.checkpoint import RunFolder
from wavllm_cli.training.state import State, damage_of, read_state, write_state


@pytest.fixture
def net():
    """A model with a frozen part, and an optimiser that has made two steps."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    model[0].requires_grad_(False)
    optimizer = torch.optim.AdamW(model[1].parameters(), lr=1e-2, weight_decay=0.1)
    for _ in range(2):
        model(torch.ones(1, 3)).sum().backward()
        optimizer.step()
    return model, optimizer


@pytest.fixture
def folder(net, tmp_path):
    """A stage's folder with the states of steps 3 and 6."""
    for step in (3, 6):
        write_state(tmp_path / "state", State(step), *net)
        with torch.no_grad():
            net[0][1].bias += 1
    return RunFolder(tmp_path)


def names(folder):
    return sorted(path.name for path in folder.states.iterdir())


def test_the_two_newest_are_kept(folder, net):
    assert names(folder) == ["step-00000003", "step-00000006"]
    (folder.states / "step-00000099").mkdir()  # damaged, of a run that fell back
    (folder.states / "step-x").mkdir()
    (folder.states / "step-backup").write_text("")
    folder.save_state(State(9), *net)
    assert names(folder) == ["step-00000006", "step-00000009", "step-backup", "step-x"]


def test_a_state_comes_back_as_it_was_but_for_the_settings_of_the_optimiser(folder, net):
    model, optimizer = net
    expected = model[1].weight.clone()
    with torch.no_grad():
        model[1].weight.zero_()
    other = torch.optim.AdamW(model[1].parameters(), lr=1e-4, weight_decay=0.0, betas=(0.5, 0.6))
    assert read_state(folder.newest_state(), model, other) == State(6)
    assert torch.equal(model[1].weight, expected)
    group = other.param_groups[0]
    assert (group["lr"], group["weight_decay"], group["betas"]) == (1e-4, 0.0, (0.5, 0.6))
    assert torch.equal(other.state[model[1].weight]["exp_avg"], optimizer.state[model[1].weight]["exp_avg"])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "trained.pt is empty": lambda state: (state / "trained.pt").write_bytes(b""),
    "optimizer.pt is empty": lambda state: (state / "optimizer.pt").write_bytes(b""),
    "trained.pt is not what was written": lambda state: flip(state / "trained.pt"),
    "optimizer.pt is not what was written": lambda state: os.truncate(state / "optimizer.pt", 700),
    "trained.pt is missing": lambda state: (state / "trained.pt").unlink(),
    "progress.json cannot be read: No such file": lambda state: (state / "progress.json").unlink(),
    "progress.json tells of step 9999": lambda state: (state / "progress.json").write_text(
        (state / "progress.json").read_text().replace('"step": 6', '"step": 9999')
    ),
}


@pytest.mark.parametrize("said", DAMAGE)
def test_a_damaged_state_is_left_for_the_one_before(folder, net, capsys, said):
    DAMAGE[said](folder.states / "step-00000006")
    assert folder.newest_state().name == "step-00000003"
    printed = capsys.readouterr().err
    assert f"step-00000006 is damaged ({said}" in printed
    assert "continuing from the state before, of step 3" in printed
    folder.save_state(State(5), *net)
    assert names(folder) == ["step-00000003", "step-00000005"]


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", "half {", '{"step": 6}', '{"step": 6, "sha256": []}', "null", "\0\0"]
)
def test_garbled_progress_is_damage(folder, text):
    (folder.states / "step-00000006" / "progress.json").write_text(text)
    assert damage_of(folder.states / "step-00000006") == "progress.json is empty or garbled"


def test_two_damaged_states_are_an_error_that_says_so(folder):
    for state in folder.states.iterdir():
        (state / "trained.pt").write_bytes(b"")
    with pytest.raises(WavLLMError, match=r"step-00000006 is damaged .*step-00000003 is damaged .*no other.*--restart"):
        folder.newest_state()


def test_the_state_of_another_model_is_refused(folder):
    other = torch.nn.Linear(2, 2)
    with pytest.raises(WavLLMError, match=r"step-00000006 does not fit the model .*--restart"):
        read_state(folder.newest_state(), other, torch.optim.AdamW(other.parameters()))


def test_a_full_disk_is_said_before_and_while_a_state_is_written(folder, net, monkeypatch):
    from wavllm_cli.data import files

    monkeypatch.setattr(files, "_free", lambda path: 100)
    with pytest.raises(WavLLMError, match=r"step-00000009 needs .* are free in"):
        folder.save_state(State(9), *net)
    with pytest.raises(WavLLMError, match=r"needs .* are free in"):
        folder.require_space(net[0])
    monkeypatch.setattr(files, "_free", lambda path: 10**9 if not list(folder.states.glob(".*")) else 0)

    def save(value, path):
        path.write_bytes(b"half")
        raise RuntimeError("unexpected pos 2577152 vs 2577044")

    monkeypatch.setattr(torch, "save", save)
    with pytest.raises(WavLLMError, match=r"step-00000009 cannot be written: the disk is full"):
        folder.save_state(State(9), *net)
    assert names(folder) == ["step-00000003", "step-00000006"]


def test_what_is_written_is_on_the_disk_first_and_has_the_usual_mode(folder, net, monkeypatch):
    order = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (order.append(os.readlink(f"/proc/self/fd/{fd}")), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append(f"rename to {b}"), replace(a, b)))
    folder.save_state(State(9), *net)
    renamed = order.index(f"rename to {folder.states / 'step-00000009'}")
    assert {os.path.basename(path) for path in order[:renamed]} >= {"trained.pt", "optimizer.pt", "progress.json"}
    assert order[renamed + 1] == str(folder.states)
    mask = os.umask(0)
    os.umask(mask)
    for file in (folder.states / "step-00000009").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o666 & ~mask
    assert json.loads((folder.states / "step-00000009" / "progress.json").read_text())["step"] == 9
