"""`wavllm check` and `train`: what a recipe goes through."""

from pathlib import Path
from typing import Annotated

import typer

from wavllm_cli.cli.app import TRAINING, Json, Trust, app, show

RecipeName = Annotated[str, typer.Option("--recipe", "-r", help="A shipped recipe's name, or the path of a YAML file.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one key, e.g. stages.0.steps=500.")
]
RunPath = Annotated[Path | None, typer.Option("--output", "-o", help="The run's folder. [default: runs/RECIPE]")]


def _keys(value: bool) -> None:
    if value:
        from wavllm_cli import console
        from wavllm_cli.recipe.reference import reference

        console.say(reference().rstrip("\n"))
        raise typer.Exit


@app.command(rich_help_panel=TRAINING, epilog="Example: wavllm check tiny")
def check(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name, or the path of a YAML file.")],
    overrides: Overrides = None,
    output: RunPath = None,
    trust_remote_code: Trust = False,
    keys: Annotated[
        bool, typer.Option("--keys", callback=_keys, is_eager=True, help="Print what a recipe may say, in Markdown.")
    ] = False,
    json: Json = False,
) -> None:
    """Find every problem of a recipe before it costs anything, and say what the run will need."""
    from wavllm_cli import recipe as recipes

    loaded = recipes.load(recipe, overrides or ())
    from wavllm_cli.training import plan

    result = plan.check(loaded, output or Path("runs") / loaded.name, trust=trust_remote_code)
    show(result, json)
    if result.problems:
        raise typer.Exit(1)


@app.command(
    rich_help_panel=TRAINING,
    epilog="Example: wavllm train --stage 1 --recipe tiny && wavllm train --stage 2 --recipe tiny",
)
def train(
    stage: Annotated[int, typer.Option(help="1 or 2; a later stage starts from the one before.")],
    recipe: RecipeName = "wavllm-7b",
    overrides: Overrides = None,
    output: RunPath = None,
    start: Annotated[str | None, typer.Option(help="Checkpoint to start from instead of the previous stage.")] = None,
    restart: Annotated[bool, typer.Option(help="Forget what an earlier run left.")] = False,
    trust_remote_code: Trust = False,
    json: Json = False,
) -> None:
    """Train one stage; the same command continues a run that was stopped."""
    from wavllm_cli import recipe as recipes

    loaded = recipes.load(recipe, overrides or ())
    from wavllm_cli.training import stages

    show(stages.train(loaded, stage, output or Path("runs") / loaded.name, start, restart, trust_remote_code), json)
