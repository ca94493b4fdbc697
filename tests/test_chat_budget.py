import pytest

from wavllm_cli.chat.budget import Budget
from wavllm_cli.chat.prices import Price
from wavllm_cli.chat.request import Reply
from wavllm_cli.errors import UsageError, WavLLMError

PRICE = Price(input=1.0, output=4.0)


def body(tokens=1000):
    return {"messages": [{"role": "user", "content": "hello"}], "max_completion_tokens": tokens}


MOST = PRICE.at_most(body(), batch=False)


@pytest.fixture
def start(tmp_path):
    """Function: a run's budget for one output."""
    return lambda limit=None, price=PRICE: Budget(limit, price, tmp_path / "out.jsonl.costs.jsonl")


def test_what_is_under_way_counts_in_full_until_its_price_is_known(start):
    budget = start(2.5 * MOST)
    bodies = {name: body() for name in "abc"}
    assert list(budget.affordable(bodies, batch=False)) == ["a", "b"]
    assert list(budget.affordable(bodies, batch=True)) == ["a", "b", "c"]
    budget.begin("a", [body()], batch=False)
    budget.begin("b", [body()], batch=False)
    assert not budget.idle and not budget.affordable({"c": body()}, batch=False)
    budget.end("a", 0.0)
    assert budget.spent == pytest.approx(MOST) and list(budget.affordable({"c": body()}, batch=False)) == ["c"]
    budget.end("b", None)  # lost
    assert budget.idle and budget.spent == pytest.approx(MOST)
    budget.begin("c", [body()], batch=False)
    budget.end("c", budget.cost(Reply(text="", prompt_tokens=1, completion_tokens=0)))
    assert budget.idle and budget.spent == pytest.approx(MOST + 1e-6)


def test_a_later_run_knows_what_earlier_ones_paid_lost_or_had_under_way(start):
    budget = start()
    for charge, usd in (("a", 0.25), ("b", 0.0), ("c", None)):
        budget.begin(charge, [body()], batch=False)
        budget.end(charge, usd)
    budget.begin("killed", [body(), body()], batch=True)
    assert start().spent == pytest.approx(0.25 + MOST + MOST) == pytest.approx(budget.spent)


def test_a_charge_that_is_closed_again_counts_once(start):
    """A batch whose collection was killed is collected once more."""
    first = start()
    first.begin("batch", [body()], batch=True)
    first.end("batch", 0.1)
    second = start()
    second.end("batch", 0.1)
    assert start().spent == second.spent == pytest.approx(0.1)


def test_only_a_beginning_of_the_requests_is_affordable(start):
    """A later, cheaper one does not overtake: what money buys does not depend on the sizes."""
    assert list(start(1.5 * MOST).affordable({"a": body(), "b": body(), "c": body(1)}, batch=False)) == ["a"]


def test_without_a_price_nothing_is_counted_and_no_file_written(start, tmp_path):
    budget = start(price=None)
    assert len(budget.affordable({str(i): body(10**9) for i in range(9)}, batch=False)) == 9
    budget.begin("a", [body()], batch=False)
    assert not budget.idle
    budget.end("a", budget.cost(Reply(text="", prompt_tokens=10**12, completion_tokens=0)))
    assert budget.idle and budget.spent == 0 and not list(tmp_path.iterdir())


def test_a_line_that_a_kill_cut_off_spoils_nothing(start, tmp_path):
    first = start()
    first.begin("a", [body()], batch=False)
    first.begin("b", [body()], batch=False)
    first.end("a", 0.5)
    ledger = tmp_path / "out.jsonl.costs.jsonl"
    ledger.write_bytes(ledger.read_bytes()[:-4])
    second = start()
    assert second.spent == pytest.approx(2 * MOST)  # a's price was lost
    second.begin("c", [body()], batch=False)
    second.end("c", 0.25)
    assert start().spent == pytest.approx(2 * MOST + 0.25)


def test_the_ledgers_folder_is_made_and_a_ledger_that_cannot_be_written_is_said(tmp_path):
    Budget(1.0, PRICE, tmp_path / "new" / "ledger").begin("a", [body()], batch=False)
    assert (tmp_path / "new" / "ledger").is_file()
    (tmp_path / "file").touch()
    with pytest.raises(WavLLMError, match="cannot be written"):
        Budget(1.0, PRICE, tmp_path / "file" / "ledger").begin("a", [body()], batch=False)


@pytest.mark.parametrize(
    "line",
    [
        '{"charge": "a"}',
        '{"usd": 1}',
        '{"charge": "a", "usd": NaN}',
        '{"charge": "a", "usd": -8.0}',
        '{"charge": "a", "usd": "much"}',
        '{"charge": 7, "usd": 1}',
        "[1]",
        "7",
    ],
)
def test_a_line_that_is_no_charge_is_named(start, tmp_path, line):
    (tmp_path / "out.jsonl.costs.jsonl").write_text(f'\n{{"charge": "x", "usd": 0.5}}\n{line}')
    with pytest.raises(UsageError, match=r"out\.jsonl\.costs\.jsonl, line 3 is no charge \("):
        start(1.0)
