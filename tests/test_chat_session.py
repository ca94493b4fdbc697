"""What a caller sees: answers in order, repairs, what was set aside, the account."""

import json
from collections import Counter

import pytest
from chat_server import ChatServer, Filtered, Refusal, Slow, Status, Truncated, canonical
from chat_words import Word, answer, number, words

from wavllm_cli.chat.request import Request
from wavllm_cli.chat.session import GROUP, Chat
from wavllm_cli.chat.settings import Settings
from wavllm_cli.errors import WavLLMError


def no_swearing(given):
    return "Do not swear." if given.word == "damn" else None


def requests(n):
    return [Request(f"item {i}", "Write.", {"n": i}, Word(word="seven"), 20, no_swearing) for i in range(n)]


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")


@pytest.fixture
def start(tmp_path):
    """Function: a server -> a chat, as a new process would make it."""

    def make(server, output="out.jsonl", **more) -> Chat:
        settings = Settings(base_url=server.url, cache=tmp_path / "cache", patience=0.001, **more)
        return Chat(settings, tmp_path / output)

    return make


def first_try(content):
    """Content that the item with number 1 gets before its repair."""
    return lambda body: content if number(body) == 1 and len(body["messages"]) == 2 else answer(body)


UNUSABLE = [
    ({"wrong": 1}, "not of the asked form"),
    ("no JSON", "not of the asked form"),
    ({"word": "damn"}, "Do not swear"),
    (Truncated({"word": "word 1"}), "truncated (a reasoning model needs --reasoning-tokens)"),
]


def test_answers_are_in_the_order_of_their_requests(start):
    with ChatServer(lambda body: Slow(0.03 * (number(body) % 3), answer(body))) as server:
        assert start(server).ask(requests(12), "s") == words(12)
        assert start(server).ask(requests(12)[::-1], "s") == words(12)[::-1]


@pytest.mark.parametrize("unusable", [content for content, _ in UNUSABLE])
def test_an_unusable_answer_is_repaired(start, unusable):
    with ChatServer(first_try(unusable)) as server:
        chat = start(server)
        assert chat.ask(requests(3), "s") == words(3)
        first, second = (body for body in server.requests if number(body) == 1)
        assert second["messages"][:2] == first["messages"] and second["messages"][3]["role"] == "user"
        room = 2 if isinstance(unusable, Truncated) else 1
        assert second["max_completion_tokens"] == room * first["max_completion_tokens"]
        assert not chat.set_aside and chat.report(3).complete
        assert (chat.stages["s"].items, chat.stages["s"].usable, chat.stages["s"].requests) == (3, 3, 4)

        assert start(server).ask(requests(3), "s") == words(3)  # the unusable reply is known, too
        assert len(server.requests) == 4 and not server.paid_twice()


@pytest.mark.parametrize(
    ("unusable", "reason", "tries"),
    [
        *((content, reason, 2) for content, reason in UNUSABLE),
        (Refusal("I won't."), "refused: I won't.", 1),
        (Filtered(), "stopped by the server's content filter", 1),
    ],
)
def test_what_stays_unusable_is_set_aside(start, unusable, reason, tries):
    with ChatServer(lambda body: unusable if number(body) == 1 else answer(body)) as server:
        for _ in range(2):  # the second run knows it all
            chat = start(server)
            assert chat.ask(requests(3), "s") == [*words(1), None, words(3)[2]]
            assert [(item.id, item.stage, item.reason) for item in chat.set_aside] == [("item 1", "s", reason)]
            assert chat.report(2).complete
            assert len(server.requests) == 2 + tries


def test_a_repair_that_meets_trouble_is_asked_for_again(start):
    def broken(body):
        return Status(500, "Oh.") if len(body["messages"]) == 4 else {"wrong": number(body)}

    with ChatServer(broken) as server:
        chat = start(server)
        assert chat.ask(requests(1), "s") == [None] and not chat.report(0).complete
        assert [item.reason for item in chat.set_aside] == ["server error (500: Oh), 6 times"]
        server.answer = answer
        assert start(server).ask(requests(1), "s") == words(1) and len(server.requests) == 8


def test_each_of_two_equal_requests_is_judged_by_its_own_check(start):
    (strict,) = requests(1)
    strict = Request("strict", strict.instructions, strict.material, strict.example, 20, lambda given: "Never good.")
    with ChatServer(answer) as server:
        chat = start(server)
        assert chat.ask([*requests(1), strict], "s") == [*words(1), None]
        assert [item.id for item in chat.set_aside] == ["strict"] and len(server.requests) == 2


def test_groups(start):
    with ChatServer(answer) as server:
        items = list(range(2 * GROUP + 1))
        assert [len(group) for group in start(server).groups(items)] == [GROUP, GROUP, 1]
        assert [item for group in start(server).groups(items) for item in group] == items
        assert list(start(server).groups([])) == []
        assert list(start(server, batch=True).groups(items)) == [items]


def test_dry_run(start, capsys, tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with ChatServer(answer) as server:
        for batch, share in ((False, 1), (True, 0.5)):
            chat = start(server, dry_run=True, batch=batch)
            assert chat.ask(requests(4) * 2, "first") == [Word(word="seven")] * 8
            assert chat.ask(requests(2), "second") == [Word(word="seven")] * 2
            data = chat.estimate().data()
            first = data["stages"]["first"]
            assert (first["requests"], first["known"]) == (4, 0)
            assert first["usd"] == pytest.approx(
                share * (0.4 * first["prompt_tokens"] + 1.6 * first["completion_tokens"]) / 1e6
            )
            assert 0 < first["usd"] < first["usd_at_most"] and first["completion_tokens"] == 4 * 4
            assert json.loads(json.dumps(data)) == data
            assert data["sample"] == requests(1)[0].body("gpt-4.1-mini")
        assert not server.headers and not list(tmp_path.iterdir())
    chat.estimate().show()
    shown = capsys.readouterr()
    assert '{"n": 0}' in shown.out and "$0.0" in shown.out and "Nothing was asked." in shown.err


def test_dry_run_knows_what_was_answered(start, monkeypatch):
    with ChatServer(answer) as server:
        start(server).ask(requests(3), "s")
        chat = start(server, dry_run=True)
        assert chat.ask(requests(5), "s") == [*words(3), Word(word="seven"), Word(word="seven")]
        assert (chat.stages["s"].requests, chat.stages["s"].known) == (5, 3) and len(server.requests) == 3
        unpriced = start(server, dry_run=True, model="my-own")
        unpriced.ask(requests(1), "s")
        assert unpriced.estimate().data()["stages"]["s"]["usd"] is None


def test_a_dry_run_costs_no_more_than_it_says(start):
    with ChatServer(answer) as server:
        dry, chat = start(server, dry_run=True), start(server)
        dry.ask(requests(20), "s")
        chat.ask(requests(20), "s")
        said = dry.estimate().data()["stages"]["s"]
    assert said["usd"] / 3 < chat.report(20).usd < 3 * said["usd"] < said["usd_at_most"] * 3
    assert chat.report(20).usd <= said["usd_at_most"]


def mixed(body):
    match number(body):
        case 1:
            return Refusal("I won't.")
        case 2 | 3:
            return {"word": "damn"}
        case 4:
            return Status(400, "Too long.")
        case _:
            return answer(body)


def test_report(start, tmp_path, capsys):
    with ChatServer(mixed) as server:
        chat = start(server)
        answers = chat.ask(requests(10), "words")
        chat.reject("item 9", "words", "too much like another")
        report = chat.report(answers.count(None))
    assert answers.count(None) == 4 and not report.complete
    assert Counter(item.reason for item in report.set_aside) == {
        "refused: I won't.": 1,
        "Do not swear": 2,
        "rejected by the server (400: Too long)": 1,
        "too much like another": 1,
    }
    data = report.data()
    assert json.loads(json.dumps(data)) == data
    assert data["stages"] == {"words": {"items": 10, "usable": 6, "requests": 12, "known": 0}}
    sent = data["network"]["sent"]
    assert 12 <= sent <= 17  # what is refused before anything is answered is put in other words
    assert data["network"] == {"sent": sent, "answered": 11, "retried": 0, "known": 0, "lost": 0}

    report.show()
    shown = capsys.readouterr()
    (line,) = (line for line in shown.out.splitlines() if "Do not swear" in line)
    assert "item 2, item 3" in line and " 2 " in line
    assert f"{sent} requests sent" in shown.err and "the same command asks for them again" in shown.err

    file = report.write_set_aside()
    assert file == tmp_path / "out.jsonl.set-aside.jsonl"
    assert [json.loads(line) for line in file.read_text().splitlines()] == data["set_aside"]
    assert start(server).report(0).write_set_aside() is None and not file.exists()


def test_outputs_do_not_share_what_they_set_aside(start):
    with ChatServer(answer) as server:
        files = set()
        for name in ("train.v1.jsonl", "train.v2.jsonl", "train"):
            chat = start(server, output=name)
            chat.reject("item", "stage", "reason")
            files.add(chat.report(0).write_set_aside())
    assert len(files) == 3


def test_the_end_is_the_same_however_often_it_was_stopped(start):
    """By money, by trouble, by a server that is gone: in the end the answers are those of an undisturbed run."""
    with ChatServer(mixed) as server:
        undisturbed = start(server).ask(requests(60), "s")
        expected = Counter(map(canonical, server.requests))

    calls = 0

    def troubled(body):
        nonlocal calls
        calls += 1
        return Status(401, "Not now.") if calls % 20 == 0 else Status(500) if calls % 7 == 0 else mixed(body)

    with ChatServer(troubled) as server:
        runs = 0
        while True:
            runs += 1
            chat = start(server, max_usd=0.002 * runs)
            try:
                answers = chat.ask(requests(60), "s")
            except WavLLMError:
                continue
            if not [item for item in chat.set_aside if item.unanswered and "400" not in item.reason]:
                break
        assert answers == undisturbed and runs > 3 and not server.paid_twice()
        assert server.answered.keys() < expected.keys()  # the 400 was never answered
