"""The command line: a command is its signature, its help and a call into a core module.

Nothing heavy is imported here; every command imports what it needs, so that `wavllm --help` answers at once.
"""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer
from typer.exceptions import TyperException

from wavllm_cli import __version__
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.help import App

app = App(
    name="wavllm",
    help="Teach a chat LLM to listen: data, prompts, two-stage training, inference and scores.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
prep = App(help="Turn a corpus, as its owner ships it, into manifests.")
gen_prompts = App(help="Give manifests their instructions and build multi-task rows.")
app.add_typer(prep, name="prep")
app.add_typer(gen_prompts, name="gen-prompts")

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for the manifests and new audio.")]
OutFile = Annotated[Path, typer.Option("--out", "-o", help="Manifest to write (.jsonl, .jsonl.gz or .parquet).")]
Seed = Annotated[int, typer.Option(help="Makes the same choices every time.")]
Json = Annotated[bool, typer.Option("--json", help="Print machine-readable JSON to stdout.")]
RecipeName = Annotated[str, typer.Option("--recipe", "-r", help="A shipped recipe's name, or the path of a YAML file.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one key, e.g. stages.0.steps=500.")
]
AudioRoot = Annotated[Path | None, typer.Option(help="Folder that relative audio paths start from.")]
Dtype = Literal["float32", "bfloat16", "float16"]
Reference = Annotated[
    str | None,
    typer.Option(metavar="ID[@REV]", help="Hub id or folder: compare with the checkpoint's, then refer to it."),
]

_state = {"debug": False}


def _version(value: bool) -> None:
    if value:
        typer.echo(f"wavllm {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and the libraries' own messages.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only results and errors.")] = False,
) -> None:
    _state["debug"] = debug
    if quiet:
        from wavllm_cli import console

        console.set_quiet(True)
    if not debug:
        _hush_libraries()


# --- prep ---


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

    _show(corpora.prepare(corpus, out=out, **{k: v for k, v in options.items() if v is not None}), json)


def _range(text: str | None) -> tuple[int, int] | None:
    """`3..6` -> (3, 6); `4` -> (4, 4)."""
    if text is None:
        return None
    low, dots, high = text.partition("..")
    if not low.isdigit() or (dots and not high.isdigit()):
        raise UsageError(f"--digits {text!r} must look like 3..6 or 4.")
    return int(low), int(high or low)


# --- gen-prompts ---


@gen_prompts.command(
    epilog="Example: wavllm gen-prompts attach data/digits/train.jsonl --out data/digits/train-p.jsonl"
)
def attach(
    manifest: Annotated[Path, typer.Argument(help="Rows to give instructions to.")],
    out: OutFile,
    wordings: Annotated[Literal["seen", "unseen", "all"], typer.Option(help="Which part of each pool.")] = "seen",
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Give each row one of the shipped wordings of its task's instruction."""
    from wavllm_cli.prompts import command

    _show(command.attach(manifest, out, wordings, seed), json)


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

    _show(command.multi(manifests, out, kind, n, seed), json)


# --- train, infer, score, check ---


@app.command(epilog="Example: wavllm train --stage 1 --recipe tiny && wavllm train --stage 2 --recipe tiny")
def train(
    stage: Annotated[int, typer.Option(help="1 or 2; a later stage starts from the one before.")],
    recipe: RecipeName = "wavllm-7b",
    overrides: Overrides = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The run's folder. [default: runs/RECIPE]")
    ] = None,
    start: Annotated[str | None, typer.Option(help="Checkpoint to start from instead of the previous stage.")] = None,
    restart: Annotated[bool, typer.Option(help="Forget what an earlier run left.")] = False,
    json: Json = False,
) -> None:
    """Train one stage; the same command continues a run that was stopped."""
    from wavllm_cli import recipe as recipes

    loaded = recipes.load(recipe, overrides or ())
    from wavllm_cli.training import stages

    _show(stages.train(loaded, stage, output or Path("runs") / loaded.name, start, restart), json)


@app.command(epilog='Example: wavllm infer talk.wav "Summarize the talk, then translate the summary into German."')
def infer(
    source: Annotated[Path, typer.Argument(help="An audio file, or a manifest (.jsonl, .jsonl.gz, .parquet, .tsv).")],
    instruction: Annotated[str, typer.Argument(help="What to do with the audio file.")] = "",
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Checkpoint folder or hub id. [default: newest in runs/]")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Hypotheses of a manifest (.jsonl).")] = None,
    audio_root: AudioRoot = None,
    max_new_tokens: Annotated[int | None, typer.Option(min=1)] = None,
    temperature: Annotated[float | None, typer.Option(min=0, help="0 is greedy.")] = None,
    num_beams: Annotated[int | None, typer.Option(min=1)] = None,
    seed: Seed = 0,
    logprobs: Annotated[bool, typer.Option("--logprobs", help="Token ids and log-probabilities too, in JSON.")] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Most utterances at once.")] = 16,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 … [default: a GPU if there is one]")] = None,
    dtype: Annotated[Dtype | None, typer.Option(help="[default: bfloat16 on a GPU, else float32]")] = None,
    json: Json = False,
) -> None:
    """Answer an instruction about an audio file, or every row of a manifest."""
    from wavllm_cli.inference import command

    decoding = {
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
        "num_beams": num_beams,
        "seed": seed,
        "logprobs": logprobs,
    }
    result = command.infer(source, instruction, model, output, audio_root, batch_size, device, dtype, decoding)
    _show(result, json)
    if result.skipped:
        raise typer.Exit(1)


@app.command(epilog="Example: wavllm score runs/tiny/test.hyp.jsonl --normalizer basic")
def score(
    hypotheses: Annotated[Path, typer.Argument(help="What `wavllm infer MANIFEST` wrote.")],
    normalizer: Annotated[str, typer.Option(help="Text normaliser of WER: none, lower, basic, librispeech.")] = "basic",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="[default: scores.json beside the hypotheses]")
    ] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Score hypotheses against their references, with 95 % intervals."""
    from wavllm_cli.scoring import command

    _show(command.score_file(hypotheses, output, normalizer, seed), json)


@app.command(epilog="Example: wavllm check tiny")
def check(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name, or the path of a YAML file.")],
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Find every problem of a recipe before it costs anything, and say what the run will need."""
    from wavllm_cli import recipe as recipes

    loaded = recipes.load(recipe, overrides or ())
    from wavllm_cli.training import plan

    result = plan.check(loaded)
    _show(result, json)
    if result.problems:
        raise typer.Exit(1)


# --- convert, export ---


@app.command(epilog="Example: wavllm convert final.pt --tokenizer tokenizer.model --output wavllm-7b")
def convert(
    source: Annotated[Path, typer.Argument(help="The released checkpoint (final.pt), or with --to-fairseq a folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder (with --to-fairseq: file) to write.")],
    tokenizer: Annotated[Path | None, typer.Option(help="The LLM's sentencepiece model, tokenizer.model.")] = None,
    to_fairseq: Annotated[bool, typer.Option("--to-fairseq", help="The other way: write the original names.")] = False,
    semantic_encoder: Reference = None,
    acoustic_encoder: Reference = None,
    language_model: Reference = None,
    full: Annotated[bool, typer.Option("--full", help="Store backbones that are named too.")] = False,
    dtype: Annotated[Dtype | None, typer.Option(help="Of the stored tensors. [default: as they are]")] = None,
    semantic_heads: Annotated[int, typer.Option(min=1, help="Attention heads of the Whisper encoder.")] = 20,
    acoustic_heads: Annotated[int, typer.Option(min=1, help="Attention heads of WavLM.")] = 12,
    llm_heads: Annotated[int, typer.Option(min=1, help="Attention heads of the LLM.")] = 32,
    json: Json = False,
) -> None:
    """Turn the released WavLLM checkpoint (fairseq) into a model folder, or a folder into such a checkpoint."""
    if to_fairseq:
        from wavllm_cli.convert.to_fairseq import to_fairseq as back

        _show(back(source, output), json)
        return
    if tokenizer is None:
        raise UsageError("The checkpoint holds no tokenizer: give the LLM's sentencepiece model with --tokenizer FILE.")
    from wavllm_cli.convert import from_fairseq as core

    given = {
        "semantic_encoder": semantic_encoder,
        "acoustic_encoder": acoustic_encoder,
        "language_model": language_model,
    }
    references = {part: reference for part, reference in given.items() if reference}
    heads = core.Heads(semantic_heads, acoustic_heads, llm_heads)
    _show(core.from_fairseq(source, tokenizer, output, heads, references, full, dtype), json)


@app.command(epilog='Example: wavllm export -m wavllm-7b --prompt "Transcribe the audio." --to peft --output lora-asr')
def export(
    model: Annotated[str, typer.Option("--model", "-m", help="Checkpoint folder or hub id.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")],
    to: Annotated[
        Literal["peft", "merged", "base"],
        typer.Option(help="A LoRA adapter, the LLM with it merged in, or the LLM without it."),
    ],
    prompt: Annotated[str | None, typer.Option(help="The instruction that the LoRA is made for.")] = None,
    dtype: Annotated[Dtype | None, typer.Option(help="To compute and write in. [default: the checkpoint's]")] = None,
    json: Json = False,
) -> None:
    """Write the LLM as it is for one instruction, for serving engines that know nothing of WavLLM."""
    from wavllm_cli.convert import export as core

    _show(core.export(model, output, to, prompt, dtype), json)


# --- plumbing ---


def _show(result: Any, json: bool) -> None:
    """Print a result: its own table, or its data as JSON."""
    if not json:
        result.show()
        return
    from json import dumps

    typer.echo(dumps(result.data(), ensure_ascii=False, indent=2))


def _hush_libraries() -> None:
    """Progress bars and notices of the libraries below us are not our user's business."""
    import os
    import warnings

    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.filterwarnings("ignore")


def main() -> NoReturn:
    """Run the command and turn errors into one line and an exit code: 2 wrong use, 1 failed work, 130 interrupted."""
    try:
        code = app(prog_name="wavllm", standalone_mode=False)
    except WavLLMError as error:
        code = _fail(error, str(error), error.exit_code)
    except TyperException as error:
        code = _fail(error, error.format_message(), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except BrokenPipeError:
        code = 1  # the reader of our output has gone
    except Exception as error:
        code = _fail(error, f"unexpected {type(error).__name__}: {error} (run again with --debug for details).", 1)
    if code == 130:
        _report("interrupted; the same command continues.")
    sys.exit(code or 0)


def _fail(error: BaseException, message: str, code: int) -> int:
    if _state["debug"]:
        raise error
    _report(message)
    return code


def _report(message: str) -> None:
    from wavllm_cli import console

    for line in message.splitlines():
        console.error(line)
