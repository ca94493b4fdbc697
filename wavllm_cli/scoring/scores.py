"""What scoring finds: figures, failures and the rows behind them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from wavllm_cli.scoring.judge import Agreement
from wavllm_cli.scoring.measure import Measure


@dataclass(frozen=True)
class Figure:
    """One figure with its 95 % bootstrap interval; the rest is as in `Measure`."""

    metric: str
    value: float
    low: float
    high: float
    n: int
    signature: str
    unit: str
    lower_is_better: bool
    counts: Mapping[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, measure: Measure, seed: int) -> "Figure":
        low, high = measure.interval(seed)
        return cls(
            measure.metric,
            measure.value,
            low,
            high,
            len(measure.statistics),
            measure.signature,
            measure.unit,
            measure.lower_is_better,
            dict(measure.counts),
            list(measure.notes),
        )


@dataclass(frozen=True)
class Recording:
    """A piece of audio, by an absolute path: the seconds from `start` to `end`; None: to the end of the file.

    `channel` is the one that was heard; None: the mean of all.
    """

    path: str
    start: float = 0.0
    end: float | None = None
    channel: int | None = None


@dataclass(frozen=True)
class Item:
    """One row as reports show it: what was asked, expected and answered, and its figure in the task's first metric.

    `audio` is what was heard, where there are such files; `note` says which instructions were not followed.
    """

    id: str
    task: str
    prompt: str
    reference: str
    text: str
    value: float
    audio: list[Recording] = field(default_factory=list)
    note: str = ""
    references: list[str] = field(default_factory=list)  # further right answers


@dataclass(frozen=True)
class Failure:
    """One way to fail: which rows did, out of how many that could have; `detail` is a phrase with the worst of it."""

    kind: str
    ids: list[str]
    of: int
    detail: str = ""


@dataclass(frozen=True)
class Robustness:
    """The same items under several wordings of their instruction.

    `mean` is the figure of all rows, `best` and `worst` those that take each item under its best or worst wording;
    `spread` is the distance between them.
    """

    metric: str
    items: int
    wordings: int
    mean: float
    best: float
    worst: float
    spread: float
    unit: str


Confusion = dict[str, dict[str, int]]  # right answer -> given answer -> rows


@dataclass(frozen=True)
class TaskScores:
    """Everything known about one task, or about the parts of one task in multi-task rows ("ii/asr").

    `not_scored`: rows that no metric covers, such as those without a reference; they are in no figure.
    `each`: metric -> the figure of each row, in the order of the rows.
    `unfollowed`: of multi-task rows by id, which instructions were not followed by the rules, and why.
    """

    n: int
    figures: list[Figure]
    failures: list[Failure]
    not_scored: int
    worst: list[Item] = field(default_factory=list)
    confusion: Confusion | None = None
    robustness: Robustness | None = None
    each: dict[str, list[float]] = field(default_factory=dict)
    unfollowed: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Judging:
    """A chat model's verdicts on the instructions of multi-task rows.

    Attributes:
        judge: the model.
        verdicts: by row id.
        unusable: by row id, why there is none.
        agreements: with the rules, and with the model before it.
        complete: the same command would find nothing left to ask.
        usd: what it has cost; None where the price is not known.
    """

    judge: str
    verdicts: dict[str, list[bool]]
    unusable: dict[str, str]
    agreements: dict[str, Agreement]
    complete: bool
    usd: float | None


@dataclass(frozen=True)
class Scores:
    """The scores of one system."""

    system: str
    tasks: dict[str, TaskScores]
    normalizer: str
    seed: int
    judging: list[Judging] = field(default_factory=list)
