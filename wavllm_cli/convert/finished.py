"""A folder that a conversion has finished says what it was made from: the same command given again has nothing to do,
and any other is told that the folder is in use.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from wavllm_cli import __version__, console
from wavllm_cli.data.files import digest, require_new
from wavllm_cli.data.origin import CONFIG_FILES, TOKENIZER_FILES, Origin, identity, read_json
from wavllm_cli.errors import WavLLMError
from wavllm_cli.model.stored import weight_files

RECORD = "made.json"


def finished(output: Path, key: Callable[[], str]) -> dict[str, Any] | None:
    """What the same command has reported when it finished this output; None where there is no output yet.

    Args:
        key: of this command, see `key_of`; asked for only if it may be the one.

    Raises:
        UsageError: something else is there.
    """
    try:
        record = read_json(output / RECORD) if (output / RECORD).is_file() else {}
        if record and record.get("files") == _sizes(output) and record.get("key") == key():
            console.info(f"{output} is complete already")
            return record["result"]
    except (OSError, WavLLMError):  # another one's record, or inputs that are gone
        pass
    require_new(output)
    return None


def leave_record(folder: Path, key: str, result: Mapping[str, Any]) -> None:
    """The last file of an output."""
    record = {"made_by": f"wavllm {__version__}", "key": key, "files": _sizes(folder), "result": result}
    (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def key_of(command: str, inputs: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """One text for all that decides what a command writes: the content of its inputs, its options, our version."""
    content = json.dumps([command, __version__, inputs, options], sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()


def contents(origin: Origin) -> dict[str, Any]:
    """The digests of a checkpoint's files, and of the language model that it refers to."""
    names = [file for name in (*CONFIG_FILES, *TOKENIZER_FILES) if (file := origin.file(name))]
    config = origin.file("config.json", required=True)
    assert config is not None
    llm = (read_json(config).get("backbones") or {}).get("language_model")
    known = {file.name: digest(file) for file in [*names, *weight_files(origin)]}
    return known | ({"language_model": identity(llm, config.parent)} if llm else {})


def save_tensors(tensors: dict[str, Tensor], file: Path, metadata: dict[str, str]) -> None:
    """Write safetensors, with the metadata in order: the library shuffles it, so that no two files would be equal."""
    save_file(tensors, file, metadata=metadata)
    with file.open("r+b") as opened:
        length = int.from_bytes(opened.read(8), "little")
        header = json.loads(opened.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode().ljust(length)
        assert len(text) == length, "the same entries take the same room"
        opened.seek(8)
        opened.write(text)


def _sizes(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_size for file in sorted(folder.iterdir()) if file.name != RECORD}
