"""Hugging Face datasets: of the hub, saved to disk, as Parquet with audio inside, or files with their metadata."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import soundfile

from wavllm_cli import console
from wavllm_cli.corpora import UNREADABLE, About, Draft, Skipped
from wavllm_cli.corpora.folders import walk
from wavllm_cli.corpora.importers import Own
from wavllm_cli.corpora.importers.columns import Mapped, Meaning, meanings, names
from wavllm_cli.corpora.importers.embedded import Store
from wavllm_cli.corpora.importers.rows import drafts
from wavllm_cli.corpora.importers.table import Options as TableOptions
from wavllm_cli.corpora.importers.table import Reader, read
from wavllm_cli.corpora.splits import TRAIN
from wavllm_cli.data.audio import SUFFIXES
from wavllm_cli.data.files import shown
from wavllm_cli.data.hub import unreachable
from wavllm_cli.data.manifest import parquet_rows
from wavllm_cli.errors import UsageError, WavLLMError, did_you_mean, reason

ABOUT = About(
    title="Hugging Face datasets: of the hub, or a folder of yours.",
    licence="the dataset's",
    size="any; splits are the dataset's own, a train that is all alone is split by seed",
    tasks=("asr", "st", "er", "sqa", "summ", "sft"),
    source="https://huggingface.co/datasets",
    layout="saved to disk, Parquet with audio inside, or audio files with metadata.csv (.jsonl, .parquet)",
    root="NAME on the hub, a folder, or a Parquet file.",
    example="wavllm prep hf google/fleurs --config de_de --splits test --language de --out data/fleurs-de",
    out="data/own",
)
METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
AUDIO = "Audio"
KINDS = (AUDIO, "Image", "Video", "Pdf")  # features whose values are files
PACKED = (".parquet", ".arrow")
SAVED = ("dataset_dict.json", "state.json")


@dataclass(frozen=True)
class Options(Own):
    config: Annotated[str | None, "Which of the configurations of a dataset that has several."] = None
    splits: Annotated[str | None, "Which of its splits, commas between them. Without it: all."] = None
    most: Annotated[int | None, "Rows of each split, at most; no more are fetched."] = None
    map: Annotated[tuple[Mapped, ...], "COLUMN=FIELD, where a column's name is not known."] = ()


Rows = list[tuple[str, dict[str, Any] | Skipped]]  # each with its place


def manifests(root: Path, out: Path, options: Options) -> Iterator[Draft]:
    """One manifest per split; audio that lies within other files gets files of its own in `OUT/audio`."""
    metadata = _metadata(root) if root.is_dir() else []
    rows = _Rows(root, out, options)
    if metadata:
        found = [row for path in metadata for row in _of_files(root, path)]
    else:
        found = [
            row
            for split, dataset in _chosen(_loaded(root, options), options).items()
            for row in rows.of(split, dataset)
        ]
    told = (*options.map, *rows.told)
    reader = Reader(root if root.is_dir() else root.parent, replace(TableOptions(), map=told))
    yield from drafts(reader.records(_own_splits(found, options), shown(root)), root.name, out, options)


def _own_splits(rows: Rows, options: Options) -> Rows:
    """Without the split of a dataset that has but one, called train, and for which nobody asked."""
    splits = {row.get("split") for _, row in rows if isinstance(row, dict)}
    if splits != {TRAIN} or options.splits:
        return rows
    return [
        (where, {key: value for key, value in row.items() if key != "split"} if isinstance(row, dict) else row)
        for where, row in rows
    ]


# --- files with metadata ---


def _metadata(root: Path) -> list[Path]:
    return [path for path in walk(root, METADATA) if isinstance(path, Path) and path.name.lower() in METADATA]


def _of_files(root: Path, metadata: Path) -> Iterator[tuple[str, dict[str, Any] | Skipped]]:
    """The rows of a table that lies beside its files; folders on the way may be called like a split."""
    known = set(names()["splits"])
    folder = metadata.parent.relative_to(root)
    rows: Iterator[tuple[str, dict[str, Any] | Skipped]]
    if metadata.suffix.lower() == ".parquet":
        rows = ((f"{shown(metadata)}, row {number}", row) for number, row in parquet_rows(metadata))
    else:
        rows = read(metadata)
    for where, row in rows:
        if isinstance(row, dict) and isinstance(row.get("file_name"), str):
            row = row | {"file_name": (folder / row["file_name"]).as_posix()}
            parts = Path(row["file_name"]).parts[:-1]
            if split := next((part for part in parts if part.lower() in known), None):
                row = {"split": split} | row
        yield where, row


# --- datasets ---


def _loaded(root: Path, options: Options) -> Mapping[str, Any]:
    """The splits of a dataset, row by row and nothing decoded.

    Raises:
        UsageError: there is none of this name, or it has several configurations.
        WavLLMError: the hub cannot be reached, or the dataset cannot be read.
    """
    if not root.exists():
        _require_hub(root)
    elif root.is_dir() and any(walk(root, SUFFIXES)) and not any(walk(root, PACKED)):
        raise UsageError(f"{shown(root)} has recordings and no {METADATA[0]}: see wavllm prep folder.")
    import datasets

    datasets.disable_progress_bars()
    try:
        if root.is_dir() and any((root / name).exists() for name in SAVED):
            found = datasets.load_from_disk(str(root))
            splits = found if isinstance(found, dict) else {str(found.split or TRAIN): found}
            return {split: _undecoded(one.to_iterable_dataset()) for split, one in splits.items()}
        if root.is_file():
            found = datasets.load_dataset("parquet", data_files=str(root), streaming=True)
        else:
            found = datasets.load_dataset(str(root), options.config, streaming=True)
        return {split: _undecoded(one) for split, one in found.items()}
    except ValueError as error:  # a configuration that is not there, or is to be chosen
        said = " ".join(line.strip() for line in str(error).splitlines())
        raise UsageError(f"{shown(root)} cannot be read as a dataset: {said.rstrip('.')} (see --config).") from error
    except Exception as error:  # of the hub's and of each format's own library
        raise WavLLMError(f"{shown(root)} cannot be read as a dataset: {reason(error).rstrip('.')}.") from error


def _require_hub(root: Path) -> None:
    if root.is_absolute() or len(root.parts) > 2 or root.suffix == ".parquet":
        raise UsageError(f"There is no file or folder {shown(root)}.")
    if problem := unreachable():
        nowhere = f"There is no folder {shown(root)}, and the Hugging Face hub cannot be reached"
        raise WavLLMError(f"{nowhere} ({problem}): name a folder.")


def _undecoded(dataset: Any) -> Any:
    """With audio as it is stored; decoding it asks for a library, and would make two copies of it."""
    if dataset.features is None:
        dataset = dataset._resolve_features()
    return dataset.decode(False)


def _chosen(splits: Mapping[str, Any], options: Options) -> dict[str, Any]:
    """
    Raises:
        UsageError: there is no such split.
    """
    wanted = options.splits.split(",") if options.splits else list(splits)
    for split in wanted:
        if split not in splits:
            hint = did_you_mean(split, splits)
            raise UsageError(f"There is no split {split!r}{hint}: there are {', '.join(splits)}.")
    return {split: splits[split] for split in wanted}


class _Rows:
    """Makes rows of a table, whose audio are names of files, of those of a dataset."""

    def __init__(self, root: Path, out: Path, options: Options):
        self.root, self.options = root, options
        self.told: tuple[Mapped, ...] = ()  # what shows by its form alone
        self._heard: set[str] = set()
        self._store = Store(out)

    def of(self, split: str, dataset: Any) -> Iterator[tuple[str, dict[str, Any] | Skipped]]:
        """
        Raises:
            UsageError: several columns hold audio.
            WavLLMError: the dataset cannot be read to its end.
        """
        labels = {name: kind.names for name, kind in dataset.features.items() if hasattr(kind, "names")}
        self._know_audio(dataset.features)
        number = 0
        rows = iter(islice(dataset, self.options.most))
        while True:
            try:
                row = next(rows, None)
            except Exception as error:  # as above
                said = f"{shown(self.root)}, split {split}: reading ended after {number:,} rows"
                raise WavLLMError(f"{said}: {reason(error).rstrip('.')}.") from error
            if row is None:
                return
            number += 1
            yield self._row(split, number, row, labels)

    def _know_audio(self, features: Mapping[str, Any]) -> None:
        """Find the column of the audio by what it holds, where no name tells; say what has no place in a row."""
        kinds = {name: kind for name, feature in features.items() if (kind := _kind_of_file(feature))}
        known = meanings(tuple(features), self.options.map)
        if not any(known[name].field == "audio" for name in kinds):
            forms = [name for name, kind in kinds.items() if kind == AUDIO]
            if len(forms) > 1:
                raise UsageError(f"{shown(self.root)} has audio in {' and '.join(forms)}: say --map COLUMN=audio.")
            self.told = tuple(Mapped(name, Meaning("audio")) for name in forms)
            known = meanings(tuple(features), (*self.options.map, *self.told))
        self._heard = {name for name, meaning in known.items() if meaning.field == "audio"}
        if others := kinds.keys() - self._heard:
            console.warn(
                f"{shown(self.root)}: what {', '.join(sorted(others))} hold are files, and have no place in a row."
            )

    def _row(
        self, split: str, number: int, row: dict[str, Any], labels: Mapping[str, list[str]]
    ) -> tuple[str, dict[str, Any] | Skipped]:
        where = f"{split}, row {number}"
        plain: dict[str, Any] = {"split": split}
        for name, value in row.items():
            if stored := _files(value):
                if name not in self._heard:
                    continue
                try:
                    plain[name] = [self._put(f"{split}-{number:06d}", one) for one in stored]
                except ValueError as error:
                    return where, Skipped(where, UNREADABLE, str(error))
            elif name in labels:
                plain[name] = labels[name][value] if isinstance(value, int) and value >= 0 else None
            else:
                plain[name] = value
        return where, plain

    def _put(self, name: str, stored: Mapping[str, Any]) -> str:
        """What the audio of a row is called: a file of its own, where it lies within the dataset.

        Raises:
            ValueError: there is none.
        """
        if stored.get("bytes"):
            return str(self._store.put(name, stored["bytes"]).absolute())
        if stored.get("array") is not None:
            return str(self._store.put(name, _wav(stored["array"], stored["sampling_rate"])).absolute())
        if stored.get("path"):
            return str(stored["path"])
        raise ValueError("has neither audio nor the path of one")


def _kind_of_file(feature: Any) -> str | None:
    """Of files that a column holds, one or several in a row; None: it holds none."""
    inner = getattr(feature, "feature", feature)
    if isinstance(inner, Mapping):
        return AUDIO if inner.keys() & {"bytes", "array"} else None
    name = type(inner).__name__
    return name if name in KINDS else None


def _files(value: Any) -> list[Mapping[str, Any]]:
    """The files that a value of a column holds: one, several, or none."""
    several = value if isinstance(value, list) else [value]
    if several and all(isinstance(one, Mapping) and one.keys() & {"bytes", "array"} for one in several):
        return several if all("path" in one or "array" in one for one in several) else []
    return []


def _wav(samples: Any, rate: int) -> bytes:
    """(samples,) or (channels, samples) float as a file, to the last bit of 32."""
    wave = np.asarray(samples, np.float32)
    file = BytesIO()
    soundfile.write(file, wave.T, rate, format="WAV", subtype="FLOAT")
    return file.getvalue()
