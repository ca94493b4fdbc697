"""`wavllm gen-prompts`: instructions and multi-task rows."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from wavllm_cli.cli.app import Json, Seed, app, show
from wavllm_cli.help import App

gen_prompts = App(help="Give manifests their instructions and build multi-task rows.")
app.add_typer(gen_prompts, name="gen-prompts")

OutFile = Annotated[Path, typer.Option("--out", "-o", help="Manifest to write (.jsonl, .jsonl.gz or .parquet).")]
Pools = Annotated[
    list[str] | None,
    typer.Option("--pool", metavar="FILE", help="Wordings instead of ours: POOL.jsonl, or TASK=FILE.txt; repeatable."),
]
Wordings = Annotated[Literal["seen", "unseen", "all"], typer.Option(help="Which part of each pool.")]


@gen_prompts.command(
    epilog="Example: wavllm gen-prompts attach data/digits/train.jsonl --out data/digits/train-p.jsonl"
)
def attach(
    manifest: Annotated[Path, typer.Argument(help="Rows to give instructions to.")],
    out: OutFile,
    pool: Pools = None,
    task: Annotated[
        list[str] | None, typer.Option(help="Tasks whose rows get one; repeatable. [default: asr st sv er]")
    ] = None,
    wordings: Wordings = "seen",
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Give each row a wording of its task's instruction."""
    from wavllm_cli.prompts import command

    show(command.attach(manifest, out, wordings, seed, pool or (), task), json)


@gen_prompts.command(
    epilog="Example: wavllm gen-prompts multi data/digits/train*.jsonl --n 2000 --out data/digits/train-ii.jsonl"
)
def multi(
    manifests: Annotated[list[Path], typer.Argument(help="Rows to combine; those about the same clip go together.")],
    out: OutFile,
    kind: Annotated[Literal["ii", "cot"], typer.Option(help="Independent instructions, or a chain.")] = "ii",
    n: Annotated[int, typer.Option("--n", min=1, help="Rows to build.")] = 1000,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Combine rows into multi-task instructions with one answer, without a model."""
    from wavllm_cli.prompts import command

    show(command.multi(manifests, out, kind, n, seed), json)
