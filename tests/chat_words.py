"""The simplest conversation: a request holds a number, its answer a word."""

import json
from contextlib import contextmanager
from threading import Lock

from wavllm_cli.chat.request import Answer


class Word(Answer):
    word: str


def number(body):
    return json.loads(body["messages"][1]["content"])["n"]


def answer(body):
    return {"word": f"word {number(body)}"}


def words(n):
    return [Word(word=f"word {i}") for i in range(n)]


class Crowd:
    """How many requests are under way, and the most there ever were."""

    def __init__(self):
        self.now = self.most = 0
        self._lock = Lock()

    @contextmanager
    def one_more(self):
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        yield
        with self._lock:
            self.now -= 1
