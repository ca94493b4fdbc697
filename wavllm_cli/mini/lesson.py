"""Something that the miniature has not been taught: to write what is said in capitals. `make demo` teaches it.

python -m wavllm_cli.mini.lesson data/mini
"""

from collections.abc import Iterator
from pathlib import Path

from wavllm_cli import process
from wavllm_cli.data.manifest import read_manifest, write_manifest
from wavllm_cli.data.schema import Utterance

PROMPT = "Write what is said in capital letters."
SPLITS = ("train", "dev")


def write_lesson(data: Path) -> None:
    """Write SPLIT-capitals.jsonl beside SPLIT-world.jsonl, about the same clips.

    Raises:
        WavLLMError: what `wavllm prep mini` wrote is not there.
    """
    for split in SPLITS:
        write_manifest(data / f"{split}-capitals.jsonl", _in_capitals(data / f"{split}-world.jsonl"))


def _in_capitals(manifest: Path) -> Iterator[Utterance]:
    for row in read_manifest(manifest):
        target = (row.target or "").upper()
        yield row.model_copy(update={"id": f"{row.id}-capitals", "prompt": PROMPT, "target": target})


if __name__ == "__main__":
    process.run_alone(write_lesson)
