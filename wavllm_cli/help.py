"""Help pages in the house style, with the few parts of Rich that load fast.

Typer's own Rich help imports a Markdown parser and a syntax highlighter, which takes longer than all of Python and
Typer together; `wavllm --help` has to answer at once.
"""

from collections.abc import Iterable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from wavllm_cli.errors import UsageError, WavLLMError

EXPLANATION = 30  # columns that explanations need beside the names of what they explain; else they stand below


class Group(TyperGroup):
    def format_help(self, ctx: Any, formatter: Any) -> None:
        show(self, ctx)


class Command(TyperCommand):
    def format_help(self, ctx: Any, formatter: Any) -> None:
        show(self, ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """An empty value would be taken for none at all, or for this folder: it is what a lost variable leaves.

        Raises:
            UsageError: a value is empty, of what is not so by default.
        """
        given, _, _ = self.make_parser(ctx).parse_args(args=list(args))
        for parameter in self.get_params(ctx):
            value = given.get(parameter.name)
            if "" in (value if isinstance(value, list | tuple) else [value]) and parameter.default != "":
                name = max(parameter.opts, key=len)
                raise UsageError(f"{name} is given an empty value: name what is meant, or leave it out.")
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Typer would take an EOFError, whatever file it comes from, for the end of a user's typing."""
        try:
            return super().invoke(ctx)
        except EOFError as error:
            raise WavLLMError(
                f"A file ended before its content did ({str(error) or 'it is empty or cut off'}): "
                "run again with --debug to see which."
            ) from error


class App(typer.Typer):
    """A Typer whose groups and commands print their help through `show`."""

    def __init__(self, **options: Any):
        super().__init__(**{"cls": Group, "pretty_exceptions_enable": False, "no_args_is_help": True, **options})

    def command(self, name: str | None = None, **options: Any) -> Any:
        return super().command(name, cls=Command, **options)


def show(command: Any, ctx: Any) -> None:
    """Usage, what it does, arguments, options, commands, and an example."""
    from rich.console import Console

    console = Console(highlight=False, emoji=False)  # loading the table of emoji takes its time
    console.print(f"Usage: {ctx.command_path} {' '.join(command.collect_usage_pieces(ctx))}\n", markup=False)
    console.print(f"{command.help or ''}\n", markup=False)
    parameters = [p for p in command.get_params(ctx) if not getattr(p, "hidden", False)]
    _panel(console, "Arguments", [_row(p, ctx) for p in parameters if p.param_type_name == "argument"])
    for title, options in _by_panel([p for p in parameters if p.param_type_name == "option"], "Options"):
        _panel(console, title, [_row(option, ctx) for option in options])
    names = command.list_commands(ctx) if hasattr(command, "list_commands") else []
    for title, commands in _by_panel([command.get_command(ctx, name) for name in names], "Commands"):
        _panel(console, title, [(c.name, c.get_short_help_str(limit=200)) for c in commands])
    if command.epilog:
        title, _, example = command.epilog.partition(": ")
        console.print(f"[bold]{title}:[/bold]")
        console.print(f"  {example}\n", markup=False, style="cyan", soft_wrap=True)


def _by_panel(items: Iterable[Any], rest: str) -> Iterable[tuple[str, list[Any]]]:
    """Options or commands under the titles of their panels; those of none come first."""
    panels: dict[str, list[Any]] = {rest: []}
    for item in items:
        panels.setdefault(item.rich_help_panel or rest, []).append(item)
    return panels.items()


def _row(parameter: Any, ctx: Any) -> tuple[str, str]:
    """Name and explanation of one parameter; the explanation carries type and default."""
    names, text = parameter.get_help_record(ctx) or (parameter.make_metavar(ctx), parameter.help or "")
    return names, text


def _panel(console: Any, title: str, rows: list[tuple[str, str]]) -> None:
    from rich.cells import cell_len
    from rich.padding import Padding
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return
    beside = max(cell_len(name) for name, _ in rows) + EXPLANATION <= console.width
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=beside, overflow="fold")
    if beside:
        grid.add_column(overflow="fold")
    for name, text in rows:
        cells = [Text(name, style="bold cyan"), Text(text)]
        if beside:
            grid.add_row(*cells)
        else:
            grid.add_row(cells[0])
            grid.add_row(Padding(cells[1], (0, 0, 0, 2)))
    console.print(Panel(grid, title=Text(title), title_align="left", border_style="dim"))
