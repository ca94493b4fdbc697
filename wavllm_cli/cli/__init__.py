"""The command line: a command is its signature, its help and a call into a core module.

Nothing heavy is imported here; every command imports what it needs, so that `wavllm --help` answers at once.
"""

import gc
import os
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

GC_THRESHOLD = 20_000  # Python's 700 would walk hundreds of thousands of rows again and again, and find nothing


def main() -> NoReturn:
    """Run the command; how it ends says `process.run`."""
    gc.set_threshold(GC_THRESHOLD)
    if os.environ.get("COLUMNS") == "0":  # "unknown", from programs that pass on the size of their terminal
        del os.environ["COLUMNS"]
    process.run(lambda: app.app(prog_name="wavllm", standalone_mode=False), debug=lambda: app.state["debug"])
