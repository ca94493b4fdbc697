"""What `wavllm prep stats` does and says: what manifests hold, on a terminal, as JSON and as a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from wavllm_cli import console
from wavllm_cli.audit.spread import Spread
from wavllm_cli.audit.tally import KINDS, NONE, Count, Tally
from wavllm_cli.data.files import require_output, shown, write_text
from wavllm_cli.data.foreign import refuse_foreign
from wavllm_cli.data.manifest import numbered_rows
from wavllm_cli.errors import UsageError, listed
from wavllm_cli.scoring.report.page import render
from wavllm_cli.scoring.report.pictures import Bar, bars
from wavllm_cli.scoring.report.table import Cell, Column, Table
from wavllm_cli.scoring.report.terminal import show_table
from wavllm_cli.tasks.registry import spelled_out

TEMPLATE = Path(__file__).with_name("stats.html.jinja")
SHOWN, ON_PAGE = 10, 100  # values of a kind, those with most hours first
QUANTILES = {"least": 0, "5 %": 5, "median": 50, "95 %": 95, "most": 100}


@dataclass(frozen=True)
class Stats:
    """What manifests hold."""

    manifests: Sequence[Path]
    tally: Tally

    # --- the tables ---

    def rows_by(self, kind: str, most: int) -> Table:
        """Rows and hours by the values of one kind."""
        counts = self.tally.kinds[kind]
        order = sorted(counts, key=lambda value: (value == NONE, -counts[value].seconds, -counts[value].rows, value))
        rows = [self._row(kind, value, counts[value]) for value in order[:most]]
        notes = [f"{len(order) - most:,} more, each with fewer hours."] if len(order) > most else []
        unknown = any(count.unmeasured for count in counts.values())
        columns = [Column(kind), Column("rows", True), Column("hours", True), Column("mean s", True)]
        if unknown:
            columns.append(Column("of unknown length", True))
        named = len(counts.keys() - {NONE})
        title = f"{named:,} {KINDS[kind] if named > 1 else kind}"
        return Table(title, columns, [row[: len(columns)] for row in rows], notes)

    def _row(self, kind: str, value: str, count: Count) -> list[Cell]:
        name = spelled_out(value) if kind == "task" else value
        measured = count.rows - count.text - count.unmeasured
        mean = f"{count.seconds / measured:.2f}" if measured else "–"
        return [name, f"{count.rows:,}", console.hours(count.hours), mean, f"{count.unmeasured:,}"]

    def spread_table(self, with_line: bool) -> Table:
        """How durations, words and the like are spread; each with its histogram in a line of text."""
        columns = [Column(""), Column("rows", True), *(Column(name, True) for name in QUANTILES)]
        columns += [Column("mean", True), *([Column("histogram")] if with_line else [])]
        rows = [self._spread(spread, with_line) for spread in self.tally.spreads]
        return Table("How they are spread", columns, rows)

    def _spread(self, spread: Spread, with_line: bool) -> list[Cell]:
        name = f"{spread.name}, {spread.unit}" if spread.unit else spread.name
        figures = [f"{figure:.4g}" for figure in (*map(spread.quantile, QUANTILES.values()), spread.mean)]
        return [name, f"{spread.count:,}", *figures, *([spread.line()] if with_line else [])]

    def kinds(self) -> list[str]:
        """What rows differ in, or at least say."""
        return [kind for kind, counts in self.tally.kinds.items() if {*counts} != {NONE}]

    @cached_property
    def facts(self) -> list[tuple[str, str]]:
        """The figures of all rows together."""
        whole, distinct = self.tally.whole, self.tally.distinct()
        facts = [("Rows", f"{whole.rows:,}"), ("Hours", console.hours(whole.hours))]
        if distinct.rows < whole.rows - whole.text:
            facts.append(("Clips", f"{distinct.rows:,} different ones, {console.hours(distinct.hours, ' h')}"))
        if whole.text:
            facts.append(("Text alone", f"{whole.text:,}"))
        if whole.unmeasured:
            facts.append(("No duration", f"{whole.unmeasured:,}: their hours are not counted"))
        if self.tally.unreadable:
            facts.append(("Unreadable", f"{self.tally.unreadable:,}, see wavllm prep check"))
        return facts

    # --- the three ways to see them ---

    def show(self) -> None:
        for name, fact in self.facts:
            console.say(f"{name}: {fact}")
        console.say("")
        for kind in self.kinds():
            show_table(self.rows_by(kind, SHOWN))
        show_table(self.spread_table(with_line=console.out.encoding.startswith("utf")))

    def data(self) -> dict[str, Any]:
        whole, distinct = self.tally.whole, self.tally.distinct()
        by = {
            kind: {
                value: {"rows": count.rows, "hours": count.hours, "unmeasured": count.unmeasured, "text": count.text}
                for value, count in self.tally.kinds[kind].items()
            }
            for kind in self.kinds()
        }
        return {
            "manifests": list(map(str, self.manifests)),
            "rows": whole.rows,
            "hours": whole.hours,
            "clips": {"count": distinct.rows, "hours": distinct.hours},
            "text": whole.text,
            "unmeasured": whole.unmeasured,
            "unreadable": self.tally.unreadable,
            "by": by,
            "spread": {spread.name: spread.data() for spread in self.tally.spreads},
        }

    def page(self) -> str:
        """A page of HTML that needs nothing else."""
        return render(
            TEMPLATE,
            title=f"What is in {listed([path.name for path in self.manifests], 3)}",
            manifests=[shown(path) for path in self.manifests],
            facts=self.facts,
            tables=[self.rows_by(kind, ON_PAGE) for kind in self.kinds()],
            spreads=self.spread_table(with_line=False),
            charts=[(spread, chart(spread)) for spread in self.tally.spreads],
        )


def chart(spread: Spread) -> list[Bar]:
    return bars([rows for _, _, rows in spread.histogram], list(spread.names()))


def run(manifests: Sequence[Path], html: Path | None) -> Stats:
    """Count what manifests hold, in bounded memory; and write the page where one is named.

    Raises:
        UsageError: a manifest is missing or none, has no row that can be read, or the page cannot be written.
    """
    if html:
        require_output(html, manifests, (".html",))
    tally = Tally()
    for path in manifests:
        refuse_foreign(path)
        tally.read(path, console.track(numbered_rows(path), path.name))
    if not tally.whole.rows:
        raise UsageError(f"{', '.join(map(shown, manifests))}: there are no rows that can be read.")
    stats = Stats(manifests, tally)
    if html:
        write_text(html, stats.page())
    return stats
