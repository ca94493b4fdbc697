"""An engine for tests: 0.1 s of tone for each word, by the voice; it hushes, fails or crashes on demand."""

import os

import numpy as np

from wavllm_cli.data.audio import SAMPLE_RATE
from wavllm_cli.speech.engine import Engine, NoVoice, Unspoken, wanted

KNOWN = {"en": ["ann", "bob", "cid"], "de": ["dora", "emil"]}


class Tones(Engine):
    name = "tones"
    in_processes = True
    at_once = 2

    def __init__(self, patterns=(), speed=1.0):
        self.patterns, self.speed = patterns, speed
        self.spoken = []

    @classmethod
    def open(cls, options):
        return cls(options.voices, options.speed)

    def voices(self, language):
        if language not in KNOWN:
            raise NoVoice(f"nobody speaks {language!r}")
        return wanted(KNOWN[language], self.patterns, language)

    def settings(self, voice):
        return {"speed": self.speed}

    def speak(self, lines):
        return [self._tone(line) for line in lines]

    def _tone(self, line):
        self.spoken.append(line)
        if "crash" in line.text:
            os._exit(1)
        if "fail" in line.text:
            return Unspoken("it cannot say that.")
        t = np.arange(round(0.1 * len(line.text.split()) / self.speed * SAMPLE_RATE)) / SAMPLE_RATE
        tone = 0.0 if "hush" in line.text else 0.5 * np.sin(2 * np.pi * 10 * ord(line.voice[0]) * t)
        return (tone * np.ones_like(t)).astype(np.float32)
