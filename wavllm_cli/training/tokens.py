"""How many tokens the rows of a stage are. A million of them are not tokenised: that takes minutes.

Of each manifest some rows are counted; the others are as many tokens a byte as those. Integers only, so that a plan of
batches is the same on every machine.
"""

from collections.abc import Sequence

import numpy as np

from wavllm_cli.data.audio import SAMPLE_RATE
from wavllm_cli.data.batch import Clip
from wavllm_cli.data.mixture import Tokens, limits_of
from wavllm_cli.data.packing import pack, pack_tokens
from wavllm_cli.data.schema import Utterance
from wavllm_cli.model.processing_wavllm import IGNORE, WavLLMProcessor
from wavllm_cli.recipe import Stage
from wavllm_cli.training.dataset import Utterances

COUNTED = 1000  # rows of a manifest; one that has no more is counted whole


def tokens_of(manifests: Sequence[Utterances], processor: WavLLMProcessor) -> Tokens:
    """The tokens of all rows."""
    written = [written_tokens(m.clips, m.seconds, m.text_bytes, processor) for m in manifests]
    return Tokens(written, lambda seconds: spoken_tokens(seconds, processor))


def packed(utterances: Utterances, stage: Stage, processor: WavLLMProcessor) -> list[list[int]]:
    """The numbers of utterances, each once, in batches within the limits of a stage."""
    limits, seconds = limits_of(stage), utterances.seconds
    if not limits.max_tokens:
        return pack(seconds.tolist(), limits)
    tokens = tokens_of([utterances], processor)
    return pack_tokens((tokens.written[0] + tokens.spoken(seconds)).tolist(), seconds.tolist(), limits)


def spoken_tokens(seconds: np.ndarray, processor: WavLLMProcessor) -> np.ndarray:
    """(N,) -> (N,) speech tokens of clips, 0 for text."""
    samples, places = np.unique(np.rint(seconds * SAMPLE_RATE).astype(np.int64), return_inverse=True)
    return np.array([processor.audio_tokens(n) for n in samples.tolist()], dtype=np.int64)[places]


def written_tokens(
    clips: Sequence[Clip], seconds: np.ndarray, text_bytes: np.ndarray, processor: WavLLMProcessor
) -> np.ndarray:
    """Tokens of template, instruction and answer.

    Args:
        seconds: (N,) of the clips, 0 for text.
        text_bytes: (N, 2) of instruction and answer.

    Returns:
        (N,), exact for the rows that are counted.
    """
    frames = np.where(seconds[:, None] > 0, _count("", True, "", processor), _count("", False, "", processor))
    chosen = np.unique(np.linspace(0, len(clips) - 1, COUNTED).round().astype(np.int64))
    counted = np.array([_counted(clips[i].row, seconds[i] > 0, processor) for i in chosen])
    words = (counted - frames[chosen]).clip(0).sum(axis=0)
    tokens = frames + text_bytes * words // text_bytes[chosen].sum(axis=0).clip(1)
    tokens[chosen] = counted
    return tokens.sum(axis=1)


def _counted(row: Utterance, is_heard: bool, processor: WavLLMProcessor) -> tuple[int, int]:
    return _count(row.prompt, is_heard, row.target or "", processor)


def _count(prompt: str, is_heard: bool, target: str, processor: WavLLMProcessor) -> tuple[int, int]:
    """Tokens before the answer, speech aside, and those of the answer."""
    ids, labels = processor.encode(prompt, int(is_heard), target)
    answer = sum(label != IGNORE for label in labels)
    return len(ids) - answer - is_heard, answer
