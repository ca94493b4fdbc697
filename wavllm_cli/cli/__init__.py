"""The command line: a command is its signature, its help and a call into a core module.

Nothing heavy is imported here; every command imports what it needs, so that `wavllm --help` answers at once.
"""

import gc
import sys
from typing import NoReturn

import typer
from typer.exceptions import TyperException

from wavllm_cli.cli import app, bench, experiment, models, prep, prompts, score  # noqa: F401  (each adds its commands to the app)
from wavllm_cli.errors import WavLLMError

GC_THRESHOLD = 20_000  # Python's 700 would walk hundreds of thousands of rows again and again, and find nothing


def main() -> NoReturn:
    """Run the command and turn errors into one line and an exit code: 2 wrong use, 1 failed work, 130 interrupted."""
    gc.set_threshold(GC_THRESHOLD)
    try:
        code = app.app(prog_name="wavllm", standalone_mode=False)
    except WavLLMError as error:
        code = _fail(error, str(error), error.exit_code)
    except TyperException as error:
        code = _fail(error, error.format_message(), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except BrokenPipeError:
        code = 1  # the reader of our output has gone
    except Exception as error:
        code = _fail(error, f"unexpected {type(error).__name__}: {error} (run again with --debug for details).", 1)
    if code == 130:
        _report("interrupted; the same command continues.")
    sys.exit(code or 0)


def _fail(error: BaseException, message: str, code: int) -> int:
    if app.state["debug"]:
        raise error
    _report(message)
    return code


def _report(message: str) -> None:
    from wavllm_cli import console

    for line in message.splitlines():
        console.error(line)
