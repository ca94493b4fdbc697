"""What `wavllm score` does: answers in; a table, scores.json, Markdown, an HTML page and perhaps LaTeX out."""

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from wavllm_cli import console, strict_json
from wavllm_cli.chat.report import Estimate, Waiting
from wavllm_cli.chat.settings import Settings
from wavllm_cli.data.files import owned, require_output, write_text
from wavllm_cli.data.schema import Hypothesis, Task
from wavllm_cli.errors import UsageError
from wavllm_cli.scoring import judge, panel
from wavllm_cli.scoring.about import about
from wavllm_cli.scoring.evaluate import evaluate
from wavllm_cli.scoring.inputs import System, read_systems
from wavllm_cli.scoring.published import published_of
from wavllm_cli.scoring.report import terminal
from wavllm_cli.scoring.report.latex import latex as latex_table
from wavllm_cli.scoring.report.markdown import markdown
from wavllm_cli.scoring.report.scores_json import as_dict
from wavllm_cli.scoring.report.tables import Results
from wavllm_cli.scoring.significance import compare, significantly_best
from wavllm_cli.scoring.tasks import Options, measure

TRANSLATION_METRICS = {"bleu", "chrf", "ter"}
STDIN = Path("stdin")  # stands for standard input where its folder matters: the working directory


@dataclass(frozen=True)
class Scored:
    """What was found, and where it was written."""

    results: Results
    outputs: list[Path]

    @property
    def complete(self) -> bool:
        """Whether the same command would find nothing left to ask a judge."""
        return all(judging.complete for scores in self.results.scores for judging in scores.judging)

    def show(self) -> None:
        terminal.show(self.results)
        console.info(f"→ {', '.join(map(str, self.outputs))}")

    def data(self) -> dict[str, Any]:
        return as_dict(self.results)


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
    reference: Path | None = None,
    mapping: Sequence[str] = (),
    task: Task | None = None,
    language: str | None = None,
    target_language: str | None = None,
    options: Options = Options(),  # noqa: B008  (frozen)
    seed: int = 12345,
    output: Path | None = None,
    latex: Path | None = None,
    published: bool = False,
    judges: Sequence[Settings] = (),
    layout: str | None = None,
) -> Scored | Unjudged:
    """Score the answers of systems, compare the second and all others with the first, and write the reports.

    Args:
        sources, reference, mapping, task, language, target_language, layout: as for `inputs.read_systems`; but a target
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
    translated = target_language or TRANSLATION_METRICS & set(options.metrics)
    default_task = "st" if translated else "asr"
    systems = read_systems(sources, reference, mapping, task, target_language, language, layout, default_task)
    first = systems[0]
    output = output or (first.path or STDIN).with_name("scores.json")
    _require_sound_names(output, latex, [*(system.path for system in systems), reference])
    answers = {system.name: _asked_alike(system, first) for system in systems}
    panels = panel.ruled(answers)
    if judges:
        asks = any(not settings.dry_run for settings in judges)
        with owned(output) if asks else nullcontext():  # else two processes might pay for the same verdicts
            asked = panel.ask(panels, answers, judges, output)
        if isinstance(asked, list):
            return Unjudged(asked)
        panels = asked
    groups = {name: measure(rows, options, panels[name]) for name, rows in answers.items()}
    home = reference or first.path or STDIN
    ours = groups[first.name]
    comparisons = [compare(ours, groups[system.name], (first.name, system.name), seed) for system in systems[1:]]
    results = Results(
        about=about(systems, reference),
        scores=[
            evaluate(name, own, options.normalizer, seed, home, panels[name].judgings) for name, own in groups.items()
        ],
        comparisons=comparisons,
        best=significantly_best(groups, comparisons, seed),
        published={group.name: published_of(group.name, group.rows) for group in ours} if published else None,
    )
    scored = Scored(results, _write(results, output, latex))
    if not scored.complete:
        console.warn("Some answers have no verdict yet: the same command asks for it again.")
    return scored


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


def _write(results: Results, output: Path, latex: Path | None) -> list[Path]:
    from wavllm_cli.scoring.report.page import page  # jinja2 takes its time

    prompt = judge.INSTRUCTIONS if any(s.judging for s in results.scores) else None
    texts = [
        strict_json.dumps(as_dict(results), indent=2) + "\n",
        markdown(results),
        page(results, output.parent, prompt),
        *([latex_table(results)] if latex else []),
    ]
    paths = _outputs(output, latex)
    for path, text in zip(paths, texts, strict=True):
        write_text(path, text)
    return paths
