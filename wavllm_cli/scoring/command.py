"""What `wavllm score` does: answers in; a table, scores.json, Markdown, an HTML page and perhaps LaTeX out."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote as percent_encoded

from wavllm_cli import console, strict_json
from wavllm_cli.chat.report import Estimate, Waiting
from wavllm_cli.chat.settings import Settings
from wavllm_cli.data.files import owned, require_output, write_text
from wavllm_cli.data.schema import Hypothesis, Task
from wavllm_cli.errors import UsageError
from wavllm_cli.scoring import ifr, judge, latex_table, markdown_report, terminal
from wavllm_cli.scoring.evaluate import evaluate
from wavllm_cli.scoring.following.verdicts import Verdict
from wavllm_cli.scoring.inputs import System, read_systems
from wavllm_cli.scoring.report import Judging, Scores
from wavllm_cli.scoring.significance import Comparison, compare
from wavllm_cli.scoring.tasks import MULTI_METRICS, Group, Options, measure

TRANSLATION_METRICS = {"bleu", "chrf", "ter"}
STDIN = Path("stdin")  # stands for standard input where its folder matters: the working directory


@dataclass(frozen=True)
class Scored:
    """The scores of one or several systems, their comparison with the first one, and where all that was written."""

    scores: list[Scores]
    comparisons: list[Comparison]
    published: bool
    outputs: list[Path]

    @property
    def complete(self) -> bool:
        """Whether the same command would find nothing left to ask a judge."""
        return all(judging.complete for scores in self.scores for judging in scores.judging)

    def show(self) -> None:
        terminal.show(self.scores, self.comparisons, self.published)
        console.info(f"→ {', '.join(map(str, self.outputs))}")

    def data(self) -> dict[str, Any]:
        return as_dict(self.scores, self.comparisons)


@dataclass(frozen=True)
class Unjudged:
    """Why there are no scores yet: what judges would cost, or the batches that they are at work on, by system."""

    accounts: list[tuple[str, Estimate | Waiting]]
    complete: ClassVar = True

    def show(self) -> None:
        """Each account with the system's name; the first request of all stands for the others."""
        for i, (system, account) in enumerate(self.accounts):
            if isinstance(account, Waiting):
                Waiting(f"{system}: {account.message}").show()
            else:
                sample = None if i else account.sample
                replace(account, model=f"{account.model} on {system}", sample=sample).show()

    def data(self) -> dict[str, Any]:
        return {"judges": [{"system": system, **account.data()} for system, account in self.accounts]}


def score(
    sources: Sequence[str],
    reference: Path | None,
    mapping: Sequence[str],
    task: Task | None,
    language: str | None,
    target_language: str | None,
    options: Options,
    seed: int,
    output: Path | None,
    latex: Path | None,
    published: bool,
    judges: Sequence[Settings],
) -> Scored | Unjudged:
    """Score the answers of systems, compare the second and all others with the first, and write the reports.

    Args:
        sources, reference, mapping, task, language, target_language: as for `inputs.read_systems`; but a target
            language, or a metric of translations, makes rows that do not say their task translations.
        options: what to measure.
        seed: of every resample.
        output: scores.json; by default beside the first source. The .md and .html beside it have its name.
        latex: a table for a paper.
        published: figures that others published beside ours.
        judges: chat models that say which instructions of ii and cot rows are followed, one or two. They share
            `max_usd` equally, as do the systems.

    Returns:
        In a dry run of judges, or while one of their batches is not waited for, no scores.

    Raises:
        UsageError: names of outputs that cannot be, or nothing for judges to judge.
        UsageError, WavLLMError: as the modules that do the work.
    """
    if task is None and (target_language or TRANSLATION_METRICS & set(options.metrics)):
        task = "st"
    systems = read_systems(sources, reference, mapping, task, target_language, language)
    first = systems[0]
    output = output or (first.path or STDIN).with_name("scores.json")
    _require_sound_names(output, latex, [*(system.path for system in systems), reference])
    groups = {system.name: measure(_asked_alike(system, first), options) for system in systems}
    asks = any(not settings.dry_run for settings in judges)
    with owned(output) if asks else nullcontext():  # else two processes might pay for the same verdicts
        judgings = _judge(groups, judges, output)
    if isinstance(judgings, Unjudged):
        return judgings
    said = _said(groups, judgings)
    usable = _judged_everywhere(said.values())
    groups = {name: [_with_rates(group, said[name], usable, options) for group in own] for name, own in groups.items()}
    home = reference or first.path or STDIN
    scores = [
        replace(evaluate(name, own, options.normalizer, seed, home), judging=judgings[name])
        for name, own in groups.items()
    ]
    comparisons = [
        compare(groups[first.name], groups[system.name], (first.name, system.name), seed) for system in systems[1:]
    ]
    scored = Scored(scores, comparisons, published, _write(scores, comparisons, published, output, latex))
    if not scored.complete:
        console.warn("Some answers have no verdict yet: the same command asks for it again.")
    return scored


def as_dict(scores: Sequence[Scores], comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """The content of scores.json."""
    if len(scores) == 1:
        return scores[0].as_dict()
    return {
        "systems": [s.as_dict() for s in scores],
        "comparisons": [
            {"a": c.a, "b": c.b, "differences": [asdict(difference) for difference in c.differences]}
            for c in comparisons
        ],
    }


def _require_sound_names(output: Path, latex: Path | None, inputs: Iterable[Path | None]) -> None:
    """Find out before the work that an output would replace an input or another output."""
    if output.suffix != ".json":
        raise UsageError(f"{output} cannot be written: the name of --output ends in .json, .md and .html go beside it.")
    outputs = _outputs(output, latex)
    for path in outputs:
        require_output(path)
    read = {path.resolve() for path in inputs if path}
    for i, path in enumerate(outputs):
        if path.resolve() in read:
            raise UsageError(f"{path} holds what is to be scored and would be overwritten: choose another --output.")
        if path.resolve() in (other.resolve() for other in outputs[:i]):
            raise UsageError(f"{path} would be written twice: choose another --latex.")


def _outputs(output: Path, latex: Path | None) -> list[Path]:
    return [output, output.with_suffix(".md"), output.with_suffix(".html"), *([latex] if latex else [])]


def _asked_alike(system: System, first: System) -> list[Hypothesis]:
    """The rows of a system as they were put to the first one, so that all are measured by the same references."""
    if system is first:
        return system.rows
    return [
        asked.model_copy(update={"text": row.text, "system": row.system})
        for asked, row in zip(first.rows, system.rows, strict=True)
    ]


# --- judges ---


def _judge(
    groups: Mapping[str, Sequence[Group]], judges: Sequence[Settings], output: Path
) -> dict[str, list[Judging]] | Unjudged:
    """Have each judge look at the multi-task rows of each system; batches that are not waited for run side by side.

    Returns:
        By system, what each judge says.
    """
    judgings: dict[str, list[Judging]] = {name: [] for name in groups}
    accounts = []
    for settings in judges:
        if settings.max_usd is not None:
            settings = replace(settings, max_usd=settings.max_usd / (len(judges) * len(groups)))
        for name, own in groups.items():
            rows = [pair for group in own for pair in zip(group.scored, group.verdicts, strict=False)]
            if not rows:
                raise UsageError("No row has several instructions (tasks ii and cot): leave out --judge.")
            file = output if len(groups) == 1 else output.with_name(f"{output.name}.{percent_encoded(name, safe='')}")
            judged = judge.run([row for row, _ in rows], settings, file)
            if isinstance(judged, judge.Judged):
                judgings[name].append(_judging(judged, rows, judgings[name]))
            else:
                accounts.append((name, judged))
    return Unjudged(accounts) if accounts else judgings


def _judging(
    judged: judge.Judged, rows: Sequence[tuple[Hypothesis, Sequence[Verdict]]], before: Sequence[Judging]
) -> Judging:
    """What a model's verdicts are worth: how many are unusable, and how far they agree with the rules (whose verdicts
    come with the rows) and the models before it."""
    ids = [row.id for row, _ in rows]
    own = [judged.verdicts.get(id) for id in ids]
    others: dict[str, list[Sequence[bool | None] | None]] = {"rules": [ifr.followed(verdicts) for _, verdicts in rows]}
    others |= {judging.judge: [judging.verdicts.get(id) for id in ids] for judging in before}
    return Judging(
        judge=judged.model,
        verdicts=judged.verdicts,
        unusable=judged.unusable,
        agreements={name: judge.agreement(other, own, ids) for name, other in others.items()},
        complete=judged.report.complete,
        usd=judged.report.usd,
    )


Verdicts = dict[str, Sequence[bool | None]]  # by row


def _said(
    groups: Mapping[str, Sequence[Group]], judgings: Mapping[str, Sequence[Judging]]
) -> dict[str, dict[str, Verdicts]]:
    """By system and judge the verdicts on its rows: the rules', each model's, and where the rules leave something
    undecided, theirs with that handed to the model."""
    said: dict[str, dict[str, Verdicts]] = {}
    for name, own in groups.items():
        rows = [pair for group in own for pair in zip(group.scored, group.verdicts, strict=False)]
        said[name] = {"rules": {row.id: ifr.followed(verdicts) for row, verdicts in rows}}
    handed = any(None in given for of_system in said.values() for given in of_system["rules"].values())
    for name, of_system in said.items():
        for judging in judgings[name]:
            of_system[judging.judge] = dict(judging.verdicts)
            if handed:
                of_system[f"rules+{judging.judge}"] = _handed(of_system["rules"], judging.verdicts)
    return said


def _handed(rules: Verdicts, model: Mapping[str, Sequence[bool]]) -> Verdicts:
    """The rules' verdicts, and a model's where they have none."""
    return {
        row: [b if a is None else a for a, b in zip(given, model.get(row, given), strict=True)]
        for row, given in rules.items()
    }


def _judged_everywhere(said: Iterable[Mapping[str, Verdicts]]) -> dict[str, set[str]]:
    """By judge, the rows that it has decided on for every system: only these compare them fairly."""
    usable: dict[str, set[str]] = {}
    for of_system in said:
        for judge_name, verdicts in of_system.items():
            decided = {row for row, given in verdicts.items() if not ifr.undecided(given)}
            usable[judge_name] = usable.get(judge_name, decided) & decided
    return usable


def _with_rates(group: Group, said: Mapping[str, Verdicts], usable: Mapping[str, set[str]], options: Options) -> Group:
    """A group of multi-task rows with the rates by each judge; any other as it is."""
    if not group.verdicts:
        return group
    measures = []
    for name, verdicts in said.items():
        rows = [verdicts[row.id] if row.id in usable[name] else _unknown(verdicts.get(row.id)) for row in group.scored]
        chosen = [m for m in ifr.measures(rows, name) if m.metric in options.chosen(MULTI_METRICS)]
        measures += [m if name == "rules" else replace(m, metric=f"{m.metric}/{name}") for m in chosen]
    return replace(group, measures=measures)


def _unknown(given: Sequence[bool | None] | None) -> Sequence[bool | None] | None:
    """The verdicts on a row that is in no rate: such that count it as undecided if they are, else none."""
    return given if given is not None and ifr.undecided(given) else None


# --- reports ---


def _write(
    scores: Sequence[Scores], comparisons: Sequence[Comparison], published: bool, output: Path, latex: Path | None
) -> list[Path]:
    from wavllm_cli.scoring.page import page

    prompt = judge.INSTRUCTIONS if any(s.judging for s in scores) else None
    texts = [
        strict_json.dumps(as_dict(scores, comparisons), indent=2) + "\n",
        markdown_report.markdown(scores, comparisons, published),
        page(scores, comparisons, published, output.parent, prompt),
        *([latex_table.latex(scores, published)] if latex else []),
    ]
    paths = _outputs(output, latex)
    for path, text in zip(paths, texts, strict=True):
        write_text(path, text)
    return paths
