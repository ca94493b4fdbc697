import base64
import io
import json

import numpy as np
import pytest
import soundfile
from chat_server import ChatServer, Filtered, Refusal, Status, Truncated

from wavllm_cli.chat.settings import Settings
from wavllm_cli.errors import UsageError
from wavllm_cli.systems import asking
from wavllm_cli.systems.base import Answer, Failure, Item, SystemFailed
from wavllm_cli.systems.decoding import Decoding
from wavllm_cli.systems.remote import Remote


def heard(body):
    """What a server hears: the seconds of the clip, and the instruction."""
    (message,) = body["messages"]
    seconds, said = 0.0, ""
    for part in message["content"]:
        if part["type"] == "input_audio":
            samples, rate = soundfile.read(io.BytesIO(base64.b64decode(part["input_audio"]["data"])))
            seconds = len(samples) / rate
        else:
            said = part["text"]
    return f"{seconds:.1f} s, {said}"


@pytest.fixture
def remote(tmp_path, monkeypatch):
    """Makes a system of a server that answers so, and gives both."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    servers = []

    def make(answer=heard, decoding=None, output=None, **settings):
        server = ChatServer(answer)
        servers.append(server)
        known = {"model": "ears", "base_url": server.url, "cache": tmp_path / "cache", "patience": 0.01}
        return server, Remote(Settings(**known | settings), decoding or Decoding(), output)

    yield make
    for server in servers:
        server.close()


def items(noise, *prompts):
    return [Item(f"row{i}", prompt, noise(0.5 + i)) for i, prompt in enumerate(prompts)]


def test_a_clip_travels_as_a_wav_with_its_instruction(remote, noise):
    server, system = remote(decoding=Decoding(max_new_tokens=7, temperature=0.5, seed=3))
    clips = [*items(noise, "Transcribe.", "Translate."), Item("text", "Say hello.")]
    assert [answer.text for answer in asking.ask(system, clips)] == [
        "0.5 s, Transcribe.",
        "1.5 s, Translate.",
        "0.0 s, Say hello.",
    ]
    said = [{k: v for k, v in body.items() if k != "messages"} for body in server.requests]
    assert said == [{"model": "ears", "max_completion_tokens": 7, "temperature": 0.5, "seed": 3}] * 3


def test_a_conversation_travels_as_turns_with_the_clip_before_the_first(remote, noise):
    server, system = remote(lambda body: "ok")
    turn = Item("row", "And then?", noise(0.5), history=(("What happens?", "Nothing."), ("", "Still.")))
    asking.ask(system, [turn])
    (body,) = server.requests
    kinds = [[part["type"] for part in m["content"]] for m in body["messages"] if m["role"] == "user"]
    assert kinds == [["input_audio", "text"], [], ["text"]]
    assert [m["content"] for m in body["messages"] if m["role"] == "assistant"] == ["Nothing.", "Still."]


def test_an_answer_is_paid_once_and_its_audio_not_kept(remote, noise, tmp_path):
    server, system = remote()
    clips = items(noise, "Transcribe.")
    first, second = asking.ask(system, clips), asking.ask(system, clips)
    assert first == second and len(server.requests) == 1
    (entry,) = tmp_path.glob("cache/*/*.json")
    assert entry.stat().st_size < 1_000 < len(json.dumps(server.requests[0]))
    louder = [Item("row0", "Transcribe.", clips[0].samples * 0.5)]
    asking.ask(system, louder)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("behaviour", "sentence"),
    [
        (Refusal("No."), "refused: No."),
        (Filtered(), "stopped by the server's content filter."),
        (Status(400, "Audio too long"), "Audio too long"),
    ],
)
def test_what_a_server_does_not_answer_is_the_failure_of_that_item(remote, noise, behaviour, sentence):
    _, system = remote(lambda body: behaviour if "bad" in json.dumps(body) else heard(body))
    good, bad = asking.ask(system, items(noise, "good", "bad"))
    assert isinstance(good, Answer) and isinstance(bad, Failure) and sentence in bad.sentence


def test_an_answer_that_is_cut_says_so(remote, noise):
    _, system = remote(lambda body: Truncated("a long answer"))
    (answer,) = asking.ask(system, items(noise, "Transcribe."))
    assert answer.warnings and answer.warnings[0].startswith("cut at ")


def test_a_wrong_key_ends_the_run_with_the_servers_words(remote, noise):
    _, system = remote(lambda body: Status(401, "Incorrect key"))
    with pytest.raises(SystemFailed, match="does not accept the key in OPENAI_API_KEY: Incorrect key") as caught:
        asking.ask(system, items(noise, "Transcribe."))
    assert caught.value.exit_code == 2


def test_a_budget_holds_and_counts_audio_apart(remote, noise, tmp_path):
    prices = tmp_path / "prices.yaml"
    prices.write_text("ears: {input: 0, output: 0, audio: 1000}")
    output = tmp_path / "out.jsonl"
    # 1 s is 100 tokens at most: 10 cents
    _, system = remote(output=output, max_usd=0.12, prices=prices, concurrency=1)
    first, second = asking.ask(system, [Item("a", "One.", noise(1)), Item("b", "Two.", noise(1, seed=1))])
    assert isinstance(first, Answer) and "--max-usd" in second.sentence
    assert (tmp_path / "out.jsonl.costs.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"max_usd": 1.0}, "--max-usd needs the price of 'ears'"),
        ({"max_usd": 1.0, "model": "gpt-4o"}, "--max-usd needs an --output"),
        ({"decoding": Decoding(num_beams=2)}, "--num-beams is nothing that a server can be told"),
        ({"decoding": Decoding(logprobs=True)}, "a server does not say its tokens' ids"),
    ],
)
def test_what_cannot_be_is_said_at_once(remote, arguments, sentence):
    with pytest.raises(UsageError, match=sentence):
        remote(**arguments)


def test_infer_asks_a_server_about_a_manifest(remote, wavllm, noise, tmp_path):
    server, _ = remote()
    soundfile.write(tmp_path / "a.wav", noise(1), 16_000)
    rows = [
        {"id": f"r{i}", "audio": "a.wav", "task": "asr", "prompt": f"Transcribe {i}.", "target": "x"} for i in range(3)
    ]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "out.jsonl"
    command = ["infer", str(tmp_path / "m.jsonl"), "--system", "remote", "-o", str(out), "--base-url", server.url]
    code, _, err = wavllm(*command)
    assert code == 2 and "--model NAME" in err
    code, _, err = wavllm(*command, "-m", "ears")
    assert code == 0, err
    answers = [json.loads(line) for line in out.read_text().splitlines()]
    assert [answer["text"] for answer in answers] == [f"1.0 s, Transcribe {i}." for i in range(3)]
    assert {answer["system"] for answer in answers} == {f"ears at {server.url}"}
    code, _, err = wavllm("infer", str(tmp_path / "m.jsonl"), "-o", str(out), "--base-url", server.url)
    assert code == 2 and "--system remote" in err


def test_silence_and_noise_are_sent_as_they_are(remote):
    _, system = remote()
    (answer,) = asking.ask(system, [Item("quiet", "What?", np.zeros(1600, np.float32))])
    assert answer.text == "0.1 s, What?"
