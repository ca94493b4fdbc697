"""The chat of one output: its requests, each asked once, and the account of what became of them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from wavllm_cli.chat import batch, live
from wavllm_cli.chat.budget import Budget
from wavllm_cli.chat.cache import Cache
from wavllm_cli.chat.live import Tally
from wavllm_cli.chat.masking import without_user
from wavllm_cli.chat.prices import find_price
from wavllm_cli.chat.report import Estimate, Report, SetAside, Stage
from wavllm_cli.chat.request import A, Body, Problem, Request, judge, key, repaired
from wavllm_cli.chat.settings import Settings, quoted
from wavllm_cli.errors import UsageError

GROUP = 256  # items that go through all their stages together

T = TypeVar("T")


class Chat:
    """Asks a chat model for the sake of one output file.

    Args:
        settings: server, model, money.
        output: the file that the answers are for; beside it stand a ledger of charges and a batch's job file.

    Raises:
        UsageError: a budget, but no price for the model.
    """

    def __init__(self, settings: Settings, output: Path):
        self.settings = settings
        self.output = output
        self.price = find_price(settings.model, settings.prices)
        if settings.max_usd is not None and self.price is None:
            raise UsageError(f"--max-usd needs the price of '{settings.model}': give it with --prices FILE.")
        self.cache = Cache(settings.cache)
        self.budget = Budget(settings.max_usd, self.price, output.with_name(f"{output.name}.costs.jsonl"))
        self.tally = Tally()
        self.stages: dict[str, Stage] = {}
        self.set_aside: list[SetAside] = []
        self.sample: Body | None = None  # the first request of all, for a dry run to show

    def groups(self, items: Sequence[T]) -> Iterator[Sequence[T]]:
        """Cut items into groups that go through all stages one after another: money that ends has bought finished work.

        A batch, which may take a day, gets everything at once.
        """
        size = max(1, len(items)) if self.settings.batch else GROUP
        yield from (items[i : i + size] for i in range(0, len(items), size))

    def ask(self, requests: Sequence[Request[A]], stage: str) -> list[A | None]:
        """Answers in the order of the requests; None where one had to be set aside.

        A reply of the wrong form, or one that the request's check complains about, is asked for once more. In a dry run
        what is not known stands as the request's example.

        Raises:
            WavLLMError: nothing can be asked: no key, a wrong one, no network, no such model; or a batch is under way.
            StillRunning: a batch is under way and settings.wait is false.
        """
        bodies = [request.body(self.settings.model, self.settings.reasoning_tokens) for request in requests]
        verdicts = self._verdicts(requests, bodies, stage)
        again = {i: verdict for i, verdict in enumerate(verdicts) if isinstance(verdict, Problem) and verdict.repair}
        repairs = [repaired(bodies[i], problem) for i, problem in again.items()]
        for i, verdict in zip(again, self._verdicts([requests[i] for i in again], repairs, stage), strict=True):
            verdicts[i] = verdict
        for request, verdict in zip(requests, verdicts, strict=True):
            if isinstance(verdict, Problem):
                self.reject(request.id, stage, verdict.reason, verdict.unanswered, verdict.reply)
        answers = [None if isinstance(verdict, Problem) else verdict for verdict in verdicts]
        self.stages[stage].items += len(requests)
        self.stages[stage].usable += sum(answer is not None for answer in answers)
        return answers

    def reject(self, item: str, stage: str, reason: str, unanswered: bool = False, reply: str | None = None) -> None:
        """Set an item aside, with the reason and the reply that was of no use."""
        self.set_aside.append(SetAside(item, stage, reason, unanswered, quoted(reply) if reply else None))

    def report(self, rows: int) -> Report:
        """The account, for the `rows` that were made of the answers."""
        cost = self.budget.spent if self.price else None
        return Report(rows, self.output, self.stages, self.set_aside, self.tally, cost)

    def estimate(self) -> Estimate:
        """What a dry run found."""
        return Estimate(
            self.settings.model, self.settings.address, self.stages, self.price, self.settings.batch, self.sample
        )

    def _verdicts(self, requests: Sequence[Request[A]], bodies: Sequence[Body], stage: str) -> list[A | Problem]:
        keys = [key(without_user(self.settings.url), body) for body in bodies]
        asked = dict(zip(keys, bodies, strict=True))
        counts = self.stages.setdefault(stage, Stage())
        replies = {k: reply for k, body in asked.items() if (reply := self.cache.get(k, body))}
        self.tally.known += len(replies)
        missing = {k: body for k, body in asked.items() if k not in replies}
        counts.requests += len(replies) + len(missing)
        counts.known += len(replies)
        if self.settings.dry_run:
            for request, k in zip(requests, keys, strict=True):
                if k in missing:
                    body = missing.pop(k)
                    counts.expect(request, body)
                    self.sample = self.sample or body
            return [judge(r, replies[k]) if k in replies else r.example for r, k in zip(requests, keys, strict=True)]
        reasons = self._fetch(missing)
        replies |= {k: reply for k, body in missing.items() if (reply := self.cache.get(k, body))}
        return [
            judge(request, replies[k]) if k in replies else Problem(reasons.get(k, "no reply"), unanswered=True)
            for request, k in zip(requests, keys, strict=True)
        ]

    def _fetch(self, missing: dict[str, Body]) -> dict[str, str]:
        job_file = self.output.with_name(f"{self.output.name}.batch.json")
        if self.settings.batch and (missing or job_file.exists()):
            return batch.fetch(missing, self.settings, self.cache, self.budget, self.tally, job_file)
        if missing and job_file.exists():
            raise UsageError(
                f"{job_file} names a batch that has been paid for: collect it with --batch, or delete it to ask again."
            )
        return live.fetch(missing, self.settings, self.cache, self.budget, self.tally) if missing else {}
