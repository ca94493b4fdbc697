"""The archives that `torch.save` writes. PyTorch maps their entries into memory as they lie and checks nothing, so that
a packed or a damaged entry would become wrong numbers without a word.
"""

import hashlib
import zipfile
import zlib
from pathlib import Path

from wavllm_cli import console
from wavllm_cli.data.files import digest
from wavllm_cli.data.memory import free_memory
from wavllm_cli.errors import WavLLMError

BLOCK = 1 << 20  # bytes
MEMORY_SHARE = 0.5  # of the free memory: the most that an unpacked archive may take


def check_archive(path: Path) -> bool:
    """Compare every entry of an archive with its checksum; whether the entries can be mapped (none is packed).

    Raises:
        WavLLMError: an entry is damaged or encrypted, or there is too little memory to unpack them.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
            if packed:
                _require_memory(path, sum(entry.file_size for entry in entries))
            if not any(entry.CRC for entry in entries):  # torch.serialization.set_crc32_options(False)
                console.warn(f"{path} was written without checksums: whether its numbers are whole cannot be checked.")
                return not packed
            for entry in console.track(entries, f"checking {path.name}"):
                with archive.open(entry) as file:
                    while file.read(BLOCK):
                        pass
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
        raise WavLLMError(f"{path} is damaged ({error}): copy or download it again.") from error
    return not packed


def archive_digest(path: Path) -> str:
    """SHA-256 of an archive's content by the checksums of its entries; of the whole file where it has none."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            entries = [(entry.filename, entry.file_size, entry.CRC) for entry in archive.infolist()]
        if any(crc for _, _, crc in entries):
            return hashlib.sha256(repr(entries).encode()).hexdigest()
    return digest(path)


def _require_memory(path: Path, needed: int) -> None:
    free = free_memory()
    if needed > MEMORY_SHARE * free:
        raise WavLLMError(
            f"{path} is a compressed archive that needs {needed / 1e9:.1f} GB of memory to unpack, but only "
            f"{free / 1e9:.1f} GB are free: unpack it and zip the files again without compression (zip -0 -r)."
        )
