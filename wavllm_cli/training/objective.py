"""What a stage minimises: the answers' cross-entropy, and for encoders that start from nothing a CTC loss beside it."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerBase

from wavllm_cli.errors import UsageError
from wavllm_cli.model.modeling_wavllm import WavLLMForConditionalGeneration
from wavllm_cli.model.processing_wavllm import IGNORE
from wavllm_cli.recipe import Minimised


class Objective(nn.Module):
    """Model and loss in one module, so that distributed wrappers see every use of every parameter.

    Args:
        ctc_weight: weight of the CTC loss; 0 is the published objective.
        blank: the LLM's token that is CTC's blank; answers with it have no CTC loss. Without it: the one that begins
            sequences, which no answer contains.
    """

    def __init__(self, model: WavLLMForConditionalGeneration, ctc_weight: float, blank: int | None = None):
        super().__init__()
        self.model = model
        self.ctc_weight = ctc_weight
        self.blank = model.config.bos_token_id if blank is None else blank

    def forward(
        self,
        inputs: Mapping[str, Any] | None,
        transcribes: Tensor,
        weights: Tensor,
        tokens: Tensor,
        minimised: Minimised = "answers",
    ) -> tuple[Tensor, Tensor]:
        """The loss of a batch, summed over its answer tokens and divided by `tokens`; and (B,) that of each row.

        Args:
            inputs: the model's, with labels; None for a process that has no clip while others have: it adds nothing,
                but takes part in the exchange of gradients.
            transcribes: (B,) is the answer the transcript of the clip?
            weights: (B,) how much the answer tokens of a row count; the second result is without them.
            tokens: answer tokens over all batches of the step, each as much as it counts.
            minimised: the answers' cross-entropy with CTC beside it, or CTC alone.
        """
        if inputs is None:
            nothing = sum((p.flatten()[:1].sum() * 0 for p in self.model.parameters() if p.requires_grad), tokens * 0.0)
            return nothing, weights
        if minimised == "alignment":
            row_losses = self._ctc(self._heard(inputs), inputs["labels"], transcribes)
            return (row_losses * weights).sum() / tokens, row_losses.detach()
        outputs = self.model(**inputs, num_items_in_batch=tokens)
        loss = (outputs.row_losses * weights).sum() / tokens
        if self.ctc_weight and transcribes.any():
            counts = (inputs["input_ids"] == self.model.config.audio_token_id).sum(1)
            clips = outputs.speech.split(counts.tolist())
            loss = loss + self.ctc_weight * self._ctc(clips, inputs["labels"], transcribes).sum() / tokens
        return loss, outputs.row_losses.detach()

    def _heard(self, inputs: Mapping[str, Any]) -> list[Tensor]:
        """The speech tokens of each row, as the LLM would be given them; its layers are not run."""
        names = ("input_features", "input_values", "audio_lengths", "encoded")
        dtype = self.model.get_input_embeddings().weight.dtype
        return [clip.to(dtype) for clip in self.model.get_audio_features(**{name: inputs.get(name) for name in names})]

    def _ctc(self, clips: Sequence[Tensor], labels: Tensor, transcribes: Tensor) -> Tensor:
        """Connectionist temporal classification of the speech tokens by the LLM's own head.

        It aligns speech and words without a frame of supervision, and does so in the LLM's embedding space.

        Args:
            clips: B x (speech tokens, D).
            labels: (B, L), -100 where there is no answer token.
            transcribes: (B,) the rows that count.

        Returns:
            (B,) summed over the words of each row, 0 where it does not count.
        """
        transcribes = transcribes & (labels != self.blank).all(1)
        meant = [clip for clip, wanted in zip(clips, transcribes.tolist(), strict=True) if wanted]
        if not meant:
            return torch.stack([clip.sum() * 0 for clip in clips])
        lengths = [len(clip) for clip in meant]
        # Before clips are padded: each row of the head's product is as dear as a small layer.
        scores = self.model.get_output_embeddings()(torch.cat(meant)).float().log_softmax(-1)
        labels = labels[transcribes]
        words = (labels != IGNORE) & (labels != self.model.config.eos_token_id)
        losses = F.ctc_loss(
            pad_sequence(scores.split(lengths)),  # (T, B, V)
            labels[words],
            input_lengths=torch.tensor(lengths, device=labels.device),
            target_lengths=words.sum(1),
            blank=self.blank,
            reduction="none",
            zero_infinity=True,
        )
        return torch.zeros(len(clips), device=losses.device).masked_scatter(transcribes, losses)


def token_of(text: str, tokenizer: PreTrainedTokenizerBase) -> int:
    """The id of the one token that a text is.

    Raises:
        UsageError: it is none, or several.
    """
    tokens = tokenizer.encode(text, add_special_tokens=False)
    if len(tokens) != 1 or tokens[0] == tokenizer.unk_token_id:
        pieces = tokenizer.convert_ids_to_tokens(tokens)
        raise UsageError(f"`ctc.blank` must be one token of the language model's tokenizer; {text!r} is {pieces}.")
    return tokens[0]
