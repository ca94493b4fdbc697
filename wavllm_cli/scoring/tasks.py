"""Which rows are scored together and by which metrics: from a system's answers to measures."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import get_args

from wavllm_cli.data.schema import Hypothesis, Part, Task
from wavllm_cli.errors import UsageError
from wavllm_cli.scoring import bertscore, bleu, classes, rouge, wer
from wavllm_cli.scoring.following.verdicts import Verdict
from wavllm_cli.scoring.measure import Measure, several
from wavllm_cli.scoring.panel import Panel, ruled
from wavllm_cli.tasks.answers.choice import own_choices, parse_choices, read_letter
from wavllm_cli.tasks.answers.commitment import is_read
from wavllm_cli.tasks.answers.emotion import read_emotion
from wavllm_cli.tasks.answers.yes_no import read_yes_no
from wavllm_cli.text import language
from wavllm_cli.text.languages import language_code
from wavllm_cli.text.normalize import normalizers_named

# The metrics of each task; the first one decides which rows are the worst.
TEXT_METRICS = {
    "asr": ("wer", "cer"),
    "st": ("bleu", "chrf", "ter"),
    "sqa": rouge.NAMES,  # questions without choices
    "sqqa": rouge.NAMES,
    "sft": (*rouge.NAMES, "exact"),
}
CLASS_METRICS = {
    "sv": ("accuracy", "balanced_accuracy"),
    "er": ("accuracy", "balanced_accuracy", "macro_f1"),
    "sqa": ("accuracy",),
}
MULTI_METRICS = ("ifr", "instructions")
TEXT = ("wer", "cer", "bleu", "chrf", "ter", *rouge.NAMES, "exact", "bertscore")
METRICS = (*TEXT, "accuracy", "balanced_accuracy", "macro_f1", *MULTI_METRICS)
ORDER: tuple[str, ...] = get_args(Task)

FREE = "sqa/free"
LETTER = re.compile(r"[A-H]")


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
            if name not in METRICS:
                nearest = get_close_matches(name, METRICS, n=1, cutoff=0.0)[0]
                raise UsageError(f"unknown metric '{name}': did you mean '{nearest}'? There are {', '.join(METRICS)}.")
        if "bertscore" in self.metrics and not self.bertscore:
            raise UsageError("BERTScore needs an encoder: name one, for example --bertscore roberta-large.")
        if self.rescale and not self.bertscore:
            raise UsageError("--rescale belongs with --bertscore MODEL.")

    def text_metrics(self, task: str) -> list[str]:
        """Those for free text: what was asked for, else what the task is used to."""
        if self.metrics:
            return [name for name in TEXT if name in self.metrics]
        return [*TEXT_METRICS[task], *(["bertscore"] if self.bertscore and task != "asr" else [])]

    def chosen(self, metrics: Sequence[str]) -> list[str]:
        return [name for name in metrics if not self.metrics or name in self.metrics]


@dataclass(frozen=True)
class Group:
    """Rows that are scored together.

    Attributes:
        name: the task; "ii/asr" for such parts of multi-task rows, "sqa/free" for questions without choices, "st/de"
            where there are several target languages.
        rows: all of them.
        scored: those that the measures are of, in the order of their statistics.
        measures: none where no metric applies.
        answers, keys: what was read out of the scored rows' answers and references, where those are one of a few.
        verdicts: of the scored rows, where those are multi-task ones.
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
    for task in (task for task in ORDER if task in by_task):
        if task in ("ii", "cot"):
            groups += _multi(task, by_task[task], options, panel)
        else:
            groups += _single(task, by_task[task], options)
    return groups


def _single(task: str, rows: list[Hypothesis], options: Options, within: str = "") -> list[Group]:
    """The groups of one task's rows; `within` stands before their names."""
    if task == "sqa":
        free = [row for row in rows if not _choices(row)]
        closed = [row for row in rows if _choices(row)]
        return [
            *([_class_group(f"{within}sqa", "sqa", closed, options)] if closed else []),
            *([_text_group(f"{within}{FREE}", "sqa", free, options)] if free else []),
        ]
    if task in CLASS_METRICS:
        return [_class_group(within + task, task, rows, options)]
    by_language: dict[str, list[Hypothesis]] = {}
    for row in rows:
        spoken = row.target_language if task == "st" else row.language
        by_language.setdefault(language_code(spoken or ""), []).append(row)
    if task == "st" and len(by_language) > 1:
        return [
            _text_group(f"{within}st/{code or 'unknown'}", "st", by_language[code], options, code)
            for code in sorted(by_language)
        ]
    (code, *others) = by_language
    return [_text_group(within + task, task, rows, options, "" if others else code)]


def _text_group(name: str, task: str, rows: list[Hypothesis], options: Options, language: str = "") -> Group:
    """Rows whose answers are texts; the reference of a transcription may be empty, where nothing is said."""
    scored = [row for row in rows if row.target is not None and (row.target.strip() or task == "asr")]
    metrics = options.text_metrics(task) if scored else []
    return Group(name, rows, scored, list(_text_measures(metrics, scored, language or None, options)))


def _text_measures(
    metrics: Sequence[str], rows: list[Hypothesis], language: str | None, options: Options
) -> Iterator[Measure]:
    """Error rates are those against the target; all other metrics take any of the right answers."""
    targets, texts = [row.target or "" for row in rows], [row.text for row in rows]
    references = [row.accepted or [""] for row in rows]
    rouges = [metric for metric in metrics if metric in rouge.NAMES]
    by_sacrebleu: dict[str, Callable[..., Measure]] = {"bleu": bleu.bleu, "chrf": bleu.chrf, "ter": bleu.ter}
    for metric in (metric for metric in metrics if metric not in rouges[1:]):
        if metric in ("wer", "cer"):
            rate = wer.word_error_rate if metric == "wer" else wer.character_error_rate
            rates = {n.name: rate(targets, texts, n) for n in normalizers_named(options.normalizer)}
            yield from (replace(r, metric=f"{metric}/{name}") if len(rates) > 1 else r for name, r in rates.items())
        elif metric in rouges:  # all of them at once: the texts are split into words but once
            yield from rouge.rouge(references, texts, language, rouges)
        elif metric == "bertscore":
            assert options.bertscore
            yield bertscore.bert_score(references, texts, options.bertscore, language, options.rescale)
        elif metric == "exact":
            yield classes.exact(references, texts)
        else:
            yield by_sacrebleu[metric](references, texts, language)


def _class_group(name: str, task: str, rows: list[Hypothesis], options: Options) -> Group:
    """Rows whose answers are one of a few; those without a right answer that is one of them are not scored."""
    kind, read = READERS[task]
    keys = [[key for text in row.accepted if is_read(key := read(row, text))] for row in rows]
    scored = [(row, accepted) for row, accepted in zip(rows, keys, strict=True) if accepted]
    # An answer that is right by a further reference counts as the target's class: the classes of all systems are alike.
    right = [accepted[0] for _, accepted in scored]
    given = [(read(row, row.text), accepted) for row, accepted in scored]
    answers = [accepted[0] if answer in accepted else answer for answer, accepted in given]
    kind += several([accepted for _, accepted in scored])
    metrics: dict[str, Callable[..., Measure]] = {
        "accuracy": classes.accuracy,
        "balanced_accuracy": classes.balanced_accuracy,
        "macro_f1": classes.macro_f1,
    }
    chosen = options.chosen(CLASS_METRICS[task]) if scored else []
    measures = [metrics[metric](answers, right, kind) for metric in chosen]
    return Group(name, rows, [row for row, _ in scored], measures, answers, right)


def _multi(task: str, rows: list[Hypothesis], options: Options, panel: Panel) -> list[Group]:
    """Multi-task rows as such, and what they say to each kind of part, as rows of their own."""
    scored = [row for row in rows if row.parts]
    verdicts = [panel.rulings[row.id] for row in scored]
    chosen = options.chosen(MULTI_METRICS)
    measures = [m for m in panel.measures(scored) if m.metric.partition("/")[0] in chosen] if scored else []
    groups = [Group(task, rows, scored, measures, verdicts=verdicts)]
    parts: dict[str, list[Hypothesis]] = {}
    for row, judged in zip(scored, verdicts, strict=True):
        for number, (part, verdict) in enumerate(zip(row.parts or (), judged, strict=True), 1):
            parts.setdefault(part.task, []).append(_part_row(row, part, number, verdict.text))
    for part_task in (t for t in ORDER if t in parts):
        groups += _single(part_task, parts[part_task], options, f"{task}/")
    return groups


def _part_row(row: Hypothesis, part: Part, number: int, text: str) -> Hypothesis:
    """One part as a row of its own; of the whole row's fields it takes what is said of this part, not of another."""
    choices = None if parse_choices(part.prompt) else own_choices(row.choices, part.target) or None
    named = language.named_in(part.prompt) if part.task == "st" else None
    fields = {"choices": choices, "target_language": named or row.target_language, "parts": None}
    return row.model_copy(update=part.model_dump() | fields | {"id": f"{row.id}#{number}", "text": text})


def _choices(row: Hypothesis) -> list[str]:
    """The choices of a question; where only the right letter tells that there are some, letters without words."""
    found = row.choices or parse_choices(row.prompt)
    return found or ([""] * 8 if LETTER.fullmatch(row.target or "") else [])


def _labels(row: Hypothesis) -> list[str]:
    """The words that name an emotion in this corpus: the choices offered, and right answers of one word."""
    words = [text.split() for text in row.accepted]
    return [*(row.choices or ()), *(word[0] for word in words if len(word) == 1)]


# task -> (what its answers are, how one is read out of a text)
READERS: dict[str, tuple[str, Callable[[Hypothesis, str], str]]] = {
    "sv": ("yes-no", lambda row, text: read_yes_no(text, row.prompt)),
    "er": ("emotion", lambda row, text: read_emotion(text, _labels(row))),
    "sqa": ("letter", lambda row, text: read_letter(text, _choices(row), row.prompt)),
}
