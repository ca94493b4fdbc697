"""What is known of a task: all that any stage of the package asks about one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol


class Row(Protocol):
    """What a reader of answers looks at in a row of a manifest."""

    @property
    def prompt(self) -> str: ...
    @property
    def target(self) -> str | None: ...
    @property
    def choices(self) -> Sequence[str] | None: ...
    @property
    def accepted(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class Classes:
    """Answers that are one of a few.

    Attributes:
        kind: what they are, as signatures call it: "letter".
        metrics: names of `scoring`; the first one decides which rows are the worst.
        read: (row, text) -> the one that a text commits to, or one of the sentinels of `answers.commitment`.
        of: whether a row's answer is one of a few; where it is not, it is scored as a text.
    """

    kind: str
    metrics: tuple[str, ...]
    read: Callable[[Row, str], str]
    of: Callable[[Row], bool] = lambda row: True


@dataclass(frozen=True)
class Step:
    """One thing that a multi-task row asks for.

    Attributes:
        lead_in: what stands before its answer in targets, and so in what models answer; `{language}` is filled.
        chain_role: the role of the cot pool's wordings, where a chain asks for it in its own way.
        on_text: in a chain it leans on the text written so far alone.
    """

    lead_in: str
    chain_role: str | None = None
    on_text: bool = False


@dataclass(frozen=True)
class Role:
    """What the wordings of one role are for, in a pool of a kind of multi-task rows.

    Attributes:
        asks: what a writing and a checking model are told.
        slot: what each wording leaves open, once.
    """

    asks: str
    slot: str | None = None


@dataclass(frozen=True)
class Task:
    """One task; its pool of wordings is `wordings/CODE.txt`.

    Attributes:
        code: as files name it: "asr".
        name: spelled out, for people.
        order: its place in help, tables and reports.
        aliases: other words for it on the command line and in names of files.
        answered_by: what of a clip is the right answer, as tables of others have it: "translation".
        needs_audio: no row goes without; where one may, its instruction is the item.
        answers_in: the language that right answers are in: the clip's own, or the row's target language; None: any.
        has_own_prompt: its rows bring an instruction: they get a wording of the pool only where that is asked for.
        slot: what each wording of the pool leaves open, once.
        slot_is_last: nothing may follow the slot.
        metrics: of answers that are texts, names of `scoring`; the first one decides which rows are the worst.
            "bertscore" is measured only where an encoder is named.
        classes: of answers that are one of a few.
        in_order: the answer about a long clip is the answers about its parts, one after the other.
        may_be_silent: nothing at all may be the right answer.
        form: how an answer must look to be one, a check of `scoring.following.forms`.
        steps: what its rows are in multi-task rows; none: they take no part.
        roles: of a kind of multi-task rows: the roles of its pool's wordings.
        asks: what a model that writes or sorts wordings is told that they ask for.
        demands: what else a writing model is told.
        constraints: on the answer that a wording may name, because the targets are like that.
        judged_as: what a judging model is told that an instruction is about.
    """

    code: str
    name: str
    order: int
    aliases: tuple[str, ...] = ()
    answered_by: str | None = None
    needs_audio: bool = True
    answers_in: Literal["clip", "target"] | None = None
    has_own_prompt: bool = False
    slot: str | None = None
    slot_is_last: bool = False
    metrics: tuple[str, ...] = ()
    classes: Classes | None = None
    in_order: bool = False
    may_be_silent: bool = False
    form: str = "text"
    steps: Mapping[str, Step] = field(default_factory=dict)
    roles: Mapping[str, Role] = field(default_factory=dict)
    asks: str = ""
    demands: str = ""
    constraints: tuple[str, ...] = ()
    judged_as: str = ""
