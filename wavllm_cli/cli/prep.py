"""`wavllm prep`: corpora into manifests. The command of a corpus is made from its module: see `corpora`."""

import inspect
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import typer

from wavllm_cli.cli.app import DATA, Json, app, show
from wavllm_cli.corpora import About, registry
from wavllm_cli.corpora.importers import Own
from wavllm_cli.corpora.registry import Corpus
from wavllm_cli.help import App, Group
from wavllm_cli.tasks.registry import spelled_out

PANELS = OWN, CORPORA, MANIFESTS = "Your own data", "Corpora", "Manifests"


WORKERS = Annotated[
    int | None, typer.Option(min=1, max=256, help="Threads that read the headers of audio. [default: 8]")
]


class Corpora(Group):
    """Commands of this module and of the registry; a corpus is imported when it is named or listed."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        commands: dict[str, Any] = dict.fromkeys(registry.names())
        self.commands = commands | dict(self.commands)

    def get_command(self, ctx: Any, name: str) -> Any:
        if name in self.commands and self.commands[name] is None:
            self.commands[name] = _command(name, registry.find(name))
        command: Any = super().get_command(ctx, name)
        if command is not None and not command.rich_help_panel:
            command.rich_help_panel = MANIFESTS
        return command

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(self.commands, key=lambda name: PANELS.index(self.get_command(ctx, name).rich_help_panel))


prep = App(cls=Corpora, help="Turn your own data, or a corpus as its owner ships it, into manifests.")
app.add_typer(prep, name="prep", rich_help_panel=DATA)


def _list(value: bool) -> None:
    if value:
        from wavllm_cli import console

        for name in registry.names():
            console.say(f"{name}\n{_facts(registry.find(name).ABOUT)}\n")
        raise typer.Exit


@prep.callback()
def options(
    listed: Annotated[
        bool,
        typer.Option(
            "--list",
            callback=_list,
            is_eager=True,
            help="Print licence, size, tasks, source and layout of every corpus.",
        ),
    ] = False,
) -> None:
    pass


def _command(name: str, corpus: Corpus) -> Any:
    about = corpus.ABOUT
    alone = App(add_completion=False)
    alone.command(
        name,
        help=f"{about.title}\n\n{_facts(about)}",
        short_help=about.title,
        epilog=f"Example: {about.example}",
        rich_help_panel=OWN if issubclass(corpus.Options, Own) else CORPORA,
    )(_callback(name, corpus))
    return typer.main.get_command(alone)


def _facts(about: About) -> str:
    facts = {
        "Licence": about.licence,
        "Size": about.size,
        "Tasks": ", ".join(map(spelled_out, about.tasks)),
        "Source": about.source,
        "Layout": about.layout,
    }
    return "\n".join(f"{key + ':':9}{value}" for key, value in facts.items())


def _callback(name: str, corpus: Corpus) -> Callable[..., None]:
    """What the command does, with the signature that its options are read off."""

    def run(out: Path, json: bool, root: Path | None = None, workers: int | None = None, **options: Any) -> None:
        from wavllm_cli.corpora.prepare import prepare

        given = {key: value for key, value in options.items() if value is not None}
        summary = prepare(name, root, out, workers, **given)
        show(summary, json)
        if summary.faults:
            raise typer.Exit(1)

    about = corpus.ABOUT
    root = _parameter("root", Annotated[Path, typer.Argument(help=about.root)]) if about.root else None
    out = Annotated[Path, typer.Option("--out", "-o", help="Folder for the manifests and new audio.")]
    parameters = [
        *([root] if root else []),
        _parameter("out", out, Path(about.out)),
        *_own(corpus.Options),
        *([_parameter("workers", WORKERS, None)] if about.root else []),
        _parameter("json", Json, False),
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _own(options: type) -> list[inspect.Parameter]:
    """The corpus's own options: a parameter for each field."""
    hints = get_type_hints(options, include_extras=True)
    return [_own_option(field.name, hints[field.name], field.default) for field in fields(options)]


def _own_option(name: str, hint: Any, default: Any) -> inspect.Parameter:
    kind, text = get_args(hint)
    if get_origin(kind) is tuple:  # an option that may be given several times
        single = get_args(kind)[0]
        kind, default = list[single], None  # type: ignore[valid-type]
    else:
        optional = get_origin(kind) in (Union, UnionType)
        (single,) = (t for t in get_args(kind) if t is not NoneType) if optional else (kind,)
    option = typer.Option(help=text)
    if hasattr(single, "parse"):
        option.parser, option.metavar = single.parse, f"<{single.__name__.lower()}>"
        default = default if default is None else str(default)
    elif single is Path:
        option.metavar = "<path>"
    elif single is int:
        option.min = 0  # numbers of things, and seeds
        option.metavar = "<int>"
    return _parameter(name, Annotated[kind, option], default)


def _parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
