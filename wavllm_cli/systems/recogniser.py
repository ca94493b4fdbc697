"""Any Whisper as a recogniser: what is said in a clip, when, and in which language.

A window is decoded as in section 3.8 of the Whisper paper, by transformers: greedily; where the result repeats itself
or is improbable, again by drawing at rising temperatures; where it is improbable and sounds like no speech, not at all.
A long recording goes in stretches, cut at pauses, so that memory does not depend on its length; within a stretch one
window begins where the last whole sentence of the window before ended.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from transformers import AutoFeatureExtractor, WhisperForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput

from wavllm_cli.data import pauses
from wavllm_cli.data.audio import SAMPLE_RATE, is_silent
from wavllm_cli.data.voice import find_detector
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.model.extractors import require_extractors
from wavllm_cli.systems.base import Item
from wavllm_cli.systems.pretrained import Pretrained
from wavllm_cli.systems.remembering import remembering
from wavllm_cli.systems.steps import row_seed
from wavllm_cli.text.join import WORDS_A_SECOND, joined

STRETCH = 300.0  # seconds; a call of `generate` keeps the scores of all its tokens, 200 kB each: 0.3 GB of fast speech
SHORTEST_WORD = SAMPLE_RATE // WORDS_A_SECOND  # samples: out of less a Whisper makes words up
VOICE = 0.5  # probability; Silero's own limit. Where no moment reaches it nothing is said
TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # of the paper, as are the thresholds on log-probability and silence
THRESHOLDS = {"logprob_threshold": -1.0, "no_speech_threshold": 0.6, "compression_ratio_threshold": 1.35}
OTHER_CODES = {"nb": "no", "jv": "jw", "fil": "tl", "cmn": "zh"}  # BCP-47 -> Whisper


@dataclass(frozen=True)
class Clip:
    """What a transcript depends on: the SHA-256 of a clip's samples, and its language where that is known."""

    content: str
    language: str | None

    @classmethod
    def of(cls, item: Item) -> Self:
        content = b"" if item.samples is None else np.ascontiguousarray(item.samples).data
        return cls(hashlib.sha256(content).hexdigest(), item.language)


@dataclass(frozen=True)
class Said:
    """What is said from one moment to another.

    Attributes:
        text: with the blank that separates it from what was said before, where the language has one.
        start, end: seconds from the start of the clip.
    """

    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Transcript:
    """All that is said in a clip.

    Attributes:
        said: in order of time.
        text: in one piece; shorter than its parts where two stretches had to share a second.
        language: Whisper's code, given or heard; None where nothing was heard, or by a model of English only.
    """

    said: tuple[Said, ...] = ()
    text: str = ""
    language: str | None = None

    def steps(self) -> list[dict[str, Any]]:
        """As an answer that was found by it tells them."""
        return [{"name": "transcript", "text": s.text.strip(), "start": s.start, "end": s.end} for s in self.said]


REMEMBERED = 64  # transcripts
NOTHING = Transcript()


class Recogniser:
    """A Whisper, its feature extractor and its tokenizer.

    Args:
        source: where it comes from.
        seed: of what is drawn at a temperature, together with a clip's samples.

    Raises:
        UsageError, WavLLMError: it is no Whisper, or is damaged.
    """

    def __init__(self, source: Pretrained, device: str, dtype: torch.dtype, seed: int):
        self.device, self.dtype, self.seed = device, dtype, seed
        self._known: dict[Clip, Transcript] = {}
        if source.config.model_type != "whisper":
            raise UsageError(f"The recogniser {source.name} is a {source.config.model_type!r} model, not a Whisper.")
        with source.explaining():
            require_extractors(source.origin)
            self.extractor = AutoFeatureExtractor.from_pretrained(
                source.origin.path, trust_remote_code=source.trust, **source.origin.where
            )
        self.tokenizer = source.tokenizer()
        self.model: Any = source.model(_Whisper, dtype, device)
        self.settings = self.model.generation_config
        self.window: int = self.extractor.n_samples
        if self.extractor.nb_max_frames != 2 * source.config.max_source_positions:
            raise WavLLMError(f"The recogniser {source.name} hears other windows than its feature extractor makes.")
        if getattr(self.settings, "no_timestamps_token_id", None) is None:
            raise UsageError(
                f"The recogniser {source.name} tells no times: its generation_config.json lacks no_timestamps_token_id."
            )

    @property
    def languages(self) -> dict[str, int]:
        """Whisper's tokens for languages and their ids; none of a model of English only."""
        return getattr(self.settings, "lang_to_id", None) or {}

    def transcripts(self, items: Sequence[Item]) -> list[Transcript]:
        """What is said in each clip; does not depend on the clips beside it, but for rounding.

        Those of the newest clips are kept: the next instruction is often about one of them.
        """
        clips = [Clip.of(item) for item in items]
        samples = {clip: item.samples for clip, item in zip(clips, items, strict=True) if item.samples is not None}
        found = self._recognised({clip: heard for clip, heard in samples.items() if clip not in self._known})
        self._known |= found
        answers = [self._known.get(clip, NOTHING) for clip in clips]
        for oldest in list(self._known)[:-REMEMBERED]:
            del self._known[oldest]
        return answers

    # --- clips ---

    def _recognised(self, clips: Mapping[Clip, np.ndarray]) -> dict[Clip, Transcript]:
        short = [clip for clip, samples in clips.items() if len(samples) <= self.window and has_voice(samples)]
        together = max(1, round(STRETCH * SAMPLE_RATE) // self.window)
        found: dict[Clip, Transcript] = {}
        for first in range(0, len(short), together):
            some = short[first : first + together]
            found.update(zip(some, self._windows(some, [clips[clip] for clip in some]), strict=True))
        for clip, samples in clips.items():
            if len(samples) > self.window:
                found[clip] = self._stretches(clip, samples)
        return found

    def _windows(self, clips: Sequence[Clip], samples: Sequence[np.ndarray]) -> list[Transcript]:
        """Clips of one window, at once; where greedy decoding fails, again one by one: what is drawn is theirs."""
        known = [self._token(clip.language) for clip in clips]
        if len(clips) == 1:
            return [self._alone(clips[0].content, samples[0], known[0])]
        features = self._features(samples)
        languages = self._languages(features, known)
        output = self._generate(features, languages, TEMPERATURES[:1])
        failed = [self.model.failed(segments) for segments in output]
        found = [self._transcript(*of) for of in zip(output, map(len, samples), languages, strict=True)]
        for row in (row for row, fails in enumerate(failed) if fails):
            found[row] = self._alone(clips[row].content, samples[row], languages[row])
        return found

    def _stretches(self, clip: Clip, samples: np.ndarray) -> Transcript:
        """A long recording, in the language of its first stretch in which something is said."""
        language = self._token(clip.language)
        said: list[Said] = []
        texts, shared = [], []
        for number, part in enumerate(pauses.segments(samples, STRETCH)):
            stretch = samples[part.start : part.end]
            if not has_voice(stretch):
                continue
            found = self._alone(f"{clip.content} {number}", stretch, language)
            language = language or self._token(found.language)
            start = part.start / SAMPLE_RATE
            said += [Said(one.text, round(start + one.start, 2), round(start + one.end, 2)) for one in found.said]
            texts.append(found.text)
            shared.append(part.shared / SAMPLE_RATE if len(texts) > 1 else 0.0)
        text = joined(texts, shared) if any(shared) else "".join(one.text for one in said).strip()
        return Transcript(tuple(said), text, _code(language))

    def _alone(self, name: str, samples: np.ndarray, language: str | None) -> Transcript:
        features = self._features([samples])
        (spoken,) = self._languages(features, [language])
        devices = [self.device] if self.device.startswith("cuda") else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(row_seed(self.seed, name))
            (segments,) = self._generate(features, [spoken], TEMPERATURES)
        return self._transcript(segments, len(samples), spoken)

    # --- Whisper ---

    def _features(self, clips: Sequence[np.ndarray]) -> Tensor:
        """(samples,) each -> (B, mel, frames): whole windows, or of a longer clip all that there is."""
        longer = {"padding": "longest", "truncation": False} if len(clips[0]) > self.window else {}
        made = self.extractor([*clips], sampling_rate=SAMPLE_RATE, return_tensors="pt", **longer)
        return made["input_features"].to(self.device, self.dtype)

    def _languages(self, features: Tensor, known: Sequence[str | None]) -> list[str | None]:
        """The token of each clip's language, heard in its first window where it is not known."""
        if not self.languages or all(known):
            return [*known]
        names = {number: token for token, number in self.languages.items()}
        first = features[:, :, : self.extractor.nb_max_frames]
        heard = [names[number] for number in self.model.detect_language(first).tolist()]
        return [token or other for token, other in zip(known, heard, strict=True)]

    @torch.no_grad()
    def _generate(
        self, features: Tensor, languages: Sequence[str | None], temperatures: tuple[float, ...]
    ) -> list[list[dict[str, Any]]]:
        """For each clip its segments, as transformers describes them."""
        spoken = {"language": [*languages], "task": "transcribe"} if self.languages else {}
        output = self.model.generate(
            features,
            return_timestamps=True,
            return_segments=True,
            condition_on_prev_tokens=False,  # with it one slip is repeated in every window that follows
            temperature=temperatures,
            **THRESHOLDS,
            **spoken,
        )
        return output["segments"]

    def _transcript(self, segments: Sequence[dict[str, Any]], samples: int, language: str | None) -> Transcript:
        """Without what is heard in the silence that fills a clip's last window."""
        seconds, first_time = samples / SAMPLE_RATE, self.settings.no_timestamps_token_id + 1
        said = []
        for segment in segments:
            words = [token for token in segment["tokens"].tolist() if token < first_time]
            text = self.tokenizer.decode(words, skip_special_tokens=True)
            start, end = (round(min(float(segment[key]), seconds), 2) for key in ("start", "end"))
            if text.strip() and start < seconds:
                said.append(Said(text, start, end))
        return Transcript(tuple(said), "".join(one.text for one in said).strip(), _code(language))

    def _token(self, language: str | None) -> str | None:
        """ "de-DE" -> "<|de|>"; None for a language that this Whisper does not know."""
        code = (language or "").replace("_", "-").split("-")[0].lower()
        token = f"<|{OTHER_CODES.get(code, code)}|>"
        return token if token in self.languages else None


def has_voice(samples: np.ndarray | None) -> bool:
    """Whether a word may be said; where the voice detector is not installed, whatever is not silent may be speech."""
    if samples is None or len(samples) < SHORTEST_WORD or is_silent(samples):
        return False
    detector = find_detector()
    return detector is None or bool(detector(samples).max() >= VOICE)


def _code(token: str | None) -> str | None:
    """ "<|de|>" -> "de"."""
    return token[2:-2] if token else None


class _Whisper(WhisperForConditionalGeneration):
    """Whisper that encodes a window once, although its language, its silence and its words are asked for one by one,
    and that remembers which windows it failed in.
    """

    def __init__(self, config: Any):
        super().__init__(config)
        self._failed: set[int] = set()
        encoder = self.model.encoder
        encoder.forward = _remembering(encoder.forward)

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        self._failed.clear()
        return super().generate(*args, **kwargs)

    def failed(self, segments: Sequence[dict[str, Any]]) -> bool:
        """Whether a window of these segments is repetitive or improbable at the last temperature there was."""
        return any(id(segment["result"]) in self._failed for segment in segments)

    def _need_fallback(self, sequence: Tensor, outputs: list[Any], index: int, *others: Any) -> tuple[bool, bool]:
        fails, skip = super()._need_fallback(sequence, outputs, index, *others)
        if fails:
            self._failed.add(id(outputs[index]))
        return fails, skip


def _remembering(encode: Callable[..., Any]) -> Callable[..., BaseModelOutput]:
    """An encoder that, given the same features as in the call before, has its output at hand."""
    heard = remembering(lambda input_features: encode(input_features)[0])

    @wraps(encode)
    def encoded(input_features: Tensor, *args: Any, **kwargs: Any) -> BaseModelOutput:
        return BaseModelOutput(last_hidden_state=heard(input_features))

    return encoded
