"""`wavllm prep check`, `prep stats`: what is in manifests, and what is wrong with them."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from wavllm_cli.audit.faults import FAULTS
from wavllm_cli.cli.app import Json, show
from wavllm_cli.cli.prep import prep

Manifests = Annotated[list[Path], typer.Argument(help="Manifests of one data set: its splits.", show_default=False)]


@prep.command(epilog="Example: wavllm prep check data/train.jsonl data/dev.jsonl data/test.jsonl --fix data/clean")
def check(
    manifests: Manifests,
    audio: Annotated[
        Literal["decode", "headers", "none"],
        typer.Option(help="Decode all audio, look at its headers only, or not at it at all."),
    ] = "decode",
    shortest: Annotated[float, typer.Option(min=0, help="Seconds that a clip lasts at least.")] = 0.1,
    longest: Annotated[float, typer.Option(min=0, help="Seconds that a clip lasts at most.")] = 60.0,
    skip: Annotated[
        list[str] | None,
        typer.Option(metavar="FAULT", help=f"Do not look for this one; may be repeated: {', '.join(FAULTS)}."),
    ] = None,
    fix: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write the manifests without what is wrong, and what went and why."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=256, help="Threads that decode. [default: one for each core]")
    ] = None,
    json: Json = False,
) -> None:
    """Look for what would spoil training or its scores: broken audio, wrong texts, splits that share something.

    Exit code 1 says that something was found.
    """
    from wavllm_cli.audit import command
    from wavllm_cli.audit.faults import Limits, faults_but

    wanted = faults_but(skip or [])
    workers = workers or len(os.sched_getaffinity(0))
    report = command.run(manifests, audio, Limits(shortest, longest), wanted, workers, fix)
    show(report, json)
    if report.failure:
        raise report.failure
    if report.found.findings:
        raise typer.Exit(1)


@prep.command(epilog="Example: wavllm prep stats data/*.jsonl --html stats.html")
def stats(
    manifests: Manifests,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page with all tables and histograms.")
    ] = None,
    json: Json = False,
) -> None:
    """Count rows and hours by task, corpus, split, language and speaker; show how long clips and texts are."""
    from wavllm_cli.audit import stats as command

    show(command.run(manifests, html), json)
