"""`wavllm score`: answers against references."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from wavllm_cli.chat.settings import Settings
from wavllm_cli.cli.app import ANSWERS, Json, Seed, app, known_task, show
from wavllm_cli.cli.chat import CHAT, asks_chat
from wavllm_cli.errors import UsageError
from wavllm_cli.tasks.registry import TASKS, spelled_out


@app.command(
    rich_help_panel=ANSWERS,
    epilog="Example: wavllm score ours.hyp.jsonl theirs.json --map target=reference --map text=prediction",
)
@asks_chat(None, flag="--judge", short=None, help="Chat model that also judges whether instructions are followed.")
def score(
    hypotheses: Annotated[
        list[str], typer.Argument(help="Answers, a file for each system, the baseline first; - is standard input.")
    ],
    chat: Settings | None,
    reference: Annotated[
        Path | None, typer.Option("--reference", "-r", help="Manifest, or text with a reference a line.")
    ] = None,
    map: Annotated[
        list[str] | None,
        typer.Option(metavar="OURS=THEIRS", help="Keys of other people's JSON, e.g. text=prediction; repeatable."),
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option("--from", metavar="PROJECT", help="Its result files: speech-ifeval, isa-bench, mmau."),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="TASK",
            callback=known_task,
            help=f"Of all rows, whatever they say: {', '.join(map(spelled_out, TASKS))}. "
            "[default: their own, else asr, or st with --target-language]",
        ),
    ] = None,
    language: Annotated[str | None, typer.Option(help="Spoken in clips that do not say theirs, e.g. en.")] = None,
    target_language: Annotated[str | None, typer.Option(help="Of translations that do not say theirs.")] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="wer, bleu, rougeL, … instead of each task's own; repeatable.")
    ] = None,
    normalizer: Annotated[
        str, typer.Option(help="Of WER and CER: none, lower, basic, librispeech, whisper-english, whisper-basic; all.")
    ] = "basic",
    bertscore: Annotated[
        str | None, typer.Option(metavar="MODEL[@LAYER]", help="Encoder, by name or folder: BERTScore too.")
    ] = None,
    rescale: Annotated[bool, typer.Option("--rescale", help="BERTScore by its baseline.")] = False,
    paper: Annotated[bool, typer.Option("--paper", help="Published figures beside ours.")] = False,
    latex: Annotated[Path | None, typer.Option(help="Write a table for a paper too (.tex).")] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="With .md and .html beside it. [default: scores.json beside the first file]"
        ),
    ] = None,
    seed: Seed = 12345,
    json: Json = False,
    second_judge: Annotated[
        str | None,
        typer.Option(metavar="JUDGE", help="Another --judge, to see how far the two agree.", rich_help_panel=CHAT),
    ] = None,
) -> None:
    """Score answers against their references, with 95 % intervals, and compare systems."""
    from wavllm_cli.scoring import command
    from wavllm_cli.scoring.tasks import Options

    options = Options(normalizer, tuple(metric or ()), bertscore, rescale)
    result = command.score(
        hypotheses,
        reference,
        map or (),
        task,
        language,
        target_language,
        options,
        seed,
        output,
        latex,
        paper,
        _judges(chat, second_judge),
        layout,
    )
    show(result, json)
    if not result.complete:
        raise typer.Exit(1)


def _judges(first: Settings | None, second: str | None) -> list[Settings]:
    if first is None:
        if second:
            raise UsageError("--second-judge belongs with --judge.")
        return []
    if second == first.model:
        raise UsageError(f"Both judges are '{second}', which agrees with itself: name another --second-judge.")
    return [first, *([replace(first, model=second)] if second else [])]
