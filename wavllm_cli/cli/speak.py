"""`wavllm prep speak`: a voice for rows whose text waits for one."""

import os
from pathlib import Path
from typing import Annotated

import typer

from wavllm_cli.chat.settings import Settings
from wavllm_cli.cli.app import Json, Seed, Trust, show
from wavllm_cli.cli.chat import BaseUrl, Concurrency, MaxUsd, Prices, Timeout, server_of
from wavllm_cli.cli.prep import prep
from wavllm_cli.errors import UsageError
from wavllm_cli.speech.registry import ENGINES

SERVED = "tts-1"  # which is paid by the character: what a text costs is known before it is spoken
DeviceName = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 … [default: a GPU if there is one]")]
EngineName = Annotated[str, typer.Option(metavar="NAME", help=f"Who speaks: {', '.join(ENGINES)}.")]


@prep.command(epilog="Example: wavllm prep speak data/alpaca/train-sqqa.jsonl --out data/alpaca/train-spoken.jsonl")
def speak(
    manifest: Annotated[Path, typer.Argument(help="Rows with `speech_text` and no audio; others are carried along.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Manifest to write (.jsonl, .jsonl.gz or .parquet).")],
    engine: EngineName = "espeak",
    voices: Annotated[
        str, typer.Option(metavar="NAMES", help="Voices or patterns, such as 'en-us+*,en-029+f3'. [default: all]")
    ] = "",
    language: Annotated[
        str | None, typer.Option(metavar="CODE", help="Of rows that do not say theirs, such as en or pt-BR.")
    ] = None,
    speed: Annotated[float, typer.Option(help="1 is a voice's own; 0.5 to 2.")] = 1.0,
    audio: Annotated[
        Path | None, typer.Option(help="Folder of the clips. [default: speech, beside the manifest]")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=256, help="Processes that speak. [default: one for each core]")
    ] = None,
    seed: Seed = 0,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Of hf a folder or hub id; of openai a name. [default: tts-1]")
    ] = None,
    base_url: BaseUrl = None,
    concurrency: Concurrency = Settings.concurrency,
    timeout: Timeout = Settings.timeout,
    max_usd: MaxUsd = None,
    prices: Prices = None,
    device: DeviceName = None,
    trust_remote_code: Trust = False,
    json: Json = False,
) -> None:
    """Have rows spoken by many voices, each about as often as any other; clips that are there are not made again."""
    from wavllm_cli.speech import command
    from wavllm_cli.speech.engine import Options

    if engine != "hf" and (device or trust_remote_code):
        raise UsageError("--device and --trust-remote-code are for models: they belong with --engine hf.")
    behind = engine == "openai"
    named = model or (SERVED if behind else None)
    server = server_of(behind, "--engine openai", named, base_url, concurrency, timeout, max_usd, prices)
    names = tuple(name.strip() for name in voices.split(",") if name.strip())
    options = Options(named, names, speed, device, trust_remote_code, server, out)
    work = command.Work(out, audio, language, workers or len(os.sched_getaffinity(0)), seed)
    result = command.speak(manifest, engine, options, work)
    show(result, json)
    if result.skipped:
        raise typer.Exit(1)
