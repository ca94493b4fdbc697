"""`wavllm bench`: performance claims, measured here and now."""

from typing import Annotated

import typer

from wavllm_cli.cli.app import SPEED, Json, Seed, app, show
from wavllm_cli.help import App

bench = App(help="Measure what our own code adds to the libraries below it, side by side.")
app.add_typer(bench, name="bench", rich_help_panel=SPEED)


@bench.command(epilog="Example: wavllm bench score --pairs 100000")
def score(
    pairs: Annotated[int, typer.Option(min=1, help="Sentences to score.")] = 100_000,
    rounds: Annotated[int, typer.Option(min=1, help="How often each command runs.")] = 3,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """WER with its interval, against jiwer alone: time and memory of whole processes."""
    from wavllm_cli.bench import score as core

    show(core.bench(pairs, rounds, seed), json)


@bench.command(epilog="Example: wavllm bench prep --files 100000 --rows 1000000")
def prep(
    files: Annotated[int, typer.Option(min=1, help="Small FLAC files to make a manifest of.")] = 100_000,
    rows: Annotated[int, typer.Option(min=1, help="Rows of a manifest to be read.")] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=1, help="How often each command runs.")] = 3,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """A manifest of many files, against the bare reading of their headers; and what many rows cost before training."""
    from wavllm_cli.bench import prep as core

    show(core.bench(files, rows, rounds, seed), json)
