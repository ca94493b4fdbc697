"""A table as all media take it, and how its numbers are written."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from wavllm_cli.errors import listed

# --- cells ---


@dataclass(frozen=True)
class Value:
    """A figure; `best`: significantly better than that of every other system, `few`: of few rows."""

    value: float
    unit: str
    low: float = math.nan
    high: float = math.nan
    best: bool = False
    few: bool = False

    def __str__(self) -> str:
        return amount(self.value, self.unit)

    @property
    def interval(self) -> str:
        return interval(self.low, self.high, self.unit)


@dataclass(frozen=True)
class Ids:
    """Rows, and a phrase with the worst of them."""

    ids: Sequence[str]
    detail: str = ""

    def __str__(self) -> str:
        return self.detail or listed(self.ids, 3)


@dataclass(frozen=True)
class Tally:
    """Rows on which a system is better than another, as good, worse."""

    wins: int
    ties: int
    losses: int

    def __str__(self) -> str:
        return f"{self.wins} / {self.ties} / {self.losses}"


Cell = str | int | Value | Ids | Tally


# --- tables ---


@dataclass(frozen=True)
class Column:
    """`number`: right-aligned and never broken; `detail`: a terminal has no room for it."""

    name: str
    number: bool = False
    detail: bool = False


@dataclass(frozen=True)
class Table:
    """`matrix`: rows counted by right and given answer."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()
    matrix: bool = False

    def without(self, name: str) -> "Table":
        at = [column.name for column in self.columns].index(name)
        rows = [[*row[:at], *row[at + 1 :]] for row in self.rows]
        return replace(self, columns=[*self.columns[:at], *self.columns[at + 1 :]], rows=rows)

    def compact(self) -> "Table":
        """Where all rows are of one system, its name stands in the title and takes no column."""
        names = [column.name for column in self.columns]
        systems = {row[names.index("system")] for row in self.rows} if "system" in names else set()
        return replace(self.without("system"), title=f"{self.title}: {systems.pop()}") if len(systems) == 1 else self


# --- numbers ---


def amount(value: float, unit: str) -> str:
    """A figure with its unit and two decimals: fractions in per cent, points as they are; "n/a"."""
    if not math.isfinite(value):
        return "n/a"
    return f"{100 * value:.2f} %" if unit == "fraction" else f"{value:.2f}"


def share(part: int, whole: int) -> str:
    """A share: "2.50 %"; "n/a" if there is nothing to have a share of."""
    return amount(part / whole if whole else math.nan, "fraction")


def signed(value: float, unit: str) -> str:
    """A difference with its sign; differences of fractions are in percentage points."""
    return ("+" if value > 0 else "") + bare(value, unit)


def bare(value: float, unit: str) -> str:
    """As `amount`, without the unit."""
    return amount(value, unit).removesuffix(" %")


def interval(low: float, high: float, unit: str) -> str:
    """Both ends of an interval in the unit of its figure; "–" where there is none."""
    return f"{bare(low, unit)} … {bare(high, unit)}" if math.isfinite(low) and math.isfinite(high) else "–"


def probability(p: float) -> str:
    """A p-value: "0.042", "< 0.001", "n/a"."""
    if not math.isfinite(p):
        return "n/a"
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"
