"""A model behind an OpenAI-compatible server that takes audio: a vLLM of your own, OpenAI, and many others.

Every question is one chat completion with the clip as a wav. Replies are kept by content, so that none is paid twice,
and `--max-usd` holds over all runs of an output.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from wavllm_cli import __version__
from wavllm_cli.chat import live
from wavllm_cli.chat.budget import Budget
from wavllm_cli.chat.cache import Cache
from wavllm_cli.chat.live import Tally
from wavllm_cli.chat.masking import without_key, without_user
from wavllm_cli.chat.prices import find_price
from wavllm_cli.chat.request import Body, Reply, key
from wavllm_cli.chat.settings import Settings
from wavllm_cli.chat.speech import audio_part
from wavllm_cli.data.packing import Limits
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.systems.base import Answer, Failure, Item, Options, System, SystemFailed
from wavllm_cli.systems.decoding import NEW_TOKENS, Decoding
from wavllm_cli.systems.fingerprint import Fingerprint

AHEAD = 4  # times as many requests in a batch as are under way at once: few wait for its last one


class Remote(System):
    """One model of one server.

    Args:
        settings: server, model and money.
        output: the file that the answers are for; what they cost is kept beside it.

    Raises:
        UsageError: a budget without a price or an output, or something that no server can be told.
    """

    converses = True

    def __init__(self, settings: Settings, decoding: Decoding, output: Path | None = None):
        _require_sayable(decoding)
        price = find_price(settings.model, settings.prices)
        if settings.max_usd is not None and (price is None or output is None):
            lacking = "an --output" if price else f"the price of '{settings.model}': give it with --prices FILE"
            raise UsageError(f"--max-usd needs {lacking}.")
        self.settings, self.decoding = settings, decoding
        self.name, self.device = f"{settings.model} at {settings.address}", settings.address
        self.cache = Cache(settings.cache)
        counted = price if output else None
        ledger = Path(f"{output}.costs.jsonl") if output else Path()
        self.budget = Budget(settings.max_usd, counted, ledger)

    @classmethod
    def open(cls, options: Options) -> Self:
        if options.server is None or not options.model:
            raise UsageError("--system remote needs a model of its server: give --model NAME.")
        if options.device or options.dtype:
            raise UsageError("--device and --dtype are a server's own: leave them out with --system remote.")
        options.server.api_key()
        return cls(options.server, options.decoding, options.output)

    def fingerprint(self) -> Fingerprint:
        """By names: what model a server has behind a name, it alone knows."""
        settings = {"server": self.settings.address, **self._said(), "version": __version__}
        return Fingerprint(self.settings.model, settings)

    def batch_limits(self, utterances: int) -> Limits:
        most = max(utterances, AHEAD * self.settings.concurrency)
        return Limits(max_seconds=super().batch_limits(most).max_seconds, max_utterances=most)

    def prepare(self, items: Sequence[Item]) -> list[Body]:
        return [self._body(item) for item in items]

    def answer(self, items: Sequence[Item], inputs: list[Body]) -> list[Answer | Failure]:
        address = without_user(self.settings.url)
        asked = {key(address, body): body for body in inputs}
        replies = {k: reply for k, body in asked.items() if (reply := self.cache.get(k, body))}
        missing = {k: body for k, body in asked.items() if k not in replies}
        reasons = self._fetch(missing) if missing else {}
        replies |= {k: reply for k, body in missing.items() if (reply := self.cache.get(k, body))}
        keys = [key(address, body) for body in inputs]
        return [_read(replies[k]) if k in replies else Failure(f"{reasons.get(k, 'no reply')}.") for k in keys]

    def _fetch(self, bodies: dict[str, Body]) -> dict[str, str]:
        try:
            return live.fetch(bodies, self.settings, self.cache, self.budget, Tally())
        except WavLLMError as error:  # of the key, the model, the account or the network: no other item fares better
            sentence = str(error).removesuffix("; the same command continues.") + "."
            raise SystemFailed.because(error, sentence) from error

    def _body(self, item: Item) -> Body:
        return {"model": self.settings.model, "messages": _messages(item), **self._said()}

    def _said(self) -> dict[str, Any]:
        """What the server is told about decoding."""
        decoding = self.decoding
        said: dict[str, Any] = {"max_completion_tokens": decoding.max_new_tokens or NEW_TOKENS}
        if decoding.temperature is not None:
            said["temperature"] = decoding.temperature
        return said | ({"seed": decoding.seed} if decoding.temperature else {})


def _messages(item: Item) -> list[dict[str, Any]]:
    """What was said so far and the new question; the clip stands before the first question."""
    messages: list[dict[str, Any]] = []
    for question, answer in (*item.history, (item.prompt, None)):
        parts = [] if item.samples is None or messages else [audio_part(item.samples)]
        parts += [{"type": "text", "text": question}] if question else []
        messages.append({"role": "user", "content": parts})
        if answer is not None:
            messages.append({"role": "assistant", "content": answer})
    return messages


def _require_sayable(decoding: Decoding) -> None:
    if decoding.num_beams is not None and decoding.num_beams > 1:
        raise UsageError("--num-beams is nothing that a server can be told: leave it out with --system remote.")
    if decoding.logprobs:
        raise UsageError("--logprobs: a server does not say its tokens' ids; leave it out with --system remote.")


def _read(reply: Reply) -> Answer | Failure:
    if reply.refusal:
        return Failure(f"refused: {without_key(reply.refusal)[:80].rstrip('.')}.")
    if reply.finish_reason == "content_filter":
        return Failure("stopped by the server's content filter.")
    if reply.text is None:
        return Failure("the server's reply holds no text.")
    cut = reply.finish_reason == "length"
    return Answer(reply.text.strip(), warnings=[f"cut at {reply.completion_tokens} tokens"] if cut else None)
