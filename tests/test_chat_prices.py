import pytest

from wavllm_cli.chat.prices import SHIPPED, Price, SpeechPrice, expected_usage, find_price
from wavllm_cli.chat.request import Answer, Reply, Request, size
from wavllm_cli.errors import UsageError

PRICE = Price(input=1.0, output=4.0)  # a token costs a millionth of these


class Word(Answer):
    word: str


def body(tokens=100):
    return {"messages": [], "max_completion_tokens": tokens}


def reply(prompt, completion, batch=False):
    return Reply(text="", prompt_tokens=prompt, completion_tokens=completion, batch=batch)


def table(tmp_path, text):
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    return path


def test_costs_by_hand():
    mini = find_price("gpt-4.1-mini", None)
    assert mini == Price(input=0.40, output=1.60, batch=0.5)
    assert mini.cost(1_000_000, 0, batch=False) == pytest.approx(0.40)
    assert mini.cost(250_000, 500_000, batch=False) == pytest.approx(0.90)
    assert mini.of_reply(reply(250_000, 500_000, batch=True)) == pytest.approx(0.45)
    assert PRICE.at_most(body(100), batch=False) == pytest.approx((size(body(100)) + 400) / 1e6)
    assert PRICE.at_most(body(100), batch=True) == pytest.approx((size(body(100)) + 400) / 2e6)


def test_expected_usage_is_a_quarter_of_the_bytes():
    request = Request("a", "Say.", {"text": "ü" * 50}, Word(word="x" * 29), 100)
    assert expected_usage(request, request.body("m")) == (size(request.body("m")) // 4, 10)  # {"word":"…"} adds 11


def test_a_dated_snapshot_costs_what_its_model_costs(tmp_path):
    assert find_price("gpt-4o-2024-08-06", None) == find_price("gpt-4o", None)
    assert find_price("gpt-4o-2024", None) is find_price("my-own", None) is None
    own = table(tmp_path, "gpt-4o-2024-08-06: {input: 7, output: 8}")
    assert find_price("gpt-4o-2024-08-06", own) == Price(input=7, output=8)
    assert find_price("gpt-4o-2024-11-20", own) == find_price("gpt-4o", None)


def test_the_users_table_comes_first(tmp_path):
    own = table(tmp_path, "gpt-4o: {input: 1, output: 2, batch: 1}\nmy-own: {input: 0, output: 0}\n")
    assert find_price("gpt-4o", own) == Price(input=1, output=2, batch=1)
    assert find_price("my-own", own).cost(10**9, 10**9, batch=False) == 0
    assert find_price("gpt-4.1", own) == find_price("gpt-4.1", SHIPPED)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("gpt-4o: {input: 1}", r"gpt-4o\.output: Field required"),
        ("gpt-4o: {input: 1, output: 2, cached: 3}", r"gpt-4o\.cached: Extra inputs"),
        ("gpt-4o: {input: -1, output: 2}", r"gpt-4o\.input: Input should be greater"),
        ("gpt-4o: {input: .inf, output: 2}", r"gpt-4o\.input: Input should be a finite"),
        ("gpt-4o: {input: 1, output: 2, batch: 1.5}", r"gpt-4o\.batch: Input should be less"),
        ("gpt-4o: 3", "gpt-4o: Input should be"),
        ("tts-1: {characters: -1}", r"tts-1\.characters: Input should be greater"),
        ("", "the file: Input should be a valid dictionary"),
        ("a: {input: 1, output: 2}\nb: {input: 1\nc: 3", "cannot be read: .*line 3"),
    ],
)
def test_a_wrong_table_is_one_sentence(tmp_path, text, where):
    with pytest.raises(UsageError, match=f"prices.yaml:? .*{where}|prices.yaml: {where}") as caught:
        find_price("gpt-4o", table(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match=r"none\.yaml cannot be read: .*No such file"):
        find_price("gpt-4o", tmp_path / "none.yaml")


def test_speech_is_paid_by_the_character(tmp_path):
    price = find_price("tts-1", None, SpeechPrice)
    assert price.at_most({"input": "ü" * 1000}) == pytest.approx(0.015)
    assert find_price("tts-1", None) is find_price("gpt-4o", None, SpeechPrice) is None
    assert find_price("gpt-4o", table(tmp_path, "gpt-4o: {characters: 2}"), SpeechPrice).characters == 2
