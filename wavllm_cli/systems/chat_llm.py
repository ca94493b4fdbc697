"""Any chat LLM as a part of a system: messages in, an answer out."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jinja2 import TemplateError
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase
from transformers.generation.streamers import BaseStreamer

from wavllm_cli.data.packing import Limits, pack
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.model.processing_wavllm import pad_rows
from wavllm_cli.systems.base import Answer, Failure, SystemFailed
from wavllm_cli.systems.decoding import NEW_TOKENS, Decoding, require_room
from wavllm_cli.systems.generation import generated
from wavllm_cli.systems.pretrained import Pretrained
from wavllm_cli.systems.streaming import streamed

SHARE = 4  # of all positions one in so many at most is for the answer, where nobody has said how long it may be
TOKENS_AT_ONCE = 8192  # of a batch, padding and answers included; their keys and values are what takes memory


@dataclass(frozen=True)
class Chat:
    """One question.

    Attributes:
        id: unique; a sampled answer is drawn by it.
        user: what the user says.
        before: what the user has said and was answered, turn by turn.
        system: what goes before; joined with it where the model's template knows no such role.
    """

    id: str
    user: str
    system: str = ""
    before: tuple[tuple[str, str], ...] = ()


class ChatLLM:
    """A causal LLM whose tokenizer has a chat template. Its weights are read when the first question comes.

    Raises:
        UsageError, WavLLMError: there is no such model, it has no chat template, or no room for an answer.
    """

    def __init__(self, source: Pretrained, device: str, dtype: torch.dtype, decoding: Decoding):
        self.source, self.device, self.dtype = source, device, dtype
        self.positions: int | None = getattr(source.config.get_text_config(), "max_position_embeddings", None)
        usual = NEW_TOKENS if self.positions is None else max(1, min(NEW_TOKENS, self.positions // SHARE))
        self.decoding = decoding.settled(usual)
        self.new_tokens = self.decoding.max_new_tokens or usual
        require_room(self.new_tokens, self.positions, "the language model")
        self.tokenizer: PreTrainedTokenizerBase = source.tokenizer()
        if not self.tokenizer.chat_template:
            raise UsageError(
                f"The language model {source.name} has no chat template, it was not made to follow instructions: name "
                "one that was, such as an -instruct or -chat model."
            )

    @cached_property
    def model(self) -> PreTrainedModel:
        """
        Raises:
            SystemFailed: it cannot be loaded: nobody will be answered.
        """
        try:
            return self.source.model(AutoModelForCausalLM, self.dtype, self.device)
        except WavLLMError as error:
            raise SystemFailed.because(error) from error

    # --- room ---

    def tokens(self, chat: Chat) -> list[int]:
        """A question as the model's template writes it.

        Raises:
            WavLLMError: the template cannot write it.
        """
        turns = []
        for said, answer in chat.before:
            turns += [{"role": "user", "content": said}, {"role": "assistant", "content": answer}]
        turns.append({"role": "user", "content": chat.user})
        if not chat.system:
            return self._written(turns)
        try:
            return self._written([{"role": "system", "content": chat.system}, *turns])
        except TemplateError:  # some know no system
            first = {"role": "user", "content": f"{chat.system}\n\n{turns[0]['content']}"}
            return self._written([first, *turns[1:]])

    def room(self, chat: Chat) -> int | None:
        """Positions that are left beside a question and its answer, below 0 where they do not suffice; None: no end."""
        if self.positions is None:
            return None
        return self.positions - len(self.tokens(chat)) - self.new_tokens

    def count(self, text: str) -> int:
        """Tokens of a text within a question."""
        return len(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _written(self, messages: list[dict[str, str]]) -> list[int]:
        return self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]

    # --- answers ---

    def answers(self, chats: Sequence[Chat]) -> list[Answer | Failure]:
        """One for each question, in their order; what is asked beside it makes no difference but for rounding."""
        if not chats:
            return []
        rows = [self.tokens(chat) for chat in chats]
        sizes = [len(row) + self.new_tokens for row in rows]
        answers: dict[int, Answer | Failure] = {}
        drawn_beams = self._beams > 1 and bool(self.decoding.temperature)  # which are drawn together
        limits = Limits(max_seconds=TOKENS_AT_ONCE, max_utterances=1 if drawn_beams else len(chats))
        for batch in pack(sizes, limits):
            some = self._generate([rows[i] for i in batch], [chats[i] for i in batch])
            answers.update(zip(batch, some, strict=True))
        return [answers[i] for i in range(len(chats))]

    def stream(self, chat: Chat) -> Generator[str, None, Answer | Failure]:
        """One answer as it comes; returns the whole."""
        rows = [self.tokens(chat)]
        if self._beams > 1:  # which are known at the end only
            (answer,) = self._generate(rows, [chat])
            if isinstance(answer, Answer):
                yield answer.text
            return answer
        return (
            yield from streamed(
                lambda to: self._generate(rows, [chat], to)[0],
                lambda ids: self.tokenizer.decode(ids, skip_special_tokens=True).strip(),
            )
        )

    @property
    def _beams(self) -> int:
        return self.decoding.num_beams or self.model.generation_config.num_beams or 1

    def _generate(
        self, rows: Sequence[list[int]], chats: Sequence[Chat], streamer: BaseStreamer | None = None
    ) -> list[Answer | Failure]:
        model = self.model
        pad = self.tokenizer.pad_token_id or self.tokenizer.eos_token_id or 0
        ids = pad_rows(rows, pad, left=True)
        mask = pad_rows([[1] * len(row) for row in rows], 0, left=True)

        def texts(sequences: Tensor) -> list[str]:
            new = self.tokenizer.batch_decode(sequences[:, ids.shape[1] :], skip_special_tokens=True)
            return [text.strip() for text in new]

        return generated(
            model,
            {"input_ids": ids.to(self.device), "attention_mask": mask.to(self.device)},
            [chat.id for chat in chats],
            self.decoding,
            texts,
            streamer,
        )
