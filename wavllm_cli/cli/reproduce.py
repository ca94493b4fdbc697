"""`wavllm reproduce`: whole experiments."""

from pathlib import Path
from typing import Annotated

import typer

from wavllm_cli.cli.app import TRAINING, Json, app, show
from wavllm_cli.cli.experiment import Overrides
from wavllm_cli.errors import UsageError
from wavllm_cli.help import App

reproduce = App(help="Run a whole experiment: data, both stages, ablations, scores and a report.")
app.add_typer(reproduce, name="reproduce", rich_help_panel=TRAINING)


def _numbers(text: str) -> tuple[int, ...]:
    """`1,2,3`."""
    try:
        numbers = tuple(int(number) for number in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 0 or len(set(numbers)) < len(numbers):
        raise UsageError(f"--seeds {text!r} must be different whole numbers with commas between them, such as 1,2,3.")
    return numbers


@reproduce.command(epilog="Example: wavllm reproduce mini --real recordings --fsdd fsdd.zip")
def mini(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder. [default: runs/mini, with --quick runs/mini-quick]")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Manifests of prep mini, taken as they are if complete. [default: data/mini, OUT/data]"),
    ] = None,
    real: Annotated[
        list[Path] | None, typer.Option(help="Folder of real recordings for prep mini; repeatable.")
    ] = None,
    fsdd: Annotated[Path | None, typer.Option(help="The Free Spoken Digit Dataset, for prep mini.")] = None,
    sentences: Annotated[Path | None, typer.Option(help="Open English for prep mini: one sentence a line.")] = None,
    language_model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Chat LLM. [default: a small one, trained here on text]")
    ] = None,
    acoustic_encoder: Annotated[
        Path | None, typer.Option(help="Folder of a WavLM. [default: a small one, trained here]")
    ] = None,
    seeds: Annotated[str, typer.Option(help="Of stage 2, with commas between them.")] = "1,2,3",
    rows: Annotated[int | None, typer.Option(min=1, help="Most rows of each test. [default: all]")] = None,
    overrides: Overrides = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STEP",
            help="data, language, listener, stage1, stage2, deaf, answers, scores, report; repeatable.",
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Every step once, at toy size: learns nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Fetch backbones without asking.")] = False,
    json: Json = False,
) -> None:
    """The paper's two stages in miniature, with ablations and controls; the same command continues."""
    from wavllm_cli.mini import reproduce as core
    from wavllm_cli.mini.request import FULL, QUICK, Request

    folder = out or Path("runs/mini-quick" if quick else "runs/mini")
    request = Request(
        data=data or (folder / "data" if quick else Path("data/mini")),
        out=folder,
        real=tuple(real or ()),
        fsdd=fsdd,
        sentences=sentences,
        seeds=(_numbers(seeds)[0],) if quick else _numbers(seeds),
        size=QUICK if quick else FULL,
        language_model=language_model,
        acoustic_encoder=acoustic_encoder,
        rows=rows,
        changes=tuple(overrides or ()),
    )
    show(core.reproduce(request, only or (), yes), json)
