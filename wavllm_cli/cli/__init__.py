"""The command line: a command is its signature, its help and a call into a core module.

Nothing heavy is imported here; every command imports what it needs, so that `wavllm --help` answers at once.
"""

import gc
import os
import sys
from typing import NoReturn

import typer
from typer.exceptions import TyperException

from wavllm_cli.cli import (  # noqa: F401  (each adds its commands to the app)
    app,
    ask,
    audit,
    bench,
    convert,
    experiment,
    models,
    prep,
    process,
    prompts,
    reproduce,
    score,
    shards,
    speak,
)
from wavllm_cli.errors import WavLLMError, explained

GC_THRESHOLD = 20_000  # Python's 700 would walk hundreds of thousands of rows again and again, and find nothing


def main() -> NoReturn:
    """Run the command and turn errors into one line and an exit code: 2 wrong use, 1 failed work, 130 interrupted.

    SIGTERM counts as Ctrl-C: what is paid for is waited for, and the same command continues.
    """
    gc.set_threshold(GC_THRESHOLD)
    if os.environ.get("COLUMNS") == "0":  # "unknown", from programs that pass on the size of their terminal
        del os.environ["COLUMNS"]
    process.prepare_streams()
    code = _run()
    if not process.flush_streams() and not code:
        code = 1
        _report("Standard output could not be written to the end.")
    sys.exit(code)


def _run() -> int:
    try:
        with process.interrupts_kept(), process.interrupted_by_sigterm():
            code = app.app(prog_name="wavllm", standalone_mode=False)
    except WavLLMError as error:
        return _fail(error, error.exit_code, *error.args)
    except TyperException as error:
        return _fail(error, error.exit_code, " ".join(error.format_message().split()))
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except BrokenPipeError:
        return 1  # the reader of our output has gone
    except Exception as error:
        return _fail(error, 1, explained(error))
    if code == 130:
        _report("interrupted; the same command continues.")
    return code or 0


def _fail(error: BaseException, code: int, *problems: str) -> int:
    if app.state["debug"]:
        _show_traceback(error)
    _report(*problems)
    return code


def _show_traceback(error: BaseException) -> None:
    from traceback import format_exception

    from wavllm_cli import console

    console.err.print("".join(format_exception(error)))


def _report(*problems: str) -> None:
    from wavllm_cli import console

    for problem in problems:
        console.error(problem)
