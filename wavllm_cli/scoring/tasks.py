"""Which rows are scored together and by which metrics: from a system's answers to measures."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress

from wavllm_cli import console
from wavllm_cli.data.schema import Hypothesis, Part
from wavllm_cli.errors import UsageError
from wavllm_cli.scoring.following.constraints import constraints_of, is_met
from wavllm_cli.scoring.following.verdicts import Verdict
from wavllm_cli.scoring.measure import Measure, several
from wavllm_cli.scoring.metrics.metric import Constrained, Labels, Texts
from wavllm_cli.scoring.metrics.registry import measures, metrics_of, require_metric
from wavllm_cli.scoring.panel import Panel, ruled
from wavllm_cli.tasks.answers.choice import own_choices, parse_choices
from wavllm_cli.tasks.answers.commitment import is_read
from wavllm_cli.tasks.registry import FREE, MULTI, TASKS
from wavllm_cli.tasks.task import Classes, Task
from wavllm_cli.text import language
from wavllm_cli.text.language import by_script
from wavllm_cli.text.languages import language_code
from wavllm_cli.text.normalize import normalizers_named
from wavllm_cli.text.words import is_unspaced

CONSTRAINED = "ifeval"  # the group of all rows with constraints


@dataclass(frozen=True)
class Options:
    """What is to be measured.

    Attributes:
        normalizer: of WER and CER: a name, or "all".
        metrics: only these, on every task that they can measure; none: those of each task.
        bertscore: an encoder, as `bertscore.bert_score` takes it; None: no BERTScore.
        rescale: BERTScore by its baseline.
    """

    normalizer: str = "basic"
    metrics: tuple[str, ...] = ()
    bertscore: str | None = None
    rescale: bool = False

    def __post_init__(self) -> None:
        normalizers_named(self.normalizer)
        for name in self.metrics:
            require_metric(name)
        if "bertscore" in self.metrics and not self.bertscore:
            raise UsageError("BERTScore needs an encoder: name one, for example --bertscore roberta-large.")
        if self.rescale and not self.bertscore:
            raise UsageError("--rescale belongs with --bertscore MODEL.")

    def text_metrics(self, task: Task) -> list[str]:
        """Those for free text: what was asked for, else what the task is used to."""
        if self.metrics:
            return [name for name in metrics_of(Texts) if name in self.metrics]
        return [name for name in task.metrics if name != "bertscore" or self.bertscore]

    def chosen(self, metrics: Sequence[str]) -> list[str]:
        return [name for name in metrics if not self.metrics or name in self.metrics]


@dataclass(frozen=True)
class Group:
    """Rows that are scored together.

    Attributes:
        name: the task; "ii/asr" for such parts of multi-task rows, "sqa/free" for questions without choices, "st/de"
            where there are several target languages; "ifeval" for the rows of all tasks that have constraints.
        rows: all of them.
        scored: those that the measures are of, in the order of their statistics.
        measures: none where no metric applies.
        answers, keys: what was read out of the scored rows' answers and references, where those are one of a few.
        verdicts: of the scored rows, where those are multi-task ones or have constraints.
    """

    name: str
    rows: list[Hypothesis]
    scored: list[Hypothesis]
    measures: list[Measure]
    answers: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    verdicts: list[list[Verdict]] = field(default_factory=list)


def measure(rows: Sequence[Hypothesis], options: Options, panel: Panel | None = None) -> list[Group]:
    """Sort rows into groups and measure each; an empty answer counts as fully wrong.

    Args:
        rows: a system's answers.
        options: what is to be measured.
        panel: who judges whether instructions are followed; the rules if nobody is named.

    Raises:
        UsageError: BERTScore's encoder cannot be had.
    """
    panel = panel or ruled({"": rows})[""]
    by_task: dict[str, list[Hypothesis]] = {}
    for row in rows:
        by_task.setdefault(row.task, []).append(row)
    groups = []
    for code in (code for code in TASKS if code in by_task):
        if code in MULTI:
            groups += _multi(code, by_task[code], options, panel)
        else:
            groups += _single(code, by_task[code], options)
    return groups + _constrained(rows, options)


def _constrained(rows: Sequence[Hypothesis], options: Options) -> list[Group]:
    """Rows of any task whose answers must be of a form that a program can check."""
    scored, asked = [], []
    for row in rows:
        if constraints := constraints_of(row):
            scored.append(row)
            asked.append(constraints)
    chosen = options.chosen(metrics_of(Constrained))
    if not scored or not chosen:
        return []
    if unknown := Counter(why for constraints in asked for one in constraints if (why := one.unknown)):
        named = ", ".join(f"{why} ({count})" for why, count in unknown.most_common())
        console.warn(f"{unknown.total()} constraints cannot be checked and are in no figure: {named}.")
    found = list(measures(chosen, Constrained([row.text for row in scored], asked)))
    verdicts = [
        [Verdict(is_met(row.text, one), one.unknown or one.id, row.text) for one in constraints]
        for row, constraints in zip(scored, asked, strict=True)
    ]
    return [Group(CONSTRAINED, scored, scored, found, verdicts=verdicts)]


def _single(code: str, rows: list[Hypothesis], options: Options, within: str = "") -> list[Group]:
    """The groups of one task's rows; `within` stands before their names."""
    task, name = TASKS[code], within + code
    if task.classes is None:
        return _text_groups(name, task, rows, options)
    closed = [task.classes.of(row) for row in rows]
    groups = []
    if any(closed):
        groups.append(_class_group(name, task.classes, list(compress(rows, closed)), options))
    if not all(closed):
        free = [row for row, of_class in zip(rows, closed, strict=True) if not of_class]
        groups.append(_text_group(f"{name}/{FREE}", task, free, options))
    return groups


def _text_groups(name: str, task: Task, rows: list[Hypothesis], options: Options) -> list[Group]:
    """Rows whose answers are texts: a group for each target language, or one of all where only clips differ."""
    into = task.answers_in == "target"
    by_language: dict[str, list[Hypothesis]] = {}
    for row in rows:
        said = row.target_language if into else row.language
        by_language.setdefault(language_code(said or ""), []).append(row)
    if into and len(by_language) > 1:
        return [
            _text_group(f"{name}/{code or 'unknown'}", task, by_language[code], options, code)
            for code in sorted(by_language)
        ]
    (code, *others) = by_language
    return [_text_group(name, task, rows, options, "" if others else code)]


def _text_group(name: str, task: Task, rows: list[Hypothesis], options: Options, language: str = "") -> Group:
    """Rows whose answers are texts; the reference of a transcription may be empty, where nothing is said."""
    scored = [row for row in rows if row.target is not None and (row.target.strip() or task.may_be_silent)]
    metrics = options.text_metrics(task) if scored else []
    given = _texts(scored, language or None, options)
    if is_unspaced(" ".join(given.targets)):  # where spaces set no words apart, characters say more
        metrics = sorted(metrics, key=lambda metric: metric != "cer")
    return Group(name, rows, scored, list(measures(metrics, given)))


def _texts(rows: Sequence[Hypothesis], language: str | None, options: Options) -> Texts:
    targets = [row.target or "" for row in rows]
    return Texts(
        targets=targets,
        references=[row.accepted or [""] for row in rows],
        texts=[row.text for row in rows],
        language=language or by_script(" ".join(targets)),
        normalizer=options.normalizer,
        encoder=options.bertscore,
        rescale=options.rescale,
    )


def _class_group(name: str, among: Classes, rows: list[Hypothesis], options: Options) -> Group:
    """Rows whose answers are one of a few; those without a right answer that is one of them are not scored."""
    read = among.read
    keys = [[key for text in row.accepted if is_read(key := read(row, text))] for row in rows]
    scored = [(row, accepted) for row, accepted in zip(rows, keys, strict=True) if accepted]
    # An answer that is right by a further reference counts as the target's class: the classes of all systems are alike.
    right = [accepted[0] for _, accepted in scored]
    given = [(read(row, row.text), accepted) for row, accepted in scored]
    answers = [accepted[0] if answer in accepted else answer for answer, accepted in given]
    kind = among.kind + several([accepted for _, accepted in scored])
    chosen = options.chosen(among.metrics) if scored else []
    found = list(measures(chosen, Labels(answers, right, kind)))
    return Group(name, rows, [row for row, _ in scored], found, answers, right)


def _multi(task: str, rows: list[Hypothesis], options: Options, panel: Panel) -> list[Group]:
    """Multi-task rows as such, and what they say to each kind of part, as rows of their own."""
    scored = [row for row in rows if row.parts]
    verdicts = [panel.rulings[row.id] for row in scored]
    found = panel.measures(scored, options.chosen(TASKS[task].metrics)) if scored else []
    groups = [Group(task, rows, scored, found, verdicts=verdicts)]
    parts: dict[str, list[Hypothesis]] = {}
    for row, judged in zip(scored, verdicts, strict=True):
        for number, (part, verdict) in enumerate(zip(row.parts or (), judged, strict=True), 1):
            parts.setdefault(part.task, []).append(_part_row(row, part, number, verdict.text))
    for part_task in (t for t in TASKS if t in parts):
        groups += _single(part_task, parts[part_task], options, f"{task}/")
    return groups


def _part_row(row: Hypothesis, part: Part, number: int, text: str) -> Hypothesis:
    """One part as a row of its own; of the whole row's fields it takes what is said of this part, not of another."""
    choices = None if parse_choices(part.prompt) else own_choices(row.choices, part.target) or None
    named = language.named_in(part.prompt) if TASKS[part.task].answers_in == "target" else None
    fields = {"choices": choices, "target_language": named or row.target_language, "parts": None}
    return row.model_copy(update=part.model_dump() | fields | {"id": f"{row.id}#{number}", "text": text})
