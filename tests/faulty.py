"""Manifests with a fault of every kind, for tests of what is done about them."""

import json

import numpy as np
import soundfile

RATE = 8_000
WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]


def sentence(seed: int) -> str:
    return " ".join(np.random.default_rng(seed).permutation(WORDS)[:7])


def sound(seed: int, seconds: float = 0.5, channels: int = 1) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal((round(seconds * RATE), channels))


class Corpus:
    """A data set that grows by a row at a time."""

    def __init__(self, folder):
        (folder / "audio").mkdir()
        self.folder, self.lines, self.count = folder, {"train": [], "test": []}, 0

    def write(self, name: str, samples: np.ndarray) -> str:
        soundfile.write(self.folder / "audio" / name, samples, RATE, subtype="FLOAT")
        return f"audio/{name}"

    def add(self, id: str, split: str = "train", samples: np.ndarray | None = None, **fields) -> dict:
        """A row with a recording, a sentence and a speaker of its own, but for what is said otherwise."""
        self.count += 1
        name = f"clip{self.count}.wav"
        if "audio" not in fields:
            fields["audio"] = self.write(name, sound(self.count) if samples is None else samples)
        row = {"id": id, "task": "asr", "prompt": "Transcribe the audio.", "target": sentence(self.count),
               "language": "en", "speaker": f"{split}-{self.count}", "split": split} | fields  # fmt: skip
        self.lines[split].append(json.dumps(row, ensure_ascii=False))
        return row

    @property
    def manifests(self) -> list:
        paths = []
        for split, lines in self.lines.items():
            path = self.folder / f"{split}.jsonl"
            path.write_text("".join(f"{line}\n" for line in lines))
            paths.append(path)
        return paths


def clean_corpus(folder) -> Corpus:
    """Nothing is wrong with it, and much that could be taken for a fault is in it."""
    corpus = Corpus(folder)
    for number in range(12):
        corpus.add(f"good{number}", "train" if number < 8 else "test")
    corpus.add("stereo", samples=sound(99, channels=2), channel=1)
    corpus.add("quiet room", target="", transcript="")
    corpus.add("segment one", audio=corpus.write("long.wav", sound(98, 2)), duration=1.0)
    corpus.add("segment two", audio="audio/long.wav", start=1.0, duration=1.0)
    corpus.add("question", audio="audio/long.wav", start=1.0, duration=1.0, task="sqa", prompt="Which?", target="B",
               choices=["one", "two"])  # fmt: skip
    corpus.add("text", audio=None, task="sft", prompt="Say something.", speaker=None)
    return corpus


def plant(corpus) -> dict[str, list[str]]:
    """One fault of every kind -> the ids that have it."""
    add, lines = corpus.add, corpus.lines["train"]
    lines.append('{"id": "bad row", "audio": 3, "task": "asr", "prompt": "Transcribe.", "target": "x"}')
    add("good1")
    add("no target", target=None)
    add("no choice", task="sqa", prompt="Which?", target="three", choices=["one", "two"])
    add("shouted", target="THREE LOUD WORDS")
    add("cyrillic", target="three words и more")
    add("mojibake", target="a caf\ufffd of three")
    add("1272-128104-0000", target="1272-128104-0000 mister three")
    add("waits", audio=None, speech_text="say this")
    add("missing", audio="audio/nowhere.wav")
    (corpus.folder / "audio" / "junk.wav").write_bytes(b"junk" * 99)
    add("junk", audio="audio/junk.wav")
    add("third channel", samples=sound(1, channels=2), channel=2)
    add("short", samples=sound(2, 0.05))
    add("long", samples=sound(3, 2.5))
    add("silent", samples=np.zeros((RATE, 1)))
    add("clipped", samples=np.clip(30 * sound(4), -1, 1))
    add("cancelling", samples=sound(55) * [1, -1])
    add("16 bits", samples=np.rint(sound(6) * 20_000))
    add("too much", duration=0.9)
    add("too little", duration=0.2)
    first = json.loads(lines[2])
    add("again", **{key: first[key] for key in ("audio", "prompt")}, target=first["target"])
    add("copy", audio=corpus.write("copy.wav", sound(5)))
    add("seen", audio=json.loads(corpus.lines["test"][0])["audio"])
    add("said", target=json.loads(corpus.lines["test"][1])["target"])
    add("known voice", speaker=json.loads(corpus.lines["test"][2])["speaker"])
    add("talk in train", group="talk 7")
    add("talk in test", "test", group="talk 7")
    return {
        "invalid-row": ["bad row"],
        "duplicate-id": ["good1"],
        "no-target": ["no target"],
        "not-a-choice": ["no choice"],
        "wrong-case": ["shouted"],
        "foreign-letters": ["cyrillic"],
        "garbled-text": ["mojibake"],
        "id-in-text": ["1272-128104-0000"],
        "not-spoken": ["waits"],
        "no-audio": ["missing"],
        "unreadable": ["junk"],
        "no-channel": ["third channel"],
        "too-short": ["short"],
        "too-long": ["long"],
        "silent": ["silent"],
        "clipped": ["clipped"],
        "cancelling": ["cancelling"],
        "odd-audio": ["16 bits"],
        "wrong-duration": ["too much", "too little"],
        "duplicate-row": ["again"],
        "same-audio": ["copy"],
        "leaked-clip": ["seen"],
        "shared-text": ["said"],
        "shared-speaker": ["test-11"],
        "shared-group": ["talk 7"],
    }
