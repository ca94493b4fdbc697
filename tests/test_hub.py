import socket
import time

import pytest
from huggingface_hub import constants

from wavllm_cli.data import hub
from wavllm_cli.data.origin import Origin
from wavllm_cli.errors import WavLLMError


@pytest.fixture(autouse=True)
def online(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "_found", {})


def nobody():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}"


def test_no_network_is_one_sentence_within_seconds(monkeypatch, tmp_path, capfd):
    monkeypatch.setattr(constants, "ENDPOINT", nobody())
    start = time.monotonic()
    with pytest.raises(WavLLMError, match=r"^owner/llm is not on this machine, and the Hugging Face hub cannot be"):
        Origin("owner/llm", options={"cache_dir": str(tmp_path)}).file("config.json")
    assert Origin("owner/llm", options={"cache_dir": str(tmp_path)}).file("tokenizer.json") is None
    assert time.monotonic() - start < 2 * hub.PATIENCE
    assert capfd.readouterr().err == ""


def test_a_hub_that_answers_anything_can_be_reached(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setattr(hub, "PATIENCE", 0.2)
        assert "timed out" in hub.unreachable()  # it accepts, and says nothing
    assert hub.unreachable()  # remembered


def test_who_works_offline_is_told_so(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert hub.unreachable() == "HF_HUB_OFFLINE is set"
