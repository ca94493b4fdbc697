"""From text and audio to the model's inputs: the only place where token ids and the loss mask are built."""

import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoProcessor,
    BatchFeature,
    PreTrainedTokenizerBase,
    ProcessorMixin,
    Wav2Vec2FeatureExtractor,
    WhisperFeatureExtractor,
)

from wavllm_cli.data.audio import SAMPLE_RATE
from wavllm_cli.data.files import write_text
from wavllm_cli.data.origin import OWN_PROCESSOR, OWN_PROCESSOR_FILE, TOKENIZER_FILES, locate, refuse_code
from wavllm_cli.model.configuration_wavllm import AudioGeometry, WavLLMConfig
from wavllm_cli.model.conversation import SPEECH_CLOSE, SPEECH_OPEN, instruction
from wavllm_cli.model.log_mel import log_mel

IGNORE = -100  # label of positions that are not part of the answer
SYSTEM = (
    "As a helpful language and speech assistant, you are able to understand the speech content provided by the user, "
    "and assist the user with a variety of tasks using natural language."
)
SIGNPOST = '''"""This model's processor is part of the Python package wavllm."""

try:
    from wavllm_cli.model.processing_wavllm import WavLLMProcessor  # noqa: F401
except ImportError as error:
    raise ImportError(
        "This folder holds a WavLLM, whose code is the Python package wavllm: install that, and load the folder with "
        "its WavLLMForConditionalGeneration and WavLLMProcessor."
    ) from error
'''
OPTIONS = ("text", "audio", "target", "sampling_rate", "return_tensors", "padding")
_USER_TEXT = "\x00user\x00"  # stands for the instruction while a chat template is rendered


@dataclass(frozen=True)
class Template:
    """The text around speech and instruction. With audio::

        BOS left <SPEECH> | speech tokens | </SPEECH> instruction right | answer EOS

    and without it `BOS left instruction right | answer EOS`. The parts between bars are tokenised separately.

    Attributes:
        bos_after_speech: BOS stands in place of the first token after the speech, a lone space. The released generator
            does so, and the released checkpoint answers best as it was evaluated.
    """

    left: str
    right: str
    bos: bool = True
    bos_after_speech: bool = False


LLAMA2 = Template(left=f"[INST]<<SYS>>\n{SYSTEM}\n<</SYS>>\n\n", right=" [/INST]")  # the released checkpoint's


def template_of(tokenizer: PreTrainedTokenizerBase) -> Template:
    """The tokenizer's own chat template with our system prompt; LLaMA-2's where it has none."""
    if not tokenizer.chat_template:
        return replace(LLAMA2, bos=tokenizer.bos_token is not None)
    user = {"role": "user", "content": _USER_TEXT}
    render = functools.partial(tokenizer.apply_chat_template, tokenize=False, add_generation_prompt=True)
    try:
        text = render([{"role": "system", "content": SYSTEM}, user])
    except Exception:  # jinja2's error, raised by templates that know no system role (Gemma)
        text = render([user])
    left, right = text.split(_USER_TEXT)
    bos = tokenizer.bos_token or ""
    starts_with_bos = bool(bos) and left.startswith(bos)
    return Template(left.removeprefix(bos) if starts_with_bos else left, right, starts_with_bos)


class WavLLMProcessor(ProcessorMixin):
    """Tokenizer and the two feature extractors in one.

    Args:
        feature_extractor: a `WhisperFeatureExtractor`.
        acoustic_feature_extractor: a `Wav2Vec2FeatureExtractor`, as WavLM checkpoints ship it.
        tokenizer: the LLM's.
        template: see `Template`; by default the tokenizer's chat template.
        audio_token_id, acoustic_convs: as in `WavLLMConfig`.
    """

    def __init__(
        self,
        feature_extractor,
        acoustic_feature_extractor,
        tokenizer,
        template: dict | None = None,
        audio_token_id: int = 32_000,
        acoustic_convs: Sequence[Sequence[int]] = (),
    ):
        super().__init__(feature_extractor, acoustic_feature_extractor, tokenizer)
        self.template = template or asdict(template_of(tokenizer))
        self.audio_token_id = audio_token_id
        self.acoustic_convs = [list(conv) for conv in acoustic_convs]
        self.auto_map = {"AutoProcessor": OWN_PROCESSOR}

    def save_pretrained(self, path: str | os.PathLike, *args, **kwargs) -> None:
        """Save tokenizer, extractors and template, and beside them what says whose processor it is.

        Without that file `AutoProcessor` of a program that does not know this package would make do with the tokenizer
        alone and say nothing.
        """
        super().save_pretrained(path, *args, **kwargs)
        write_text(Path(path) / OWN_PROCESSOR_FILE, SIGNPOST)

    @classmethod
    def from_pretrained(cls, path: str | os.PathLike, trust_remote_code: bool | None = False, **kwargs):
        """Load the processor of a checkpoint folder or hub id.

        Args:
            trust_remote_code: run code that its files bring along.

        Raises:
            UsageError: the files name code.
        """
        origin = locate(os.fspath(path), kwargs.get("revision"))
        refuse_code(origin, bool(trust_remote_code))
        for name in TOKENIZER_FILES:
            origin.file(name)
        return super().from_pretrained(origin.path, trust_remote_code=bool(trust_remote_code), **kwargs)

    @classmethod
    def for_config(
        cls,
        config: WavLLMConfig,
        tokenizer: PreTrainedTokenizerBase,
        feature_extractor: WhisperFeatureExtractor | None = None,
        acoustic_feature_extractor: Wav2Vec2FeatureExtractor | None = None,
        template: Template | None = None,
    ) -> "WavLLMProcessor":
        """The processor of a model of this configuration; extractors that are not given are made to its sizes.

        A `feature_extractor` of longer windows than the model's is given its window.
        """
        geometry = config.audio_geometry
        seconds = geometry.window // SAMPLE_RATE
        if feature_extractor is None:
            feature_extractor = WhisperFeatureExtractor(config.semantic_config.num_mel_bins, chunk_length=seconds)
        elif feature_extractor.n_samples > geometry.window:
            feature_extractor = with_window(feature_extractor, seconds)
        return cls(
            feature_extractor,
            acoustic_feature_extractor or Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=True),
            tokenizer,
            template=asdict(template) if template else None,
            audio_token_id=config.audio_token_id,
            acoustic_convs=geometry.acoustic_convs,
        )

    @property
    def geometry(self) -> AudioGeometry:
        return AudioGeometry(self.feature_extractor.n_samples, tuple((k, s) for k, s in self.acoustic_convs))

    @property
    def model_input_names(self) -> list[str]:
        return [
            "input_ids", "attention_mask", "prompt_ids", "prompt_mask",
            "input_features", "input_values", "audio_lengths",
        ]  # fmt: skip

    # --- text ---

    def encode(self, prompt: str, audio_tokens: int, target: str | None = None) -> tuple[list[int], list[int]]:
        """Token ids of one utterance and its labels (-100 everywhere but on the answer and its EOS)."""
        template = Template(**self.template)
        bos = [self.tokenizer.bos_token_id] if template.bos else []
        if audio_tokens:
            left = bos + self._ids(template.left + SPEECH_OPEN)
            right = self._ids(SPEECH_CLOSE + prompt + template.right)
            if template.bos_after_speech:
                right[0] = self.tokenizer.bos_token_id
            ids = left + [self.audio_token_id] * audio_tokens + right
        else:
            ids = bos + self._ids(template.left + prompt + template.right)
        answer = [] if target is None else [*self._ids(target), self.tokenizer.eos_token_id]
        return ids + answer, [IGNORE] * len(ids) + answer

    def _ids(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False)

    # --- audio ---

    def audio_tokens(self, samples: int) -> int:
        """Speech tokens of a clip, for planning: no audio is needed."""
        return self.geometry.tokens(max(samples, self.geometry.shortest)) if samples else 0

    def audio_inputs(self, clips: Sequence[np.ndarray]) -> dict[str, torch.Tensor]:
        """B clips, empty ones included -> input_features (B, W, M, frames), input_values (B, S), audio_lengths (B,)."""
        geometry = self.geometry
        windows = [clip[i : i + geometry.window] for clip in clips for i in range(0, len(clip), geometry.window)]
        mels = log_mel(self.feature_extractor, windows)
        counts = [geometry.windows(len(clip)) for clip in clips]
        features = mels.new_zeros(len(clips), max(counts), *mels.shape[1:])
        for row, (count, part) in enumerate(zip(counts, mels.split(counts), strict=True)):
            features[row, :count] = part
        normalise = self.acoustic_feature_extractor.do_normalize
        values = torch.zeros(len(clips), max(len(clip) for clip in clips))
        for row, clip in enumerate(clips):
            if len(clip):
                wave = self.acoustic_feature_extractor.zero_mean_unit_var_norm([clip], None)[0] if normalise else clip
                values[row, : len(clip)] = torch.from_numpy(np.ascontiguousarray(wave))
        lengths = torch.tensor([len(clip) for clip in clips])
        return {"input_features": features, "input_values": values, "audio_lengths": lengths}

    # --- batches ---

    def text_inputs(
        self, texts: Sequence[str], samples: Sequence[int], targets: Sequence[str | None] | None
    ) -> dict[str, torch.Tensor]:
        """What the language model reads of B utterances whose clips have so many samples, 0 for text alone.

        Returns:
            input_ids, attention_mask (B, L); prompt_ids, prompt_mask (B, P); with `targets` labels (B, L).
        """
        answers = targets or [None] * len(texts)
        rows = [self.encode(t, self.audio_tokens(n), a) for t, n, a in zip(texts, samples, answers, strict=True)]
        prompts = [self._ids(f'"{t}"') for t in texts]
        pad = self.tokenizer.pad_token_id if self.tokenizer.pad_token_id is not None else self.tokenizer.eos_token_id
        batch = {
            "input_ids": pad_rows([ids for ids, _ in rows], pad, left=True),
            "attention_mask": pad_rows([[1] * len(ids) for ids, _ in rows], 0, left=True),
            "prompt_ids": pad_rows(prompts, pad),
            "prompt_mask": pad_rows([[1] * len(p) for p in prompts], 0),
        }
        if targets is not None:
            batch["labels"] = pad_rows([labels for _, labels in rows], IGNORE, left=True)
        return batch

    def __call__(
        self,
        text: str | Sequence[str],
        audio: np.ndarray | Sequence[np.ndarray | None] | None = None,
        target: str | Sequence[str] | None = None,
        sampling_rate: int = SAMPLE_RATE,
        return_tensors: str = "pt",
        padding: bool | str = True,
        audios: np.ndarray | Sequence[np.ndarray | None] | None = None,
        **others: Any,
    ) -> BatchFeature:
        """Inputs for one utterance or a batch.

        Args:
            text: the instruction(s).
            audio: mono float32 clip(s) at 16 kHz; `None` for an utterance without audio.
            target: the answer(s); adds `labels` (B, L) for training.
            padding: True or "longest", what a batch of unequal rows needs.
            audios: an older name of `audio` in transformers.
            others: nothing; what pipelines give to every processor may be None.

        Returns:
            input_ids, attention_mask (B, L) padded on the left; prompt_ids, prompt_mask (B, P) padded on the right;
            input_features, input_values, audio_lengths unless the whole batch is text; labels with `target`.

        Raises:
            ValueError: one sentence about an option or a shape.
        """
        if unknown := [name for name, value in others.items() if value is not None]:
            raise ValueError(f"WavLLMProcessor has no option {unknown[0]!r}; it takes {', '.join(OPTIONS)}.")
        if sampling_rate != SAMPLE_RATE:
            raise ValueError(f"Audio must be at {SAMPLE_RATE} Hz, not {sampling_rate}: resample it first.")
        if return_tensors != "pt":
            raise ValueError("WavLLMProcessor makes PyTorch tensors only: return_tensors='pt'.")
        if audio is not None and audios is not None:
            raise ValueError("`audio` and `audios` are two names of one argument: give one of them.")
        audio = audios if audio is None else audio
        texts = [text] if isinstance(text, str) else list(text)
        if padding not in (True, "longest") and (len(texts) > 1 or padding not in (False, "do_not_pad")):
            raise ValueError(f"WavLLMProcessor pads a batch to its longest row: padding=True, not {padding!r}.")
        clips = self.clips(audio, len(texts))
        targets = [None] * len(texts) if target is None else [target] if isinstance(target, str) else list(target)
        if not len(texts) == len(clips) == len(targets):
            raise ValueError(f"{len(texts)} texts, {len(clips)} clips and {len(targets)} targets do not match.")

        batch = self.text_inputs(texts, [len(clip) for clip in clips], targets if target is not None else None)
        if any(len(clip) for clip in clips):
            batch |= self.audio_inputs(clips)
        return BatchFeature(batch)

    def apply_chat_template(
        self,
        conversation: Sequence[Mapping[str, Any]] | Sequence[Sequence[Mapping[str, Any]]],
        *,
        tokenize: bool = True,
        return_dict: bool = True,
        add_generation_prompt: bool = True,
        continue_final_message: bool = False,
        processor_kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> BatchFeature:
        """The model's inputs for one conversation, or a batch of them, of one message each: see `conversation`.

        Args:
            add_generation_prompt: what follows is always an answer.
            processor_kwargs, options: as for a call of the processor.

        Raises:
            UsageError: a conversation that is more than one instruction about at most one clip.
            ValueError: an option that is not offered.
        """
        if not tokenize or not return_dict or continue_final_message:
            raise ValueError(
                "WavLLMProcessor turns a conversation into the model's inputs (tokenize=True, return_dict=True): "
                "speech has no text, and an answer cannot be continued."
            )
        conversations: Any = [conversation] if conversation and isinstance(conversation[0], Mapping) else conversation
        pairs = [instruction(messages) for messages in conversations]
        texts, clips = zip(*pairs, strict=True)
        return self(text=list(texts), audio=list(clips), **{**options, **(processor_kwargs or {})})

    def post_process_multimodal_output(self, generated_outputs: torch.Tensor, *args, **kwargs) -> list[str]:
        """(B, L) ids -> texts; placeholders of speech are no words, and read as they come back from `generate`."""
        ids = torch.as_tensor(generated_outputs)
        return super().post_process_multimodal_output(ids.masked_fill(ids == self.audio_token_id, 0), *args, **kwargs)

    def answers(self, ids: torch.Tensor, inputs: Mapping[str, Any]) -> list[str]:
        """The texts that `generate` added to these inputs, (B, L + new) ids -> B answers."""
        texts = self.batch_decode(ids[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return [text.strip() for text in texts]

    def clips(self, audio: np.ndarray | Sequence[np.ndarray | None] | None, count: int) -> list[np.ndarray]:
        """One array per utterance, empty where there is no audio, never shorter than the encoders can take."""
        if audio is None:
            audio = [None] * count
        elif isinstance(audio, np.ndarray | torch.Tensor) and audio.ndim == 1:
            audio = [audio]
        shortest = self.geometry.shortest
        clips = [np.zeros(0, np.float32) if clip is None else np.asarray(clip, np.float32) for clip in audio]
        for clip in clips:
            if clip.ndim != 1:
                raise ValueError(f"A clip must be mono, shape (samples,), not {clip.shape}.")
        return [np.pad(c, (0, shortest - len(c))) if 0 < len(c) < shortest else c for c in clips]


def with_window(extractor: WhisperFeatureExtractor, seconds: int) -> WhisperFeatureExtractor:
    """A feature extractor for windows of another length, and otherwise the same."""
    return type(extractor).from_dict(extractor.to_dict() | {"chunk_length": seconds})


def pad_rows(rows: Sequence[Sequence[int]], value: int, left: bool = False) -> torch.Tensor:
    """Lists of ids -> (B, longest) int64."""
    longest = max(len(row) for row in rows)
    padded = [[value] * (longest - len(r)) + list(r) if left else list(r) + [value] * (longest - len(r)) for r in rows]
    return torch.tensor(padded, dtype=torch.long)


AutoProcessor.register(WavLLMConfig, WavLLMProcessor)
