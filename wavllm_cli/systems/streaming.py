"""Text while its tokens are still being drawn: `generate` runs in a thread and hands on each token as it comes."""

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

from torch import Tensor
from transformers.generation.streamers import BaseStreamer

from wavllm_cli.systems.base import Answer, Failure

UNFINISHED = "\ufffd"  # what a decoder shows of a character whose other bytes are in tokens to come


class Closed(Exception):
    """Nobody reads on: ends `generate` at its next token."""


class Tokens(BaseStreamer):
    """Receives what is drawn for one row, as `Steps` hands it on.

    Attributes:
        texts: the text of all tokens so far, after each; None at the end.
        closed: no more texts are wanted.
    """

    def __init__(self, decode: Callable[[list[int]], str]):
        self.decode = decode
        self.texts: SimpleQueue[str | None] = SimpleQueue()
        self.closed = False
        self._ids: list[int] = []

    def put(self, value: Tensor) -> None:
        if self.closed:
            raise Closed
        self._ids += value.flatten().tolist()
        self.texts.put(self.decode(self._ids))

    def end(self) -> None:
        """The end is told by whoever called `generate`, which may fail before it comes here."""


def streamed(
    generate: Callable[[BaseStreamer], Answer | Failure], decode: Callable[[list[int]], str]
) -> Generator[str, None, Answer | Failure]:
    """The pieces of an answer as it is generated, which together are its text; returns the answer.

    Args:
        generate: the whole work, given the streamer.
        decode: all token ids so far -> their text, as of the answer: without the spaces around it.
    """
    tokens = Tokens(decode)

    def work() -> Answer | Failure:
        try:
            return generate(tokens)
        finally:
            tokens.texts.put(None)

    shown = ""
    with ThreadPoolExecutor(max_workers=1) as pool:
        answer = pool.submit(work)
        try:
            while (text := tokens.texts.get()) is not None:
                text = text.rstrip(UNFINISHED)
                if len(text) > len(shown) and text.startswith(shown):
                    yield text[len(shown) :]
                    shown = text
        finally:
            tokens.closed = True
        whole = answer.result()
    if isinstance(whole, Answer) and len(whole.text) > len(shown):
        yield whole.text[len(shown) :]
    return whole
