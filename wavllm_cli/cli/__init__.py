"""The command line: a command is its signature, its help and a call into a core module.

Nothing heavy is imported here; every command imports what it needs, so that `wavllm --help` answers at once.
"""

from typing import NoReturn

from wavllm_cli import process
from wavllm_cli.cli import (  # noqa: F401  (each adds its commands to the app)
    app,
    ask,
    audit,
    bench,
    convert,
    experiment,
    models,
    prep,
    prompts,
    reproduce,
    score,
    shards,
    speak,
)


def main() -> NoReturn:
    """Run the command; how it ends says `process.run`."""
    process.run(lambda: app.app(prog_name="wavllm", standalone_mode=False), debug=lambda: app.state["debug"])
