import json
from collections import Counter

import pytest
from chat_server import ChatServer, Status
from chat_words import Word, answer, words

from wavllm_cli.chat.dialects import DIALECTS, JSON, TEXT, Dialect, ways
from wavllm_cli.chat.request import Request
from wavllm_cli.chat.session import Chat
from wavllm_cli.chat.settings import Settings

REQUESTS = [Request(f"item {i}", "Write the word.", {"n": i}, Word(word="seven"), 20) for i in range(12)]
BODY = REQUESTS[0].body("m")


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "any")


def chat_of(server, folder, **more):
    settings = Settings(base_url=server.url, cache=folder / "cache", patience=0.01, timeout=5.0, **more)
    return Chat(settings, folder / "out.jsonl")


def test_the_richest_dialect_is_the_request_itself():
    assert DIALECTS[0].put(BODY) == BODY
    assert len(ways(BODY)) == len(DIALECTS)


def test_a_dialect_changes_its_two_keys_alone():
    spoken = Dialect(JSON, "max_tokens").put(BODY)
    assert spoken.pop("max_tokens") == BODY["max_completion_tokens"]
    assert spoken.pop("response_format") == {"type": "json_object"}
    assert spoken == {"model": "m", "messages": BODY["messages"]}
    assert "response_format" not in Dialect(TEXT, "max_tokens").put(BODY)


def test_a_request_without_a_form_is_put_in_two_ways():
    plain = {"model": "m", "messages": [], "max_completion_tokens": 5}
    assert [dialect.limit for dialect in ways(plain)] == ["max_completion_tokens", "max_tokens"]
    assert len(ways({"model": "m", "messages": []})) == 1


def no_schema(body):
    return (
        Status(400, "no such response_format here") if body.get("response_format") == BODY["response_format"] else None
    )


def no_form(body):
    return Status(400, "response_format?") if "response_format" in body else None


def old_key(body):
    return Status(422, "extra_forbidden") if "max_completion_tokens" in body else None


@pytest.mark.parametrize("refuses", [[no_schema], [no_form], [old_key], [no_form, old_key]])
@pytest.mark.parametrize("batch", [False, True])
def test_a_server_is_asked_as_it_can_be(tmp_path, refuses, batch):
    def manners(body):
        return next((refusal for refuse in refuses if (refusal := refuse(body))), None) or answer(body)

    with ChatServer(manners) as server:
        chat = chat_of(server, tmp_path, batch=batch)
        assert chat.ask(REQUESTS, "s") == words(12) and not chat.set_aside
        spoken = len(server.requests)
        assert chat_of(server, tmp_path).ask(REQUESTS, "s") == words(12)
        assert len(server.requests) == spoken  # the cache knows a request however it was put


def test_once_the_server_has_answered_a_refusal_is_about_the_request(tmp_path):
    last = json.dumps({"n": 11})

    def manners(body):
        return Status(400, "Too long.") if body["messages"][1]["content"] == last else answer(body)

    with ChatServer(manners) as server:
        chat = chat_of(server, tmp_path, concurrency=1)
        assert chat.ask(REQUESTS, "s") == [*words(11), None]
        assert len(server.requests) == 12
        assert Counter(one.reason for one in chat.set_aside) == {"rejected by the server (400: Too long)": 1}


def test_how_a_useless_reply_begins_is_kept(tmp_path):
    with ChatServer(lambda body: "I would rather not. " * 100) as server:
        chat = chat_of(server, tmp_path)
        assert chat.ask(REQUESTS[:1], "s") == [None]
    (one,) = chat.set_aside
    assert (
        one.reason == "not of the asked form" and one.reply.startswith("I would rather not.") and len(one.reply) < 300
    )
