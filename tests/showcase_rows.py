"""Test manifests as `wavllm prep mini` writes them, for whoever picks demo clips from them."""

from pathlib import Path

import numpy as np

from wavllm_cli.data.audio import write_wav
from wavllm_cli.data.manifest import write_manifest
from wavllm_cli.data.schema import Utterance
from wavllm_cli.mini.showcase import Pick, picks

TASKS = {"read": "asr", "accented": "asr", "digits": "asr", "world": "asr", "sv-real": "sv", "sqa-real": "sqa"}
CLIPS = {"short": (1.5, 0.02), "long": (9.0, 0.02), "noise": (6.0, 0.9)}  # seconds and level; noise makes large files


def write_test_rows(folder: Path) -> None:
    """Four rows of each manifest will do; the others are too long, too noisy to be small, or not to be shared."""
    rng = np.random.default_rng(0)
    for name, (seconds, level) in CLIPS.items():
        write_wav(folder / f"{name}.wav", (level * rng.standard_normal(int(seconds * 16_000))).clip(-1, 1))
    for pick in picks():
        own = pick.corpus or "mini"
        kinds = [*[("short", own)] * 4, ("long", own), ("noise", own), ("short", "iemocap")]
        rows = [_row(pick, number, clip, corpus) for number, (clip, corpus) in enumerate(kinds)]
        write_manifest(folder / f"test-{pick.manifest}.jsonl", rows)


def _row(pick: Pick, number: int, clip: str, corpus: str) -> Utterance:
    task = TASKS.get(pick.manifest, pick.manifest)
    seconds, file = CLIPS[clip][0], f"{clip}.wav"
    about = {"id": f"{pick.manifest}-{number}", "task": task, "prompt": "hello", "target": f"word {number}"}
    parts = [{"task": part, "prompt": "do", "target": "x"} for part in pick.parts[: len(pick.parts) - number % 2]]
    audio = {"audio": file, "duration": seconds}
    if task == "sv":
        pieces = [{"audio": file, "start": start, "duration": seconds / 3} for start in (0, seconds / 3)]
        audio = {"audio": pieces, "gap": 0.25, "speaker": ["a", "b"]}
    fields = about | audio | {"parts": parts or None, "corpus": corpus, "split": "test"}
    return Utterance.model_validate(fields)
