"""Single requests to a server that misbehaves: nothing is lost, nothing is paid twice, no secret leaves."""

import json
import os
import select
import signal
import socket
import socketserver
import subprocess
import sys
import time
from collections import Counter
from email.utils import formatdate
from itertools import pairwise
from pathlib import Path
from threading import Barrier, Event, Thread
from urllib.parse import urlsplit

import pytest
from chat_server import ChatServer, Cut, Raw, Slow, Status, once_per_request, script
from chat_words import Crowd, Word, answer, number, words

from wavllm_cli.chat import live
from wavllm_cli.chat.dialects import DIALECTS
from wavllm_cli.chat.live import NOT_AFFORDED
from wavllm_cli.chat.prices import find_price
from wavllm_cli.chat.request import Request
from wavllm_cli.chat.session import Chat
from wavllm_cli.chat.settings import Settings
from wavllm_cli.errors import UsageError, WavLLMError

KEY = "very-secret-0123456789"  # without the sk- of OpenAI's, which would betray it
PRICE = find_price("gpt-4.1-mini", None)
HERE = Path(__file__).parent


def requests(n):
    return [Request(f"item {i}", "Write the word.", {"n": i}, Word(word="seven"), 20) for i in range(n)]


def chat_of(url, folder, **more):
    settings = Settings(base_url=url, cache=folder / "cache", **({"patience": 0.01, "timeout": 5.0} | more))
    return Chat(settings, folder / "out.jsonl")


def reasons(chat):
    return Counter(item.reason for item in chat.set_aside)


def once_done(monkeypatch, method):
    """An event: the client has done this, one of `_Run`'s methods, for the first time."""
    done, original = Event(), getattr(live._Run, method)

    def marked(self, *args):
        result = original(self, *args)
        done.set()
        return result

    monkeypatch.setattr(live._Run, method, marked)
    return done


def dollars(server):
    """What the server has charged."""
    return PRICE.cost(server.tokens["prompt_tokens"], server.tokens["completion_tokens"], batch=False)


def dearest(i=0):
    return PRICE.at_most(requests(i + 1)[i].body("gpt-4.1-mini"), batch=False)


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


# --- pace ---


@pytest.mark.parametrize("concurrency", [1, 5])
def test_no_more_than_so_many_at_once(tmp_path, concurrency):
    crowd, together = Crowd(), Barrier(concurrency, timeout=60)

    def busy(body):
        with crowd.one_more():
            together.wait()
            time.sleep(0.01)
        return answer(body)

    with ChatServer(busy) as server:
        chat = chat_of(server.url, tmp_path, concurrency=concurrency, timeout=60.0)
        assert chat.ask(requests(20), "s") == words(20)
    assert crowd.most == concurrency


@pytest.mark.parametrize(
    ("code", "headers", "pause"),
    [
        (429, lambda: {"Retry-After": "0.4"}, 0.4),
        (503, lambda: {"Retry-After": "1"}, 1),
        (429, lambda: {"retry-after-ms": "300", "Retry-After": "60"}, 0.3),
        (429, lambda: {"Retry-After": formatdate(time.time() + 1.1, usegmt=True)}, 0.05),
    ],
)
def test_no_request_arrives_before_the_time_the_server_names(tmp_path, monkeypatch, code, headers, pause):
    together, arrivals, closed = Barrier(4, timeout=60), [], []
    held_back = once_done(monkeypatch, "_hold_back")

    def closing(body):
        arrivals.append(time.monotonic())
        if len(arrivals) > 4:
            return answer(body)
        if together.wait() == 0:
            closed.append(time.monotonic())
            return Status(code, headers=headers())
        held_back.wait(60)
        return answer(body)

    with ChatServer(closing) as server:
        chat = chat_of(server.url, tmp_path, concurrency=4, timeout=60.0)
        assert chat.ask(requests(12), "s") == words(12)
    assert len(server.requests) == 13 and not server.paid_twice()
    assert min(arrivals[4:]) >= closed[0] + pause
    assert (chat.tally.sent, chat.tally.retried, chat.tally.lost) == (13, 1, 0)


def test_who_waits_for_money_waits_for_the_server_too(tmp_path):
    arrivals = []

    def closing(body):
        arrivals.append(time.monotonic())
        return answer(body) if len(arrivals) > 1 else Status(429, headers={"Retry-After": "0.3"})

    with ChatServer(closing) as server:
        chat = chat_of(server.url, tmp_path, concurrency=2, max_usd=1.5 * dearest())
        assert chat.ask(requests(2), "s") == words(2)
    assert arrivals[1] - arrivals[0] >= 0.3


def test_pauses_grow_where_the_server_names_no_time(tmp_path):
    arrivals = []

    def closing(body):
        arrivals.append(time.monotonic())
        return answer(body) if len(arrivals) > 4 else Status(429)

    with ChatServer(closing) as server:
        assert chat_of(server.url, tmp_path, patience=0.02).ask(requests(1), "s") == words(1)
    gaps = [later - earlier for earlier, later in pairwise(arrivals)]
    assert all(gap >= least for gap, least in zip(gaps, (0.01, 0.02, 0.04, 0.08), strict=True))


def test_a_request_that_is_always_turned_away_is_set_aside(tmp_path):
    def unfair(body):
        return Status(429, "Slow down.", headers={"Retry-After": "0"}) if number(body) == 0 else answer(body)

    with ChatServer(unfair) as server:
        chat = chat_of(server.url, tmp_path)
        assert chat.ask(requests(5), "s") == [None, *words(5)[1:]]
    assert reasons(chat) == {"turned away for now (429: Slow down), 30 times": 1} and len(server.requests) == 34


# --- trouble with single requests ---


def timeouts(trouble):
    """Seconds to try: the shortest in which this machine, busy as it is, answers all but what is slow on purpose."""
    return (0.2, 1.0, 5.0) if isinstance(trouble, Slow) else (60.0,)


@pytest.mark.parametrize(
    ("trouble", "lost"),
    [
        (Status(500), 0),
        (Status(503, html=True), 0),
        (Status(409), 0),
        (Slow(60), 1),
        (Cut(when="before"), 1),
        (Cut(when="body"), 1),
        (Raw(b"<html>Log in"), 1),
        (Raw(b'{"id": "chatcmpl', "application/json"), 1),
        (Raw(b'{"choices": [{}]}', "application/json"), 1),
        (Raw(b"[" * 100_000, "application/json"), 1),
        (Raw(b'{"error": ' + b"[" * 100_000, "application/json", 500), 0),
    ],
)
def test_every_request_meets_trouble_once(tmp_path, trouble, lost):
    for timeout in timeouts(trouble):
        with ChatServer(once_per_request(trouble, answer)) as server:
            chat = chat_of(server.url, tmp_path / f"{timeout:g}", timeout=timeout)
            answers = chat.ask(requests(5), "s")
        if len(server.requests) == 10:
            break
    assert answers == words(5)
    assert len(server.requests) == 10
    assert (chat.tally.sent, chat.tally.answered, chat.tally.retried, chat.tally.lost) == (10, 5, 5, 5 * lost)
    assert not chat.set_aside


@pytest.mark.parametrize(
    ("trouble", "times", "reason"),
    [
        (Status(500, "Oh no."), 6, "server error (500: Oh no), 6 times"),
        (Status(400, "Too long."), 1, "rejected by the server (400: Too long)"),
        (Slow(60), 6, "no answer within {timeout:g} s, 6 times"),
        (Cut(), 6, "the connection was cut, 6 times"),
        (Raw(b"<html>Log in"), 6, "the server's answer is not a chat completion, 6 times"),
    ],
)
def test_lasting_trouble_sets_one_item_aside_and_no_other(tmp_path, trouble, times, reason):
    with ChatServer(lambda body: trouble if number(body) == 1 else answer(body)) as server:
        for timeout in timeouts(trouble):
            server.requests.clear()
            chat = chat_of(server.url, tmp_path / f"{timeout:g}", timeout=timeout)
            answers = chat.ask(requests(5), "s")
            if len(server.requests) == 4 + times:
                break
        assert answers == [word if i != 1 else None for i, word in enumerate(words(5))]
        sent = len(server.requests)
        # What is refused before the server has answered anything may only have been put in the wrong way.
        assert sent == 4 + times or (trouble == Status(400, "Too long.") and sent == 4 + len(DIALECTS))
        reason = reason.format(timeout=timeout)
        assert [(item.id, item.reason, item.unanswered) for item in chat.set_aside] == [("item 1", reason, True)]
        server.answer = answer
        assert chat_of(server.url, tmp_path / f"{timeout:g}").ask(requests(5), "s") == words(5)
        assert len(server.requests) == sent + 1


@pytest.mark.parametrize("trouble", [Status(400, "Too long."), Status(500, "Oh no.")])
def test_when_only_hopeless_items_are_left_a_run_ends_as_before(tmp_path, trouble):
    with ChatServer(lambda body: answer(body) if number(body) < 8 else trouble) as server:
        first, second = chat_of(server.url, tmp_path), chat_of(server.url, tmp_path)
        answers = first.ask(requests(16), "s")
        assert answers == words(8) + [None] * 8
        assert second.ask(requests(16), "s") == answers and second.set_aside == first.set_aside


# --- what ends a run: one sentence ---


@pytest.mark.parametrize(
    ("trouble", "kind", "sentence"),
    [
        (Status(401, f"Incorrect API key provided: {KEY}."), UsageError, "does not accept the key in OPENAI_API_KEY"),
        (Status(403, "Country not supported."), WavLLMError, "does not allow this key .*: Country not supported"),
        (Status(404, "No such model."), UsageError, "knows no model 'gpt-4.1-mini'.*: No such model"),
        (Status(429, "You ran out.", error_code="insufficient_quota"), WavLLMError, "no money or quota left"),
        (Status(429, "Later.", headers={"Retry-After": "7200"}), WavLLMError, "asks to wait 120 minutes: Later;"),
        (Status(400, "No schemas here."), WavLLMError, "answered none of the first 5 requests: .*No schemas here"),
        (Status(500, "Oh no."), WavLLMError, "answered none of the first 5 requests: server error .*Oh no"),
        (Raw(b"<html>Log in"), WavLLMError, "answered none of the first 5 requests: .*is not a chat completion"),
    ],
)
def test_what_is_wrong_for_all_requests_is_one_sentence(tmp_path, trouble, kind, sentence):
    with ChatServer(lambda body: trouble) as server:
        start = time.monotonic()
        with pytest.raises(kind, match=sentence) as caught:
            chat_of(server.url, tmp_path).ask(requests(200), "s")
        assert len(server.requests) <= (13 * 6 if "first 5" in sentence else 8) and time.monotonic() - start < 15
    said = str(caught.value)
    assert server.url in said and said.endswith(".") and "\n" not in said and KEY not in said


def test_paid_answers_under_way_are_kept_when_the_run_ends(tmp_path, monkeypatch):
    together, ended = Barrier(4, timeout=60), once_done(monkeypatch, "_stop")

    def mixed(body):
        together.wait()
        if number(body) == 0:
            return Status(401, "No.")
        ended.wait(60)
        return answer(body)

    with ChatServer(mixed) as server:
        with pytest.raises(UsageError):
            chat_of(server.url, tmp_path, concurrency=4, timeout=60.0).ask(requests(20), "s")
        assert len(server.requests) == 4
        server.answer = answer
        assert chat_of(server.url, tmp_path).ask(requests(20), "s") == words(20)
    assert server.answered.total() == 20 and not server.paid_twice()


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_no_server(tmp_path):
    start = time.monotonic()
    with pytest.raises(WavLLMError, match=r"^[^\n]* cannot be reached [^\n]*check the network[^\n]*$"):
        chat_of(f"http://127.0.0.1:{free_port()}/v1", tmp_path).ask(requests(50), "s")
    assert time.monotonic() - start < 20


@pytest.mark.parametrize("url", ["localhost:8000/v1", "http://127.0.0.1:99999/v1", "ftp://127.0.0.1", "http://"])
def test_an_address_must_be_one(url):
    with pytest.raises(UsageError, match="is no address of a server"):
        Settings(base_url=url)


class Socks(socketserver.BaseRequestHandler):
    """A SOCKS5 proxy (RFC 1928) that takes everybody to one server."""

    def handle(self):
        self.request.recv(2 + self.request.recv(2, socket.MSG_PEEK)[1])
        self.request.sendall(b"\5\0")
        self.request.recv(300)
        self.request.sendall(b"\5\0\0\1\0\0\0\0\0\0")
        with socket.create_connection(self.server.leads_to) as there:
            ends = {self.request: there, there: self.request}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    if not (data := end.recv(65536)):
                        return
                    ends[end].sendall(data)


def test_a_socks_proxy_of_the_environment_is_used(tmp_path, monkeypatch):
    with ChatServer(answer) as server, socketserver.ThreadingTCPServer(("127.0.0.1", 0), Socks) as proxy:
        proxy.daemon_threads = True
        proxy.leads_to = ("127.0.0.1", urlsplit(server.url).port)
        Thread(target=proxy.serve_forever, daemon=True).start()
        monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{proxy.server_address[1]}")
        assert chat_of("http://chat.example/v1", tmp_path).ask(requests(3), "s") == words(3)
        proxy.shutdown()


@pytest.mark.parametrize("batch", [False, True])
def test_a_proxy_that_is_none_is_a_sentence(tmp_path, monkeypatch, batch):
    monkeypatch.setenv("ALL_PROXY", "carrier-pigeon://127.0.0.1:9")
    with pytest.raises(UsageError, match=r"names a proxy that cannot be used: .*carrier-pigeon"):
        chat_of("http://chat.example/v1", tmp_path, batch=batch).ask(requests(1), "s")


def test_a_network_that_swallows_everything(tmp_path, monkeypatch):
    """No connection is not an answer that was lost: it ends the run, and nothing can have been charged."""
    monkeypatch.setattr(live, "CONNECT_TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as silent:
        full = [socket.socket() for _ in range(4)]
        for one in full:
            one.setblocking(False)
            one.connect_ex(silent.getsockname())
        chat = chat_of(f"http://127.0.0.1:{silent.getsockname()[1]}/v1", tmp_path)
        with pytest.raises(WavLLMError, match="cannot be reached"):
            chat.ask(requests(50), "s")
        for one in full:
            one.close()
    assert chat.tally.lost == 0 and chat.tally.sent <= 16


@pytest.mark.parametrize("value", [None, "", "  "])
def test_no_key(tmp_path, monkeypatch, value):
    monkeypatch.delenv("OPENAI_API_KEY") if value is None else monkeypatch.setenv("OPENAI_API_KEY", value)
    with ChatServer(answer) as server:
        with pytest.raises(UsageError, match="There is no API key: set the environment variable OPENAI_API_KEY"):
            chat_of(server.url, tmp_path).ask(requests(2), "s")
        assert not server.headers


@pytest.mark.parametrize("value", ["sk-schlüssel", "sk-two\nlines"])
def test_a_key_that_no_header_can_hold(tmp_path, monkeypatch, value):
    monkeypatch.setenv("OPENAI_API_KEY", value)
    with ChatServer(answer) as server, pytest.raises(UsageError, match="OPENAI_API_KEY") as caught:
        chat_of(server.url, tmp_path).ask(requests(2), "s")
    assert "sk-" not in str(caught.value)


def test_a_cache_that_cannot_be_written_ends_the_run(tmp_path):
    """Those who wait for money, too."""
    for i in range(256):
        (tmp_path / "cache").mkdir(exist_ok=True)
        (tmp_path / "cache" / f"{i:02x}").symlink_to("/proc/nowhere")
    with ChatServer(answer) as server, pytest.raises(WavLLMError, match="cannot be written"):
        chat_of(server.url, tmp_path, max_usd=1.5 * dearest()).ask(requests(20), "s")
    assert len(server.requests) == 1


@pytest.mark.parametrize("code", [400, 401, 429, 500])
def test_the_key_is_written_nowhere(tmp_path, capfd, code):
    """Not even by a server that repeats it."""

    def telltale(body):
        return answer(body) if number(body) else Status(code, f"{KEY} is wrong", headers={"Retry-After-ms": "0"})

    with ChatServer(telltale) as server:
        chat = chat_of(server.url, tmp_path)
        try:
            chat.ask(requests(8), "s")
        except UsageError as error:
            print(error)
        report = chat.report(0)
        report.write_set_aside()
        report.show()
        print(repr(chat.settings), report.data())
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    files = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 7 and not any(KEY in text for text in [*files, *capfd.readouterr()])


# --- an end that somebody else chose ---


def interrupt_at(moment, times=1, sign=signal.SIGINT):
    """Answers; the one of that number with Ctrl-C or another signal under way, `times` times."""

    def answers(body):
        if number(body) == moment:
            for _ in range(times):
                os.kill(os.getpid(), sign)
                time.sleep(0.1)
            return Slow(0.1, answer(body))
        return answer(body)

    return answers


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_waits_for_what_is_paid(tmp_path, sign):
    before = signal.getsignal(sign)
    with ChatServer(interrupt_at(10, sign=sign)) as server:
        with pytest.raises(KeyboardInterrupt):
            chat_of(server.url, tmp_path).ask(requests(100), "s")
        paid = server.answered.total()
        assert paid == len(server.requests) == len(list((tmp_path / "cache").rglob("*.json"))) < 100
        server.answer = answer
        assert chat_of(server.url, tmp_path).ask(requests(100), "s") == words(100)
    assert server.answered.total() == 100 and not server.paid_twice()
    assert signal.getsignal(sign) is before


def test_second_interrupt_does_not_wait(tmp_path):
    def stubborn(body):
        return Slow(120) if number(body) == 0 else interrupt_at(5, times=2)(body)

    with ChatServer(stubborn) as server:
        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            chat_of(server.url, tmp_path, timeout=120).ask(requests(200), "s")
        assert time.monotonic() - start < 60


def run_as_process(url, folder):
    chat_of(url, Path(folder)).ask(requests(60), "s")


@pytest.mark.parametrize(
    ("sign", "moment"),
    [
        (signal.SIGKILL, 17),
        (signal.SIGINT, 17),
        pytest.param(signal.SIGKILL, 1, marks=pytest.mark.slow),
        pytest.param(signal.SIGKILL, 50, marks=pytest.mark.slow),
    ],
)
def test_killed_and_started_again(tmp_path, sign, moment):
    child, arrived = None, 0

    def fatal(body):
        nonlocal arrived
        arrived += 1
        if arrived == moment:
            child.send_signal(sign)
        return Slow(0.01, answer(body))

    with ChatServer(fatal) as server:
        code = f"import test_chat_live; test_chat_live.run_as_process({server.url!r}, {str(tmp_path)!r})"
        child = subprocess.Popen([sys.executable, "-c", code], cwd=HERE, stderr=subprocess.PIPE, text=True)
        _, said = child.communicate(timeout=300)
        assert child.returncode == -sign
        files = [json.loads(path.read_text()) for path in (tmp_path / "cache").rglob("[0-9a-f]*.json")]
        kept = {number(file["request"]) for file in files}
        assert len(kept) >= moment - 8  # a worker asks again after it has kept what it got
        if sign == signal.SIGINT:
            assert "Ctrl-C again" in said and len(kept) == len(server.requests) < 60
        assert chat_of(server.url, tmp_path).ask(requests(60), "s") == words(60)
        sent = Counter(number(body) for body in server.requests)
        assert all(sent[i] == 1 for i in kept)
        assert len(server.paid_twice()) <= 8  # those that were under way when it was killed


# --- nothing twice ---


def test_the_same_request_is_sent_once(tmp_path):
    with ChatServer(answer) as server:
        chat = chat_of(server.url, tmp_path)
        assert chat.ask(requests(5) * 3, "s") == words(5) * 3
        assert chat.ask(requests(6), "t") == words(6)
        assert len(server.requests) == 6
        assert (chat.stages["s"].items, chat.stages["s"].requests, chat.stages["s"].known) == (15, 5, 0)
        assert (chat.stages["t"].requests, chat.stages["t"].known) == (6, 5)


# --- money ---


@pytest.mark.parametrize(
    "share", [0.0, 0.06, *(pytest.param(share, marks=pytest.mark.slow) for share in (0.03, 0.1, 5.0))]
)
@pytest.mark.parametrize("faulty", [False, True])
def test_the_budget_is_never_crossed(tmp_path, share, faulty):
    """Whatever answers cost up to their limit, and although some that were paid never arrive."""
    count = 40
    limit = share * sum(dearest(i) for i in range(count))

    def expensive(body):
        text = {"word": f"word {number(body)}" + " and more" * (number(body) % 8)}
        return Slow(0.01, text)

    script_of_faults = once_per_request(Cut({"word": "lost" + " and more" * 7}), expensive)
    with ChatServer(script_of_faults if faulty else expensive) as server:
        chat = chat_of(server.url, tmp_path, max_usd=limit)
        answers = chat.ask(requests(count), "s")
        assert dollars(server) <= limit and dollars(server) <= chat.budget.spent + 1e-12 <= limit + 2e-12
        unasked = answers.count(None)
        assert reasons(chat) == ({NOT_AFFORDED: unasked} if unasked else {})
        assert (unasked == 0) == (share > 1) and (unasked < count or share == 0 or faulty)
        assert limit - chat.budget.spent < dearest(count) or not unasked  # it is used up

        sent = len(server.requests)
        assert chat_of(server.url, tmp_path, max_usd=limit).ask(requests(count), "s") == answers
        assert len(server.requests) == sent
        larger = chat_of(server.url, tmp_path, max_usd=5 * count * dearest(count))
        assert None not in larger.ask(requests(count), "s")
        assert dollars(server) <= larger.budget.spent + 1e-12
        if not faulty:
            assert len(server.requests) == count and larger.budget.spent == pytest.approx(dollars(server))


def test_what_earlier_runs_paid_for_later_requests_counts_from_the_start(tmp_path):
    """The first items fail in the first run, so that its money goes to later ones; the second must not pay them too."""
    count = 40
    limit = 0.1 * sum(dearest(i) for i in range(count))
    with ChatServer(lambda body: Status(500) if 0 < number(body) < 20 else {"word": "x" * 60}) as server:
        for answerer in (server.answer, lambda body: {"word": "x" * 60}):
            server.answer = answerer
            chat = chat_of(server.url, tmp_path, max_usd=limit)
            for group in (requests(20), requests(40)[20:]):
                chat.ask(group, "s")
            assert dollars(server) <= chat.budget.spent + 1e-12 <= limit + 2e-12


def test_requests_under_way_share_the_money_that_is_left(tmp_path):
    """As many at once as fit at their dearest, and the next as soon as one turns out cheaper."""
    crowd, first, together = Crowd(), iter(range(3)), Barrier(3, timeout=60)

    def busy(body):
        with crowd.one_more():
            if next(first, None) is not None:
                together.wait()
            time.sleep(0.02)
        return {"word": ""}

    with ChatServer(busy) as server:
        chat = chat_of(server.url, tmp_path, max_usd=3.5 * dearest(), timeout=60.0)
        answers = chat.ask(requests(6), "s")
    assert crowd.most == 3 and answers.count(None) < 3 and dollars(server) <= 3.5 * dearest()


def test_the_price_must_be_known(tmp_path):
    with pytest.raises(UsageError, match="--max-usd needs the price of 'my-own': give it with --prices FILE"):
        chat_of("http://127.0.0.1:9", tmp_path, model="my-own", max_usd=1.0)


def test_script_of_troubles_of_all_kinds(tmp_path):
    """Trouble upon trouble, for all at once: everything is answered, in order, once."""
    troubles = [Status(429, headers={"retry-after-ms": "20"}), Status(500), Status(429), Status(502, html=True)] * 6
    with ChatServer(script(*troubles, then=answer)) as server:
        chat = chat_of(server.url, tmp_path, concurrency=16)
        assert chat.ask(requests(100), "s") == words(100)
    assert server.answered.total() == 100 and len(server.requests) == 124 == chat.tally.sent
    assert chat.tally.retried == 24
