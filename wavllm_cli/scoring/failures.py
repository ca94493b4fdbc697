"""How answers fail, whatever their metrics say: which rows are empty, stuck in a loop, in the wrong language …"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from wavllm_cli.data.schema import Hypothesis
from wavllm_cli.scoring.following.verdicts import OUT_OF_PLACE
from wavllm_cli.scoring.metrics import ifr
from wavllm_cli.scoring.scores import Failure
from wavllm_cli.scoring.tasks import Group
from wavllm_cli.tasks.answers.commitment import NO_MENTION, SEVERAL
from wavllm_cli.tasks.answers.nonanswers import is_echo, loops, refuses
from wavllm_cli.tasks.registry import TASKS
from wavllm_cli.text import language
from wavllm_cli.text.languages import language_code
from wavllm_cli.text.words import count_words, share_in, words

MIN_CHARACTERS = 15  # of a text whose language is looked at
OVERRUN = 2.0  # times as long as the reference …
OVERRUN_WORDS = 10  # … and so many words longer


def failures(group: Group) -> list[Failure]:
    """The ways in which rows of a group fail, in a fixed order; a way that no row could take is left out."""
    return [failure for failure in _all(group) if failure.of]


def _all(group: Group) -> Iterator[Failure]:
    rows = group.rows
    said = [row for row in rows if row.text.strip()]
    yield _found("empty", rows, lambda row: not row.text.strip())
    yield _found("repetition", said, lambda row: loops(row.text) and not any(map(loops, row.accepted)))
    yield _found("echo", said, _echoes)
    yield _found("refusal", said, _refuses)
    long = [row for row in said if _language(row) and len(row.text) >= MIN_CHARACTERS]
    yield _found("wrong_language", long, _in_wrong_language)
    yield _hallucination(rows)
    if group.verdicts:
        yield from _unfollowed(group)
    elif not group.keys:
        yield _overrun([row for row in rows if row.target])
    if group.keys:
        answers = dict(zip((row.id for row in group.scored), group.answers, strict=True))
        heard = [row for row in group.scored if row.text.strip()]
        yield _found("unanswered", heard, lambda row: answers[row.id] == NO_MENTION)
        yield _found("ambiguous", heard, lambda row: answers[row.id] == SEVERAL)
    scored = {row.id for row in group.scored}
    yield _found("missing_reference", rows, lambda row: row.id not in scored)


def _found(kind: str, rows: Sequence[Hypothesis], fails: Callable[[Hypothesis], bool], detail: str = "") -> Failure:
    return Failure(kind, [row.id for row in rows if fails(row)], len(rows), detail)


def _echoes(row: Hypothesis) -> bool:
    return is_echo(row.text, row.prompt) and not any(is_echo(text, row.prompt) for text in row.accepted)


def _refuses(row: Hypothesis) -> bool:
    """A clip whose words are "I'm sorry, I can't hear you" may be transcribed and translated."""
    return refuses(row.text) and not any(_repeats(row.text, source) for source in (row.transcript, *row.accepted))


def _repeats(text: str, source: str | None) -> bool:
    """Whether at least half of a text stands in the transcript or reference."""
    return share_in(words(text), words(source or "")) >= 0.5


def _language(row: Hypothesis) -> str | None:
    """The language that an answer must be in, where it must be in one."""
    answers_in = TASKS[row.task].answers_in
    if answers_in == "target":
        return row.target_language
    return row.language if answers_in == "clip" else None


def _in_wrong_language(row: Hypothesis) -> bool:
    """The words of the reference are right in any language; most answers hold them, so that few need identifying."""
    repeated = any(_repeats(row.text, text) for text in row.accepted)
    return not repeated and not language.is_in(row.text, language_code(_language(row) or ""))


def _hallucination(rows: Sequence[Hypothesis]) -> Failure:
    """Words where nobody speaks, by the minute where the clips' durations are known."""
    spoken = [row for row in rows if TASKS[row.task].may_be_silent and row.target is not None]
    silent = [row for row in spoken if not (row.target or "").strip()]
    minutes = sum(row.duration or 0.0 for row in silent) / 60
    said = sum(count_words(row.text) for row in silent if row.duration)
    detail = f"{said / minutes:.1f} words per minute of silence" if minutes else ""
    return _found("hallucination", silent, lambda row: count_words(row.text) > 0, detail)


def _overrun(rows: Sequence[Hypothesis]) -> Failure:
    longer = [row for row in rows if len(row.text) >= len(row.target or "") + 2 * OVERRUN_WORDS]  # saves counting
    asked_for = {row.id: max(map(count_words, row.accepted), default=0) for row in longer}
    lengths = {row.id: (count_words(row.text), asked_for[row.id]) for row in longer}
    ids = [i for i, (said, asked) in lengths.items() if said > OVERRUN * asked and said >= asked + OVERRUN_WORDS]
    longest = max(ids, key=lambda i: lengths[i][0] - lengths[i][1], default=None)
    detail = f"longest: {lengths[longest][0]} words for {lengths[longest][1]} ({longest})" if longest else ""
    return Failure("overrun", ids, len(rows), detail)


def _unfollowed(group: Group) -> Iterator[Failure]:
    """Multi-task rows by what is wrong with some answer: it is missing, at the wrong place or of a wrong form."""
    rows: dict[str, dict[str, None]] = {"missing_part": {}, "out_of_order": {}, "wrong_form": {}}
    reasons: Counter[str] = Counter()
    for row, verdicts in zip(group.scored, group.verdicts, strict=True):
        for verdict in (verdict for verdict in verdicts if verdict.followed is False):
            misplaced = verdict.reason == OUT_OF_PLACE
            kind = "out_of_order" if misplaced else "wrong_form" if verdict.text else "missing_part"
            rows[kind][row.id] = None
            reasons[re.sub(r"\d+", "…", verdict.reason)] += kind == "wrong_form"
    commonest = ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common(3) if count)
    for kind, ids in rows.items():
        yield Failure(kind, list(ids), len(group.scored), commonest if kind == "wrong_form" else "")
    judged = zip(group.scored, group.verdicts, strict=True)
    unknown = [row.id for row, verdicts in judged if ifr.undecided(ifr.followed(verdicts))]
    yield Failure("undecided", unknown, len(group.scored), "in no rate")
