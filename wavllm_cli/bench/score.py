"""`wavllm bench score`: what scoring adds to the bare library call, on made-up transcripts."""

import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from wavllm_cli import console
from wavllm_cli.bench.processes import Run, run
from wavllm_cli.scoring.measure import Measure, share

VOCABULARY = 5000
WORDS = (5, 25)  # of a reference
ERRORS = 0.09  # of its words, a third of them deletions

# As somebody would do without us: read two files, call jiwer once, print the rate.
BARE = """
import sys, jiwer
sides = [open(path, encoding="utf-8").read().split("\\n")[:-1] for path in sys.argv[1:]]
print(jiwer.process_words(*sides).wer)
"""


@dataclass(frozen=True)
class Bench:
    """`wavllm score` beside jiwer.

    Attributes:
        bootstrap: CPU seconds of the interval alone.
        ratio: CPU time of `wavllm score`, the bootstrap aside, over that of jiwer; the median of the rounds, in each of
            which the two ran one after the other.
    """

    pairs: int
    rounds: int
    runs: list[Run]
    bootstrap: float
    ratio: float

    def show(self) -> None:
        rows = [[run.name, f"{run.seconds:.2f}", f"{run.cpu_seconds:.2f}", f"{run.megabytes:.0f}"] for run in self.runs]
        columns = ["process", "seconds", "CPU seconds", "MB"]
        console.table(f"{self.pairs} pairs of sentences, median of {self.rounds} rounds", columns, rows)
        console.out.print(f"The bootstrap takes {self.bootstrap:.2f} CPU seconds of wavllm score.")
        console.out.print(f"All the rest takes {self.ratio:.2f} times the CPU time of jiwer alone.")

    def data(self) -> dict[str, Any]:
        return asdict(self)


def bench(pairs: int, rounds: int, seed: int) -> Bench:
    """Time `wavllm score --metric wer` and jiwer alone, in turn, each as a process of its own.

    Raises:
        WavLLMError: one of them fails.
    """
    with TemporaryDirectory() as folder:
        reference, hypothesis = _write_texts(Path(folder), pairs, Random(seed))
        texts = [str(reference), str(hypothesis)]
        options = ["--metric", "wer", "--normalizer", "none", "--output", str(Path(folder, "scores.json"))]
        commands = {
            "wavllm score": ["-m", "wavllm_cli", "--quiet", "score", texts[1], "--reference", texts[0], *options],
            "jiwer": ["-c", BARE, *texts],
        }
        measured = [
            {name: run(command) for name, command in commands.items()}
            for _ in console.track(range(rounds), "measuring")
        ]
        bootstrap = _bootstrap(reference)
    runs = [Run(name, *(statistics.median(one[name][i] for one in measured) for i in range(3))) for name in commands]
    ratios = [(one["wavllm score"][1] - bootstrap) / one["jiwer"][1] for one in measured]
    return Bench(pairs, rounds, runs, bootstrap, statistics.median(ratios))


def _bootstrap(reference: Path) -> float:
    """CPU seconds of an interval over statistics like those of the texts."""
    import numpy as np

    words = np.array([len(line.split()) for line in reference.read_text(encoding="utf-8").split("\n")[:-1]])
    errors = np.random.default_rng(0).binomial(words, ERRORS)
    start = time.process_time()
    Measure("wer", np.stack([errors, words], axis=1), share, "").interval()
    return time.process_time() - start


def _write_texts(folder: Path, pairs: int, rng: Random) -> tuple[Path, Path]:
    """A reference and a hypothesis file with a sentence a line."""
    vocabulary = [f"w{i}" for i in range(VOCABULARY)]
    references = [rng.choices(vocabulary, k=rng.randint(*WORDS)) for _ in range(pairs)]
    hypotheses = [
        [
            rng.choice(vocabulary) if rng.random() < ERRORS * 2 / 3 else word
            for word in words
            if rng.random() > ERRORS / 3
        ]
        for words in references
    ]
    paths = folder / "reference.txt", folder / "hypothesis.txt"
    for path, sentences in zip(paths, (references, hypotheses), strict=True):
        path.write_text("".join(" ".join(words) + "\n" for words in sentences), encoding="utf-8")
    return paths
