"""Which utterances the language model has positions for, found out before the first step."""

from wavllm_cli.data.audio import SAMPLE_RATE
from wavllm_cli.data.schema import Utterance
from wavllm_cli.model.configuration_wavllm import WavLLMConfig
from wavllm_cli.model.limits import position_problem, positions
from wavllm_cli.model.processing_wavllm import IGNORE, WavLLMProcessor
from wavllm_cli.training.survey import most_tokens


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
        written = most_tokens(row.prompt) + most_tokens(row.target or "")
        if self.holds(seconds, written):
            return None
        samples = round(seconds * SAMPLE_RATE)
        ids, labels = self._processor.encode(row.prompt, bool(samples), row.target)
        answer = sum(label != IGNORE for label in labels)
        return position_problem(self._config, samples, len(ids) - answer - bool(samples), answer)

    def holds(self, seconds: float, written: int) -> bool:
        """Whether there is room for an utterance whatever its texts are, if they are not more than so many tokens."""
        speech = self._processor.audio_tokens(round(seconds * SAMPLE_RATE))
        return self._limit is None or speech + self._template + written <= self._limit
