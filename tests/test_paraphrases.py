import json
import random
import re
from collections import Counter

import pytest
from chat_server import ChatServer, Slow, Status, canonical

from wavllm_cli.chat.session import Chat
from wavllm_cli.chat.settings import Settings
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import UsageError
from wavllm_cli.prompts.paraphrases import generate
from wavllm_cli.prompts.pools import attach, load_pool, load_roles, read_pools, split_pool, write_pool
from wavllm_cli.prompts.task_check import REJECTIONS
from wavllm_cli.prompts.wording_checks import NEAR_DUPLICATE, SEPARATOR, find_fault
from wavllm_cli.tasks.registry import MULTI, SINGLE, TASKS

# What a model is told of each, roles as "ii first".
ASKED = {code: task.asks for code, task in SINGLE.items()}
ROLES = {f"{kind} {name}": role.asks for kind, task in MULTI.items() for name, role in task.roles.items()}

# What every wording of a task or role begins or ends with; the rest is made up.
CORES = {
    "asr": "Write down the words of {}",
    "st": "Translate the {} into {{language}}",
    "sv": "Is it the same speaker {}?",
    "er": "Name the emotion of {}",
    "sqa": "Mark the letter {} {{prompt}}",
    "sqqa": "Answer the {} that is asked",
    "sft": "{{prompt}} Thanks {}",
    "ii first": "first of {}",
    "ii next": "next of {}",
    "ii last": "finally {}",
    "ii text": "ignore the audio {}",
    "cot first": "start {}",
    "cot given": "with the audio {}",
    "cot text": "from the text {}",
    "cot translate": "translate the {} into {{language}}",
    "cot summarise": "give the {} in at most {{words}} words",
    "cot translate-summary": "put the summary {} into {{language}}",
}
CORES |= {code: f"Now {code} {{}}" for code in SINGLE if code not in CORES}


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")


def material(body):
    return json.loads(body["messages"][1]["content"])


def is_check(body):
    return "instructions" in material(body)


def purpose_of(body):
    system = body["messages"][0]["content"]
    return next(name for name, what in (ASKED | ROLES).items() if what in system)


def made_up(rng):
    return "".join(rng.choice(("ba", "ko", "lu", "mi", "ne", "ru", "sa", "ti")) for _ in range(3))


def write(body):
    """Ten good wordings, always the same for the same request."""
    rng = random.Random(canonical(body))
    purpose = purpose_of(body)
    words = 4 if purpose in ROLES else 6
    core = CORES[purpose]
    return {"wordings": [core.format(" ".join(made_up(rng) for _ in range(words))) for _ in range(10)]}


def label(body):
    """What the cores say, among the tasks or the roles that the request tells of."""
    told = [name for name, what in (ASKED | ROLES).items() if what in body["messages"][0]["content"]]
    cores = {
        name.split(" ", 1)[-1]: re.compile(re.sub(r"\\{.*?\\}", ".*", re.escape(CORES[name].format("{}"))))
        for name in told
    }
    instructions = material(body)["instructions"]
    found = [next((name for name, core in cores.items() if core.match(i["text"])), "other") for i in instructions]
    found = [name.split(" ")[-1] for name in found]
    return {"labels": [{"number": i["number"], "task": name} for i, name in zip(instructions, found, strict=True)]}


def good(body):
    return label(body) if is_check(body) else write(body)


@pytest.fixture
def server():
    """Answers well; another behaviour can be given to it at any time."""
    with ChatServer(good) as server:
        yield server


@pytest.fixture
def ask(server, tmp_path):
    """Function: the arguments of `generate`, settings -> wordings and the chat."""

    def run(task, n, languages=("en",), seed=0, cache="cache", **settings):
        settings = Settings("m", server.url, cache=tmp_path / cache, patience=0.001, **settings)
        chat = Chat(settings, tmp_path / "out.jsonl")
        return generate(task, n, chat, languages, seed), chat

    return run


@pytest.mark.parametrize("task", TASKS)
def test_a_full_pool(task, ask, server, tmp_path, capsys):
    wordings, chat = ask(task, 100)
    assert len({w.line() for w in wordings}) == len(wordings) == 100
    assert {w.task for w in wordings} == {task}
    assert [w for w in wordings if find_fault(w.text, task, w.role)] == []
    assert not capsys.readouterr().err and not chat.set_aside
    assert any(is_check(body) for body in server.requests)

    path = tmp_path / "pool.jsonl"
    write_pool(path, wordings)
    pools = read_pools([str(path)])
    assert pools == {task: tuple(w.line() for w in wordings)}
    if task in SINGLE:
        rows = [
            Utterance(id=str(i), audio="a.wav", task=task, prompt="Why? A. x; B. y", target_language="de")
            for i in range(40)
        ]
        prompts = {row.prompt for row in attach(rows, 0, "seen", pools, [task])}
        assert len(prompts) > 20 and not any("{" in prompt for prompt in prompts)


@pytest.mark.parametrize(("kind", "counts"), [("ii", [25] * 4), ("cot", [17] * 4 + [16] * 2)])
def test_connectives_are_divided_over_the_roles(kind, counts, ask, server):
    wordings, _ = ask(kind, sum(counts))
    assert Counter(w.role for w in wordings) == dict(zip(load_roles(kind), counts, strict=True))
    for role in load_roles(kind):
        seen = [w for w in split_pool(wordings, "seen") if w.role == role]
        assert 0.6 < len(seen) / (sum(counts) / len(counts)) < 1
    written = [body for body in server.requests if not is_check(body)]
    assert {purpose_of(body) for body in written} == {f"{kind} {role}" for role in load_roles(kind)}


def test_languages_share_evenly(ask, server):
    wordings, _ = ask("asr", 100, languages=("de", "en", "zh", "de"))
    assert Counter(w.language for w in wordings) == {"de": 34, "en": 33, "zh": 33}
    assert set(Counter(w.language for w in split_pool(wordings, "seen")).values()) <= {26, 27}
    asked = Counter(re.search(r"Language of the wordings: (\w+)", b["messages"][0]["content"]) for b in server.requests)
    assert {match[1] for match in asked if match} == {"German", "English", "Chinese"}


def test_styles_vary_and_are_mixed(ask, server):
    wordings, _ = ask("asr", 300)
    styles = {
        re.search("^Style: (.*)$", b["messages"][0]["content"], re.M)[1] for b in server.requests if not is_check(b)
    }
    assert len(styles) == 39  # 390 wordings asked for, ten a request
    assert sum("says what the answer is like" in style for style in styles) == 7
    seen, unseen = (Counter(w.style for w in split_pool(wordings, part)) for part in ("seen", "unseen"))
    assert seen.keys() | unseen.keys() <= styles
    assert len(unseen) > 20 and max(unseen.values()) <= 6


def spoil(change):
    """A behaviour: good, but every other wording is changed."""

    def answer(body):
        if is_check(body):
            return label(body)
        return {"wordings": [change(w) if i % 2 else w for i, w in enumerate(write(body)["wordings"])]}

    return answer


def test_what_is_missing_is_asked_for_again(ask, server, capsys):
    server.answer = spoil(lambda wording: f"{wording};")
    wordings, chat = ask("asr", 100)
    assert len(wordings) == 100 and not capsys.readouterr().err
    # 65 of 130 are accepted, 35 missing; 30 of 60, 5 missing; 5 of 10.
    shown = [material(body)["existing"] for body in server.requests if not is_check(body)]
    assert Counter(map(len, shown)) == {5: 13, 25: 7}
    written = {w.text for w in wordings}
    assert all(set(existing[:5]) <= set(load_pool("asr")) and set(existing[5:]) <= written for existing in shown)
    assert Counter(item.reason for item in chat.set_aside) == {SEPARATOR: 100}
    assert {item.stage for item in chat.set_aside} == {"wordings"}


def test_repetitions_end_in_a_shortfall_that_is_explained(ask, server, capsys):
    same = {"wordings": [f"Write down the words of {c * 3} {c * 4} {c * 5}" for c in "abcdefghij"]}
    server.answer = lambda body: label(body) if is_check(body) else same
    wordings, chat = ask("asr", 100)
    assert sorted(w.text for w in wordings) == same["wordings"]
    # 13 requests, then one round for the 90 that are missing, which brings nothing.
    assert Counter(item.reason for item in chat.set_aside) == {NEAR_DUPLICATE: 120 + 140}
    warning = "100 wordings for asr were asked for, 10 accepted in 2 rounds; set aside: 260 × near-duplicate."
    assert warning in capsys.readouterr().err


def test_shipped_wordings_are_known(ask, server):
    server.answer = lambda body: label(body) if is_check(body) else {"wordings": list(load_pool("asr")[:10])}
    assert ask("asr", 10)[0] == []


def test_rounds_are_limited(ask, server, capsys):
    server.answer = lambda body: label(body) if is_check(body) else {"wordings": write(body)["wordings"][:1]}
    wordings, _ = ask("sv", 100)
    assert len(wordings) == 13 + 14 + 11 + 10 + 8
    assert "56 accepted in 5 rounds" in capsys.readouterr().err


def test_wordings_that_the_model_takes_for_another_task_are_rejected(ask, server):
    server.answer = spoil(lambda wording: wording.replace("Write down", "Whisper again"))
    wordings, chat = ask("asr", 50)
    assert len(wordings) == 50 and all(w.text.startswith("Write down") for w in wordings)
    rejected = {(item.stage, item.reason) for item in chat.set_aside}
    assert rejected == {("task check", "asks for another task")}
    assert all(item.id.startswith("Whisper again the words") and len(item.id) == 60 for item in chat.set_aside)


def test_a_pool_of_another_task_is_rejected_whole(ask, server, capsys):
    def answer(body):
        found = label(body)["labels"] if is_check(body) else []
        return {"labels": [one | {"task": "sqqa"} for one in found]} if found else write(body)

    server.answer = answer
    wordings, _ = ask("er", 20)
    assert wordings == [] and "0 accepted in 1 round; set aside: 30 × asks for another task." in capsys.readouterr().err
    assert sorted(len(material(body)["instructions"]) for body in server.requests if is_check(body)) == [5, 25]


def test_labels_must_fit_their_list(ask, server):
    def forgetful(body):
        if is_check(body) and len(body["messages"]) == 2:
            return {"labels": label(body)["labels"][1:]}
        return good(body)

    server.answer = forgetful
    wordings, chat = ask("asr", 20)
    assert len(wordings) == 20 and not chat.set_aside

    server.answer = lambda body: {"labels": label(body)["labels"][1:]} if is_check(body) else write(body)
    wordings, chat = ask("asr", 20, cache="other")
    assert wordings == [] and len(chat.set_aside) == 2
    assert chat.set_aside[0].reason == "Each number of the list has to be given once, in order"


def test_labels_must_be_names_that_were_told(ask, server):
    server.answer = lambda body: json.loads(json.dumps(good(body)).replace('"asr"', '"dictation"'))
    wordings, chat = ask("asr", 10)
    assert wordings == [] and chat.set_aside[0].reason.startswith("There is no 'dictation': the names are asr, st, sv,")


@pytest.mark.parametrize("name", REJECTIONS)
def test_what_the_model_says_against_a_wording_is_its_reason(name, ask, server):
    server.answer = lambda body: json.loads(json.dumps(good(body)).replace('"sv"', f'"{name}"'))
    wordings, chat = ask("sv", 10)
    assert wordings == [] and {item.reason for item in chat.set_aside} == {REJECTIONS[name]}


def test_connectives_for_another_place_are_rejected(ask, server):
    server.answer = lambda body: json.loads(json.dumps(good(body)).replace("next of", "finally"))
    wordings, chat = ask("ii", 12)
    assert Counter(w.role for w in wordings) == {"first": 3, "last": 3, "text": 3}
    assert {item.reason for item in chat.set_aside} >= {REJECTIONS["other"]}


def test_the_result_does_not_depend_on_the_order_of_arrival(ask, server):
    def jittery(body):
        return Slow(random.random() * 0.005, spoil(lambda wording: f"{wording};")(body))

    server.answer = jittery
    runs = [ask("asr", 60, cache=f"{width}", concurrency=width)[0] for width in (1, 16)]
    assert runs[0] == runs[1] and len(runs[0]) == 60
    other, _ = ask("asr", 60, seed=1)
    assert other != runs[0] and len(other) == 60


@pytest.mark.parametrize(
    "answers", [pytest.param(3, marks=pytest.mark.slow), 14, pytest.param(25, marks=pytest.mark.slow)]
)
def test_a_restart_ends_where_an_undisturbed_run_does(answers, ask, server):
    healthy = spoil(lambda wording: f"{wording};")
    server.answer = healthy
    expected, chat = ask("asr", 100, cache="undisturbed", concurrency=1)
    total = server.answered.total()
    server.answered.clear()

    left = iter(range(answers))
    server.answer = lambda body: healthy(body) if next(left, None) is not None else Status(401)
    with pytest.raises(UsageError):
        ask("asr", 100, concurrency=4)
    server.answer = healthy
    assert ask("asr", 100)[0] == expected
    assert not server.paid_twice() and server.answered.total() == total

    count = len(server.requests)
    again, repeated = ask("asr", 100)
    assert again == expected and len(server.requests) == count
    assert repeated.set_aside == chat.set_aside


def test_a_round_with_unanswered_requests_is_the_last(ask, server, capsys):
    healthy = spoil(lambda wording: f"{wording};")
    server.answer = healthy
    expected, _ = ask("asr", 100, cache="undisturbed")

    server.answer = lambda body: Status(400) if "casual" in body["messages"][0]["content"] else healthy(body)
    wordings, chat = ask("asr", 100, concurrency=1)
    assert 0 < len(wordings) < 65 and not chat.report(len(wordings)).complete
    assert "in 1 round;" in capsys.readouterr().err
    server.answer = healthy
    assert ask("asr", 100)[0] == expected


def test_batches_bring_the_same(ask, server):
    server.answer = spoil(lambda wording: f"{wording};")
    assert ask("asr", 40, cache="batch", batch=True)[0] == ask("asr", 40)[0] != []
    assert len(server.batches) > 2


def test_a_dry_run_estimates_the_first_round(ask, server, capsys):
    wordings, chat = ask("asr", 100, dry_run=True)
    assert wordings == [] and not chat.set_aside and not server.requests and not capsys.readouterr().err
    assert {name: stage.requests for name, stage in chat.stages.items()} == {"wordings": 13, "task check": 6}

    ask("asr", 100)
    assert len(server.requests) == 13 + 6

    _, chat = ask("ii", 100, dry_run=True)
    assert {name: stage.requests for name, stage in chat.stages.items()} == {"wordings": 4 * 4, "task check": 7}


@pytest.mark.parametrize(
    ("task", "n", "languages", "message"),
    [
        ("tts", 10, ("en",), "unknown task 'tts'"),
        ("asr", 10, ("en", "xx"), "unknown language 'xx'"),
        ("asr", 0, ("en",), "cannot be divided"),
        ("ii", 7, ("en", "de"), "7 wordings cannot be divided over 8 roles and languages"),
    ],
)
def test_what_cannot_be_asked_for(task, n, languages, message, ask):
    with pytest.raises(UsageError, match=message):
        ask(task, n, languages)


def test_models_are_told_of_every_task_and_role_once():
    assert all(ASKED.values()) and len(set(ASKED.values())) == len(ASKED)
    assert {kind: set(task.roles) for kind, task in MULTI.items()} == {kind: set(load_roles(kind)) for kind in MULTI}
