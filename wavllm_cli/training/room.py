"""Which utterances the language model has positions for, found out before the first step."""

from wavllm_cli.data.audio import SAMPLE_RATE
from wavllm_cli.data.schema import Utterance
from wavllm_cli.model.configuration_wavllm import WavLLMConfig
from wavllm_cli.model.limits import position_problem, positions
from wavllm_cli.model.processing_wavllm import IGNORE, WavLLMProcessor

# UTF-8 text grows by a factor of 11 at most when it is normalised (NFKC), and a token is at least one byte.
MOST_TOKENS_PER_BYTE = 11


class Room:
    """What an utterance takes of a model's positions: speech, template, instruction, answer.

    Only texts that are long enough to matter are tokenised.
    """

    def __init__(self, config: WavLLMConfig, processor: WavLLMProcessor):
        self._config, self._processor = config, processor
        self._limit = positions(config)
        self._template = len(processor.encode("a", 1, "a")[0])

    def problem(self, row: Utterance, seconds: float) -> str | None:
        """Why a row has no room, as a part of a sentence; None if it has.

        Args:
            seconds: of its audio, 0 for text.
        """
        samples = round(seconds * SAMPLE_RATE)
        if self._limit is None or self._most(row, samples) <= self._limit:
            return None
        ids, labels = self._processor.encode(row.prompt, bool(samples), row.target)
        answer = sum(label != IGNORE for label in labels)
        return position_problem(self._config, samples, len(ids) - answer - bool(samples), answer)

    def _most(self, row: Utterance, samples: int) -> int:
        written = len(row.prompt.encode()) + len((row.target or "").encode())
        return self._processor.audio_tokens(samples) + self._template + MOST_TOKENS_PER_BYTE * written
