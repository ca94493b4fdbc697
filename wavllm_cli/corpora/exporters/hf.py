"""A Hugging Face dataset on the disk, for `datasets.load_from_disk`; audio is decoded when a row is asked for."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from wavllm_cli.corpora.exporters import parquet
from wavllm_cli.data.batch import Clip


def write(clips: Iterable[Clip], folder: Path) -> Iterator[str]:
    """Write the dataset into a folder, by way of Parquet."""
    import datasets

    datasets.disable_progress_bars()
    with TemporaryDirectory(dir=folder) as scratch:
        yield from parquet.write(clips, Path(scratch))
        files = sorted(map(str, Path(scratch).glob("*.parquet")))
        found = datasets.Dataset.from_parquet(files, cache_dir=scratch)
        found.save_to_disk(folder)
        del found
