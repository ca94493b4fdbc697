"""What became of the requests, what they would cost, and that they are under way."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from wavllm_cli import console, strict_json
from wavllm_cli.chat.live import Tally
from wavllm_cli.chat.prices import Price, expected_usage
from wavllm_cli.chat.request import Body, Request, size
from wavllm_cli.data.files import write_text

EXAMPLES = 3  # ids named for each reason


@dataclass
class Stage:
    """One kind of request: how many items, requests (repairs are further ones), replies that were known before."""

    items: int = 0
    usable: int = 0
    requests: int = 0
    known: int = 0
    prompt_tokens: int = 0  # expected of those that are not known, in a dry run
    completion_tokens: int = 0
    most_prompt_tokens: int = 0
    most_completion_tokens: int = 0

    def expect(self, request: Request, body: Body) -> None:
        prompt, completion = expected_usage(request, body)
        self.prompt_tokens += prompt
        self.completion_tokens += completion
        self.most_prompt_tokens += size(body)
        self.most_completion_tokens += body["max_completion_tokens"]


@dataclass(frozen=True)
class SetAside:
    """An item without a usable answer.

    Attributes:
        unanswered: the same command may still get one.
        reply: how what the model said instead begins.
    """

    id: str
    stage: str
    reason: str
    unanswered: bool
    reply: str | None = None


@dataclass(frozen=True)
class Report:
    """The account of a run."""

    rows: int
    output: Path
    stages: Mapping[str, Stage]
    set_aside: Sequence[SetAside]
    tally: Tally
    usd: float | None  # of the whole output, replies paid by earlier runs included

    @property
    def complete(self) -> bool:
        """Whether the same command would find nothing left to ask."""
        return not any(item.unanswered for item in self.set_aside)

    @property
    def successful(self) -> bool:
        """Whether there are rows and nothing is left to ask."""
        return self.complete and self.rows > 0

    def write_set_aside(self) -> Path | None:
        """Leave the items that were set aside beside the output, a JSON object a line; no file where there are none."""
        path = self.output.with_name(f"{self.output.name}.set-aside.jsonl")
        if not self.set_aside:
            path.unlink(missing_ok=True)
            return None
        write_text(path, "".join(strict_json.dumps(asdict(item)) + "\n" for item in self.set_aside))
        return path

    def show(self) -> None:
        console.table(
            "Asked",
            ["stage", "items", "usable", "requests", "known"],
            [[name, s.items, s.usable, s.requests, s.known] for name, s in self.stages.items()],
        )
        if self.set_aside:
            console.table("Set aside", ["stage", "reason", "items", "for example"], self._reasons(), right=False)
        sent = f"{self.tally.sent} requests sent, {self.tally.retried} of them again after trouble"
        lost = f"; {self.tally.lost} answers did not arrive and may have been charged" if self.tally.lost else ""
        cost = "price unknown" if self.usd is None else f"${self.usd:.4f} for the whole output"
        console.info(f"{sent}{lost}; {cost}.")
        if self.rows:
            console.info(f"{self.rows} rows → {self.output}")
        else:
            older = ": the file of that name is of an earlier run" if self.output.exists() else ""
            console.error(f"There is nothing to write to {self.output}{older}.")
        if not self.complete:
            console.info("Some requests have no answer yet: the same command asks for them again.")

    def data(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "out": str(self.output),
            "stages": {
                name: {"items": s.items, "usable": s.usable, "requests": s.requests, "known": s.known}
                for name, s in self.stages.items()
            },
            "set_aside": [asdict(item) for item in self.set_aside],
            "network": asdict(self.tally),
            "usd": self.usd,
        }

    def _reasons(self) -> list[list[object]]:
        items: dict[tuple[str, str], list[str]] = {}
        for item in self.set_aside:
            items.setdefault((item.stage, item.reason), []).append(item.id)
        most = sorted(items.items(), key=lambda pair: -len(pair[1]))
        return [[stage, reason, len(ids), ", ".join(ids[:EXAMPLES])] for (stage, reason), ids in most]


@dataclass(frozen=True)
class Estimate:
    """What a dry run found: requests, tokens and money by stage, and the first request as it would be sent."""

    model: str
    url: str
    stages: Mapping[str, Stage]
    price: Price | None
    batch: bool
    sample: Body | None
    complete: ClassVar = True
    successful: ClassVar = True

    def show(self) -> None:
        if self.sample:
            for message in self.sample["messages"]:
                console.say(f"[{message['role']}]\n{message['content']}\n")
        rows = [
            [name, s.requests, s.known, s.prompt_tokens, s.completion_tokens, *map(_dollars, self._cost(s))]
            for name, s in self.stages.items()
        ]
        columns = ["stage", "requests", "known", "tokens in", "tokens out", "about", "at most"]
        how = "the Batch API" if self.batch else "single requests"
        console.table(f"Dry run: {self.model} at {self.url}, by {how}", columns, rows)
        if self.price is None:
            console.info(f"The price of {self.model} is not known: give it with --prices FILE.")
        console.info("Nothing was asked. Repairs of unusable answers would come on top.")

    def data(self) -> dict[str, Any]:
        stages = {}
        for name, s in self.stages.items():
            about, most = self._cost(s)
            stages[name] = {
                "requests": s.requests,
                "known": s.known,
                "prompt_tokens": s.prompt_tokens,
                "completion_tokens": s.completion_tokens,
                "usd": about,
                "usd_at_most": most,
            }
        return {"model": self.model, "url": self.url, "batch": self.batch, "stages": stages, "sample": self.sample}

    def _cost(self, stage: Stage) -> tuple[float | None, float | None]:
        if self.price is None:
            return None, None
        about = self.price.cost(stage.prompt_tokens, stage.completion_tokens, self.batch)
        return about, self.price.cost(stage.most_prompt_tokens, stage.most_completion_tokens, self.batch)


@dataclass(frozen=True)
class Waiting:
    """A batch that is under way, and left alone."""

    message: str
    complete: ClassVar = True
    successful: ClassVar = True

    def show(self) -> None:
        console.info(f"{self.message} The same command collects it.")

    def data(self) -> dict[str, Any]:
        return {"waiting": self.message}


def _dollars(usd: float | None) -> str:
    return "?" if usd is None else f"${usd:.4f}"
