"""What a process owes to whoever started it: sound streams, errors as sentences, an orderly end on SIGTERM."""

import _thread
import gc
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Any, NoReturn

import typer
from typer.exceptions import TyperException

from wavllm_cli.errors import WavLLMError, explained
from wavllm_cli.help import App

AGAIN = 0.02  # seconds after which a Ctrl-C that was dropped arrives again
DEBUG = "--debug"
GC_THRESHOLD = 20_000  # Python's 700 would walk hundreds of thousands of rows again and again, and find nothing


def run_alone(command: Callable[..., None]) -> NoReturn:
    """Be a command that belongs to no other, `python -m …`: a function's options, and `--debug` as `wavllm` has it."""
    app = App(add_completion=False)
    app.command(help=(command.__doc__ or "").partition("\n")[0])(command)
    arguments = [argument for argument in sys.argv[1:] if argument != DEBUG]
    debug = DEBUG in sys.argv
    if not debug:
        hush_libraries()
    run(lambda: app(arguments, standalone_mode=False), debug=lambda: debug)


def hush_libraries() -> None:
    """Progress bars and notices of the libraries below us are not our user's business."""
    import logging  # which --help has no use for

    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    logging.getLogger().addHandler(logging.NullHandler())  # else Python prints what nobody handles
    warnings.filterwarnings("ignore")


def run(command: Callable[[], Any], debug: Callable[[], bool]) -> NoReturn:
    """Do what a process is for, and turn errors into one line and an exit code: 2 wrong use, 1 failed work.

    SIGTERM counts as Ctrl-C, whose code is 130: what is paid for is waited for, and the same command continues.

    Args:
        command: its result is an exit code, or nothing.
        debug: whether to show tracebacks; asked when there is one.
    """
    gc.set_threshold(GC_THRESHOLD)
    if os.environ.get("COLUMNS") == "0":  # "unknown", from programs that pass on the size of their terminal
        del os.environ["COLUMNS"]
    prepare_streams()
    code = _code_of(command, debug)
    if not flush_streams() and not code:
        code = 1
        _report("Standard output could not be written to the end.")
    sys.exit(code)


def _code_of(command: Callable[[], Any], debug: Callable[[], bool]) -> int:
    def failed(error: BaseException, code: int, *problems: str) -> int:
        if debug():
            _show_traceback(error)
        _report(*problems)
        return code

    try:
        with interrupts_kept(), interrupted_by_sigterm():
            code = command()
    except WavLLMError as error:
        return failed(error, error.exit_code, *error.args)
    except TyperException as error:
        return failed(error, error.exit_code, " ".join(error.format_message().split()))
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except BrokenPipeError:
        return 1  # the reader of our output has gone
    except Exception as error:
        return failed(error, 1, explained(error))
    if code == 130:
        _report("interrupted; the same command continues.")
    return code or 0


def _show_traceback(error: BaseException) -> None:
    from traceback import format_exception

    from wavllm_cli import console

    console.err.print("".join(format_exception(error)))


def _report(*problems: str) -> None:
    from wavllm_cli import console

    for problem in problems:
        console.error(problem)


# --- streams and signals ---


def prepare_streams() -> None:
    """Make standard output and error take every text, and keep the places of those that are closed taken.

    Otherwise the number of a closed stream goes to the next file that is opened, and into that a library that writes
    to standard error would write.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def sleep_while_waiting() -> None:
    """Let threads that compute together sleep while they wait for each other, unless the user has said otherwise.

    By default they turn in circles. The steps of a decoder are so short that they wait for most of the time: where
    others compute too, that takes several times as long. OpenMP reads this once, when torch is imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def flush_streams() -> bool:
    """Write what is left; False where standard output does not take it. Python itself would complain at its exit."""
    complete = True
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            complete = complete and stream is not sys.stdout
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return complete


@contextmanager
def interrupts_kept() -> Iterator[None]:
    """Let Ctrl-C arrive again where Python had to drop it: in a callback from C code, in a finaliser.

    Otherwise the command goes on to its end after a traceback.
    """
    before = sys.unraisablehook

    def hook(dropped: "sys.UnraisableHookArgs") -> None:
        if issubclass(dropped.exc_type, KeyboardInterrupt):
            Timer(AGAIN, _thread.interrupt_main).start()  # within the hook it would be dropped once more
        else:
            before(dropped)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


@contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does, in this process alone: not in those that are forked from it."""
    process = os.getpid()

    def interrupt(number: int, _frame: object) -> NoReturn:
        if os.getpid() != process:
            os._exit(128 + number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
