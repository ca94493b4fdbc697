"""What a metric says of itself, and the kinds of answers that one may measure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from wavllm_cli.scoring.following.constraints import Constraint
from wavllm_cli.scoring.measure import Measure


@dataclass(frozen=True)
class Texts:
    """Answers that are texts, N of them, with what is right.

    Attributes:
        targets: the right answer of each; what error rates are counted against.
        references: all right answers of each, the target first; [""] where nothing is right but to say nothing.
        texts: the answers.
        language: the code of the language that they are in; None where there are several, or it is not known.
        normalizer: of error rates: its name, or "all".
        encoder: of BERTScore, as `bert_score` takes it.
        rescale: BERTScore by its baseline.
    """

    targets: Sequence[str]
    references: Sequence[Sequence[str]]
    texts: Sequence[str]
    language: str | None = None
    normalizer: str = "basic"
    encoder: str | None = None
    rescale: bool = False


@dataclass(frozen=True)
class Labels:
    """Answers that are one of a few, N of them.

    Attributes:
        answers: what was read out of each, or a sentinel of `tasks.answers.commitment`.
        keys: the right ones.
        kind: what they are, for signatures: "letter".
    """

    answers: Sequence[str]
    keys: Sequence[str]
    kind: str


@dataclass(frozen=True)
class Judged:
    """Answers to several instructions, N of them.

    Attributes:
        verdicts: as `ifr.measures` takes them.
        judge: who says so, for signatures.
    """

    verdicts: Sequence[Sequence[bool | None] | None]
    judge: str


@dataclass(frozen=True)
class Constrained:
    """Answers whose form is constrained, N of them.

    Attributes:
        answers: texts.
        constraints: of each, one or more.
    """

    answers: Sequence[str]
    constraints: Sequence[Sequence[Constraint]]


Given = TypeVar("Given")


@dataclass(frozen=True)
class Metric(Generic[Given]):
    """One metric.

    Attributes:
        code: in commands and files: "wer".
        name: for people: "word error rate".
        kind: of the answers that it measures: `Texts`, `Labels` …
        apply: those -> its figures: one, or several with a variant behind the code: "wer/lower".
        unit: of the figures: "fraction" (0.05 is 5 %) or "points" out of a hundred.
        lower_is_better: of the figures.
        meaning: what a figure is the share or the measure of, to stand after its name.
    """

    code: str
    name: str
    kind: type[Given]
    apply: Callable[[Given], Iterable[Measure]]
    unit: str = "fraction"
    lower_is_better: bool = False
    meaning: str = ""
