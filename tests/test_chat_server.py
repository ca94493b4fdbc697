"""The misbehaving server as the real `openai` package sees it."""

import asyncio
import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from chat_server import (
    Answerer,
    ChatServer,
    Cut,
    Filtered,
    Raw,
    Refusal,
    Slow,
    Status,
    Truncated,
    canonical,
    once_per_request,
    script,
)
from pydantic import BaseModel


class Verdict(BaseModel):
    score: int


def echo(body: dict) -> str:
    return f"You said: {body['messages'][-1]['content']}"


def body_of(text: str) -> dict:
    return {"model": "tiny", "messages": [{"role": "user", "content": text}]}


@pytest.fixture
def connect():
    """Function: how to answer (or what, the first time) -> a server and a client of it."""
    opened = []

    def make(answer: Answerer | object = echo, **options) -> tuple[ChatServer, openai.OpenAI]:
        server = ChatServer(answer if callable(answer) else script(answer, then=echo), **options)
        client = openai.OpenAI(api_key="test-key", base_url=server.url, max_retries=0, timeout=5)
        opened.extend([client, server])
        return server, client

    yield make
    for one in opened:
        one.close()


def ask(client: openai.OpenAI, text: str = "hi", **options):
    return client.chat.completions.create(**body_of(text), **options)


# --- completions ---


def test_completion(connect):
    server, client = connect()
    reply = ask(client, "grüß dich")
    assert reply.choices[0].message.content == "You said: grüß dich" and reply.choices[0].finish_reason == "stop"
    assert (reply.object, reply.model) == ("chat.completion", "tiny")
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.total_tokens) == (2, 5, 7)
    assert server.tokens == {"prompt_tokens": 2, "completion_tokens": 5}
    assert server.requests == [body_of("grüß dich")] and server.answered == {canonical(body_of("grüß dich")): 1}
    assert server.headers[0]["authorization"] == "Bearer test-key"


@pytest.mark.parametrize("answer", [{"score": 3}, Verdict(score=3)])
def test_structured_content(connect, answer):
    _, client = connect(answer)
    reply = client.chat.completions.parse(**body_of("hi"), response_format=Verdict)
    assert reply.choices[0].message.parsed == Verdict(score=3)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
def test_status(connect, code, error):
    server, client = connect(Status(code, "No.", "some_type", "insufficient_quota", {"Retry-After": "7"}))
    with pytest.raises(error, match=r"No\.") as caught:
        ask(client)
    assert (caught.value.status_code, caught.value.type, caught.value.code) == (code, "some_type", "insufficient_quota")
    assert caught.value.response.headers["retry-after"] == "7"
    assert ask(client).choices[0].message.content == "You said: hi"
    assert len(server.requests) == 2 and server.answered.total() == 1 and not server.paid_twice()


def test_html_error(connect):
    _, client = connect(Status(503, "Bad gateway", html=True))
    with pytest.raises(openai.InternalServerError) as caught:
        ask(client)
    assert caught.value.response.text == "<html>Bad gateway</html>"
    assert caught.value.response.headers["content-type"] == "text/html"


def test_wrong_key_is_echoed(connect):
    server, client = connect(key="the-right-key")
    with pytest.raises(openai.AuthenticationError, match=r"Incorrect API key provided: test-key\."):
        ask(client)
    with pytest.raises(openai.AuthenticationError, match="test-key"):
        client.batches.list()
    assert len(server.requests) == 1 and not server.answered
    assert ask(client.with_options(api_key="the-right-key")).usage


def test_wrong_address(connect):
    server, client = connect()
    with pytest.raises(openai.NotFoundError, match="Not found: GET models"):
        client.models.list()
    with pytest.raises(openai.NotFoundError):
        ask(client.with_options(base_url=server.url.removesuffix("/v1")))
    assert not server.requests


def test_slow(connect):
    server, client = connect(script(Slow(0.05, "in time"), Slow(30), Slow(0.05, Status(500)), then=echo))
    assert ask(client).choices[0].message.content == "in time"
    with pytest.raises(openai.APITimeoutError):
        ask(client, timeout=0.1)
    with pytest.raises(openai.InternalServerError):
        ask(client)
    assert server.answered == {canonical(body_of("hi")): 2} and server.paid_twice() == [body_of("hi")]


@pytest.mark.parametrize("when", ["before", "body"])
def test_cut(connect, when):
    server, client = connect(script(Cut("lost", when), Cut(Status(500), when), then=echo))
    for _ in range(2):
        with pytest.raises(openai.APIConnectionError) as caught:
            ask(client)
        assert not isinstance(caught.value, openai.APITimeoutError)
    assert len(server.requests) == 2 and server.answered.total() == 1  # an error that was cut costs nothing
    assert ask(client).choices[0].message.content == "You said: hi"


@pytest.mark.parametrize(
    ("answer", "finish", "content", "refusal"),
    [
        (Refusal("I won't."), "stop", None, "I won't."),
        (Truncated({"score": 3}), "length", '{"scor', None),
        (Truncated("abcdef"), "length", "abc", None),
        (Filtered(), "content_filter", "", None),
    ],
)
def test_unusable_answers_are_paid(connect, answer, finish, content, refusal):
    server, client = connect(answer)
    reply = ask(client)
    choice = reply.choices[0]
    assert (choice.finish_reason, choice.message.content, choice.message.refusal) == (finish, content, refusal)
    assert server.answered.total() == 1 and server.tokens["completion_tokens"] == reply.usage.completion_tokens >= 1


def test_raw(connect):
    server, client = connect(script(Raw(b"<html>Log in"), Raw(b"{}", "application/json"), then=echo))
    assert ask(client) == "<html>Log in"  # so the openai package takes what is not JSON
    assert ask(client).choices is None
    assert not server.answered


def test_bad_json(connect):
    _, client = connect(Raw(b'{"id": "chatcmpl', "application/json"))
    with pytest.raises(ValueError):
        ask(client)


def test_once_per_request(connect):
    server, client = connect(once_per_request(Status(429), echo))
    for text in ("a", "b"):
        with pytest.raises(openai.RateLimitError):
            ask(client, text)
        assert ask(client, text).choices[0].message.content == f"You said: {text}"
    assert len(server.requests) == 4 and not server.paid_twice()


def test_async_client(connect):
    server, _ = connect(script(Status(429), Cut("lost"), then=echo))

    async def talk() -> list:
        async with openai.AsyncOpenAI(api_key="test-key", base_url=server.url, max_retries=0) as client:
            calls = [client.chat.completions.create(**body_of(text)) for text in "abcdef"]
            calls.append(client.files.create(file=("x", b"{}"), purpose="batch"))
            return await asyncio.gather(*calls, return_exceptions=True)

    *replies, file = asyncio.run(talk())
    kinds = Counter(type(reply) for reply in replies)
    assert kinds == {openai.RateLimitError: 1, openai.APIConnectionError: 1, openai.types.chat.ChatCompletion: 4}
    assert server.files[file.id] == b"{}" and server.answered.total() == 5


def test_crowd(connect):
    """Every scripted behaviour is given once, and many clients at a time are served without delay."""
    server, client = connect(script(*(f"answer {i}" for i in range(64)), then=echo))
    start = time.monotonic()
    with ThreadPoolExecutor(32) as pool:
        replies = list(pool.map(lambda i: ask(client, str(i)).choices[0].message.content, range(64)))
    assert sorted(replies) == sorted(f"answer {i}" for i in range(64))
    assert len(server.requests) == 64 and server.answered.total() == 64 and not server.paid_twice()
    assert time.monotonic() - start < 3


def test_close_is_quick(connect, capfd):
    """Neither a sleeping answer nor a connection that is kept alive holds the server open."""
    server, client = connect(script("first", Slow(30), then=echo))
    ask(client)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(ask, client)
        while len(server.requests) < 2:
            time.sleep(0.01)
        start = time.monotonic()
        with server:
            pass
        assert isinstance(waiting.exception(), openai.APIConnectionError)
    with pytest.raises(openai.APIConnectionError):
        ask(client)
    assert time.monotonic() - start < 1
    assert capfd.readouterr() == ("", "")


# --- batches ---


def upload(client: openai.OpenAI, *texts: str) -> openai.types.FileObject:
    call = {"method": "POST", "url": "/v1/chat/completions"}
    lines = [json.dumps({"custom_id": text, **call, "body": body_of(text)}, ensure_ascii=False) for text in texts]
    return client.files.create(file=("lines.jsonl", "\r\n".join(lines).encode()), purpose="batch")


def create(client: openai.OpenAI, *texts: str, **metadata: str) -> openai.types.Batch:
    return client.batches.create(
        input_file_id=upload(client, *texts).id, endpoint="/v1/chat/completions", completion_window="24h",
        metadata=metadata,
    )  # fmt: skip


def finish(client: openai.OpenAI, name: str) -> openai.types.Batch:
    while not (batch := client.batches.retrieve(name)).status.startswith(("complet", "expired", "fail", "cancelled")):
        pass
    return batch


def rows(client: openai.OpenAI, name: str | None) -> dict[str, dict]:
    """The lines of a result file by custom_id, in the file's order."""
    lines = client.files.content(name).text.splitlines() if name else []
    return {line["custom_id"]: line for line in map(json.loads, lines)}


def test_files(connect):
    server, client = connect()
    file = upload(client, "a", "ü")
    data = server.files[file.id]
    assert client.files.content(file.id).content == data and file.bytes == len(data) and server.uploads == 1
    assert data.endswith('"content": "ü"}]}}'.encode())
    assert client.files.delete(file.id).deleted and not server.files
    with pytest.raises(openai.NotFoundError):
        client.files.content(file.id)
    with pytest.raises(openai.NotFoundError):
        client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")


@pytest.mark.parametrize("shuffle", [True, False])
def test_batch(connect, shuffle):
    wrong = {"limit": Status(429, "Slow down.", error_code="rate_limit_exceeded"), "refused": Refusal("No.")}
    wrong |= {"half": Truncated("abcdef"), "filtered": Filtered(), "late": Slow(30, "x"), "raw": Raw(b"<html>")}
    server, client = connect(lambda body: wrong.get(body["messages"][0]["content"]) or echo(body))
    server.shuffle_output = shuffle
    batch = create(client, "a", "b", *wrong, job="7")
    assert batch.status == "validating" and batch.metadata == {"job": "7"} and not server.answered
    assert [client.batches.retrieve(batch.id).status for _ in range(4)] == ["in_progress"] * 2 + ["completed"] * 2

    batch = client.batches.retrieve(batch.id)
    assert (batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed) == (8, 7, 1)
    good, bad = rows(client, batch.output_file_id), rows(client, batch.error_file_id)
    order = ["a", "b", "refused", "half", "filtered", "late", "raw"]
    assert list(good) == (order[::-1] if shuffle else order) and list(bad) == ["limit"]
    assert bad["limit"]["response"]["status_code"] == 429 and bad["limit"]["error"] is None
    assert bad["limit"]["response"]["body"]["error"]["code"] == "rate_limit_exceeded"
    assert good["raw"]["response"]["body"] == "<html>"
    choices = {name: row["response"]["body"]["choices"][0] for name, row in good.items() if name != "raw"}
    openai.types.chat.ChatCompletion.model_validate(good["a"]["response"]["body"], strict=True)
    assert choices["a"]["message"]["content"] == "You said: a" and choices["late"]["message"]["content"] == "x"
    assert choices["refused"]["message"]["refusal"] == "No."
    assert choices["half"]["finish_reason"] == "length" and choices["filtered"]["finish_reason"] == "content_filter"
    assert server.answered.total() == 6 and not server.requests and not server.paid_twice()


def test_batch_expires(connect):
    server, client = connect()
    server.expire_after = 1
    first = create(client, "a", "b", "c")
    client.files.delete(first.input_file_id)
    first = finish(client, first.id)
    assert first.status == "expired" and first.request_counts.failed == 2
    assert list(rows(client, first.output_file_id)) == ["a"]
    late = rows(client, first.error_file_id)
    assert set(late) == {"b", "c"} and late["b"]["response"] is None and late["b"]["error"]["code"] == "batch_expired"

    server.expire_after = None
    second = finish(client, create(client, "b", "c").id)
    assert second.status == "completed" and second.error_file_id is None and not server.paid_twice()
    server.expire_after = 0
    third = finish(client, create(client, "d").id)
    assert third.status == "expired" and third.output_file_id is None
    server.expire_after = None
    assert finish(client, create(client, "a").id).status == "completed" and server.paid_twice() == [body_of("a")]


def test_batch_fails_validation(connect):
    server, client = connect()
    server.fail_validation = "Enqueued token limit reached."
    batch = finish(client, create(client, "a").id)
    assert batch.status == "failed" and batch.output_file_id is batch.error_file_id is None
    assert batch.errors.data[0].code == "token_limit_exceeded"
    assert batch.errors.data[0].message == "Enqueued token limit reached." and not server.answered


def test_batches_are_listed_newest_first(connect):
    server, client = connect()
    assert client.batches.list().data == []
    names = [create(client, "a", number=str(number)).id for number in range(5)]
    page = client.batches.list(limit=2)
    assert [batch.id for batch in page.data] == names[:2:-1] and page.has_more
    assert [batch.id for batch in client.batches.list(limit=2, after=names[1]).data] == names[:1]
    assert not client.batches.list(limit=5).has_more
    assert [batch.id for batch in client.batches.list(limit=2) if batch.metadata == {"number": "1"}] == [names[1]]
    assert list(server.batches) == names


def test_cut_batch_create(connect):
    """The batch is there although its maker never heard of it; its metadata tells whose it is."""
    server, client = connect()
    server.cut_batch_create = 1
    with pytest.raises(openai.APIConnectionError):
        create(client, "a", job="7")
    (batch,) = [batch for batch in client.batches.list() if batch.metadata == {"job": "7"}]
    assert finish(client, batch.id).request_counts.completed == 1
    assert create(client, "b").id in server.batches


def test_cancel(connect):
    server, client = connect()
    batch = create(client, "a")
    assert client.batches.cancel(batch.id).status == "cancelling"
    assert client.batches.retrieve(batch.id).status == "cancelled" and not server.answered
    with pytest.raises(openai.ConflictError, match="status 'cancelled'"):
        client.batches.cancel(batch.id)
    with pytest.raises(openai.NotFoundError):
        client.batches.retrieve("batch_unknown")
