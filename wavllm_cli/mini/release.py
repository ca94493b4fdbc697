"""What the package brings along, made by whoever publishes a release: the miniature, its card and the demo clips.

python -m wavllm_cli.mini.release runs/mini/stage2 --data data/mini --scores runs/mini/scores --system NAME
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from wavllm_cli import console, process
from wavllm_cli.data.files import write_text
from wavllm_cli.data.known_models import BUNDLE
from wavllm_cli.errors import WavLLMError
from wavllm_cli.mini.card import card
from wavllm_cli.mini.showcase import CLIPS, write_showcase

DTYPE = "float16"
LARGEST = 25_000_000  # bytes of the bundle
SOURCES, CARD = "sources.json", "README.md"


def release(
    model: str,
    data: Path,
    scores: Path,
    system: str | None = None,
    training: Path | None = None,
    package: Path = BUNDLE.parent,
) -> None:
    """Write the bundle and the clips into the package, in place of what is there, once all of it has been made.

    Args:
        model: the checkpoint.
        data: what `wavllm prep mini` wrote.
        scores, system: as for `card`.
        training: a file with what `card` says of the training.

    Raises:
        WavLLMError: something is missing, or the bundle is too large.
    """
    from wavllm_cli.convert.bundle import bundle  # and with it transformers, which `run_alone` tells to be quiet first

    with tempfile.TemporaryDirectory(prefix=".release-", dir=package) as folder:
        made, clips = Path(folder, BUNDLE.name), Path(folder, CLIPS.name)
        write_showcase(data, clips)
        size = bundle(model, made, DTYPE).bytes
        if size > LARGEST:
            raise WavLLMError(f"The bundle has {size:,} bytes, more than {LARGEST:,}.")
        said = training.read_text(encoding="utf-8") if training else None
        write_text(made / CARD, card(made, data / SOURCES, scores, clips, system, said))
        for path in (made, clips):
            shutil.rmtree(package / path.name, ignore_errors=True)
            os.replace(path, package / path.name)
    console.info(f"{size / 1e6:.1f} MB → {package / BUNDLE.name}")


def main(
    model: Annotated[str, typer.Argument(help="Checkpoint folder.")],
    data: Annotated[Path, typer.Option(help="What `wavllm prep mini` wrote.")],
    scores: Annotated[Path, typer.Option(help="Folder with TEST.json of every test.")],
    system: Annotated[str | None, typer.Option(help="Whose scores, where there are several.")] = None,
    training: Annotated[Path | None, typer.Option(help="Markdown on how it was trained.", exists=True)] = None,
) -> None:
    """Put a trained miniature into the package, with its card and demo clips."""
    release(model, data, scores, system, training)


if __name__ == "__main__":
    process.run_alone(main)
