"""Who says which instructions of multi-task answers are followed: the rules, chat models, and the two together.

Judges are heard before anything is measured. What the rules leave undecided is handed to a model, whose verdicts also
stand alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote as percent_encoded

from wavllm_cli import console
from wavllm_cli.chat.report import Estimate, Waiting
from wavllm_cli.chat.settings import Settings
from wavllm_cli.data.schema import Hypothesis
from wavllm_cli.errors import UsageError
from wavllm_cli.scoring import judge
from wavllm_cli.scoring.following.verdicts import Verdict
from wavllm_cli.scoring.following.verdicts import judge as by_rules
from wavllm_cli.scoring.measure import Measure
from wavllm_cli.scoring.metrics import ifr
from wavllm_cli.scoring.metrics.metric import Judged
from wavllm_cli.scoring.metrics.registry import measures
from wavllm_cli.scoring.scores import Judging

RULES = "rules"

Followed = Mapping[str, Sequence[bool | None]]  # one judge's verdicts by row id; None: undecided


@dataclass(frozen=True)
class Panel:
    """The judges of one system.

    Attributes:
        rulings: by row id, what the rules make of each instruction, with reasons.
        judgings: what each model says, and how far it agrees with others.
        verdicts: by judge, the rules first, on the rows that it could judge.
        counted: by judge, the rows in its rates: those that it has decided on for every system, else systems would be
            compared on different rows.
    """

    rulings: Mapping[str, list[Verdict]]
    judgings: list[Judging] = field(default_factory=list)
    verdicts: Mapping[str, Followed] = field(default_factory=dict)
    counted: Mapping[str, set[str]] = field(default_factory=dict)

    def measures(self, rows: Sequence[Hypothesis], metrics: Sequence[str]) -> list[Measure]:
        """The rates of multi-task rows by each judge; a model's bear its name, as in "ifr/MODEL"."""
        found = []
        for name, verdicts in self.verdicts.items():
            given = [self._counted(name, verdicts.get(row.id), row.id) for row in rows]
            rates = list(measures(metrics, Judged(given, name)))
            found += rates if name == RULES else [replace(rate, metric=f"{rate.metric}/{name}") for rate in rates]
        return found

    def _counted(self, judge: str, given: Sequence[bool | None] | None, row: str) -> Sequence[bool | None] | None:
        """A row that is in no rate is counted as undecided if it is, else as without verdicts."""
        return given if row in self.counted[judge] or (given is not None and ifr.undecided(given)) else None


def ruled(systems: Mapping[str, Sequence[Hypothesis]]) -> dict[str, Panel]:
    """By system, a panel of the rules alone."""
    panels = {}
    for name, rows in systems.items():
        several = [row for row in rows if row.parts]
        panels[name] = Panel({row.id: by_rules(row) for row in console.track(several, "judging instructions")})
    return seated(panels)


def seated(panels: Mapping[str, Panel]) -> dict[str, Panel]:
    """The panels of all systems once their judges have been heard: with the verdicts, and the rows that count."""
    heard = {name: _verdicts(panel) for name, panel in panels.items()}
    if any(None in given for of_system in heard.values() for given in of_system[RULES].values()):
        heard = {name: of_system | _handed(of_system) for name, of_system in heard.items()}
    counted: dict[str, set[str]] = {}
    for of_system in heard.values():
        for name, verdicts in of_system.items():
            decided = {row for row, given in verdicts.items() if not ifr.undecided(given)}
            counted[name] = counted.get(name, decided) & decided
    return {name: replace(panel, verdicts=heard[name], counted=counted) for name, panel in panels.items()}


def _verdicts(panel: Panel) -> dict[str, Followed]:
    by_judge: dict[str, Followed] = {RULES: {row: ifr.followed(given) for row, given in panel.rulings.items()}}
    return by_judge | {judging.judge: judging.verdicts for judging in panel.judgings}


def _handed(heard: Mapping[str, Followed]) -> dict[str, Followed]:
    """By "rules+MODEL", the rules' verdicts, and the model's where they have none."""
    found: dict[str, Followed] = {}
    for name, model in heard.items():
        if name != RULES:
            found[f"{RULES}+{name}"] = {
                row: [b if a is None else a for a, b in zip(given, model.get(row, given), strict=True)]
                for row, given in heard[RULES].items()
            }
    return found


# --- models ---


def ask(
    panels: Mapping[str, Panel],
    systems: Mapping[str, Sequence[Hypothesis]],
    models: Sequence[Settings],
    output: Path,
) -> dict[str, Panel] | list[tuple[str, Estimate | Waiting]]:
    """Have chat models judge the multi-task rows of each system; batches that are not waited for run side by side.

    Args:
        panels: of the systems, by the rules.
        systems: their rows.
        models: they share `max_usd` equally, as do the systems.
        output: scores.json, beside which verdicts are left.

    Returns:
        The panels with these judges; or, in a dry run and while a batch is not waited for, an account for each system
        and model.

    Raises:
        UsageError: there is nothing to judge.
        WavLLMError: as `judge.run`.
    """
    accounts: list[tuple[str, Estimate | Waiting]] = []
    heard: dict[str, list[Judging]] = {name: [] for name in systems}
    for settings in models:
        if settings.max_usd is not None:
            settings = replace(settings, max_usd=settings.max_usd / (len(models) * len(systems)))
        for name, rows in systems.items():
            several = [row for row in rows if row.id in panels[name].rulings]
            if not several:
                raise UsageError("No row has several instructions (tasks ii and cot): leave out --judge.")
            file = output if len(systems) == 1 else output.with_name(f"{output.name}.{percent_encoded(name, safe='')}")
            judged = judge.run(several, settings, file)
            if isinstance(judged, judge.Judged):
                heard[name].append(_judging(judged, replace(panels[name], judgings=heard[name])))
            else:
                accounts.append((name, judged))
    return accounts or seated({name: replace(panel, judgings=heard[name]) for name, panel in panels.items()})


def _judging(judged: judge.Judged, panel: Panel) -> Judging:
    """What a model's verdicts are worth: how many are unusable, and how far they agree with the judges before it."""
    rows = list(panel.rulings)
    own = [judged.verdicts.get(row) for row in rows]
    return Judging(
        judge=judged.model,
        verdicts=judged.verdicts,
        unusable=judged.unusable,
        agreements={
            name: judge.agreement([verdicts.get(row) for row in rows], own, rows)
            for name, verdicts in _verdicts(panel).items()
        },
        complete=judged.report.complete,
        usd=judged.report.usd,
    )
