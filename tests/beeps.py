"""The smallest training that is one: the tiny recipe shrunken further, on a handful of beeps."""

from pathlib import Path

import numpy as np

from wavllm_cli import recipe as recipes
from wavllm_cli.data.audio import write_wav
from wavllm_cli.data.manifest import write_manifest
from wavllm_cli.data.schema import Utterance

WORDS = ("low", "middle", "high")
SMALLER = [
    "model.semantic_encoder.config.d_model=32",
    "model.semantic_encoder.config.encoder_layers=1",
    "model.semantic_encoder.config.max_source_positions=100",
    "model.acoustic_encoder.config.num_hidden_layers=1",
    "model.language_model.config.hidden_size=32",
    "model.language_model.config.num_hidden_layers=1",
    "stages.0.mixture=[{manifest: train.jsonl, weight: 1}, {manifest: text.jsonl, weight: 0.5}]",
    "stages.1.mixture=[{manifest: train.jsonl, weight: 1}]",
    "stages.1.trainable=[adapters, layer_weights, lora, prompt_adapter]",
    "stages.0.curriculum=[]",
    "stages.0.optimizer.warmup_steps=2",
    "stages.0.steps=8",
    "stages.1.steps=3",
    "stages.0.checkpoint_every=3",
    "generation.max_new_tokens=4",
]
FOR_BOTH = [
    "batch={max_seconds: 20, max_utterances: 4}",
    "validation={manifest: train.jsonl, every: 4, samples: 2}",
    "workers=0",
]


def write_beeps(folder: Path) -> None:
    """Eight beeps of three pitches (train.jsonl), two text rows (text.jsonl)."""
    noise = np.random.default_rng(0)
    rows = []
    for i in range(8):
        seconds = 0.5 + 0.1 * i
        wave = 0.3 * np.sin(2 * np.pi * 300 * (1 + i % 3) * np.arange(int(seconds * 16_000)) / 16_000)
        write_wav(folder / f"{i}.wav", wave + noise.normal(0, 0.01, len(wave)))
        row = {"audio": f"{i}.wav", "prompt": "How high is it?", "target": WORDS[i % 3], "duration": seconds}
        rows.append(Utterance(id=f"beep{i}", task="asr", **row))
    write_manifest(folder / "train.jsonl", rows)
    texts = [Utterance(id=f"text{w}", audio=None, task="sft", prompt=f"Say {w}.", target=w) for w in WORDS[:2]]
    write_manifest(folder / "text.jsonl", texts)


def shrunken(folder: Path, *overrides: str) -> recipes.Recipe:
    """The recipe for the beeps in a folder, with further overrides."""
    both = [f"stages.{i}.{override}" for i in (0, 1) for override in FOR_BOTH]
    return recipes.load("tiny", [f"data={folder}", *SMALLER, *both, *overrides])


def forget_accelerate() -> None:
    """As in a fresh process."""
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
