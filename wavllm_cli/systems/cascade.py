"""Two models in a row: a Whisper writes down what is said, a chat LLM follows the instruction about the transcript.

It knows the words alone: no voices, no moods, no other sounds. A transcript that is asked for is given as it is.
"""

import hashlib
from collections.abc import Generator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from wavllm_cli import __version__
from wavllm_cli.data.voice import find_detector
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.prompts.plain_requests import plain_task
from wavllm_cli.systems.base import Answer, Failure, Item, Options, SystemFailed
from wavllm_cli.systems.fingerprint import Fingerprint, model_digest
from wavllm_cli.systems.on_torch import TorchSystem
from wavllm_cli.systems.pretrained import Pretrained
from wavllm_cli.systems.recogniser import Recogniser, Transcript

if TYPE_CHECKING:
    from wavllm_cli.systems.transcript_chat import TranscriptChat

TRANSCRIPTION = "asr"  # the task whose answers are transcripts
MODELS = "whisper-base+smollm2-135m-instruct"
NOT_HEARD = "no speech was recognised"  # as a warning; and where a transcript is not the answer, as the answer


class Cascade(TorchSystem):
    """A Whisper and a chat LLM.

    Args:
        name: WHISPER+LLM, each a folder or a hub id.

    Raises:
        UsageError: these are no two models, one of them is none, or there is no such device.
    """

    converses = True

    def __init__(self, name: str, options: Options):
        super().__init__(name, options)
        whisper, plus, llm = name.partition("+")
        if not (whisper and plus and llm) or "+" in llm:
            raise UsageError(
                f"A cascade consists of two models, written WHISPER+LLM, such as {MODELS}: {name!r} is not that."
            )
        self.whisper = Pretrained("recogniser", whisper, options.trust)
        self.language_model = Pretrained("language model", llm, options.trust)

    @classmethod
    def open(cls, options: Options) -> Self:
        return cls(options.model or MODELS, options)

    @cached_property
    def recogniser(self) -> Recogniser:
        return Recogniser(self.whisper, self.device, self.dtype, self.options.decoding.seed)

    @cached_property
    def chat(self) -> "TranscriptChat":
        """The LLM without its weights, which come with the first question: who wants a transcript never needs it.

        Raises:
            SystemFailed: it cannot be asked.
        """
        from wavllm_cli.systems.chat_llm import ChatLLM
        from wavllm_cli.systems.transcript_chat import TranscriptChat

        try:
            llm = ChatLLM(self.language_model, self.device, self.dtype, self.options.decoding)
        except WavLLMError as error:
            raise SystemFailed.because(error) from error
        return TranscriptChat(llm, self)

    def load(self) -> None:
        _ = self.recogniser

    def fingerprint(self) -> Fingerprint:
        self.load()
        if not self.language_model.origin.local:
            _ = self.chat.llm.model  # fetched, before its files are looked at
        digests = [model_digest(part.origin.path) for part in (self.whisper, self.language_model)]
        decoding = self.chat.llm.decoding
        settings = decoding.options()
        settings |= {"seed": decoding.seed, "logprobs": decoding.logprobs}  # recognising may draw in any case
        settings |= {"dtype": str(self.dtype).removeprefix("torch."), "device": self.device.split(":")[0]}
        settings |= {"voice_detector": "silero" if find_detector() else None, "version": __version__}
        return Fingerprint(hashlib.sha256("\n".join(digests).encode()).hexdigest(), settings)

    def problem(self, item: Item) -> str | None:
        return None if wants_transcript(item) else self.chat.problem(item)

    def answer(self, items: Sequence[Item], inputs: Any) -> list[Answer | Failure]:
        transcripts = dict(zip((item.id for item in items), self.recogniser.transcripts(items), strict=True))
        answers = {item.id: _without_llm(item, transcripts[item.id]) for item in items}
        asked = [item for item in items if answers[item.id] is None]
        replies = self.chat.answers(asked, [transcripts[item.id] for item in asked]) if asked else []
        replied = dict(zip((item.id for item in asked), replies, strict=True))
        return [answers[item.id] or replied[item.id] for item in items]

    def stream(self, item: Item) -> Generator[str, None, Answer | Failure]:
        (transcript,) = self.recogniser.transcripts([item])
        if answer := _without_llm(item, transcript):
            yield answer.text
            return answer
        return (yield from self.chat.stream(item, transcript))


def wants_transcript(item: Item) -> bool:
    """Whether the words of the clip are the answer."""
    return item.length > 0 and plain_task(item.task, item.prompt) == TRANSCRIPTION


def _without_llm(item: Item, transcript: Transcript) -> Answer | None:
    """The answer, where it is the transcript, or where nothing was heard that could be asked about."""
    has_words = any(map(str.isalnum, transcript.text))  # of noise many a Whisper hears a dot
    if not item.length or (has_words and not wants_transcript(item)):
        return None
    if has_words:
        return Answer(transcript.text, steps=transcript.steps())
    text = "" if wants_transcript(item) else f"{NOT_HEARD.capitalize()} in the recording."
    return Answer(text, warnings=[NOT_HEARD])
