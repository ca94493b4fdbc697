"""`wavllm prep shard`, `prep export`: manifests and their audio for other disks and other programs."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from wavllm_cli.cli.app import Json, show
from wavllm_cli.cli.prep import prep

Manifest = Annotated[Path, typer.Argument(help="The manifest.", show_default=False)]


@prep.command(epilog="Example: wavllm prep shard data/train.jsonl --out shards")
def shard(
    manifest: Manifest,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the shards and their manifest.")],
    megabytes: Annotated[int, typer.Option(min=1, help="Size of a shard at most.")] = 1000,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Folder to which you bring the shards (s3://…); the manifest names them there."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Put the audio of a manifest into WebDataset shards: a few large files instead of many small ones.

    The manifest beside them trains and answers like the old one. The same command continues a run that was stopped.
    """
    from wavllm_cli.data.sharding import write_shards

    show(write_shards(manifest, out, megabytes, address), json)


@prep.command(epilog="Example: wavllm prep export data/train.jsonl --to lhotse --out lhotse/train")
def export(
    manifest: Manifest,
    to: Annotated[
        Literal["parquet", "hf", "lhotse", "kaldi"],
        typer.Option(help="Parquet with the audio inside, a saved Hugging Face dataset, Lhotse, Kaldi."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="A new folder.")],
    json: Json = False,
) -> None:
    """Write a manifest as another toolkit has it; what it has no place for is left out and counted."""
    from wavllm_cli.corpora import exporters

    show(exporters.export(manifest, to, out), json)
