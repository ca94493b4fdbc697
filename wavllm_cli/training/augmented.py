"""The clips of a stage as chance changes them, and the gaps that SpecAugment cuts into their features.

SpecAugment: Park et al., 2019, arXiv:1904.08779.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wavllm_cli.data.audio import SAMPLE_RATE
from wavllm_cli.data.augment import MASKS, Augmenter, Speeds
from wavllm_cli.data.batch import Clip
from wavllm_cli.data.sounds import Sounds
from wavllm_cli.errors import WavLLMError
from wavllm_cli.recipe import Recipe, SpecAugment, Stage
from wavllm_cli.training.room import Room

HOP = 160  # samples between two frames of Whisper's features
BLANK = 0.0  # about the mean of Whisper's features


@dataclass(frozen=True)
class AugmentedClip(Clip):
    """A clip as one draw of it is heard."""

    augmenter: Augmenter
    manifest: int
    draw: int

    def load(self) -> tuple[np.ndarray | None, list[str]]:
        samples, notes = super().load()
        if samples is None:
            return None, notes
        samples, more = self.augmenter.apply(samples, self.manifest, self.draw)
        return samples, notes + more


def augmenter_of(
    recipe: Recipe, stage: Stage, clips: Sequence[Sequence[Clip]], seconds: Sequence[np.ndarray], room: Room
) -> Augmenter | None:
    """What changes a stage's clips; None where nothing does.

    Args:
        clips, seconds: for each of the stage's manifests.
        room: of the language model.

    Raises:
        UsageError: noise or rooms are missing.
    """
    section = stage.augmentation
    if section is None:
        return None
    speeds = None
    if section.speed:
        slow = sorted({factor for factor in section.speed.factors if factor < 1})
        both = zip(clips, seconds, strict=True)
        least = [_least_factors(some, lasting, slow, stage.max_audio_seconds, room) for some, lasting in both]
        speeds = Speeds(section.speed.factors, least, recipe.seed)
    return Augmenter(section, Path(recipe.data), speeds, recipe.seed)


def _least_factors(
    clips: Sequence[Clip], seconds: np.ndarray, slow: Sequence[float], longest: float, room: Room
) -> np.ndarray:
    """The least factor with which each clip is not too long for the stage and the language model; 0 for text."""
    least = np.zeros(len(seconds))
    for i, lasting in enumerate(seconds.tolist() if slow else ()):
        possible = (f for f in slow if lasting / f <= longest and not room.problem(clips[i].row, lasting / f))
        least[i] = next(possible, 1.0) if lasting else 0.0
    return least


def missing_sounds(recipe: Recipe, stage: Stage) -> list[str]:
    """What is wrong with the noise and the rooms that a stage wants, a sentence each."""
    problems: list[str] = []
    for source in stage.augmentation.sources.values() if stage.augmentation else ():
        try:
            Sounds(recipe.manifest(source))
        except WavLLMError as error:
            problems += error.args
    return problems


def blank(inputs: Any, draws: Sequence[tuple[int, int]], augmenter: Augmenter) -> None:
    """Cut gaps into the features of a batch, in place, where the recipe has SpecAugment.

    Args:
        inputs: of the model.
        draws: the manifest and the draw of each row.
    """
    section = augmenter.section.spec_augment
    if section is None or inputs is None or "input_features" not in inputs:
        return
    for row, (manifest, draw) in enumerate(draws):
        samples = int(inputs["audio_lengths"][row])
        if samples:
            seed = int(augmenter.rng(MASKS, manifest, draw).integers(2**63))
            inputs["input_features"][row] = spec_augment(inputs["input_features"][row], samples, section, seed)


def spec_augment(features: torch.Tensor, samples: int, section: SpecAugment, seed: int) -> torch.Tensor:
    """The features of a clip with gaps.

    Args:
        features: (W, M, frames) of its windows.
        samples: of the clip at 16 kHz; what is beyond them is padding, and stays.
        seed: of where the gaps are, and how wide.

    Returns:
        (W, M, frames).
    """
    from torchaudio.functional import mask_along_axis  # a torchaudio that does not fit torch would break this module

    windows, bands, frames = features.shape
    heard = min(windows * frames, -(-samples // HOP))
    whole = features.transpose(0, 1).reshape(1, bands, windows * frames)
    part = whole[:, :, :heard]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for _ in range(section.frequency_masks):
            part = mask_along_axis(part, min(section.frequency_width, bands), BLANK, axis=1)
        for _ in range(section.time_masks):
            part = mask_along_axis(part, round(section.time_width * SAMPLE_RATE / HOP), BLANK, 2, section.time_share)
    whole = torch.cat([part, whole[:, :, heard:]], dim=2)
    return whole.reshape(bands, windows, frames).transpose(0, 1)
