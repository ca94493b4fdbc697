"""`wavllm prep speak`, with the fake engine and with espeak-ng."""

import json
from collections import Counter

import pytest
from fake_engine import Tones

from wavllm_cli.data.audio import read_audio
from wavllm_cli.data.audio_paths import resolve_audio
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.data.skipped import SKIPPED
from wavllm_cli.speech import registry


def row(name, text=None, language="en", **fields):
    task = {"task": "sqqa", "prompt": "", "target": "x"}
    return {"id": name, "audio": None, **task, "speech_text": text, "language": language, **fields}


def write(path, *rows):
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        "".join(json.dumps({k: v for k, v in one.items() if v is not None or k == "audio"}) + "\n" for one in rows)
    )
    return path


@pytest.fixture
def tones(monkeypatch):
    """The fake engine behind its name, and every line that it speaks, whoever opens it."""
    spoken = []
    monkeypatch.setitem(registry.ENGINES, "tones", "fake_engine.Tones")
    monkeypatch.setattr(Tones, "_tone", lambda self, line, tone=Tones._tone: (spoken.append(line), tone(self, line))[1])
    return spoken


@pytest.fixture
def speak(wavllm, tones):
    def call(manifest, out, *options):
        return wavllm("prep", "speak", manifest, "--out", out, "--engine", "tones", "--workers", 1, *options)

    return call


def test_rows_that_wait_get_a_voice_and_others_stay(speak, tmp_path):
    (tmp_path / "there.wav").write_bytes(b"")
    own = {"extra": {"topic": "n"}, "group": "g", "split": "train"}
    manifest = write(
        tmp_path / "in.jsonl",
        row("a", "hello  there", **own),
        row("b", audio="there.wav"),
        row("c", "guten Tag", "de"),
        row("d"),
    )
    assert speak(manifest, tmp_path / "out" / "spoken.jsonl")[0] == 0
    assert not (tmp_path / "out" / SKIPPED).exists()
    before, after = read_manifest(manifest), read_manifest(tmp_path / "out" / "spoken.jsonl")
    assert [r.id for r in after] == ["a", "b", "c", "d"]
    assert after[1].audio == "../there.wav" and after[3] == before[3]
    spoken = after[0]
    assert spoken.speaker in ("ann", "bob", "cid") and after[2].speaker in ("dora", "emil")
    assert spoken.transcript == spoken.speech_text == "hello  there" and not spoken.awaits_speech
    changed = {"audio", "duration", "speaker", "transcript"}
    assert spoken.model_dump(exclude=changed) == before[0].model_dump(exclude=changed)
    samples = read_audio(resolve_audio(spoken, tmp_path / "out" / "spoken.jsonl"))
    assert len(samples) / 16_000 == spoken.duration == pytest.approx(0.2)


def test_a_clip_is_made_once_and_an_interrupted_run_ends_with_the_same_bytes(speak, tones, tmp_path, monkeypatch):
    rows = [row(f"r{i}", f"word {i % 7}" + " more" * (i % 2), ("en", "de")[i % 2]) for i in range(30)]
    manifest = write(tmp_path / "in.jsonl", *rows)
    assert speak(manifest, tmp_path / "whole.jsonl", "--audio", tmp_path / "whole")[0] == 0
    texts = {(one["speech_text"], one["language"]) for one in rows}
    assert len(tones) == len(texts) < 30

    def interrupted(self, line, tone=Tones._tone):
        if len(tones) == 5:
            raise KeyboardInterrupt
        return tone(self, line)

    tones.clear()
    with monkeypatch.context() as patch:
        patch.setattr(Tones, "_tone", interrupted)
        assert speak(manifest, tmp_path / "out.jsonl", "--audio", tmp_path / "whole2")[0] == 130
    kept = len(list((tmp_path / "whole2").rglob("*.wav")))
    assert not (tmp_path / "out.jsonl").exists() and 0 < kept <= 5
    tones.clear()
    code, out, _ = speak(manifest, tmp_path / "out.jsonl", "--audio", tmp_path / "whole2", "--json")
    assert code == 0 and json.loads(out)["made"] == len(tones) == len(texts) - kept
    whole, again = (path.read_text() for path in (tmp_path / "whole.jsonl", tmp_path / "out.jsonl"))
    assert again == whole.replace('"whole/', '"whole2/')
    tones.clear()
    assert speak(manifest, tmp_path / "out.jsonl", "--audio", tmp_path / "whole2")[0] == 0 and not tones


def test_voices_are_balanced_seeded_and_chosen(speak, tmp_path):
    manifest = write(tmp_path / "in.jsonl", *(row(f"r{i}", f"text {i}") for i in range(31)))

    def voices(*options):
        assert speak(manifest, tmp_path / "out.jsonl", *options)[0] == 0
        return [r.speaker for r in read_manifest(tmp_path / "out.jsonl")]

    first = voices()
    assert sorted(Counter(first).values()) == [10, 10, 11] and voices() == first != voices("--seed", 1)
    assert Counter(voices("--voices", "a*, cid")).keys() == {"ann", "cid"}


def test_rows_that_cannot_be_spoken_are_listed_and_end_nothing(speak, tmp_path):
    (tmp_path / SKIPPED).write_text('{"corpus": "toy", "split": "train", "item": "q"}\n')
    rows = [row("a", "fine"), row("b", " "), row("c", "bell \x07"), row("d", "fail"), row("e", "sain", "mn")]
    manifest = write(tmp_path / "in.jsonl", *rows)
    code, _, err = speak(manifest, tmp_path / "out.jsonl")
    assert code == 1 and "4 rows have no clip: no-text 2, " in err
    assert [r.id for r in read_manifest(tmp_path / "out.jsonl")] == ["a"]
    other, *listed = map(json.loads, (tmp_path / SKIPPED).read_text().splitlines())
    assert other["corpus"] == "toy" and {one["split"] for one in listed} == {"out"}
    assert {one["item"]: one["reason"] for one in listed} == {
        "b": "no-text", "c": "no-text", "d": "unspoken", "e": "no-voice",
    }  # fmt: skip
    assert speak(write(tmp_path / "in.jsonl", row("a", "fine")), tmp_path / "out.jsonl")[0] == 0
    assert json.loads((tmp_path / SKIPPED).read_text())["corpus"] == "toy"


def test_wrong_use(speak, wavllm, tmp_path):
    manifest = write(tmp_path / "in.jsonl", row("a", "hello", language=None))
    out = tmp_path / "out.jsonl"
    for options, says in [
        ((), "1 rows of .*in.jsonl do not say the language of their text \\(first: a\\): give --language"),
        (("--language", "mn"), "Not one of 1 rows could be spoken; the first: a \\(nobody speaks 'mn'\\)"),
        (("--language", "en", "--voices", "zoe"), "no voice for 'en' is called zoe.*there are ann, bob, cid"),
        (("--language", "en", "--speed", "3"), "--speed must be from 0.5 to 2"),
        (("--language", "en", "--engine", "tone"), "no engine 'tone' \\(did you mean tones\\?\\)"),
    ]:
        code, _, err = speak(manifest, out, *options)
        assert code in (1, 2), options
        with pytest.raises(AssertionError, match=says):
            raise AssertionError(err)
    assert speak(manifest, manifest, "--language", "en")[0] == 2
    code, _, err = speak(write(tmp_path / "text.jsonl", row("a")), out)
    assert code == 2 and "no row that waits for a voice" in err
    assert not out.exists()


def test_espeak_speaks_each_row_in_its_language(wavllm, tmp_path):
    manifest = write(tmp_path / "in.jsonl", row("a", "good morning"), row("b", "guten Morgen", "de-DE"))
    out = tmp_path / "out.jsonl"
    assert wavllm("prep", "speak", manifest, "--out", out, "--workers", 1)[0] == 0
    english, german = read_manifest(out)
    assert english.speaker.startswith("en") and german.speaker.startswith("de+")
    slow = tmp_path / "slow.jsonl"
    assert wavllm("prep", "speak", manifest, "--out", slow, "--workers", 1, "--speed", 0.5)[0] == 0
    assert read_manifest(slow)[0].duration > 1.5 * english.duration
