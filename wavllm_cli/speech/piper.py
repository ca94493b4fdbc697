"""Piper's voices: a VITS network for each in an ONNX file, which speaks espeak-ng's phonemes.

Source: github.com/rhasspy/piper. A voice is a known one of `piper_voices.yaml` or the path of an .onnx file, whose
.onnx.json lies beside it.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any, Self
from zlib import crc32

import numpy as np
import soxr
import yaml
from pydantic import BaseModel, Field, ValidationError

from wavllm_cli.data.audio import SAMPLE_RATE
from wavllm_cli.data.files import digest, why_unreadable
from wavllm_cli.data.schema import problems_in
from wavllm_cli.errors import UsageError, WavLLMError, did_you_mean, reason, shortened
from wavllm_cli.speech.engine import Engine, Line, NoVoice, Options, Unspoken, wanted
from wavllm_cli.speech.espeak import phonemes

KNOWN = Path(__file__).with_name("piper_voices.yaml")
PAD, BEGIN, END = "_", "^", "$"
SENTENCE_ENDS = ".!?"  # each sentence is spoken by itself
PAUSE = 0.2  # seconds between sentences


class _Audio(BaseModel):
    sample_rate: int = Field(gt=0)  # Hz


class _Espeak(BaseModel):
    voice: str


class _Inference(BaseModel):
    noise_scale: float
    length_scale: float = Field(gt=0)
    noise_w: float


class Config(BaseModel):
    """The .onnx.json of a voice, as far as it matters here."""

    audio: _Audio
    espeak: _Espeak
    inference: _Inference
    phoneme_type: str = "espeak"
    phoneme_id_map: dict[str, list[int]]
    num_speakers: int = Field(default=1, ge=1)
    speaker_id_map: dict[str, int] = {}


@dataclass(frozen=True)
class Network:
    """An .onnx file and who speaks by it.

    Attributes:
        speakers: by the names of their voices, None where there is but one.
    """

    path: Path
    config: Config
    sha256: str
    speakers: Mapping[str, int | None]


class Piper(Engine):
    """A voice is a file without its suffix; where several speak by it, FILE#SPEAKER."""

    name = "piper"
    in_processes = True
    at_once = 4

    def __init__(self, networks: Sequence[Network], patterns: Sequence[str], speed: float):
        self.patterns, self.speed = tuple(patterns), speed
        self.networks = {voice: network for network in networks for voice in network.speakers}

    @classmethod
    def open(cls, options: Options) -> Self:
        if options.model:
            raise UsageError("--model is nothing that piper has: its voices are chosen with --voices.")
        _runtime()
        named = [name.partition("#") for name in options.voices or (next(iter(known_voices())),)]
        networks = [_network(file) for file in dict.fromkeys(file for file, _, _ in named)]
        patterns = [f"{Path(file).name.removesuffix('.onnx')}{sharp}{speaker}" for file, sharp, speaker in named]
        several = [f"{one}#*" for one in patterns if "#" not in one]
        return cls(networks, [*patterns, *several], options.speed)

    def voices(self, language: str) -> list[str]:
        spoken = _first_subtag(language)
        known = [v for v, net in self.networks.items() if _first_subtag(net.config.espeak.voice) == spoken]
        if not known:
            others = sorted({net.config.espeak.voice for net in self.networks.values()})
            raise NoVoice(f"no voice given speaks {language!r}, but {', '.join(others)}: add one with --voices")
        return wanted(known, self.patterns, language)

    def settings(self, voice: str) -> dict[str, Any]:
        return {"model": self.networks[voice].sha256, "speed": self.speed, "phonemes": version("espeakng-loader")}

    def speak(self, lines: Sequence[Line]) -> list[np.ndarray | Unspoken]:
        return [self._spoken(line) for line in lines]

    def _spoken(self, line: Line) -> np.ndarray | Unspoken:
        network = self.networks[line.voice]
        try:
            sentences = _sentences(line.text, network.config)
        except WavLLMError as error:
            return Unspoken(str(error))
        if not sentences:
            return Unspoken(f"there is nothing to pronounce in {shortened(line.text)!r}.")
        session = _session(network.path, crc32(f"{line.voice} {line.text}".encode()))
        rate = network.config.audio.sample_rate
        parts: list[np.ndarray] = []
        for ids in sentences:
            parts += [np.zeros(round(PAUSE * rate), np.float32)] * bool(parts)
            parts.append(_run(session, ids, network, line.voice, self.speed))
        return soxr.resample(np.concatenate(parts), rate, SAMPLE_RATE, quality="HQ")


def _first_subtag(language: str) -> str:
    """A language without its region; espeak-ng has its own name for Mandarin."""
    code = language.replace("_", "-").split("-")[0].lower()
    return {"cmn": "zh"}.get(code, code)


# --- what is given to the network ---


def _sentences(text: str, config: Config) -> list[list[int]]:
    """The ids of each sentence's phonemes; those that the voice does not know are left out, as Piper does."""
    ids = config.phoneme_id_map
    sentences: list[list[int]] = []
    said = ""
    for clause in [*phonemes(text, config.espeak.voice), None]:
        if clause is not None:
            said += (" " if said else "") + clause.ipa.strip() + clause.stop
        if said and (clause is None or (clause.stop and clause.stop in SENTENCE_ENDS)):
            known = [ids[phoneme] for phoneme in unicodedata.normalize("NFD", said) if phoneme in ids]
            sentences.append([*ids[BEGIN], *ids[PAD], *(n for one in known for n in (*one, *ids[PAD])), *ids[END]])
            said = ""
    return sentences


def _run(session: Any, ids: Sequence[int], network: Network, voice: str, speed: float) -> np.ndarray:
    """(samples,) float32 at the voice's own rate."""
    settings = network.config.inference
    scales = [settings.noise_scale, settings.length_scale / speed, settings.noise_w]
    given = {
        "input": np.array([ids], np.int64),
        "input_lengths": np.array([len(ids)], np.int64),
        "scales": np.array(scales, np.float32),
    }
    speaker = network.speakers[voice]
    if speaker is not None:
        given["sid"] = np.array([speaker], np.int64)
    return session.run(None, given)[0].reshape(-1).astype(np.float32)


def _session(path: Path, seed: int) -> Any:
    """A network ready to run, read anew for each text (0.3 s).

    Its random numbers start from the seed only once, and go on from text to text: a clip would depend on what was
    spoken before it.
    """
    runtime = _runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # The runtime's optimisations take a second, and speech is computed no faster for them.
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    runtime.set_seed(seed)
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _runtime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise WavLLMError(f"Piper needs onnxruntime ({reason(error)}): pip install 'wavllm[piper]'.") from error
    return onnxruntime


# --- files of voices ---


@cache
def known_voices() -> dict[str, dict[str, str]]:
    """What is known of the voices that packages carry, by their names."""
    return yaml.safe_load(KNOWN.read_text(encoding="utf-8"))


def _network(name: str) -> Network:
    """The network of a voice's name or path.

    Raises:
        UsageError: there is none, or its .onnx.json is not Piper's.
        WavLLMError: the package of a known voice is not installed, or holds other files.
    """
    path = Path(name).expanduser() if name.endswith(".onnx") else _packaged(name)
    beside = path.with_name(f"{path.name}.json")
    for file in (path, beside):
        if why := why_unreadable(file):
            raise UsageError(f"{file} {why}: a voice of Piper is an .onnx file with its .onnx.json beside it.")
    try:
        config = Config.model_validate_json(beside.read_bytes())
    except ValidationError as error:
        raise UsageError(f"{beside} is not Piper's: {problems_in(error)[0]}.") from error
    if config.phoneme_type != "espeak" or not {PAD, BEGIN, END} <= config.phoneme_id_map.keys():
        raise UsageError(f"{beside} is of a voice that does not speak espeak-ng's phonemes.")
    sums = (digest(path), digest(beside))
    known = known_voices().get(name)
    if known and sums != (known["sha256"], known["config_sha256"]):
        raise WavLLMError(f"{path} of the package {known['package']} is not the voice that is known here.")
    stem = path.name.removesuffix(".onnx")
    several = config.speaker_id_map or {str(n): n for n in range(config.num_speakers)}
    speakers = {f"{stem}#{one}": n for one, n in several.items()} if config.num_speakers > 1 else {stem: None}
    return Network(path.absolute(), config, " ".join(sums), speakers)


def _packaged(name: str) -> Path:
    known = known_voices()
    if name not in known:
        raise UsageError(
            f"Piper has no voice {shortened(name)!r}{did_you_mean(name, known)}: name {', '.join(known)}, or the "
            "path of an .onnx file."
        )
    package, _, wanted_version = known[name]["package"].partition("==")
    try:
        found = distribution(package)
    except PackageNotFoundError as error:
        raise WavLLMError(f"The voice {name} is not installed: pip install 'wavllm[piper]'.") from error
    if found.version != wanted_version:
        raise WavLLMError(f"The voice {name} is in {package} {wanted_version}, not in {found.version}: install that.")
    return Path(str(found.locate_file(known[name]["file"])))
