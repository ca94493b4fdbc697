"""Steps of long work: done once, done again where something of them has changed, stopped in order."""

import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.mini.exam import Tests
from wavllm_cli.mini.steps import Call, Command, Journal, Step, _exit_code, machine, run

DONE: list[str] = []
COUNTS_ITS_STOPS = """
import signal, sys, time
count = 0
def stop(*_):
    global count
    count += 1
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, stop)
open(sys.argv[1], "w").close()
while not count:
    time.sleep(0.01)
time.sleep(0.05)
open(sys.argv[1], "w").write(str(count))
"""


def copy(source: Path, target: Path, mark: str = "!") -> None:
    """The work of the steps here."""
    DONE.append(target.name)
    target.write_text(source.read_text() + mark)


def fail() -> None:
    raise UsageError("It is wrong.")


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.fixture
def steps(tmp_path):
    """Two, the second of which reads what the first writes."""
    start, middle, end = (tmp_path / name for name in ("start", "middle", "end"))
    start.write_text("a")
    return [
        Step("first", "one", Call("test_mini_steps.copy", {"source": start, "target": middle}), (start,), (middle,)),
        Step("second", "two", Call("test_mini_steps.copy", {"source": middle, "target": end}), (middle,), (end,)),
    ]


@pytest.fixture
def done(tmp_path):
    """Run steps and tell which files they have written."""

    def call(steps, only=()):
        DONE.clear()
        run(steps, Journal(tmp_path / "log.jsonl"), only)
        return list(DONE)

    return call


def test_what_is_done_is_not_done_again(steps, done):
    assert done(steps) == ["middle", "end"]
    assert done(steps) == []


def test_what_has_changed_is_done_again_and_so_is_what_follows_from_it(steps, done, tmp_path):
    done(steps)
    (tmp_path / "start").write_text("b")
    assert done(steps) == ["middle", "end"]
    (tmp_path / "end").unlink()
    assert done(steps) == ["end"]
    (tmp_path / "middle").write_text("spoilt")
    assert done(steps) == ["middle"], "what is made again as it was changes nothing that follows"
    otherwise = replace(steps[1], work=Call(steps[1].work.function, steps[1].work.arguments | {"mark": "?"}))
    assert done([steps[0], otherwise]) == ["end"]


def test_only_some_groups(steps, done):
    assert done(steps, ["one"]) == ["middle"]
    assert done(steps, ["two"]) == ["end"]


def test_a_step_names_what_it_lacks(steps, done, tmp_path):
    with pytest.raises(UsageError, match=r"Step second needs .*middle, which earlier steps make: leave out --only"):
        done(steps, ["two"])


def test_the_journal_tells_command_time_and_machine(steps, done, tmp_path):
    done(steps)
    first, _ = Journal(tmp_path / "log.jsonl").lines()
    assert first["step"] == "first" and first["state"] == "done" and first["seconds"] >= 0
    assert first["command"] == f"test_mini_steps.copy(source='{tmp_path}/start', target='{tmp_path}/middle')"
    assert first["machine"] == machine() and first["machine"]["cores"] >= 1 and first["machine"]["torch"]


def test_a_call_is_told_in_plain_values(tmp_path):
    call = Call("exam.set_exam", {"tests": Tests(tmp_path, 9), "folders": (tmp_path,), "seed": 1})
    assert str(call) == f"exam.set_exam(tests={{'data': '{tmp_path}', 'most': 9}}, folders=['{tmp_path}'], seed=1)"


def test_a_journal_makes_its_folder(steps, done, tmp_path):
    journal = Journal(tmp_path / "not" / "there" / "log.jsonl")
    run(steps[:1], journal)
    assert [line["step"] for line in journal.lines()] == ["first"]


def test_half_a_line_of_a_journal_is_passed_over(steps, done, tmp_path):
    done(steps)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": "second", "state": "do')
    assert done(steps) == []
    (tmp_path / "end").unlink()
    done(steps)
    assert len(list(Journal(tmp_path / "log.jsonl").lines())) == 3


@pytest.mark.parametrize(
    ("function", "error", "state"), [("fail", UsageError, "failed"), ("interrupt", KeyboardInterrupt, "interrupted")]
)
def test_a_failing_step_stops_all_and_says_how_to_go_on(steps, done, tmp_path, function, error, state):
    broken = replace(steps[0], work=Call(f"test_mini_steps.{function}", {}))
    with pytest.raises(error) as caught:
        done([broken, steps[1]])
    assert [line["state"] for line in Journal(tmp_path / "log.jsonl").lines()] == [state]
    if error is UsageError:
        assert "It is wrong.\nStep first has failed. Once that is mended, the same command goes on" in str(caught.value)
    assert done(steps) == ["middle", "end"]


def test_a_call_that_writes_nothing_is_no_success(steps, done):
    with pytest.raises(WavLLMError, match="end should be there now, but is not"):
        done([steps[0], replace(steps[1], work=steps[0].work)])


def test_a_command_is_a_process_of_its_own(steps, done):
    step = Step("version", "one", Command(("--version",)), (), ())
    done([step])
    with pytest.raises(UsageError, match=r"`wavllm prep mimi` has said above what is wrong \(exit code 2\)"):
        done([replace(step, work=Command(("prep", "mimi")))])


def test_ctrl_c_reaches_a_process_that_ignores_it_once_and_is_waited_for(tmp_path):
    """As those do that a shell has begun in the background."""
    ready = tmp_path / "ready"

    def interrupt_when_ready() -> None:
        while not ready.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt_when_ready)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        _exit_code([sys.executable, "-c", COUNTS_ITS_STOPS, str(ready)])
    thread.join()
    assert ready.read_text() == "1"
