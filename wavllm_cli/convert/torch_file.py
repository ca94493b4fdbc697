"""Reading a PyTorch checkpoint of unknown origin: nothing in it is executed, its tensors stay on the disk, and they are
the numbers that were written.

A checkpoint is a pickle, and a pickle is a program. PyTorch's restricted unpickler refuses every name that it does not
know; training frameworks leave such names in their checkpoints too (options, counters), so those of a few libraries are
built as empty objects instead.
"""

import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from wavllm_cli import console
from wavllm_cli.data.archive import check_archive
from wavllm_cli.data.files import is_lfs_pointer
from wavllm_cli.errors import UsageError, WavLLMError

# Where the objects come from that fairseq's training loop writes beside the tensors.
BOOKKEEPING = re.compile(r"(argparse|omegaconf|fairseq|examples|enum|pathlib|numpy|_codecs)\.")
ZIP_START = b"PK\x03\x04"


class Inert:
    """An object of which only the place is kept."""

    def __new__(cls, *args: Any) -> "Inert":
        return super().__new__(cls)

    def __init__(self, *args: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def read_torch_file(path: Path) -> Any:
    """The content of a file that `torch.save` wrote, with its tensors mapped into memory instead of read.

    The entries of an archive are compared with their checksums. Compressed ones cannot be mapped and are unpacked into
    memory; so is a file from before PyTorch 1.6, which has no checksums at all.

    Raises:
        UsageError: there is no such file, it is not a checkpoint, or it holds Python code.
        WavLLMError: it is truncated or damaged, a pointer of Git LFS, or too large to be unpacked.
    """
    if not path.is_file():
        raise UsageError(f"{path} is a folder, not a checkpoint file." if path.is_dir() else f"{path} does not exist.")
    if is_lfs_pointer(path):
        raise WavLLMError(f"{path} is only a Git LFS pointer, not the file itself: run `git lfs pull` in its folder.")
    is_zip = zipfile.is_zipfile(path)
    if not is_zip and _starts_like_zip(path):
        raise WavLLMError(f"{path} is damaged: the end of the checkpoint is missing; copy or download it again.")
    try:
        names = get_unsafe_globals_in_checkpoint(str(path)) if is_zip else []
        _refuse_code(path, [name for name in names if not BOOKKEEPING.match(name)])
        with safe_globals([(Inert, name) for name in names]):
            # Compressed entries would be mapped as they lie. Files older than PyTorch 1.6 are no archives.
            mapped = is_zip and check_archive(path)
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
            if not is_zip:
                console.warn(
                    f"{path} is from before PyTorch 1.6, without checksums: damaged numbers cannot be found out."
                )
            return content
    except WavLLMError:
        raise
    except pickle.UnpicklingError as error:
        _refuse_code(path, re.findall(r"GLOBAL (\S+)", str(error)))
        raise UsageError(f"{path} is not a PyTorch checkpoint.") from error
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, IndexError, TypeError, AssertionError) as error:
        # What a reader of pickles trips over in a file that is none.
        raise UsageError(f"{path} is not a PyTorch checkpoint, or it is damaged.") from error


def _refuse_code(path: Path, names: list[str]) -> None:
    if names:
        raise UsageError(
            f"{path} holds Python objects beside tensors ({', '.join(sorted(names)[:3])}) and was not loaded: such a "
            "file can run any code; get the checkpoint from its publisher."
        )


def _starts_like_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(ZIP_START)) == ZIP_START
