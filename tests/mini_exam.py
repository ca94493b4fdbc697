"""Test manifests as `prep mini` writes them, a few rows each; their audio is only named."""

import json
from pathlib import Path

TEXTS = [
    "the train to berlin leaves at six",
    "anna has two red cups",
    "it will rain in paris on monday",
    "the gate is shut",
]


def row(test: str, number: int, task: str, prompt: str, target: str, **fields) -> dict:
    audio = None if task == "sft" else f"audio/{test}-{number}.flac"
    return {"id": f"{test}-{number}", "audio": audio, "task": task, "prompt": prompt, "target": target} | fields


def write_tests(data: Path) -> None:
    """Worlds, translations, emotions, instructions in writing, two instructions at once, chains with a summary."""
    part = {"task": "asr", "prompt": "Transcribe the audio."}
    german = {"task": "st", "prompt": "Translate the audio into German."}
    summary = {"task": "sft", "prompt": "Summarise.", "target": "S."}
    lead_ins = "The transcription is: {}\nThe German translation is: {}"
    tests = {
        "world": [row("world", i, "asr", "Transcribe.", text, duration=1.0 + i) for i, text in enumerate(TEXTS)],
        "st": [
            row("st", i, "st", "Translate into German.", f"Satz {i} ist gut und lang genug.", target_language="de")
            for i in range(4)
        ],
        "er": [row("er", i, "er", "Which emotion?", mood) for i, mood in enumerate(["happy", "sad", "happy", "angry"])],
        "sft": [row("sft", i, "sft", f"Say {word}.", word) for i, word in enumerate(["one", "two"])],
        "ii": [
            row(
                "ii", i, "ii", "First transcribe, then translate into German.", lead_ins.format(text, "Satz."),
                parts=[part | {"target": text}, german | {"target": "Satz."}], target_language="de",
            )
            for i, text in enumerate(TEXTS)
        ],
        "cot": [
            row(
                "cot", i, "cot", "Step by step.", text,
                parts=[part | {"target": text}, *([summary] if i else []), german | {"target": "Satz."}],
                target_language="de",
            )
            for i, text in enumerate(TEXTS)
        ],
    }  # fmt: skip
    data.mkdir(parents=True, exist_ok=True)
    for test, rows in tests.items():
        (data / f"test-{test}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))


def answer(questions: Path, answers: Path, text) -> None:
    """Write the answers of a system; `text` makes one of a row, or None for no answer."""
    rows = [json.loads(line) for line in questions.read_text().splitlines()]
    given = [(r, text(r)) for r in rows]
    answers.parent.mkdir(parents=True, exist_ok=True)
    answers.write_text("".join(json.dumps(r | {"text": said}) + "\n" for r, said in given if said is not None))
