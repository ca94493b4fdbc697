"""`wavllm infer` and `chat`: questions about recordings, and manifests of them."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from wavllm_cli import process
from wavllm_cli.chat.settings import Settings
from wavllm_cli.cli.app import ANSWERS, Dtype, Json, Seed, Trust, app, require_utf8, show
from wavllm_cli.cli.chat import BaseUrl, Concurrency, MaxUsd, Prices, Timeout, server_of

DecodingOption = partial(typer.Option, rich_help_panel="Decoding")
MachineOption = partial(typer.Option, rich_help_panel="Machine")
Model = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", help="Folder, hub id or name. [default: as set by `wavllm models default`, else mini]"
    ),
]
System = Annotated[
    str | None,
    typer.Option("--system", metavar="NAME", help="Who answers; cascade hears words best. [default: wavllm]"),
]
Channel = Annotated[int | None, typer.Option(min=0, help="Of recordings, from 0. [default: all, mixed]")]
MaxNewTokens = Annotated[int | None, DecodingOption(min=1)]
Temperature = Annotated[float | None, DecodingOption(min=0, help="0 is greedy.")]
DeviceName = Annotated[str | None, MachineOption(help="cpu, cuda, cuda:1 … [default: a GPU if there is one]")]
DtypeName = Annotated[Dtype | None, MachineOption(help="[default: bfloat16 on a GPU, else float32]")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Fetch the default model without asking, if it is not here.")]


@app.command(
    rich_help_panel=ANSWERS,
    epilog='Example: wavllm infer talk.wav "Summarize the talk, then translate the summary into German."',
)
def infer(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE... [INSTRUCTION]",
            help="Recordings – files, folders, patterns in quotes, addresses, - for stdin – and what to do with them; "
            "or a manifest (.jsonl, .jsonl.gz, .parquet, .tsv).",
        ),
    ],
    instruction: Annotated[
        list[str] | None, typer.Option("--instruction", "-i", metavar="TEXT", help="What to do; may be repeated.")
    ] = None,
    instruction_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Instructions, one a line; - for stdin.")
    ] = None,
    channel: Channel = None,
    model: Model = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="File for the answers: hypotheses (.jsonl, .jsonl.gz, .parquet), .txt, .json, subtitles (.srt, .vtt).",
        ),
    ] = None,
    audio_root: Annotated[Path | None, typer.Option(help="Folder that a manifest's audio paths start from.")] = None,
    system: System = None,
    max_new_tokens: MaxNewTokens = None,
    temperature: Temperature = None,
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
    device: DeviceName = None,
    dtype: DtypeName = None,
    trust_remote_code: Trust = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Answer instructions about recordings, or every row of a manifest."""
    process.sleep_while_waiting()
    from wavllm_cli.inference import command
    from wavllm_cli.inference.sources import divided, instructions_in
    from wavllm_cli.systems.base import Options
    from wavllm_cli.systems.decoding import Decoding

    given = [*(instruction or ()), *(instructions_in(instruction_file) if instruction_file else ())]
    named, asked = divided(sources, given)
    for text in asked:
        require_utf8(text)
    decoding = Decoding(max_new_tokens, temperature, num_beams, seed, logprobs)
    server = server_of(system == "remote", "--system remote", model, base_url, concurrency, timeout, max_usd, prices)
    options = Options(model, device, dtype, decoding, trust_remote_code, server, output)
    live = sys.stdout is not None and sys.stdout.isatty()
    work = command.Work(channel, output, audio_root, batch_size, live, json, yes)
    result = command.infer(named, asked, work, system, options)
    show(result, json)
    if result.skipped:
        raise typer.Exit(1)


@app.command(rich_help_panel=ANSWERS, epilog="Example: wavllm chat talk.wav")
def chat(
    source: Annotated[
        str | None, typer.Argument(metavar="[RECORDING]", help="What to talk about. [default: no recording]")
    ] = None,
    channel: Channel = None,
    model: Model = None,
    system: System = None,
    max_new_tokens: MaxNewTokens = None,
    temperature: Temperature = None,
    seed: Seed = 0,
    base_url: BaseUrl = None,
    timeout: Timeout = Settings.timeout,
    device: DeviceName = None,
    dtype: DtypeName = None,
    trust_remote_code: Trust = False,
    yes: Yes = False,
) -> None:
    """Talk about a recording: questions from the terminal or from stdin, one a line; /help lists the commands."""
    process.sleep_while_waiting()
    from wavllm_cli.inference.converse import converse
    from wavllm_cli.inference.default import opener
    from wavllm_cli.systems.base import Options
    from wavllm_cli.systems.decoding import Decoding

    decoding = Decoding(max_new_tokens, temperature, seed=seed)
    is_remote = system == "remote"
    server = server_of(is_remote, "--system remote", model, base_url, Settings.concurrency, timeout, None, None)
    options = Options(model, device, dtype, decoding, trust_remote_code, server)
    live = all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))
    if converse(opener(system, options, yes), source, channel, live).failures:
        raise typer.Exit(1)
