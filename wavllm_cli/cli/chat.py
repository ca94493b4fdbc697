"""The options of every command that asks a chat model, stated once."""

from collections.abc import Callable
from functools import wraps
from inspect import Signature, signature
from pathlib import Path
from typing import Annotated, Any

import typer

from wavllm_cli.chat.settings import Settings, default_cache
from wavllm_cli.errors import UsageError

CHAT = "Chat model"

BaseUrl = Annotated[
    str | None, typer.Option(metavar="URL", help="OpenAI-compatible server. [default: OPENAI_BASE_URL, or OpenAI]")
]
Concurrency = Annotated[int, typer.Option(min=1, help="Most requests at once.")]
Timeout = Annotated[float, typer.Option(min=1, help="Seconds to wait for an answer.")]
MaxUsd = Annotated[float | None, typer.Option(min=0, help="Stop before the output costs more, over all runs.")]
Prices = Annotated[Path | None, typer.Option(help="Price table (YAML) that goes before ours.")]


def settings(
    model: str | None = None,
    base_url: BaseUrl = None,
    concurrency: Concurrency = Settings.concurrency,
    timeout: Timeout = Settings.timeout,
    reasoning_tokens: Annotated[
        int, typer.Option(min=0, help="Room for a reasoning model's thoughts, beside each answer.")
    ] = Settings.reasoning_tokens,
    max_usd: MaxUsd = None,
    prices: Prices = None,
    batch: Annotated[bool, typer.Option("--batch", help="Batch API: half the price, within a day.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Leave the batch; the same command collects it.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print requests, tokens and costs; ask nothing.")] = False,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of replies already paid. [default: ~/.cache/wavllm/chat]")
    ] = None,
    *,
    flag: str,
) -> Settings | None:
    """What the options come to; None without a model, whose option is `flag`."""
    given = (base_url, max_usd, prices, batch, no_wait, dry_run)
    if model is None:
        if any(given):
            raise UsageError(f"Options of a chat model were given, but no {flag}: without one nothing is asked.")
        return None
    if no_wait and not batch:
        raise UsageError("--no-wait belongs with --batch.")
    return Settings(
        model,
        base_url,
        concurrency=concurrency,
        timeout=timeout,
        max_usd=max_usd,
        prices=prices,
        batch=batch,
        wait=not no_wait,
        dry_run=dry_run,
        cache=cache or default_cache(),
        reasoning_tokens=reasoning_tokens,
    )


def server_of(
    wanted: bool,
    choice: str,
    model: str | None,
    base_url: str | None,
    concurrency: int,
    timeout: float,
    max_usd: float | None,
    prices: Path | None,
) -> Settings | None:
    """The server that something is behind; None for what is on this machine.

    Args:
        wanted: whether there is one.
        choice: the option that would make it so, as a user writes it.

    Raises:
        UsageError: options of a server for what has none.
    """
    if wanted:
        return Settings(model or "", base_url, concurrency, timeout, max_usd, prices)
    if any((base_url, max_usd, prices)):
        raise UsageError(f"--base-url, --max-usd and --prices are for a server: they belong with {choice}.")
    return None


def asks_chat(
    default_model: str | None,
    flag: str = "--model",
    short: str | None = "-m",
    help: str = "Chat model, as its server calls it.",
) -> Callable[[Callable], Callable]:
    """Give a command the options of `settings`; it gets what they come to as its argument `chat`.

    Args:
        default_model: None: a command that asks only if a model is given.
        flag: the option that names the model.
        short: its short form, if it has one.
        help: what it is.
    """
    model = Annotated[str | None, typer.Option(flag, *([short] if short else []), help=help)]
    shared = [
        p.replace(default=default_model, annotation=model) if p.name == "model" else p
        for p in signature(settings).parameters.values()
        if p.name != "flag"
    ]

    for parameter in shared:
        parameter.annotation.__metadata__[0].rich_help_panel = CHAT

    def decorate(command: Callable) -> Callable:
        own = [p for p in signature(command).parameters.values() if p.name != "chat"]

        @wraps(command)
        def run(**values: Any) -> None:
            chosen = {p.name: values.pop(p.name) for p in shared}
            command(**values, chat=settings(**chosen, flag=flag))

        run.__signature__ = Signature([*own, *shared])  # type: ignore[attr-defined]
        return run

    return decorate
