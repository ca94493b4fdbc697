"""WavLLM as a Hugging Face model: the network, `generate`, Auto classes (files: see `pretrained`).

Shapes: B utterances, L text positions, W windows, M mel bins, S samples, P prompt tokens, D embedding width.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMultimodalLM,
    AutoModelForSpeechSeq2Seq,
    Cache,
    GenerationMixin,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
    MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES,
)
from transformers.utils import ModelOutput

from wavllm_cli.errors import UsageError
from wavllm_cli.model.adapters import SpeechAdapter
from wavllm_cli.model.configuration_wavllm import WINDOWS_AT_ONCE, WavLLMConfig
from wavllm_cli.model.encoders import AcousticEncoder, Encoded, SemanticEncoder
from wavllm_cli.model.initialization import initialize
from wavllm_cli.model.precision import half_precision
from wavllm_cli.model.pretrained import WavLLMPreTrainedModel
from wavllm_cli.model.processing_wavllm import IGNORE
from wavllm_cli.model.prompt_lora import PromptAdapter, add_lora, scale_layout


@dataclass
class WavLLMOutput(ModelOutput):
    """What the model returns.

    `logits` (B, L, V) covers all positions. With `labels` it is (B, columns, V), those from which an answer token of
    some row is predicted; in training mode (N, V), one for each answer token, row after row.
    `speech` (all speech tokens of the batch, D) is what the LLM was given to hear, `row_losses` (B,) the cross-entropy
    of each row's answer, summed over its tokens; both with `labels` only.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    cache: Cache | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None
    speech: Tensor | None = None
    row_losses: Tensor | None = None


class WavLLMForConditionalGeneration(WavLLMPreTrainedModel, GenerationMixin):
    """A chat LLM that listens: two frozen encoders, their adapters, one fusion layer, an LLM with prompt-aware LoRA."""

    def __init__(self, config: WavLLMConfig):
        super().__init__(config)
        self.semantic_encoder = SemanticEncoder(config.semantic_config)
        adapter = (config.adapter_bottleneck, config.adapter_width, config.adapter_dropout)
        self.semantic_adapter = SpeechAdapter(config.semantic_config.d_model, config.semantic_channels, *adapter)
        self.acoustic_encoder = AcousticEncoder(config.acoustic_config, config.acoustic_windows)
        self.acoustic_adapter = SpeechAdapter(config.acoustic_config.hidden_size, config.acoustic_channels, *adapter)
        if config.prompt_adapter_width and config.lora_factor > config.prompt_scale_max:
            raise UsageError(
                f"lora_alpha / lora_rank is {config.lora_factor:g}, above prompt_scale_max "
                f"{config.prompt_scale_max:g}: a prompt adapter cannot start there and would never learn; lower "
                "lora_alpha."
            )
        width = config.text_config.hidden_size
        self.fusion = nn.Linear(2 * config.adapter_width, width)
        self.language_model = AutoModelForCausalLM.from_config(config.text_config, trust_remote_code=False)
        # One object: generate() asks config.text_config which masks and caches the LLM needs.
        config.text_config = self.language_model.config
        self.scale_layout = scale_layout(config.text_config, config.interleaved_scale)
        add_lora(self.language_model, config.lora_rank, config.lora_dropout, self.scale_layout)
        self.prompt_adapter = (
            PromptAdapter(width, config.prompt_adapter_width, self.scale_layout.emitted, config.prompt_scale_max)
            if config.prompt_adapter_width
            else None
        )
        self.geometry = config.audio_geometry
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.language_model.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module:
        return self.language_model.get_output_embeddings()

    def get_decoder(self) -> nn.Module:
        return self.language_model.get_decoder()

    def _init_weights(self, module: nn.Module) -> None:
        """Nothing for a single module of ours: see `initialize_weights`."""

    def initialize_weights(self) -> None:
        """Initialise every tensor that was not loaded: the backbones by their own rules, then our layers by ours.

        After the backbones, because transformers takes LoRA for a part of the LLM and would fill B with noise; and not
        in `_init_weights`, which transformers calls for no module of ours without parameters directly in it.
        """
        super().initialize_weights()
        initialize(self)

    # --- what the LLM is given ---

    @torch.no_grad()
    def encode_semantic(self, input_features: Tensor, samples: int) -> Tensor:
        """(W, M, frames) log-mel windows of one clip -> (W, T, D), whatever it would be batched with.

        Args:
            samples: of the clip.
        """
        with self._half_precision():
            windows = input_features.to(self._encoder_dtype(self.semantic_encoder)).split(WINDOWS_AT_ONCE)
            frames = torch.cat([self.semantic_encoder(some) for some in windows])
        return frames[:, : self.geometry.semantic_frames(samples)]

    @torch.no_grad()
    def encode_acoustic(self, input_values: Tensor) -> Tensor:
        """(S,) waveform of one clip -> (T, L, D), whatever it would be batched with."""
        with self._half_precision():
            values = input_values[None].to(self._encoder_dtype(self.acoustic_encoder))
            (states,) = self.acoustic_encoder.states(values, [len(input_values)])
        return states

    def get_audio_features(
        self,
        input_features: Tensor | None,
        input_values: Tensor | None,
        audio_lengths: Tensor,
        encoded: Encoded | None = None,
    ) -> list[Tensor]:
        """Speech tokens of every clip.

        Args:
            input_features: (B, W, M, frames) log-mel windows; windows past a clip's end are ignored.
            input_values: (B, S) waveform, right-padded.
            audio_lengths: (B,) samples; 0 for an utterance without audio.
            encoded: what `encode_semantic` and `encode_acoustic` have made of those with audio, in the place of the
                features and the waveform.

        Returns:
            B tensors (tokens, D); empty for an utterance without audio.
        """
        samples = audio_lengths.tolist()
        rows = [i for i, n in enumerate(samples) if n]
        clips = [samples[i] for i in rows]
        empty = self.fusion.weight.new_zeros(0, self.fusion.out_features)
        features = [empty] * len(samples)
        if not rows:
            return features
        with self._half_precision():
            if encoded is not None:
                semantic = self._semantic_tokens(encoded.semantic, clips, nn.Identity())
                states = encoded.acoustic.to(self._encoder_dtype(self.acoustic_encoder))
                acoustic = self._acoustic_tokens(self.acoustic_encoder.weighted(states.unbind(2)), clips)
            else:
                assert input_features is not None and input_values is not None
                semantic = self._semantic_tokens(self._windows(input_features[rows], clips), clips)
                values = input_values[rows].to(self._encoder_dtype(self.acoustic_encoder))
                acoustic = self._acoustic_tokens(self.acoustic_encoder(values, clips), clips)
            for i, s, a in zip(rows, semantic, acoustic, strict=True):
                n = min(len(s), len(a))
                features[i] = self.fusion(torch.cat([s[:n], a[:n]], dim=-1))
        return features

    def _windows(self, input_features: Tensor, samples: list[int]) -> Tensor:
        """(B, W, M, frames) -> the windows of all clips, without those past their ends."""
        counts = map(self.geometry.windows, samples)
        return torch.cat([clip[:n] for clip, n in zip(input_features, counts, strict=True)])

    def _semantic_tokens(self, windows: Tensor, samples: list[int], encoder: nn.Module | None = None) -> list[Tensor]:
        """Each window by itself through encoder and adapter, then a clip's windows joined in time."""
        counts = [self.geometry.windows(n) for n in samples]
        kept = [self.geometry.semantic_frames(n) for n in samples]
        device = windows.device
        lengths = torch.tensor(kept, device=device).repeat_interleave(
            torch.tensor(counts, device=device), output_size=len(windows)
        )
        dtype, parts = self._encoder_dtype(self.semantic_encoder), []
        for some, ends in zip(windows.split(WINDOWS_AT_ONCE), lengths.split(WINDOWS_AT_ONCE), strict=True):
            frames = (encoder or self.semantic_encoder)(some.to(dtype))
            parts.append(self.semantic_adapter(frames[:, : max(kept)], ends)[0])
        tokens = torch.cat(parts)
        per_window = [self.geometry.semantic_tokens(n) for n in samples]
        return [clip[:, :n].flatten(0, 1) for clip, n in zip(tokens.split(counts), per_window, strict=True)]

    def _acoustic_tokens(self, frames: Tensor, samples: list[int]) -> list[Tensor]:
        """(B, T, D) weighted states through the adapter."""
        lengths = torch.tensor([self.geometry.acoustic_frames(n) for n in samples], device=frames.device)
        tokens, lengths = self.acoustic_adapter(frames, lengths)
        return [clip[:n] for clip, n in zip(tokens, lengths.tolist(), strict=True)]

    @staticmethod
    def _encoder_dtype(encoder: nn.Module) -> torch.dtype:
        return next(encoder.parameters()).dtype

    def get_lora_scale(self, prompt_ids: Tensor | None, prompt_mask: Tensor | None, batch_size: int) -> Tensor:
        """(B, P) ids and mask of the prompts, right-padded -> (B, width), laid out as in `ScaleLayout`."""
        if self.prompt_adapter is None:
            return torch.full((batch_size, self.scale_layout.width), self.config.lora_factor, device=self.device)
        if prompt_ids is None or prompt_mask is None:
            raise ValueError(
                "A model with a prompt adapter needs `prompt_ids` and `prompt_mask` (see WavLLMProcessor)."
            )
        with torch.no_grad():
            states = self.get_decoder()(
                prompt_ids, attention_mask=prompt_mask, use_cache=False, output_hidden_states=[-1]
            ).hidden_states[-1]
        with self._half_precision():
            return self.scale_layout.expand(self.prompt_adapter(states, prompt_mask))

    def _half_precision(self) -> AbstractContextManager:
        return half_precision(self.device, self.get_input_embeddings().weight.dtype)

    def embed(
        self,
        input_ids: Tensor,
        input_features: Tensor | None,
        input_values: Tensor | None,
        audio_lengths: Tensor | None,
        encoded: Encoded | None = None,
    ) -> Tensor:
        """(B, L) ids with placeholders -> (B, L, D) with the speech tokens in their place."""
        placeholder = input_ids == self.config.audio_token_id
        embeds = self.get_input_embeddings()(input_ids.masked_fill(placeholder, 0))
        if input_values is None and encoded is None:
            if input_ids.shape[1] > 1 and placeholder.any():  # a decoding step has one column and no time to look
                raise ValueError("There are audio placeholders in `input_ids`, but no audio.")
            return embeds
        audio = torch.cat(self.get_audio_features(input_features, input_values, audio_lengths, encoded))
        if len(audio) != placeholder.sum():
            raise ValueError(f"{int(placeholder.sum())} audio placeholders for {len(audio)} speech tokens.")
        return embeds.masked_scatter(placeholder[..., None], audio.to(embeds.dtype))

    # --- forward and generate ---

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        input_features: Tensor | None = None,
        input_values: Tensor | None = None,
        audio_lengths: Tensor | None = None,
        encoded: Encoded | None = None,
        prompt_ids: Tensor | None = None,
        prompt_mask: Tensor | None = None,
        lora_scale: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        position_ids: Tensor | None = None,
        cache: Cache | None = None,
        use_cache: bool | None = None,
        labels: Tensor | None = None,
        logits_to_keep: int | Tensor = 0,
        num_items_in_batch: Tensor | int | None = None,
        **kwargs,
    ) -> WavLLMOutput:
        """
        Args:
            input_ids: (B, L) with one `audio_token_id` per speech token.
            attention_mask: (B, L); padding may stand on either side.
            input_features, input_values, audio_lengths, encoded: see `get_audio_features`.
            prompt_ids, prompt_mask: (B, P) the user's instruction alone, right-padded, for the prompt adapter.
            lora_scale: (B, width) overrides what the prompt adapter would compute.
            labels: (B, L), -100 where there is no answer token. The LLM's head is then applied only where an answer
                token is predicted, which saves most of its time and memory.
            num_items_in_batch: answer tokens over all accumulated batches, to average over them instead of this one.
        """
        if inputs_embeds is None:
            inputs_embeds = self.embed(required(input_ids), input_features, input_values, audio_lengths, encoded)
        if lora_scale is None:
            lora_scale = self.get_lora_scale(prompt_ids, prompt_mask, len(inputs_embeds))
        if position_ids is None and attention_mask is not None and cache is None:
            position_ids = (attention_mask.cumsum(-1) - 1).clamp(min=0)
        if labels is not None:
            answers = F.pad(labels[:, 1:], (0, 1), value=IGNORE)
            # In training no columns: beside a long answer those of a short one are for the most part padding.
            logits_to_keep = answers != IGNORE if self.training else (answers != IGNORE).any(0).nonzero()[:, 0]
        outputs = self.language_model(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            cache=cache,
            use_cache=use_cache,
            logits_to_keep=logits_to_keep,
            lora_scale=lora_scale.to(inputs_embeds.dtype),  # once, not in each projection
            **kwargs,
        )
        loss = speech = row_losses = None
        if labels is not None:
            if input_ids is not None:
                speech = inputs_embeds[input_ids == self.config.audio_token_id]
            row_losses = summed_losses(outputs.logits, answers, logits_to_keep)
            loss = row_losses.sum() / ((answers != IGNORE).sum() if num_items_in_batch is None else num_items_in_batch)
        return WavLLMOutput(
            loss=loss,
            logits=outputs.logits,
            cache=outputs.cache,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            speech=speech,
            row_losses=row_losses,
        )

    def generate(
        self,
        inputs: Tensor | None = None,
        *args,
        input_ids: Tensor | None = None,
        input_features: Tensor | None = None,
        input_values: Tensor | None = None,
        audio_lengths: Tensor | None = None,
        prompt_ids: Tensor | None = None,
        prompt_mask: Tensor | None = None,
        **kwargs,
    ) -> Tensor:
        """`GenerationMixin.generate`, with clips encoded and LoRA scale computed once, before beams multiply the rows.

        Args:
            inputs: transformers' other name of `input_ids`.

        Returns:
            (B, L + new) ids as usual; the placeholders of the input come back as id 0, which any tokenizer decodes.
        """
        input_ids = required(inputs if input_ids is None else input_ids)
        with torch.no_grad():
            embeds = self.embed(input_ids, input_features, input_values, audio_lengths)
            scale = kwargs.pop("lora_scale", None)
            if scale is None:
                scale = self.get_lora_scale(prompt_ids, prompt_mask, len(input_ids))
        ids = input_ids.masked_fill(input_ids == self.config.audio_token_id, 0)
        return super().generate(None, *args, input_ids=ids, inputs_embeds=embeds, lora_scale=scale, **kwargs)


def required(input_ids: Tensor | None) -> Tensor:
    """The ids, if there are any: pipelines that know audio alone have no instruction to give.

    Raises:
        UsageError: there are none, or features in their place.
    """
    if input_ids is None or input_ids.is_floating_point():
        raise UsageError(
            "A WavLLM needs `input_ids`, instruction and clip in one, as WavLLMProcessor(text=…, audio=…) makes them; "
            "of transformers' pipelines use any-to-any."
        )
    return input_ids


def summed_losses(logits: Tensor, answers: Tensor, kept: Tensor) -> Tensor:
    """The cross-entropy of each row's answer, summed over its tokens.

    Args:
        logits: (N, V), or (B, n, V).
        answers: (B, L), -100 where no answer token is predicted.
        kept: (B, L), where the N are; or the n columns.

    Returns:
        (B,)
    """
    targets = answers[kept] if kept.ndim == 2 else answers[:, kept]
    each = F.cross_entropy(logits.reshape(-1, logits.shape[-1]).float(), targets.flatten(), reduction="none")
    if kept.ndim == 2:
        return each.new_zeros(kept.shape).masked_scatter(kept, each).sum(1)
    return each.view(targets.shape).sum(1)


for auto_class in (AutoModel, AutoModelForMultimodalLM, AutoModelForSpeechSeq2Seq):
    auto_class.register(WavLLMConfig, WavLLMForConditionalGeneration)
for names in (MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES, MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES):
    names[WavLLMConfig.model_type] = WavLLMForConditionalGeneration.__name__  # where pipelines look for the class
