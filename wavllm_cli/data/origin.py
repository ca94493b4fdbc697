"""Where the files of a pretrained model come from, and what they are kept from doing here.

A folder of this machine and a repository of the Hugging Face hub are two kinds of origin: what is local is never asked
of the hub, and what is fetched is named first. Every file is looked up in `Origin.file`, so that nothing goes past it.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from wavllm_cli import console, strict_json
from wavllm_cli.data import hub
from wavllm_cli.data.files import digest, is_lfs_pointer
from wavllm_cli.data.known_models import known, name_of, resolve
from wavllm_cli.errors import UsageError, WavLLMError, reason, shortened

# Every file in which transformers looks for code to import, or for another model to follow.
CONFIG_FILES = (
    "config.json",
    "tokenizer_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "generation_config.json",
    "adapter_config.json",
)
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")
TOKEN_FILES = ("special_tokens_map.json", "tokenizer_config.json")
TOKEN_KEYS = {"content", "single_word", "lstrip", "rstrip", "normalized", "special", "__type", "id"}
WEIGHTS = "model.safetensors"
PICKLED_WEIGHTS = "pytorch_model.bin"
FOLLOWED = re.compile("audio_tokenizer_name_or_path")
KERNEL_KEYS = re.compile(r"_?(attn|experts)_implementation(_internal)?")
OWN_PROCESSOR = "wavllm_processor.WavLLMProcessor"  # which every folder of ours names, and nothing of ours imports
OWN_PROCESSOR_FILE = f"{OWN_PROCESSOR.partition('.')[0]}.py"
TRUST = "read it, and give --trust-remote-code (infer, train, check, export, prep speak) if you trust its author"


@dataclass(frozen=True)
class Origin:
    """A model's folder, or its repository on the hub.

    Attributes:
        path: the folder, absolute, or the hub id.
        revision: branch, tag or commit of a repository; None is its main branch.
        options: of the hub's functions (`cache_dir`, `token`, `local_files_only`).
    """

    path: str
    revision: str | None = None
    local: bool = False
    options: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __str__(self) -> str:
        return self.path if self.local or not self.revision else f"{self.path} @ {self.revision}"

    @property
    def where(self) -> dict[str, Any]:
        """Keywords for `from_pretrained`."""
        return {**self.options, "revision": self.revision or "main"}

    def pinned(self) -> "Origin":
        """The same at the commit that its revision means now; unchanged where that cannot be found out."""
        if self.local:
            return self
        hub.unreachable()  # then what is here is looked at alone
        return replace(self, revision=_commit(self.path, self.revision))

    def file(self, name: str, required: bool = False) -> Path | None:
        """One of its files on this machine, fetched if it has to be; None where there is none.

        Raises:
            UsageError: its folder is missing.
            WavLLMError: the file is required and missing, cannot be fetched, or is a pointer of Git LFS.
        """
        found = self._in_folder(name) if self.local else self._in_cache(name)
        if found is None and required:
            raise WavLLMError(f"{self} has no {name}.")
        if found is not None and is_lfs_pointer(found):
            raise WavLLMError(
                f"{found} is only a Git LFS pointer, not the file itself: run `git lfs pull` in {found.parent}."
            )
        return found

    def _in_folder(self, name: str) -> Path | None:
        folder = Path(self.path)
        if not folder.is_dir():
            raise UsageError(f"there is no folder {folder}.")
        return folder / name if (folder / name).is_file() else None

    def _in_cache(self, name: str) -> Path | None:
        from huggingface_hub import try_to_load_from_cache
        from transformers.utils import cached_file

        needed = name == "config.json"  # no model is without it: whatever keeps it away is said
        asked = not self.options.get("local_files_only")
        if asked and try_to_load_from_cache(self.path, name, self.options.get("cache_dir"), self.revision) is None:
            why = hub.unreachable()
            if why and needed:
                raise WavLLMError(
                    f"{self} is not on this machine, and the Hugging Face hub cannot be reached ({why}): check the "
                    "network, or name a folder."
                )
            if not why:
                _announce(self.path, self.revision or "main")
        try:
            found = cached_file(self.path, name, _raise_exceptions_for_missing_entries=needed, **self.where)
        except (OSError, ValueError) as error:
            raise WavLLMError(f"{self} cannot be fetched: {reason(error)}") from error
        return found and Path(found)


@cache
def _commit(path: str, revision: str | None) -> str | None:
    from transformers.utils.hub import resolve_revision

    found = resolve_revision(path, revision)
    return getattr(found, "resolved", found)


@cache
def _announce(path: str, revision: str) -> None:
    console.info(f"fetches {path} @ {revision} from the Hugging Face hub")


# --- naming an origin ---


def locate(name: str, revision: str | None = None) -> Origin:
    """The origin that a user names: a folder if there is one or if it is written like a path, else a hub id.

    Names of `wavllm models` stand for the folders that it has fetched.

    Raises:
        UsageError: it is such a name, and its model is still to be fetched.
    """
    if Path(name).expanduser().is_dir() or looks_local(name):
        return Origin(os.path.abspath(Path(name).expanduser()), local=True)
    if folder := resolve(name):
        return Origin(str(folder), local=True)
    return Origin(name, revision)


def looks_local(name: str) -> bool:
    """Whether a name can only be a path: hub ids are `NAME` or `OWNER/NAME`."""
    return re.fullmatch(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", name) is None


def stored_origin(entry: Mapping[str, Any], folder: str | Path | None = None) -> Origin:
    """The origin that an entry of `config.backbones` names.

    Entries say which kind they are (`local`, `known`); those of older versions, which do not, are read as a user's.

    Args:
        folder: the checkpoint's, from which a relative local path starts.

    Raises:
        UsageError: the entry has no path, or names a known model that is still to be fetched.
    """
    path = entry.get("path") if isinstance(entry, Mapping) else None
    if not isinstance(path, str) or not path:
        raise UsageError(f"a reference to a backbone needs a path, not {path!r}.")
    if entry.get("known"):
        return Origin(str(resolve(known(path).name)), local=True)
    if entry.get("local") is None:
        return locate(path, entry.get("revision"))
    if not entry["local"]:
        return Origin(path, entry.get("revision"))
    return Origin(os.path.abspath(Path(folder or ".", Path(path).expanduser())), local=True)


def anchored(backbones: Mapping[str, Any] | None, folder: str | Path | None = None) -> dict[str, Any] | None:
    """`config.backbones` as it means the same from everywhere: local paths absolute and marked as such.

    Known models go by their name, whether they are on this machine or not.
    """
    return {part: _anchored(entry, folder) for part, entry in (backbones or {}).items()} or None


def _anchored(entry: Mapping[str, Any], folder: str | Path | None) -> dict[str, Any]:
    is_named = isinstance(entry, Mapping) and entry.get("known")
    return dict(entry) if is_named else entry_of(stored_origin(entry, folder))


def entry_of(origin: Origin) -> dict[str, Any]:
    """An origin as an entry of `config.backbones`, which can be taken for no other."""
    if origin.local and (name := name_of(origin.path)):
        return {"path": name, "known": True}
    if origin.local:
        return {"path": origin.path, "local": True}
    return {"path": origin.path, "revision": origin.revision, "local": False}


def identity(entry: Mapping[str, Any], folder: str | Path | None = None) -> dict[str, str | None]:
    """What a backbone's content is known by: the commit of a repository, or the digest of a folder's files.

    The digest is taken of all weights, and takes as long as reading them.
    """
    origin = stored_origin(entry, folder).pinned()
    if not origin.local:
        return {"path": origin.path, "revision": origin.revision}
    files = [file for file in Path(origin.path).glob("*") if file.suffix in (".safetensors", ".bin")]
    config = origin.file("config.json")
    names = sorted([*files, *([config] if config else [])])
    lines = "".join(f"{file.name} {digest(file)}\n" for file in names)
    return {"path": origin.path, "sha256": hashlib.sha256(lines.encode()).hexdigest()}


# --- what its files may not do ---


def refuse_code(origin: Origin, trust: bool = False) -> None:
    """Refuse an origin whose files name code to run or another model to follow, unless the user trusts it.

    Raises:
        UsageError: names the file and what it asks for.
        WavLLMError: one of the files is damaged or cannot be fetched.
    """
    _require_plain_tokens(origin)
    if not trust and (found := foreign_code(origin)):
        raise UsageError(f"{found}: {TRUST}.")


def foreign_code(origin: Origin) -> str | None:
    """What an origin's files name that would run on this machine, as the beginning of a sentence; None if nothing."""
    for name in CONFIG_FILES:
        file = origin.file(name)
        if file is None:
            continue
        if name == "adapter_config.json":
            return f"{file} makes it an adapter of another model, which would be followed, with code that it names"
        content = read_json(file)
        if others := [text for _, value in _entries(content, FOLLOWED) for text in _texts(value)]:
            return f"{file} names another model ({others[0]}), which would be fetched and loaded"
        named = [text for _, value in _entries(content, re.compile("auto_map")) for text in _texts(value)]
        if classes := [name for name in named if name != OWN_PROCESSOR]:
            return f"{file} names Python code of its own ({', '.join(classes[:3])}), which would run on this machine"
        kernels = [text for _, value in _entries(content, KERNEL_KEYS) for text in _texts(value) if "/" in text]
        if kernels:
            return f"{file} names a kernel on the hub ({kernels[0]}), code which would be fetched and run"
    return None


def _require_plain_tokens(origin: Origin) -> None:
    """The tokenizers' library writes keys that it does not know to standard output, whatever they do to a terminal."""
    for name in TOKEN_FILES:
        if (file := origin.file(name)) is not None:
            _require_known_keys(_tokens(read_json(file), name == TOKEN_FILES[0]), file)
    if vocabulary := origin.file("tokenizer.json"):
        _require_plain_vocabulary(vocabulary, vocabulary.stat().st_mtime_ns)


@cache
def _require_plain_vocabulary(vocabulary: Path, written: int) -> None:
    """Of many megabytes, and asked for with every part of a model: read once as long as it stays the same."""
    content = strict_json.readable(vocabulary.read_bytes())  # its own reader says what is wrong
    added = content.get("added_tokens") if isinstance(content, dict) else None
    _require_known_keys(_tokens(added, is_map=False), vocabulary)


def _require_known_keys(tokens: Iterator[Mapping[str, Any]], file: Path) -> None:
    if unknown := [key for token in tokens for key in token if key not in TOKEN_KEYS]:
        raise WavLLMError(f"{file} describes a token with the unknown key {shortened(unknown[0])!r}.")


def _tokens(content: Any, is_map: bool) -> Iterator[Mapping[str, Any]]:
    """What a tokenizer's file describes as tokens: sections with a `content`, and in a map of special tokens all."""
    if isinstance(content, dict):
        if "content" in content:
            yield content
        for value in content.values():
            if is_map and isinstance(value, dict):
                yield value
            yield from _tokens(value, False)
    elif isinstance(content, list):
        for value in content:
            yield from _tokens(value, False)


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object out of a file of unknown origin.

    Raises:
        WavLLMError: it is none.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise WavLLMError(f"{file} is not valid JSON: {reason(error)}") from error
    if not isinstance(content, dict):
        raise WavLLMError(f"{file} holds no JSON object.")
    return content


def _entries(content: Any, key: re.Pattern[str]) -> Iterator[tuple[str, Any]]:
    """Every entry of this name, at any depth."""
    if isinstance(content, dict):
        for name, value in content.items():
            if key.fullmatch(name):
                yield name, value
            yield from _entries(value, key)
    elif isinstance(content, list):
        for value in content:
            yield from _entries(value, key)


def _texts(value: Any) -> Iterator[str]:
    """Every text within a value, each once."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        yield from dict.fromkeys(text for part in inner for text in _texts(part))
