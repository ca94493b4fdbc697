"""`wavllm prep`: corpora into manifests."""

from pathlib import Path
from typing import Annotated, Any

import typer

from wavllm_cli.cli.app import Json, Seed, app, show
from wavllm_cli.errors import UsageError
from wavllm_cli.help import App

prep = App(help="Turn a corpus, as its owner ships it, into manifests.")
app.add_typer(prep, name="prep")

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for the manifests and new audio.")]


@prep.command(epilog="Example: wavllm prep librispeech /data/LibriSpeech --out data/librispeech")
def librispeech(
    root: Annotated[Path, typer.Argument(help="LibriSpeech/, its parent, or one split.")],
    out: Out = Path("data/librispeech"),
    json: Json = False,
) -> None:
    """LibriSpeech: one ASR manifest per split."""
    _prepare("librispeech", out, json, root=root)


@prep.command(epilog="Example: wavllm prep fsdd fsdd.zip --digits 3..6")
def fsdd(
    root: Annotated[Path, typer.Argument(help="The archive, or its unpacked folder.")],
    out: Out = Path("data/digits"),
    digits: Annotated[str | None, typer.Option(help="Join recordings into strings, e.g. 3..6.")] = None,
    count: Annotated[int | None, typer.Option(help="Digit strings in the train split.")] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Free Spoken Digit Dataset: 3,000 human recordings, test split = index 0-4."""
    _prepare("fsdd", out, json, root=root, digits=_range(digits), count=count, seed=seed)


@prep.command("spoken-digits", epilog="Example: wavllm prep spoken-digits --digits 3..6")
def spoken_digits(
    out: Out = Path("data/digits"),
    digits: Annotated[str, typer.Option(help="Shortest and longest digit string.")] = "3..6",
    count: Annotated[int | None, typer.Option(help="Digit strings in the train split.")] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Digit strings spoken by espeak-ng in many voices: needs nothing but this package."""
    _prepare("spoken-digits", out, json, digits=_range(digits), count=count, seed=seed)


def _prepare(corpus: str, out: Path, json: bool, **options: Any) -> None:
    from wavllm_cli import corpora

    summary = corpora.prepare(corpus, out=out, **{k: v for k, v in options.items() if v is not None})
    show(summary, json)
    if summary.skipped:
        raise typer.Exit(1)


def _range(text: str | None) -> tuple[int, int] | None:
    """`3..6` -> (3, 6); `4` -> (4, 4)."""
    if text is None:
        return None
    low, dots, high = text.partition("..")
    if not low.isdigit() or (dots and not high.isdigit()):
        raise UsageError(f"--digits {text!r} must look like 3..6 or 4.")
    return int(low), int(high or low)
