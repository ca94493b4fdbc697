"""The money of one output: what was charged for it, and what may have been, in any of its runs."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jiter
from pydantic import BaseModel, Field, ValidationError

from wavllm_cli.chat.prices import Price, SpeechPrice
from wavllm_cli.chat.request import Body
from wavllm_cli.data.schema import problems_in
from wavllm_cli.errors import UsageError, WavLLMError


class _Charge(BaseModel):
    charge: str
    usd: float = Field(ge=0, allow_inf_nan=False)


class Budget:
    """A request starts only if its dearest answer fits into the limit.

    Every charge is in a file beside the output before its request is sent, at the most it can cost, and once more when
    its price is known; the last line of a charge counts. So what a killed run had under way, and attempts whose answer
    did not arrive, stay at their most: they may have been paid.

    Args:
        limit: US dollars, over all runs; None: no limit.
        price: of the model; None: nothing is counted.
        ledger: the file of charges.
    """

    def __init__(self, limit: float | None, price: Price | SpeechPrice | None, ledger: Path):
        self.limit = math.inf if limit is None else limit
        self.price = price
        self.ledger = ledger
        self._charges = _read(ledger) if price else {}
        self._under_way: set[str] = set()
        self.spent = math.fsum(self._charges.values())

    def affordable(self, bodies: Mapping[str, Body], batch: bool) -> dict[str, Body]:
        """The first of these requests, as many as fit whatever they and those under way will cost."""
        room = self.limit - self.spent
        taken = {}
        for key, body in bodies.items():
            room -= self.price.at_most(body, batch) if self.price else 0.0
            if room < 0:
                break
            taken[key] = body
        return taken

    def cost(self, reply: Any) -> float:
        """US dollars."""
        return self.price.of_reply(reply) if self.price else 0.0

    def begin(self, charge: str, bodies: Iterable[Body], batch: bool) -> None:
        """Reserve what requests may cost.

        Raises:
            WavLLMError: the file cannot be written.
        """
        self._under_way.add(charge)
        if self.price:
            self._record(charge, sum(self.price.at_most(body, batch) for body in bodies))

    def end(self, charge: str, usd: float | None) -> None:
        """Close a charge with its price; None: it is not known, and stays at its most."""
        self._under_way.discard(charge)
        if self.price and usd is not None:
            self._record(charge, usd)

    @property
    def idle(self) -> bool:
        return not self._under_way

    def _record(self, charge: str, usd: float) -> None:
        line = "\n" + json.dumps(
            {"charge": charge, "usd": usd}, allow_nan=False
        )  # a line that a kill cuts off spoils no other
        try:
            self.ledger.parent.mkdir(parents=True, exist_ok=True)
            with self.ledger.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            raise WavLLMError(f"{self.ledger} cannot be written: {error.strerror or error}.") from error
        self.spent += usd - self._charges.get(charge, 0.0)
        self._charges[charge] = usd


def _read(path: Path) -> dict[str, float]:
    """The charges of a ledger; a line that was cut off is of a request that was not sent, or stays at its most.

    Raises:
        UsageError: a line that is whole but no charge: what the output has cost cannot be told.
    """
    charges: dict[str, float] = {}
    for number, line in enumerate(path.read_bytes().split(b"\n") if path.exists() else (), 1):
        try:
            row = jiter.from_json(line)
        except ValueError:
            continue
        try:
            charge = _Charge.model_validate(row)
        except ValidationError as error:
            raise UsageError(
                f"{path}, line {number} is no charge ({problems_in(error)[0]}): put it right, or delete it if nothing "
                "was paid."
            ) from None
        charges[charge.charge] = charge.usd
    return charges
