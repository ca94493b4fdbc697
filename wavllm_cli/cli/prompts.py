"""`wavllm gen-prompts`: wordings of instructions, questions and multi-task rows."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from wavllm_cli.chat.settings import Settings
from wavllm_cli.cli.app import DATA, Json, Seed, app, known_task, show
from wavllm_cli.cli.chat import asks_chat
from wavllm_cli.help import App
from wavllm_cli.tasks.registry import MULTI, SINGLE, UNPROMPTED, spelled_out, task_called

gen_prompts = App(help="Write instructions, questions and multi-task rows; give manifests their instructions.")
app.add_typer(gen_prompts, name="gen-prompts", rich_help_panel=DATA)

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
        list[str] | None,
        typer.Option(
            metavar="TASK",
            help=f"Tasks whose rows get one, of {', '.join(SINGLE)}; repeatable. [default: {' '.join(UNPROMPTED)}]",
        ),
    ] = None,
    wordings: Wordings = "seen",
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Give each row a wording of its task's instruction."""
    from wavllm_cli.prompts import command

    tasks = [task_called(name) for name in task or ()]
    show(command.attach(manifest, out, wordings, seed, pool or (), tasks), json)


@gen_prompts.command(epilog="Example: wavllm gen-prompts paraphrase --task asr --n 100 --out asr-pool.jsonl")
@asks_chat(Settings.model)
def paraphrase(
    task: Annotated[
        str,
        typer.Option(
            metavar="TASK",
            callback=known_task,
            help=f"{', '.join(map(spelled_out, SINGLE))}; connectives of {' and '.join(map(spelled_out, MULTI))}.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Pool to write (.jsonl).")],
    chat: Settings,
    n: Annotated[int, typer.Option("--n", min=1, help="Wordings wanted.")] = 100,
    languages: Annotated[str, typer.Option(help="Languages of the wordings, e.g. en,de,fr.")] = "en",
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Have a chat model word a task's instruction in many ways, and keep those that pass every check."""
    from wavllm_cli.prompts import command

    _finish(command.paraphrase(task, out, n, languages.split(","), seed, chat), json)


@gen_prompts.command(epilog="Example: wavllm gen-prompts questions data/ami/train.jsonl --out data/ami/train-sqa.jsonl")
@asks_chat(Settings.model)
def questions(
    manifest: Annotated[Path, typer.Argument(help="Rows with transcripts (and speakers' emotions, where known).")],
    out: OutFile,
    chat: Settings,
    per_clip: Annotated[int, typer.Option(min=0, help="Multiple-choice questions about each clip.")] = 3,
    free: Annotated[int, typer.Option(min=0, help="Questions without choices about each clip.")] = 0,
    verify: Annotated[bool, typer.Option(help="Have every question answered before it is kept.")] = True,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Have a chat model ask questions about transcripts, and keep those that the recording answers."""
    from wavllm_cli.prompts import command

    _finish(command.questions(manifest, out, per_clip, free, verify, seed, chat), json)


@gen_prompts.command(
    epilog="Example: wavllm gen-prompts multi data/digits/train*.jsonl --n 2000 --out data/digits/train-ii.jsonl"
)
@asks_chat(None)
def multi(
    manifests: Annotated[list[Path], typer.Argument(help="Rows to combine; those about the same clip go together.")],
    out: OutFile,
    chat: Settings | None,
    kind: Annotated[Literal["ii", "cot"], typer.Option(help="Independent instructions, or a chain.")] = "ii",
    n: Annotated[int, typer.Option("--n", min=1, help="Rows to build.")] = 1000,
    pool: Pools = None,
    wordings: Wordings = "seen",
    words: Annotated[int, typer.Option(min=5, help="Longest summary; with a model.")] = 20,
    target_language: Annotated[
        str | None, typer.Option(help="Language that summaries and transcripts are translated into; with a model.")
    ] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Combine rows into multi-task instructions with one answer; --model adds summaries and translations."""
    from wavllm_cli.prompts import command

    _finish(command.multi(manifests, out, kind, n, seed, pool or (), wordings, words, target_language, chat), json)


def _finish(result: Any, json: bool) -> None:
    show(result, json)
    if not result.successful:
        raise typer.Exit(1)
