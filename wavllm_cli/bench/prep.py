"""`wavllm bench prep`: a manifest of many small files beside the bare reading of their headers, and many rows read."""

import json
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from wavllm_cli import console
from wavllm_cli.bench.processes import Run, run

CLIPS = 100  # in a folder
CONTENTS = 8  # different recordings
LENGTHS = (0.2, 1.0)  # seconds
VOCABULARY = 5000
WORDS = (5, 25)  # of an answer

# As somebody would do without us: find the files, read their headers in threads, write a line for each.
BARE = """
import json, sys, soundfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

def line(path):
    info = soundfile.info(path)
    return json.dumps({"audio": path, "duration": info.frames / info.samplerate})

with open(sys.argv[2], "w") as out, ThreadPoolExecutor(8) as pool:
    for found in pool.map(line, sorted(map(str, Path(sys.argv[1]).rglob("*.flac")))):
        out.write(found + "\\n")
"""
SURVEY = """
import sys
from pathlib import Path
from wavllm_cli.training.survey import survey

found = survey(Path(sys.argv[1]))
assert len(found.usable(found.unusable(60.0))) == len(found)
"""


@dataclass(frozen=True)
class Bench:
    """A manifest of small files beside the bare reading of their headers, and a long manifest read.

    Attributes:
        ratio: speed of `wavllm prep` over that of the bare loop; the median of the rounds, in each of which the two ran
            one after the other.
    """

    files: int
    rows: int
    rounds: int
    runs: list[Run]
    ratio: float

    def show(self) -> None:
        lines = [
            [one.name, f"{one.seconds:.2f}", f"{one.cpu_seconds:.2f}", f"{one.megabytes:.0f}"] for one in self.runs
        ]
        title = f"{self.files:,} FLAC files, {self.rows:,} rows, median of {self.rounds} rounds"
        console.table(title, ["process", "seconds", "CPU seconds", "MB"], lines)
        console.out.print(f"wavllm prep is {self.ratio:.2f} times as fast as the bare loop.")

    def data(self) -> dict[str, Any]:
        return asdict(self)


def bench(files: int, rows: int, rounds: int, seed: int) -> Bench:
    """Time `wavllm prep librispeech` and a bare loop over the same files in turn, and processes that read a manifest.

    Raises:
        WavLLMError: one of them fails.
    """
    with TemporaryDirectory() as folder:
        root, out = Path(folder, "LibriSpeech"), Path(folder, "out")
        _write_files(root, files, Random(seed))
        manifest = _write_manifest(Path(folder), rows, Random(seed))
        quiet = ["-m", "wavllm_cli", "--quiet", "prep"]
        commands = {
            "wavllm prep librispeech": [*quiet, "librispeech", str(root), "--out", str(out)],
            "headers alone": ["-c", BARE, str(root), str(Path(folder, "bare.jsonl"))],
            "wavllm prep stats": [*quiet, "stats", str(manifest)],
            "rows before training": ["-c", SURVEY, str(manifest)],
        }
        measured = [
            {name: run(command) for name, command in commands.items()}
            for _ in console.track(range(rounds), "measuring")
        ]
    runs = [Run(name, *(median(one[name][i] for one in measured) for i in range(3))) for name in commands]
    ours, bare = list(commands)[:2]
    return Bench(files, rows, rounds, runs, median(one[bare][0] / one[ours][0] for one in measured))


def _write_files(root: Path, files: int, rng: Random) -> None:
    """Small recordings of noise as LibriSpeech has them."""
    import numpy as np
    import soundfile

    contents = []
    for i in range(CONTENTS):
        packed = BytesIO()
        samples = np.random.default_rng(i).normal(0, 0.1, round(rng.uniform(*LENGTHS) * 16_000))
        soundfile.write(packed, samples, 16_000, format="FLAC")
        contents.append(packed.getvalue())
    for start in range(0, files, CLIPS):
        speaker = str(start // CLIPS)
        folder = root / "train-clean-100" / speaker / "1"
        folder.mkdir(parents=True)
        names = [f"{speaker}-1-{clip:04d}" for clip in range(min(CLIPS, files - start))]
        for i, name in enumerate(names):
            (folder / f"{name}.flac").write_bytes(contents[i % CONTENTS])
        (folder / f"{speaker}-1.trans.txt").write_text("".join(f"{name} SOME WORDS\n" for name in names))


def _write_manifest(folder: Path, rows: int, rng: Random) -> Path:
    """A manifest of segments of a few recordings."""
    import soundfile

    soundfile.write(folder / "talk.wav", [0.0] * 16_000, 16_000)
    vocabulary = [f"w{i}" for i in range(VOCABULARY)]
    path = folder / "train.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for i in range(rows):
            text = " ".join(rng.choices(vocabulary, k=rng.randint(*WORDS)))
            row = {"id": f"talk-{i:07d}", "audio": "talk.wav", "start": i / 100, "duration": 1 + i % 1000 / 100}
            row |= {"task": "asr", "prompt": "Transcribe the audio clip into text.", "target": text, "transcript": text}
            line = json.dumps(row | {"language": "en", "speaker": f"s{i % 3000}", "split": "train"})
            file.write(f"{line}\n")
    return path
