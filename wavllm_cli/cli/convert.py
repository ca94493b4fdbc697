"""`wavllm convert` and `export`: models from and for other programs, and for other people."""

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from wavllm_cli.cli.app import SOFTWARE, Dtype, Json, Trust, app, require_utf8, show
from wavllm_cli.errors import UsageError

Reference = Annotated[
    str | None,
    typer.Option(metavar="ID[@REV]", help="Hub id or folder: compare with the checkpoint's, then refer to it."),
]

HeadsOption = partial(typer.Option, min=1, rich_help_panel="Attention heads, which no tensor tells")


@app.command(
    rich_help_panel=SOFTWARE, epilog="Example: wavllm convert final.pt --tokenizer tokenizer.model --output wavllm-7b"
)
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
    semantic_heads: Annotated[int, HeadsOption(help="Of the Whisper encoder.")] = 20,
    acoustic_heads: Annotated[int, HeadsOption(help="Of WavLM.")] = 12,
    llm_heads: Annotated[int, HeadsOption(help="Of the LLM.")] = 32,
    json: Json = False,
) -> None:
    """Turn the released WavLLM checkpoint (fairseq) into a model folder, or a folder into such a checkpoint."""
    if to_fairseq:
        from wavllm_cli.convert.to_fairseq import to_fairseq as back

        show(back(source, output), json)
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
    show(core.from_fairseq(source, tokenizer, output, heads, references, full, dtype), json)


@app.command(
    rich_help_panel=SOFTWARE,
    epilog='Example: wavllm export -m wavllm-7b --prompt "Transcribe the audio." --to peft --output lora-asr',
)
def export(
    model: Annotated[str, typer.Option("--model", "-m", help="Checkpoint folder or hub id.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")],
    to: Annotated[
        Literal["peft", "merged", "base", "bundle"],
        typer.Option(
            help="A LoRA adapter, the LLM with it merged in, the LLM without it; or the whole model, with all that "
            "others could not get by name."
        ),
    ],
    prompt: Annotated[
        str | None, typer.Option(help="The instruction that the LoRA is made for.", callback=require_utf8)
    ] = None,
    dtype: Annotated[Dtype | None, typer.Option(help="To compute and write in. [default: the checkpoint's]")] = None,
    trust_remote_code: Trust = False,
    json: Json = False,
) -> None:
    """Write the LLM as it is for one instruction, for engines that know nothing of WavLLM; or a model to hand on."""
    if to == "bundle":
        if prompt is not None:
            raise UsageError("A bundle answers any instruction: leave out --prompt.")
        from wavllm_cli.convert.bundle import bundle

        show(bundle(model, output, dtype, trust_remote_code), json)
        return
    from wavllm_cli.convert import export as core

    show(core.export(model, output, to, prompt, dtype, trust_remote_code), json)
