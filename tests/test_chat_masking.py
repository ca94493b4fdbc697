import base64

import pytest

from wavllm_cli.chat.masking import MASK, without_key, without_password, without_user

KEY = "gw-Secret7Q-0123456789abXY"


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


ECHOES = [
    KEY,
    f"Bearer {KEY}",
    KEY[:10],
    KEY[-8:],
    "gw-S...abXY",
    "gw-Se************XY",
    "gw-Sec…",
    "••••abXY",
    "gw-S<hidden>",
    base64.b64encode(KEY.encode()).decode(),
    base64.b64encode(f"user:{KEY}".encode()).decode(),
    base64.urlsafe_b64encode(f"a:{KEY}".encode()).decode().rstrip("="),
    KEY.encode().hex(),
    "abXY",
    "sk-another-0123",
    "sk-ab***yz",
]


@pytest.mark.parametrize("echo", ECHOES)
def test_no_form_of_the_key_is_shown(echo):
    said = without_key(f"Incorrect API key provided: {echo}. You can find yours at https://example.com/keys.")
    assert MASK in said and echo not in said
    assert said.startswith("Incorrect API key provided: ") and said.endswith("at https://example.com/keys.")


@pytest.mark.parametrize(
    "text", ["The server is busy... try again", "200 requests a day", "x" * 500, "**bold** [1] <b>", ""]
)
def test_other_words_stay(text):
    assert without_key(text) == text


def test_what_is_no_secret_is_no_key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    assert without_key("none of these") == "none of these"


ADDRESSES = [
    ("https://api.openai.com/v1", "https://api.openai.com/v1"),
    ("https://user:pass@host:8000/v1", "https://host:8000/v1"),
    ("http://token@host/v1", "http://host/v1"),
    ("https://u:p/a@s@host/v1", "https://host/v1"),
    ("u:p@host", "host"),
    ("https://u:p@host/v1?key=secret&x=1", "https://host/v1?…"),
]


@pytest.mark.parametrize(("address", "shown"), ADDRESSES)
def test_addresses_are_shown_without_secrets(address, shown):
    assert without_password(address) == shown


def test_the_query_is_a_part_of_the_server():
    assert without_user("https://u:p@host/v1?version=1") == "https://host/v1?version=1"
