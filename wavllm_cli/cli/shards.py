"""`wavllm prep shard`, `prep export`: manifests and their audio for other disks and other programs."""

from pathlib import Path
from typing import Annotated

import typer

from wavllm_cli.cli.app import Json, show
from wavllm_cli.cli.prep import prep

Manifest = Annotated[Path, typer.Argument(help="The manifest.", show_default=False)]


@prep.command(epilog="Example: wavllm prep shard data/train.jsonl --out shards")
def shard(
    manifest: Manifest,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the shards and their manifest.")],
    megabytes: Annotated[int, typer.Option(min=1, help="Size of a shard at most.")] = 1000,
    json: Json = False,
) -> None:
    """Put the audio of a manifest into WebDataset shards: a few large files instead of many small ones.

    The manifest beside them trains and answers like the old one. The same command continues a run that was stopped.
    """
    from wavllm_cli.data.sharding import write_shards

    show(write_shards(manifest, out, megabytes), json)
