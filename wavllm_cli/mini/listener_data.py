"""What the small WavLM learns from: clips of `prep mini`, who speaks, in which mood, and what as phonemes."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import Wav2Vec2FeatureExtractor

from wavllm_cli import console
from wavllm_cli.data.audio import SAMPLE_RATE
from wavllm_cli.data.batch import Clip, clips_of
from wavllm_cli.data.clips import clip_key, transcripts
from wavllm_cli.data.files import digest
from wavllm_cli.data.packing import Limits, pack
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.speech.espeak import phonemes

SOURCES = ("world", "spoken", "read", "digits", "er")  # manifests SPLIT-SOURCE.jsonl, as far as they are there
LONGEST = 6.0  # seconds of a clip that is heard as a whole; of others …
PART = 4.0  # … a part of this length is, by chance, and its words do not count
HELD_OUT = 20  # one sentence of so many is kept from training, to be heard from voices that were trained on
ACCENT = "en-us"
AT_ONCE = 200  # texts that espeak-ng, loaded anew for each call, is asked about together
UNKNOWN = -100  # a class that no loss looks at


@dataclass(frozen=True)
class Example:
    """A clip and what can be learnt from it.

    Attributes:
        source: of `SOURCES`.
        text: what is said; empty where that is unknown.
        seconds: as they are heard.
        speaker, emotion: None where they are unknown.
        pronounced: its phonemes, a character each; empty where they are unknown, or only a part is heard.
    """

    clip: Clip
    source: str
    text: str
    seconds: float
    speaker: str | None
    emotion: str | None
    pronounced: str

    @property
    def is_held_out(self) -> bool:
        return int.from_bytes(hashlib.sha256(self.text.encode()).digest()[:4]) % HELD_OUT == 0

    def heard(self, place: float) -> np.ndarray:
        """(samples,) float32 at 16 kHz.

        Args:
            place: in [0, 1], where the part lies that is heard of a long clip.
        """
        samples = self.clip.read()
        assert samples is not None
        start = round(place * max(0, len(samples) - round(self.seconds * SAMPLE_RATE)))
        return samples[start : start + round(self.seconds * SAMPLE_RATE)]


@dataclass(frozen=True)
class Classes:
    """What the heads tell apart. A phoneme's number in CTC is its place in the string, counted from 1."""

    speakers: tuple[str, ...]
    emotions: tuple[str, ...]
    phonemes: str

    @classmethod
    def of(cls, examples: Iterable[Example]) -> "Classes":
        found = list(examples)
        return cls(
            speakers=tuple(sorted({example.speaker for example in found if example.speaker})),
            emotions=tuple(sorted({example.emotion for example in found if example.emotion})),
            phonemes="".join(sorted({letter for example in found for letter in example.pronounced})),
        )

    @cached_property
    def numbers(self) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
        """Of speakers, emotions, phonemes."""
        of = [{name: number for number, name in enumerate(names)} for names in (self.speakers, self.emotions)]
        return of[0], of[1], {letter: number for number, letter in enumerate(self.phonemes, 1)}


@dataclass(frozen=True)
class Batch:
    """Clips as the model takes them.

    Attributes:
        waves: (B, samples), right-padded.
        lengths: (B,) samples.
        speakers, emotions: (B,) numbers, `UNKNOWN` where they are.
        phonemes: B x (n,) numbers, n = 0 where they are unknown.
    """

    examples: list[Example]
    waves: Tensor
    lengths: Tensor
    speakers: Tensor
    emotions: Tensor
    phonemes: list[Tensor]


class Batches:
    """Makes batches of examples; a clip that cannot be read is left out, with one warning."""

    def __init__(self, extractor: Wav2Vec2FeatureExtractor, classes: Classes):
        self.extractor, self.classes = extractor, classes
        self._lost: set[str] = set()  # ids

    def make(self, examples: Sequence[Example], places: Sequence[float]) -> Batch | None:
        """None where none of the clips can be read."""
        read, waves = [], []
        for example, place in zip(examples, places, strict=True):
            try:
                waves.append(example.heard(place))
                read.append(example)
            except WavLLMError as error:
                name = example.clip.row.id
                if name not in self._lost:
                    console.warn(f"{name}: {error}")
                self._lost.add(name)
        if not read:
            return None
        normal = [torch.from_numpy(wave) for wave in self.extractor.zero_mean_unit_var_norm(waves, None)]
        speakers, emotions, letters = self.classes.numbers
        return Batch(
            examples=read,
            waves=pad_sequence(normal, batch_first=True),
            lengths=torch.tensor([len(wave) for wave in waves]),
            speakers=torch.tensor([speakers.get(e.speaker or "", UNKNOWN) for e in read]),
            emotions=torch.tensor([emotions.get(e.emotion or "", UNKNOWN) for e in read]),
            phonemes=[torch.tensor([letters[c] for c in e.pronounced if c in letters], dtype=torch.long) for e in read],
        )

    def once(self, examples: Sequence[Example], limits: Limits) -> Iterator[Batch]:
        """Every example, the middle of long ones, alike in length within a batch."""
        for numbers in pack([example.seconds for example in examples], limits):
            batch = self.make([examples[i] for i in numbers], [0.5] * len(numbers))
            if batch is not None:
                yield batch


def manifests(data: Path, split: str) -> dict[str, Path]:
    """The manifests of a split that are there, by their source."""
    paths = {source: data / f"{split}-{source}.jsonl" for source in SOURCES}
    return {source: path for source, path in paths.items() if path.is_file()}


def digests(data: Path) -> dict[str, str]:
    """SHA-256 of every manifest that is trained on or measured with, by file name.

    Raises:
        UsageError: there is nothing to train on.
    """
    if not manifests(data, "train"):
        raise UsageError(
            f"{data} has no train-{SOURCES[0]}.jsonl nor another of the manifests that a listener learns from: make "
            f"them with `wavllm prep mini --out {data}`."
        )
    return {path.name: digest(path) for split in ("train", "dev") for path in manifests(data, split).values()}


def examples_of(data: Path, split: str) -> list[Example]:
    """The clips of a split.

    Raises:
        ManifestError: a manifest cannot be read.
    """
    found = []
    for source, path in manifests(data, split).items():
        clips = list(clips_of(path))
        said = transcripts(clip.row for clip in clips)
        found += [(source, clip, said.get(clip_key(clip.row), ""), clip.seconds()) for clip in clips]
    spoken = pronounced({text for _, _, text, seconds in found if text and seconds <= LONGEST})
    return [
        Example(
            clip=clip,
            source=source,
            text=text,
            seconds=seconds if seconds <= LONGEST else PART,
            speaker=clip.row.speaker if isinstance(clip.row.speaker, str) else None,
            emotion=clip.row.target if clip.row.task == "er" else None,
            pronounced=spoken[text] if text and seconds <= LONGEST else "",
        )
        for source, clip, text, seconds in found
    ]


# --- phonemes ---


def pronounced(texts: Iterable[str]) -> dict[str, str]:
    """English texts in IPA, without stress marks and blanks."""
    distinct = sorted(set(texts))
    found: dict[str, str] = {}
    for start in range(0, len(distinct), AT_ONCE):
        some = distinct[start : start + AT_ONCE]
        found |= zip(some, _together(some) or [_alone(text) for text in some], strict=True)
    return found


def _together(texts: Sequence[str]) -> list[str] | None:
    """As sentences of one text, which takes a fraction of the time; None where espeak-ng cuts it elsewhere."""
    joined = "\n".join(f"{_words(text)}." for text in texts)
    sentences = [""]
    for clause in phonemes(joined, ACCENT):
        sentences[-1] += _letters(clause.ipa)
        if clause.stop == ".":
            sentences.append("")
    return sentences[:-1] if len(sentences) == len(texts) + 1 and not sentences[-1] else None


def _alone(text: str) -> str:
    return "".join(_letters(clause.ipa) for clause in phonemes(_words(text), ACCENT))


def _words(text: str) -> str:
    return re.sub(r"[^\w']+", " ", text).strip()


def _letters(ipa: str) -> str:
    return re.sub(r"[\sˈˌ]", "", ipa)
