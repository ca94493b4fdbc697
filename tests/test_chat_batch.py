"""Batches: their whole life, ended and begun again at every point of it."""

import json
from types import SimpleNamespace

import openai
import pytest
from chat_server import Answer as Given
from chat_server import ChatServer, Raw, Refusal, Status, once_per_request

from wavllm_cli.chat import batch
from wavllm_cli.chat.batch import Job, StillRunning
from wavllm_cli.chat.cache import Cache
from wavllm_cli.chat.live import NOT_AFFORDED
from wavllm_cli.chat.prices import find_price
from wavllm_cli.chat.request import Answer, Request
from wavllm_cli.chat.session import Chat
from wavllm_cli.chat.settings import Settings
from wavllm_cli.errors import UsageError, WavLLMError

PRICE = find_price("gpt-4.1-mini", None)


class Word(Answer):
    word: str


class Killed(BaseException):
    """The end of the process, as far as this module can tell."""


def requests(n, start=0):
    return [Request(f"item {i}", "Write the word.", {"n": i}, Word(word="seven"), 20) for i in range(start, n)]


def number(body):
    return json.loads(body["messages"][1]["content"])["n"]


def answer(body):
    return {"word": f"word\u2028{number(body)}"}


def words(n, start=0):
    return [Word(word=f"word\u2028{i}") for i in range(start, n)]


def given(trouble: Given, *numbers: int):
    return lambda body: trouble if number(body) in numbers else answer(body)


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")


@pytest.fixture
def job_file(tmp_path):
    return tmp_path / "out.jsonl.batch.json"


@pytest.fixture
def start(tmp_path):
    """Function: a server -> a chat by batches, as a new process would make it."""

    def make(server, **more) -> Chat:
        usual = {"base_url": server.url, "cache": tmp_path / "cache", "patience": 0.001, "batch": True}
        return Chat(Settings(**(usual | more)), tmp_path / "out.jsonl")

    return make


def reasons(chat):
    return {item.id: item.reason for item in chat.set_aside}


def kill_at(monkeypatch, place, name, call=1):
    """The process ends at the start of the given call of a function."""
    real, calls = getattr(place, name), []

    def fatal(*args, **options):
        calls.append(args)
        if len(calls) == call:
            raise Killed
        return real(*args, **options)

    monkeypatch.setattr(place, name, fatal)


# --- from the first to the last ---


def test_a_batch(start, job_file):
    with ChatServer(answer) as server:
        chat = start(server)
        assert chat.ask(requests(7), "s") == words(7)
        assert (server.uploads, len(server.batches), len(server.requests)) == (1, 1, 0)
        assert not job_file.exists() and not server.paid_twice()
        cost = PRICE.cost(server.tokens["prompt_tokens"], server.tokens["completion_tokens"], batch=True)
        assert chat.budget.spent == pytest.approx(cost)
        assert (chat.tally.sent, chat.tally.answered) == (7, 7)
        (made,) = server.batches.values()
        assert (made["endpoint"], made["completion_window"]) == ("/v1/chat/completions", "24h")


def test_what_is_known_needs_neither_key_nor_server(start, monkeypatch):
    with ChatServer(answer) as server:
        start(server).ask(requests(3), "s")
    monkeypatch.delenv("OPENAI_API_KEY")
    assert start(server).ask(requests(3), "s") == words(3)
    with pytest.raises(UsageError, match="no API key"):
        start(server).ask(requests(4), "s")


def test_large_jobs_are_cut(start, monkeypatch):
    monkeypatch.setattr(batch, "MAX_REQUESTS", 3)
    with ChatServer(answer) as server:
        assert start(server).ask(requests(7), "s") == words(7)
        assert [len(lines) for lines in server.lines.values()] == [3, 3, 1]
        monkeypatch.setattr(batch, "MAX_BYTES", 1)  # a single request may be larger
        assert start(server).ask(requests(9, 7), "s") == words(9, 7)
        assert [len(lines) for lines in server.lines.values()] == [3, 3, 1, 1, 1]


def test_without_waiting(start, job_file):
    with ChatServer(answer) as server:
        server.batch_polls = 3
        for _ in range(3):
            with pytest.raises(StillRunning, match=r"^Batch batch_\d+ is (validating|in_progress), 0 requests done\.$"):
                start(server, wait=False).ask(requests(3), "s")
        assert Job.model_validate_json(job_file.read_bytes()).requests == 3
        assert start(server).ask(requests(3), "s") == words(3)
        assert len(server.batches) == 1 and not server.paid_twice() and not job_file.exists()


def test_repairs_are_a_second_batch(start):
    def careless(body):
        return {"wrong": 1} if number(body) < 2 and len(body["messages"]) == 2 else answer(body)

    with ChatServer(careless) as server:
        chat = start(server)
        assert chat.ask(requests(5), "s") == words(5)
        assert [len(lines) for lines in server.lines.values()] == [5, 2] and not server.paid_twice()
        assert (chat.stages["s"].items, chat.stages["s"].requests) == (5, 7)


# --- lines that fail ---


def test_a_line_that_failed_for_now_is_asked_again(start):
    with ChatServer(once_per_request(Status(429, "Slow down."), answer)) as server:
        assert start(server).ask(requests(3), "s") == words(3)
        assert len(server.batches) == 2 and not server.paid_twice()


@pytest.mark.parametrize(
    ("trouble", "reason", "batches"),
    [
        (Status(400, "Too long."), "not answered in its batch (400: Too long)", 1),
        (Status(500, "Oh no."), "not answered in its batch (500: Oh no)", 4),
        (Raw(b"Bad gateway", code=502), "not answered in its batch (502: Bad gateway)", 4),
        (Raw(b"<html>"), "the server's answer is not a chat completion", 4),
        (Refusal("I won't."), "refused: I won't.", 1),
    ],
)
def test_lines_that_never_succeed_are_set_aside(start, job_file, trouble, reason, batches):
    with ChatServer(given(trouble, 1, 3)) as server:
        chat = start(server)
        assert chat.ask(requests(5), "s") == [None if i in (1, 3) else word for i, word in enumerate(words(5))]
        assert reasons(chat) == {"item 1": reason, "item 3": reason}
        assert len(server.batches) == batches and not server.paid_twice() and not job_file.exists()


def test_an_expired_batch_gives_what_it_has(start):
    with ChatServer(answer) as server:
        server.expire_after = 2
        assert start(server).ask(requests(7), "s") == words(7)
        assert [len(lines) for lines in server.lines.values()] == [7, 5, 3, 1] and not server.paid_twice()


def test_three_batches_without_an_answer_are_enough(start, job_file):
    with ChatServer(answer) as server:
        server.expire_after = 0
        chat = start(server)
        assert chat.ask(requests(2), "s") == [None, None]
        assert len(server.batches) == 3 and not job_file.exists() and not server.answered
    (reason,) = set(reasons(chat).values())
    assert reason.startswith("not answered in its batch (batch_expired: This request could not")
    assert not chat.report(0).complete


# --- batches that the server does not take ---


class SmallServer(ChatServer):
    """Takes three lines at once."""

    def finalise(self, batch):
        self.fail_validation = "Enqueued token limit reached." if len(self.lines[batch["id"]]) > 3 else None
        return super().finalise(batch)


def test_a_batch_that_is_too_big_is_halved(start, capfd):
    with SmallServer(answer) as server:
        assert start(server).ask(requests(13), "s") == words(13)
        assert [len(lines) for lines in server.lines.values()] == [13, 6, 3, 3, 3, 3, 1]
        assert not server.paid_twice()
    assert "takes fewer requests at once: 6 are tried." in capfd.readouterr().err


@pytest.mark.parametrize(("code", "count"), [("invalid_json_line", 3), ("token_limit_exceeded", 1)])
def test_a_batch_that_is_wrong_is_one_sentence(start, job_file, code, count):
    with ChatServer(answer) as server:
        server.fail_validation, server.validation_code = "This is no good.", code
        with pytest.raises(WavLLMError, match=r"did not accept batch batch_\d+: This is no good\.$"):
            start(server).ask(requests(count), "s")
        assert len(server.batches) == 1 and not job_file.exists()


def test_a_cancelled_batch_is_one_sentence_and_then_asked_again(start, job_file):
    with ChatServer(answer) as server:
        with pytest.raises(StillRunning):
            start(server, wait=False).ask(requests(2), "s")
        (name,) = server.batches
        openai.OpenAI(api_key="test-key", base_url=server.url).batches.cancel(name)
        with pytest.raises(WavLLMError, match=f"^Batch {name} was cancelled; its 0 answers are kept"):
            start(server).ask(requests(2), "s")
        assert not job_file.exists()
        assert start(server).ask(requests(2), "s") == words(2)
        assert len(server.batches) == 2 and not server.paid_twice()


@pytest.mark.parametrize(
    ("status", "kind", "sentence"),
    [
        (Status(401, "No."), UsageError, "does not accept the key in OPENAI_API_KEY: No"),
        (Status(429, "No.", error_code="insufficient_quota"), WavLLMError, "no money or quota left: No"),
        (Status(400, "No batches here."), WavLLMError, "No batches here"),
    ],
)
def test_a_creation_that_is_refused_is_one_sentence(start, job_file, monkeypatch, status, kind, sentence):
    with ChatServer(answer) as server:
        monkeypatch.setattr(server, "create", lambda body: status)
        with pytest.raises(kind, match=f"{sentence}[^\n]*\\.$"):
            start(server).ask(requests(2), "s")
        assert not job_file.exists()


def test_a_creation_that_a_proxy_lost_is_looked_up(start, job_file, monkeypatch):
    """504 is no answer of the server's: there may be a batch, and it would be paid."""
    with ChatServer(answer) as server:
        create = server.create
        monkeypatch.setattr(server, "create", lambda body: create(body) and Status(504, "Timeout", html=True))
        with pytest.raises(WavLLMError, match="504"):
            start(server).ask(requests(2), "s")
        assert job_file.exists()
        assert start(server).ask(requests(2), "s") == words(2)
        assert len(server.batches) == 1 and not job_file.exists()


def test_no_server(start, monkeypatch):
    monkeypatch.setattr(batch, "RETRIES", 0)
    server = ChatServer(answer)
    server.close()
    with pytest.raises(WavLLMError, match=r"cannot be reached .*check the network"):
        start(server).ask(requests(2), "s")


# --- nothing twice, wherever it ended ---


@pytest.mark.parametrize(
    ("place", "name", "call"),
    [
        (Job, "write", 1),
        (openai.resources.batches.Batches, "create", 1),
        (Job, "write", 2),
        (openai.resources.batches.Batches, "retrieve", 1),
        (openai.resources.batches.Batches, "retrieve", 3),
        (openai.resources.files.Files, "content", 1),
        (Cache, "put", 1),
        (Cache, "put", 4),
    ],
)
def test_killed_and_started_again(start, job_file, place, name, call):
    with ChatServer(answer) as server:
        server.batch_polls = 2
        with pytest.MonkeyPatch.context() as patch:
            kill_at(patch, place, name, call)
            with pytest.raises(Killed):
                start(server).ask(requests(5), "s")
        assert len(server.batches) <= 1
        assert start(server).ask(requests(5), "s") == words(5)
        assert len(server.batches) == 1 and not server.paid_twice() and not job_file.exists()


def test_killed_before_the_job_was_closed(start, job_file):
    with ChatServer(answer) as server:
        with pytest.raises(StillRunning):
            start(server, wait=False).ask(requests(3), "s")
        job = job_file.read_bytes()
        start(server).ask(requests(3), "s")
        job_file.write_bytes(job)
        assert start(server).ask(requests(3), "s") == words(3)
        assert len(server.batches) == 1 and not job_file.exists()


def test_interrupted_while_waiting(start, job_file, monkeypatch):
    def interrupt(seconds):
        raise KeyboardInterrupt

    with ChatServer(answer) as server:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(batch, "time", SimpleNamespace(sleep=interrupt))
            with pytest.raises(KeyboardInterrupt):
                start(server).ask(requests(3), "s")
        assert start(server).ask(requests(3), "s") == words(3) and len(server.batches) == 1


def test_a_creation_that_was_not_told_is_found_by_its_label(start):
    with ChatServer(answer) as server:
        server.cut_batch_create = 1
        assert start(server).ask(requests(3), "s") == words(3)
        assert len(server.batches) == 1 and not server.paid_twice()


def test_other_requests_meanwhile(start):
    """What was submitted is kept for whoever asks it again; what is asked now is asked."""
    with ChatServer(answer) as server:
        with pytest.raises(StillRunning):
            start(server, wait=False).ask(requests(4), "s")
        assert start(server).ask(requests(6, 2), "s") == words(6, 2)
        assert [len(lines) for lines in server.lines.values()] == [4, 2]
        assert start(server).ask(requests(6), "s") == words(6)
        assert len(server.batches) == 2 and not server.paid_twice()


def test_a_batch_is_collected_although_nothing_is_missing(start, job_file):
    with ChatServer(answer) as server:
        with pytest.raises(StillRunning):
            start(server, wait=False).ask(requests(4), "s")
        assert start(server).ask([], "s") == []
        assert not job_file.exists() and start(server).ask(requests(4), "s") == words(4) and len(server.batches) == 1


def test_a_batch_is_not_forgotten_by_single_requests(start, job_file):
    with ChatServer(answer) as server:
        with pytest.raises(StillRunning):
            start(server, wait=False).ask(requests(2), "s")
        with pytest.raises(UsageError, match="names a batch that has been paid for: collect it with --batch"):
            start(server, batch=False).ask(requests(2), "s")
        assert job_file.exists() and not server.requests
        start(server).ask(requests(2), "s")
        assert start(server, batch=False).ask(requests(3), "s") == words(3)
        assert len(server.requests) == 1 and not server.paid_twice()


# --- job files ---


def test_a_job_of_another_server(start, job_file):
    with ChatServer(answer) as server, ChatServer(answer) as other:
        with pytest.raises(StillRunning):
            start(server, wait=False).ask(requests(2), "s")
        with pytest.raises(UsageError, match=f"belongs to a batch at {server.url}, not {other.url}"):
            start(other).ask(requests(2), "s")
        assert job_file.exists() and not other.batches


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"label": "x"}', b"\xff"])
def test_a_damaged_job_file(start, job_file, content):
    job_file.write_bytes(content)
    with ChatServer(answer) as server:
        with pytest.raises(UsageError, match="is not a job file of wavllm: delete it to ask everything again"):
            start(server).ask(requests(2), "s")
        assert job_file.read_bytes() == content and not server.uploads


def test_a_job_that_the_server_does_not_know(start, job_file):
    with ChatServer(answer) as server:
        Job(base_url=server.url, label="x", requests=2, batch="batch_77").write(job_file)
        with pytest.raises(UsageError, match=r"knows no batch batch_77, which .*: use the key"):
            start(server).ask(requests(2), "s")
        assert job_file.exists() and not server.uploads


def test_answers_that_are_no_longer_on_the_server(start, job_file, monkeypatch):
    with ChatServer(answer) as server:
        with pytest.MonkeyPatch.context() as patch:
            kill_at(patch, openai.resources.files.Files, "content")
            with pytest.raises(Killed):
                start(server).ask(requests(2), "s")
        server.files.clear()
        with pytest.raises(WavLLMError, match="no longer on the server: delete that file"):
            start(server).ask(requests(2), "s")
        assert job_file.exists()


# --- money ---


def test_a_batch_holds_what_can_be_afforded(start):
    asked = requests(10)
    most = [PRICE.at_most(request.body("gpt-4.1-mini"), batch=True) for request in asked]
    with ChatServer(answer) as server:
        limit = sum(most[:4]) + most[4] / 2
        chat = start(server, max_usd=limit)
        answers = chat.ask(asked, "s")
        cost = PRICE.cost(server.tokens["prompt_tokens"], server.tokens["completion_tokens"], batch=True)
        assert len(next(iter(server.lines.values()))) == 4
        assert chat.budget.spent == pytest.approx(cost) and cost <= limit
        assert limit - cost < most[-1] or None not in answers  # what was cheaper than feared buys more

        none = start(server, max_usd=0.0)
        assert none.ask(requests(12, 10), "s") == [None, None]
        assert set(reasons(none).values()) == {NOT_AFFORDED}


def test_a_line_of_a_batch_that_is_no_answer_costs_no_other(start, job_file, capsys):
    with ChatServer(answer) as server:
        chat = start(server)
    lines = [b"[" * 3000, b"7", b'{"custom_id": 3}', b'{"custom_id": "x", "response": "none"}', b"\xff"]
    run = batch._Run({}, chat.settings, chat.cache, chat.budget, chat.tally, job_file)
    run.client.files.content = lambda file: SimpleNamespace(content=b"\n".join([*lines, b'{"custom_id": "y"}']))
    assert [line.custom_id for line in run._download("file")] == ["y"]
    assert capsys.readouterr().err.count("of a batch's answers cannot be used") == 5


def test_a_job_file_holds_no_password_and_is_the_owners_alone(start, job_file):
    with ChatServer(answer) as server:
        address = server.url.replace("//", "//user:pass@")
        with pytest.raises(StillRunning):
            start(server, wait=False, base_url=address).ask(requests(3), "s")
        assert "pass" not in job_file.read_text() and server.url in job_file.read_text()
        assert job_file.stat().st_mode & 0o777 == 0o600
        assert start(server).ask(requests(3), "s") == words(3)
