"""Requests one by one, several at a time: retries, pauses that the server asks for, and an orderly end."""

import asyncio
import math
import random
import signal
import threading
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

import jiter

from wavllm_cli import console
from wavllm_cli.chat.budget import Budget
from wavllm_cli.chat.dialects import DIALECTS, REFUSED, Dialect, ways
from wavllm_cli.chat.request import Body, Reply, read_completion
from wavllm_cli.chat.settings import (
    Settings,
    hopeless,
    may_pass,
    message_of,
    never_connected,
    unreachable,
    usable_proxy,
)
from wavllm_cli.errors import WavLLMError

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

Kind = Literal["busy", "failed", "unconnected", "rejected"]

# How often one request may meet each kind of trouble before it is given up.
LIMITS: dict[Kind, int] = {"busy": 30, "failed": 6, "unconnected": 6, "rejected": 1}
LIMIT_WITHOUT_ANY_CONNECTION = 2
GIVEN_UP = 5  # requests, without a single answer in any run: then it is not the single request that is wrong
CONNECT_TIMEOUT = 10.0  # seconds
MAX_PAUSE = 600.0  # seconds; a server that asks for more is left alone
MAX_BACKOFF = 60.0  # seconds, where the server names no time

NOT_AFFORDED = "not asked: --max-usd would have been exceeded"


@dataclass
class Tally:
    """What a run did on the network."""

    sent: int = 0
    answered: int = 0
    retried: int = 0
    known: int = 0  # replies found in the cache
    lost: int = 0  # attempts that may have been charged although no answer arrived


class _Trouble(Exception):
    """An attempt without an answer.

    Attributes:
        kind: of trouble.
        lost: it may be charged all the same.
        pause: seconds the server asks for.
        refused: what is in the request is not taken; in other words it may be.
    """

    def __init__(self, kind: Kind, reason: str, lost: bool = False, pause: float | None = None, refused: bool = False):
        super().__init__(reason)
        self.kind, self.lost, self.pause, self.refused = kind, lost, pause, refused


@dataclass(frozen=True)
class Endpoint:
    """A place of a server where one kind of request goes.

    Attributes:
        gives: what it answers with.
        ask: send a request there and read the answer. Raises ValueError where it is none.
    """

    gives: str
    ask: "Callable[[AsyncOpenAI, Body], Awaitable[Any]]"


class Replies(Protocol):
    """Where replies are kept."""

    def put(self, key: str, body: Body, reply: Any) -> None: ...


async def _complete(client: "AsyncOpenAI", body: Body) -> Reply:
    response = await client.chat.completions.with_raw_response.create(**body)
    return read_completion(jiter.from_json(response.http_response.content), body)


CHAT = Endpoint("a chat completion", _complete)


def fetch(
    bodies: Mapping[str, Body],
    settings: Settings,
    cache: Replies,
    budget: Budget,
    tally: Tally,
    endpoint: Endpoint = CHAT,
) -> dict[str, str]:
    """Ask until the cache has a reply to every request, or there is a reason why not.

    Args:
        bodies: requests by their key.
        endpoint: where they go.

    Returns:
        The reasons by key.

    Raises:
        WavLLMError: the key, the model, the account or the network is wrong, so that nothing more can be asked.
        KeyboardInterrupt: Ctrl-C. The answers that were under way, and are paid, have been waited for.
    """
    try:
        return asyncio.run(_Run(settings, cache, budget, tally, endpoint).fetch(bodies))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


@dataclass
class _Run:
    settings: Settings
    cache: Replies
    budget: Budget
    tally: Tally
    endpoint: Endpoint
    error: BaseException | None = None  # why nothing more is asked
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    closed_until: float = 0.0  # monotonic seconds: requests share the server's limit, so they pause together
    given_up: int = 0
    dialect: Dialect | None = None  # in which the server has answered
    settled: asyncio.Event = field(default_factory=asyncio.Event)  # pulses when what is under way has become less

    async def fetch(self, bodies: Mapping[str, Body]) -> dict[str, str]:
        from openai import AsyncOpenAI, Timeout

        reasons: dict[str, str] = {}
        todo = iter(bodies.items())
        # openai's retries would neither hold back the other requests nor tell the budget, and its timeout is one
        # between two packets: both are ours, but for the time to connect, in which nothing has been asked yet.
        with usable_proxy():
            client = AsyncOpenAI(
                api_key=self.settings.api_key(),
                base_url=self.settings.url,
                timeout=Timeout(None, connect=min(CONNECT_TIMEOUT, self.settings.timeout / 2)),
                max_retries=0,
            )
        with console.progress_bar() as bar, self._orderly_interrupt():
            task = bar.add_task("asking", total=len(bodies), note="")

            async def work() -> None:
                for key, body in todo:
                    try:
                        reason = await self._obtain(client, key, body)
                    except Exception as error:  # such as a full disk: the other answers are waited for all the same
                        self._stop(error)
                        return
                    if reason:
                        reasons[key] = reason
                    bar.advance(task)

            async with client, asyncio.TaskGroup() as group:
                for _ in range(min(self.settings.concurrency, len(bodies))):
                    group.create_task(work())
        if self.error:
            raise self.error
        return reasons

    async def _obtain(self, client: "AsyncOpenAI", key: str, body: Body) -> str | None:
        """Put the reply to one request into the cache, or return the reason why not."""
        met: Counter[Kind] = Counter()
        while charge := await self._begin(key, body):
            self.tally.retried += bool(met)
            try:
                reply = await self._ask(client, body)
            except _Trouble as trouble:
                met[trouble.kind] += 1
                pause = self._hold_back(trouble, met[trouble.kind])
                self.tally.lost += trouble.lost
                self.budget.end(charge, None if trouble.lost else 0.0)
                self._settle()
                if met[trouble.kind] >= self._limit(trouble.kind):
                    return self._give_up(trouble, met[trouble.kind])
                await self._sleep(pause)
            else:
                await asyncio.to_thread(self.cache.put, key, body, reply)  # a disk takes its time to confirm
                self.tally.answered += 1
                self.budget.end(charge, self.budget.cost(reply))
                self._settle()
                return None
        return NOT_AFFORDED

    async def _ask(self, client: "AsyncOpenAI", body: Body) -> Any:
        """One attempt, in the dialect of the server's answers; before the first of them, in each until one is taken."""
        refusal: _Trouble | None = None  # of the richest one, which says best what is wrong
        for dialect in [self.dialect] if self.dialect else ways(body):
            try:
                reply = await self._send(client, dialect.put(body))
            except _Trouble as trouble:
                if not trouble.refused:
                    raise
                refusal = refusal or trouble
            else:
                self._take_up(dialect)
                return reply
        raise refusal or AssertionError("there is no way to put a request")

    def _take_up(self, dialect: Dialect) -> None:
        if self.dialect is None:
            self.dialect = dialect
            if dialect != DIALECTS[0]:
                console.info(f"{self.settings.address} refuses our requests; asked with {dialect} it answers.")

    async def _send(self, client: "AsyncOpenAI", body: Body) -> Any:
        """One request; every way it can fail becomes a _Trouble."""
        import openai

        self.tally.sent += 1
        try:
            async with asyncio.timeout(self.settings.timeout):
                return await self.endpoint.ask(client, body)
        except openai.APIStatusError as error:
            raise self._refused(error) from None
        except TimeoutError:
            raise _Trouble("failed", f"no answer within {self.settings.timeout:g} s", lost=True) from None
        except openai.APIConnectionError as error:
            if never_connected(error):
                raise _Trouble("unconnected", "no connection") from error
            raise _Trouble("failed", "the connection was cut", lost=True) from None
        except (ValueError, openai.APIError):
            raise _Trouble("failed", f"the server's answer is not {self.endpoint.gives}", lost=True) from None

    def _refused(self, error: "APIStatusError") -> _Trouble:
        """What an HTTP status says about this request, or about all of them."""
        status, said = error.status_code, message_of(error)
        end = hopeless(error, self.settings)
        if end:
            self._stop(end)
        pause = _retry_after(error.response.headers)
        if pause is not None and pause > MAX_PAUSE:
            wait = f"{pause / 60:.0f} minutes"
            self._stop(
                WavLLMError(f"{self.settings.address} asks to wait {wait}: {said}; the same command continues then.")
            )
        if status == 429 or pause is not None:
            return _Trouble("busy", f"turned away for now ({status}: {said})", pause=pause)
        if may_pass(status):
            return _Trouble("failed", f"server error ({status}: {said})")
        return _Trouble("rejected", f"rejected by the server ({status}: {said})", refused=status in REFUSED)

    def _limit(self, kind: Kind) -> int:
        return LIMIT_WITHOUT_ANY_CONNECTION if kind == "unconnected" and not self.tally.answered else LIMITS[kind]

    def _give_up(self, trouble: _Trouble, times: int) -> str:
        if trouble.kind == "unconnected":
            self._stop(unreachable(trouble.__cause__, self.settings))
        reason = str(trouble) if times == 1 else f"{trouble}, {times} times"
        self.given_up += 1
        if self.given_up >= GIVEN_UP and not (self.tally.answered or self.tally.known):
            self._stop(
                WavLLMError(f"{self.settings.address} answered none of the first {self.given_up} requests: {reason}.")
            )
        return reason

    def _hold_back(self, trouble: _Trouble, times: int) -> float:
        """Seconds until the next attempt; a server that is busy is closed to all requests, not to this one alone."""
        pause = trouble.pause
        if pause is None:
            pause = min(self.settings.patience * 2 ** (times - 1), MAX_BACKOFF) * random.uniform(0.5, 1)
        if trouble.kind == "busy":
            self.closed_until = max(self.closed_until, time.monotonic() + pause)
        return pause

    async def _until_open(self) -> None:
        while (pause := self.closed_until - time.monotonic()) > 0 and not self.stopping.is_set():
            # Jitter: those who waited together do not knock together.
            await self._sleep(pause + random.uniform(0, 0.2 * self.settings.patience))

    async def _sleep(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)

    async def _begin(self, key: str, body: Body) -> str | None:
        """Reserve what a request may cost, as soon as the server is open and the money not promised; None: never."""
        while True:
            await self._until_open()
            if self.stopping.is_set():
                return None
            if self.budget.affordable({key: body}, batch=False):
                charge = uuid.uuid4().hex  # of this attempt
                self.budget.begin(charge, [body], batch=False)
                return charge
            if self.budget.idle:
                return None
            await self.settled.wait()

    def _settle(self) -> None:
        self.settled.set()
        self.settled.clear()

    def _stop(self, error: BaseException) -> None:
        self.error = self.error or error
        self.stopping.set()
        self._settle()

    @contextmanager
    def _orderly_interrupt(self) -> Iterator[None]:
        """Ctrl-C or SIGTERM lets paid answers arrive; a second one does not."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def interrupt() -> None:
            if self.stopping.is_set() and task:
                task.cancel()
            else:
                console.info("Waiting for the answers under way, which are paid; Ctrl-C again gives them up.")
                self._stop(KeyboardInterrupt())

        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number in before:
            loop.add_signal_handler(number, interrupt)
        try:
            yield
        finally:
            for number, handler in before.items():
                loop.remove_signal_handler(number)
                signal.signal(number, handler)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait: Retry-After as a number or a date (RFC 9110), or its milliseconds."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        with suppress(KeyError, ValueError):
            seconds = float(headers[name]) * unit
            return max(0.0, seconds) if math.isfinite(seconds) else None
    with suppress(KeyError, ValueError, TypeError):
        return max(0.0, parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time())
    return None
