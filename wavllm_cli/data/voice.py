"""Silero's voice activity detector, from the weights that the package `silero-vad` (MIT) brings along.

Source: github.com/snakers4/silero-vad. A chunk is 512 samples at 16 kHz, and the network remembers those before it.
"""

from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from threading import Lock
from typing import Any
from warnings import catch_warnings

import numpy as np

from wavllm_cli.data.audio import SAMPLE_RATE

FRAME = 512  # samples: 32 ms
STRETCH = 60 * SAMPLE_RATE // FRAME  # frames of a long recording that are looked at side by side, a minute each

Detector = Callable[[np.ndarray], np.ndarray]
listening = Lock()  # the network remembers, and a batch is prepared in a thread while another is answered


@cache
def find_detector() -> Detector | None:
    """(samples,) -> (frames,) probability of speech; None where the package or torch is not there or does not work."""
    path = _weights()
    if path is None:
        return None
    try:
        import torch

        with catch_warnings(action="ignore", category=DeprecationWarning):  # of the format
            network = torch.jit.load(str(path), map_location="cpu").eval()
    except (ImportError, RuntimeError, ValueError, OSError):
        return None
    return lambda samples: _probabilities(network, samples)


def _weights() -> Path | None:
    try:
        found = [file for file in files("silero-vad") or () if file.name == "silero_vad.jit"]
    except PackageNotFoundError:
        return None
    path = Path(str(found[0].locate())) if found else None
    return path if path is not None and path.is_file() else None


def _probabilities(network: Any, samples: np.ndarray) -> np.ndarray:
    """A minute at each place of a batch: the network forgets what it heard at the beginning of each."""
    import torch
    import torch.nn.functional as F

    frames = -(-len(samples) // FRAME)
    length = min(frames, STRETCH)
    rows, rest = divmod(len(samples), length * FRAME)
    wave = torch.from_numpy(samples)
    body = wave[: len(samples) - rest].view(rows, length * FRAME)  # a copy of hours would take as much again
    tail = F.pad(wave[len(samples) - rest :], (0, length * FRAME - rest)).view(1, -1)
    with listening, torch.inference_mode():
        network.reset_states()
        steps = zip(body.split(FRAME, dim=1), tail.split(FRAME, dim=1), strict=True)
        chunks = [network(torch.cat(step), SAMPLE_RATE) for step in steps]
    return torch.cat(chunks, dim=1).flatten()[:frames].numpy()
