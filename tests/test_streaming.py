"""Text as it comes: pieces that together are the answer, whole characters, an end whatever happens."""

import threading

import pytest
import torch
from fake_system import drained

from wavllm_cli.systems.base import Answer, Failure
from wavllm_cli.systems.streaming import streamed


def decode(ids):
    """A token is a byte."""
    return bytes(ids).decode("utf-8", "replace").strip()


def generating(text, outcome=None):
    """What `generate` would do: hand on a token after the other."""

    def generate(streamer):
        for token in text.encode():
            streamer.put(torch.tensor([token]))
        return outcome or Answer(decode(text.encode()))

    return generate


@pytest.mark.parametrize("text", ["  two  words \n", "日本語 é", "", " \n", "a�b"])
def test_the_pieces_are_the_answer(text):
    pieces, answer = drained(streamed(generating(text), decode))
    assert answer == Answer(text.strip()) and "".join(pieces) == text.strip()
    assert all(pieces)


def test_a_character_is_shown_when_it_is_whole():
    pieces, _ = drained(streamed(generating("é日x"), decode))
    assert pieces == ["é", "日", "x"]


def test_what_a_decoder_takes_back_is_not_shown_twice():
    """As of tokenizers that take out the space before a full stop when it comes."""
    pieces, _ = drained(streamed(generating("is it ?", Answer("is it?")), lambda ids: decode(ids).replace(" ?", "?")))
    assert "".join(pieces) == "is it?"


def test_a_failure_on_the_way_is_returned():
    failure = Failure("the network's output is not a number.")
    assert drained(streamed(generating("abc", failure), decode)) == (["a", "b", "c"], failure)


def test_an_error_on_the_way_is_raised():
    def generate(streamer):
        streamer.put(torch.tensor([97]))
        raise MemoryError

    pieces = streamed(generate, decode)
    assert next(pieces) == "a"
    with pytest.raises(MemoryError):
        next(pieces)


def test_generation_ends_when_nobody_reads_on():
    tokens = []

    def generate(streamer):
        while len(tokens) < 10**6:
            tokens.append(97)
            streamer.put(torch.tensor([97]))
            reading.wait(0.001)

    reading = threading.Event()
    pieces = streamed(generate, decode)
    next(pieces)
    pieces.close()
    assert len(tokens) < 1000
