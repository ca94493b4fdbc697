"""What a stage minimises: the answers' cross-entropy, and for encoders that start from nothing a CTC loss beside it."""

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from wavllm_cli.model.modeling_wavllm import WavLLMForConditionalGeneration
from wavllm_cli.model.processing_wavllm import IGNORE


class Objective(nn.Module):
    """Model and loss in one module, so that distributed wrappers see every use of every parameter.

    Args:
        ctc_weight: weight of the CTC loss; 0 is the published objective.
    """

    def __init__(self, model: WavLLMForConditionalGeneration, ctc_weight: float):
        super().__init__()
        self.model = model
        self.ctc_weight = ctc_weight

    def forward(
        self, inputs: Mapping[str, Any] | None, transcribes: Tensor, weights: Tensor, tokens: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The loss of a batch, summed over its answer tokens and divided by `tokens`; and (B,) that of each row.

        Args:
            inputs: the model's, with labels; None for a process that has no clip while others have: it adds nothing,
                but takes part in the exchange of gradients.
            transcribes: (B,) is the answer the transcript of the clip?
            weights: (B,) how much the answer tokens of a row count; the second result is without them.
            tokens: answer tokens over all batches of the step, each as much as it counts.
        """
        if inputs is None:
            nothing = sum((p.flatten()[:1].sum() * 0 for p in self.model.parameters() if p.requires_grad), tokens * 0.0)
            return nothing, weights
        outputs = self.model(**inputs, num_items_in_batch=tokens)
        loss = (outputs.row_losses * weights).sum() / tokens
        if self.ctc_weight and transcribes.any():
            loss = loss + self.ctc_weight * self._ctc(outputs.speech, inputs, transcribes) / tokens
        return loss, outputs.row_losses.detach()

    def _ctc(self, speech: Tensor, inputs: Mapping[str, Any], transcribes: Tensor) -> Tensor:
        """Connectionist temporal classification of the speech tokens by the LLM's own head.

        It aligns speech and words without a frame of supervision, and does so in the LLM's embedding space.
        """
        config = self.model.config
        counts = (inputs["input_ids"] == config.audio_token_id).sum(1)
        clips = [clip for clip, wanted in zip(speech.split(counts.tolist()), transcribes, strict=True) if wanted]
        logits = self.model.get_output_embeddings()(pad_sequence(clips))  # (T, B, V)
        labels = inputs["labels"][transcribes]
        words = (labels != IGNORE) & (labels != config.eos_token_id)
        return F.ctc_loss(
            logits.float().log_softmax(-1),
            labels[words],
            input_lengths=counts[transcribes],
            target_lengths=words.sum(1),
            blank=config.bos_token_id,  # no answer contains it
            reduction="sum",
            zero_infinity=True,
        )
