"""`wavllm train`, `infer`, `score` and `check`: what a recipe, a model and its answers go through."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from wavllm_cli.chat.settings import Settings
from wavllm_cli.cli.app import ANSWERS, TRAINING, Dtype, Json, Seed, Trust, app, require_utf8, show
from wavllm_cli.cli.chat import BaseUrl, Concurrency, MaxUsd, Prices, Timeout, server_of

RecipeName = Annotated[str, typer.Option("--recipe", "-r", help="A shipped recipe's name, or the path of a YAML file.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one key, e.g. stages.0.steps=500.")
]
RunPath = Annotated[Path | None, typer.Option("--output", "-o", help="The run's folder. [default: runs/RECIPE]")]
DecodingOption = partial(typer.Option, rich_help_panel="Decoding")
MachineOption = partial(typer.Option, rich_help_panel="Machine")
AudioRoot = Annotated[Path | None, typer.Option(help="Folder that relative audio paths start from.")]


def _keys(value: bool) -> None:
    if value:
        from wavllm_cli import console
        from wavllm_cli.recipe.reference import reference

        console.say(reference().rstrip("\n"))
        raise typer.Exit


@app.command(rich_help_panel=TRAINING, epilog="Example: wavllm check tiny")
def check(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name, or the path of a YAML file.")],
    overrides: Overrides = None,
    output: RunPath = None,
    trust_remote_code: Trust = False,
    keys: Annotated[
        bool, typer.Option("--keys", callback=_keys, is_eager=True, help="Print what a recipe may say, in Markdown.")
    ] = False,
    json: Json = False,
) -> None:
    """Find every problem of a recipe before it costs anything, and say what the run will need."""
    from wavllm_cli import recipe as recipes

    loaded = recipes.load(recipe, overrides or ())
    from wavllm_cli.training import plan

    result = plan.check(loaded, output or Path("runs") / loaded.name, trust=trust_remote_code)
    show(result, json)
    if result.problems:
        raise typer.Exit(1)


@app.command(
    rich_help_panel=TRAINING,
    epilog="Example: wavllm train --stage 1 --recipe tiny && wavllm train --stage 2 --recipe tiny",
)
def train(
    stage: Annotated[int, typer.Option(help="1 or 2; a later stage starts from the one before.")],
    recipe: RecipeName = "wavllm-7b",
    overrides: Overrides = None,
    output: RunPath = None,
    start: Annotated[str | None, typer.Option(help="Checkpoint to start from instead of the previous stage.")] = None,
    restart: Annotated[bool, typer.Option(help="Forget what an earlier run left.")] = False,
    trust_remote_code: Trust = False,
    json: Json = False,
) -> None:
    """Train one stage; the same command continues a run that was stopped."""
    from wavllm_cli import recipe as recipes

    loaded = recipes.load(recipe, overrides or ())
    from wavllm_cli.training import stages

    show(stages.train(loaded, stage, output or Path("runs") / loaded.name, start, restart, trust_remote_code), json)


@app.command(
    rich_help_panel=ANSWERS,
    epilog='Example: wavllm infer talk.wav "Summarize the talk, then translate the summary into German."',
)
def infer(
    source: Annotated[Path, typer.Argument(help="An audio file, or a manifest (.jsonl, .jsonl.gz, .parquet, .tsv).")],
    instruction: Annotated[str, typer.Argument(help="What to do with the audio file.", callback=require_utf8)] = "",
    channel: Annotated[int | None, typer.Option(min=0, help="Of the audio file, from 0. [default: all, mixed]")] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Checkpoint folder or hub id. [default: the only run in runs/]")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Hypotheses file (.jsonl, .jsonl.gz, .parquet).")
    ] = None,
    audio_root: AudioRoot = None,
    system: Annotated[str, typer.Option("--system", metavar="NAME", help="Who answers.")] = "wavllm",
    max_new_tokens: Annotated[int | None, DecodingOption(min=1)] = None,
    temperature: Annotated[float | None, DecodingOption(min=0, help="0 is greedy.")] = None,
    num_beams: Annotated[int | None, DecodingOption(min=1)] = None,
    seed: Seed = 0,
    logprobs: Annotated[
        bool, DecodingOption("--logprobs", help="Token ids and log-probabilities too, in JSON.")
    ] = False,
    batch_size: Annotated[int, MachineOption(min=1, max=2048, help="Most utterances at once.")] = 16,
    base_url: BaseUrl = None,
    concurrency: Concurrency = Settings.concurrency,
    timeout: Timeout = Settings.timeout,
    max_usd: MaxUsd = None,
    prices: Prices = None,
    device: Annotated[str | None, MachineOption(help="cpu, cuda, cuda:1 … [default: a GPU if there is one]")] = None,
    dtype: Annotated[Dtype | None, MachineOption(help="[default: bfloat16 on a GPU, else float32]")] = None,
    trust_remote_code: Trust = False,
    json: Json = False,
) -> None:
    """Answer an instruction about an audio file, or every row of a manifest."""
    from wavllm_cli.inference import command
    from wavllm_cli.systems.base import Options
    from wavllm_cli.systems.decoding import Decoding

    decoding = Decoding(max_new_tokens, temperature, num_beams, seed, logprobs)
    server = server_of(system, model, base_url, concurrency, timeout, max_usd, prices)
    options = Options(model, device, dtype, decoding, trust_remote_code, server, output)
    result = command.infer(source, instruction, channel, output, audio_root, batch_size, system, options)
    show(result, json)
    if result.skipped:
        raise typer.Exit(1)
