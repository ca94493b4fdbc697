"""`prep speak --engine openai` against a server on loopback."""

import io
import json
import struct

import numpy as np
import pytest
import soundfile
from chat_server import ChatServer, Raw, Slow, Status

from wavllm_cli.chat.settings import Settings
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.errors import UsageError
from wavllm_cli.speech.engine import Line, Options, Unspoken
from wavllm_cli.speech.server import VOICES, Server

RATE = 24_000


def recording(body):
    """0.1 s for each word, as OpenAI streams it: the header does not know how long it will be."""
    samples = 0.3 * np.sin(np.arange(RATE // 10 * len(body["input"].split())) / 20)
    wav = io.BytesIO()
    soundfile.write(wav, samples, RATE, format="WAV")
    data = bytearray(wav.getvalue())
    data[4:8] = data[40:44] = struct.pack("<I", 0xFFFFFFFF)
    return Raw(bytes(data), "audio/wav")


class SpeechServer(ChatServer):
    """Speaks instead of answering; `answer` gives the recording of a request."""

    def reply(self, call, query, headers, data):
        if call != ("POST", "audio", "speech"):
            return super().reply(call, query, headers, data)
        body = json.loads(data)
        with self.lock:
            self.requests.append(body)
        return self.answer(body)


@pytest.fixture
def speech(tmp_path, monkeypatch):
    """Function: a server that speaks so, and the engine in front of it."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    servers = []

    def make(answer=recording, voices=("ann",), speed=1.0, **settings):
        servers.append(SpeechServer(answer))
        known = {"model": "tts-1", "base_url": servers[-1].url, "cache": tmp_path / "cache", "patience": 0.01}
        server = Settings(**known | settings)
        return servers[-1], Server.open(Options(None, voices, speed, server=server, output=tmp_path / "out.jsonl"))

    yield make
    for server in servers:
        server.close()


def test_a_line_is_asked_for_once_and_heard_at_16_khz(speech, tmp_path):
    server, engine = speech(speed=1.5)
    lines = [Line("one two three", "ann"), Line("four", "bob"), Line("one two three", "ann")]
    first, second, third = engine.speak(lines)
    assert len(first) / 16_000 == pytest.approx(0.3) and len(second) / 16_000 == pytest.approx(0.1)
    np.testing.assert_array_equal(first, third)
    asked = {"model": "tts-1", "response_format": "wav", "speed": 1.5}
    said = sorted(server.requests, key=lambda body: body["voice"])
    assert said == [asked | {"voice": "ann", "input": "one two three"}, asked | {"voice": "bob", "input": "four"}]
    _, again = speech(speed=1.5, base_url=server.url)
    np.testing.assert_array_equal(again.speak(lines)[0], first)
    assert len(server.requests) == 2
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "cache").rglob("*.wav"))


def test_trouble_costs_one_line_or_is_waited_for(speech):
    def answer(body, met=set()):  # noqa: B006
        if body["input"] == "bad":
            return Status(400, "input is too long", "invalid_request_error")
        if body["input"] == "page":
            return Raw(b"<html>Sign in</html>")
        if body["input"] == "busy" and not met:
            met.add("busy")
            return Status(429, "slow down", headers={"retry-after-ms": "10"})
        return recording(body)

    _, engine = speech(answer)
    good, bad, busy, page = engine.speak([Line(text, "ann") for text in ("fine", "bad", "busy", "page")])
    assert len(good) and len(busy)
    assert isinstance(bad, Unspoken) and "400: input is too long" in str(bad)
    assert isinstance(page, Unspoken) and "the server's answer is not a recording, 6 times" in str(page)


def test_a_budget_holds_over_all_runs(speech, tmp_path):
    lines = [
        Line(word, "ann") for word in ("aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc")
    ]  # 150 millionths of a dollar each
    server, engine = speech(max_usd=0.0004, concurrency=1)
    one, two, three = engine.speak(lines)
    assert len(one) and len(two) and "--max-usd would have been exceeded" in str(three)
    assert engine.budget.spent == pytest.approx(0.0003)
    _, again = speech(max_usd=0.0004, base_url=server.url)
    assert again.budget.spent == pytest.approx(0.0003) and isinstance(again.speak(lines)[2], Unspoken)
    _, richer = speech(max_usd=0.0005, base_url=server.url)
    assert len(richer.speak(lines)[2]) and len(server.requests) == 3


def test_an_answer_that_does_not_arrive_counts_as_paid(speech):
    _, engine = speech(lambda body: Slow(9, recording(body)), timeout=0.05, concurrency=1, max_usd=0.0002)
    (lost,) = engine.speak([Line("aaaaaaaaaa", "ann")])
    assert "--max-usd" in str(lost) and engine.budget.spent == pytest.approx(0.00015)


def test_voices_are_openais_or_named(speech, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    openai = Settings("tts-1", cache=tmp_path)
    assert Server(openai, tmp_path / "o", (), 1.0).voices("de") == list(VOICES)
    assert Server(openai, tmp_path / "o", ("a*",), 1.0).voices("en") == ["alloy", "ash"]
    with pytest.raises(UsageError, match=r"Nobody knows the voices of http://127.*: name them with --voices"):
        speech(voices=())
    with pytest.raises(UsageError, match="--max-usd needs what a million characters cost of 'my-own'"):
        speech(model="my-own", max_usd=1.0)
    table = tmp_path / "prices.yaml"
    table.write_text("my-own: {characters: 2}\n")
    assert speech(model="my-own", max_usd=1.0, prices=table)[1].budget.price.characters == 2


def test_the_command(speech, wavllm, tmp_path, monkeypatch):
    monkeypatch.setenv("WAVLLM_CACHE", str(tmp_path / "cache"))
    server, _ = speech()
    row = {"audio": None, "task": "sqqa", "prompt": "", "target": "x", "language": "en"}
    manifest = tmp_path / "in.jsonl"
    manifest.write_text("".join(json.dumps({"id": t, **row, "speech_text": t}) + "\n" for t in ("one", "two", "three")))
    options = ("--engine", "openai", "--base-url", server.url, "--voices", "ann,bob", "--max-usd", 1)
    out = tmp_path / "out.jsonl"
    assert wavllm("prep", "speak", manifest, "--out", out, *options)[0] == 0
    assert {r.speaker for r in read_manifest(out)} == {"ann", "bob"} and len(server.requests) == 3
    assert wavllm("prep", "speak", manifest, "--out", tmp_path / "other" / "out.jsonl", *options)[0] == 0
    assert len(server.requests) == 3  # the recordings are kept, wherever their clips are wanted
    code, _, err = wavllm("prep", "speak", manifest, "--out", out, "--max-usd", 1)
    assert code == 2 and "they belong with --engine openai" in err
