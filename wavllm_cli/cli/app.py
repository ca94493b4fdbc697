"""The app itself, and what its commands share: options that several of them have, and how results are printed."""

from typing import Annotated, Any, Literal

import typer

from wavllm_cli import __version__, process
from wavllm_cli.errors import UsageError
from wavllm_cli.help import App, Group
from wavllm_cli.tasks.registry import task_called

DATA, TRAINING, ANSWERS, SOFTWARE, SPEED = "Data", "Training", "Answers and scores", "Other software", "Speed"
STAGES: tuple[str | None, ...] = (DATA, TRAINING, ANSWERS, SOFTWARE, SPEED)


class Pipeline(Group):
    """Commands in the order in which data goes through them: by their stage, then as they are written down."""

    def list_commands(self, ctx: Any) -> list[str]:
        stages = {name: getattr(command, "rich_help_panel", None) for name, command in self.commands.items()}
        return sorted(stages, key=lambda name: STAGES.index(stages[name]) if stages[name] in STAGES else len(STAGES))


app = App(
    cls=Pipeline,
    name="wavllm",
    help="Teach a chat LLM to listen: data, prompts, two-stage training, inference and scores.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, metavar="<int>", help="Makes the same choices every time.")]
Json = Annotated[bool, typer.Option("--json", help="Print machine-readable JSON to stdout.")]
Dtype = Literal["float32", "bfloat16", "float16"]
Trust = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run the Python code that the model's files bring along.")
]

state = {"debug": False}


def require_utf8(text: str | None) -> str | None:
    """What a user has typed for a model to read; bytes that are no UTF-8 would reach it as lone surrogates."""
    if text is not None and not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UsageError(f"The instruction is not UTF-8 from its character {error.start + 1} on: {text}") from None
    return text


def known_task(name: str | None) -> str | None:
    """What a user calls a task, as its code."""
    return None if name is None else task_called(name)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"wavllm {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and the libraries' own messages.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only results and errors.")] = False,
) -> None:
    state["debug"] = debug
    if quiet:
        from wavllm_cli import console

        console.set_quiet(True)
    if not debug:
        process.hush_libraries()


def show(result: Any, json: bool) -> None:
    """Print a result: its own table, or its data as JSON."""
    if not json:
        result.show()
        return
    from wavllm_cli import console

    console.say_json(result.data())
