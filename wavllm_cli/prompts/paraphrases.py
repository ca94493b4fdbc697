"""New wordings of a task's instruction, written by a chat model.

Rounds: ask for as many wordings as are missing and some more, reject by rules what is out of form, holds wrong slots or
is known, and let the model itself say what each of the rest asks for. What is rejected is asked for again.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil
from random import Random

from wavllm_cli import console
from wavllm_cli.chat.request import Answer, Request
from wavllm_cli.chat.session import Chat
from wavllm_cli.errors import UsageError
from wavllm_cli.prompts.pools import SLOTS, Wording, load_pool, load_roles
from wavllm_cli.prompts.task_check import CHECK, SHOWN_CHARACTERS, check_requests, confirm
from wavllm_cli.prompts.wording_checks import NEAR_DUPLICATE, Known, find_fault, tidy
from wavllm_cli.tasks.registry import MULTI, TASKS, task_called
from wavllm_cli.text.languages import LANGUAGES

ROUNDS = 5
PER_REQUEST = 10  # wordings
FIRST_SURPLUS, LATER_SURPLUS = 1.3, 1.5  # asked for, over what is missing: some will be rejected
SHIPPED_SHOWN, ACCEPTED_SHOWN = 5, 20  # to a request, as what it must not repeat
CONSTRAINED = 5  # every fifth request asks for wordings with a constraint
MAX_TOKENS = 1500  # ten wordings of 60 words, also where a word is several tokens

LENGTHS = ("a few words", "one sentence", "two or three sentences")
FORMS = ("imperative", "question", "statement of a need", "gives the listener a role (as an expert, as a machine, …)")
REGISTERS = ("formal", "neutral", "casual", "technical")
CONNECTIVE_LENGTHS = ("one to three words", "four to eight words")
CLAUSE_LENGTHS = ("four to eight words", "nine to twelve words")

WRITE = """\
You write instructions for a model that listens to audio, so that it learns to understand the many ways in which \
people ask for the same thing. Write {count} wordings of {what}. Make them as different from each other as you can.
{demands}
Language of the wordings: {language}
{style}

Each wording is one line, without numbering, quotation marks around it or semicolons. None asks for another task, nor \
for JSON, XML, Markdown, lists, headings, time stamps, upper case or speaker labels. The material lists wordings that \
exist already: do not repeat them, translate them or change a word or two in them."""

Cell = tuple[str | None, str]  # role, language


class Wordings(Answer):
    wordings: list[str]


@dataclass(frozen=True)
class Plan:
    """A request and what its wordings are for."""

    cell: Cell
    style: str
    request: Request[Wordings]


def generate(task: str, n: int, chat: Chat, languages: Sequence[str] = ("en",), seed: int = 0) -> list[Wording]:
    """Have a chat model write wordings; any stretch of the result has about the same mix of languages and styles.

    Args:
        task: any of a manifest's tasks, or an alias; for ii and cot the wordings are connectives, divided over the
            kind's roles.
        n: wordings wanted; where fewer are accepted in `ROUNDS` rounds there is a warning that says why.
        chat: asked in the stages "wordings" and "task check".
        languages: codes, over which n is divided as evenly as possible.
        seed: decides what the requests show and the order of the result.

    Returns:
        At most n wordings; none in a dry run, which looks no further than the first round.

    Raises:
        UsageError: an unknown task or language, or too few wordings to divide.
        WavLLMError, StillRunning: nothing can be asked, see `Chat.ask`.
    """
    task = task_called(task)
    quotas = _divide(task, n, languages)
    known = {role: Known(_shipped(task, role)) for role, _ in quotas}
    accepted: dict[Cell, list[Wording]] = {cell: [] for cell in quotas}
    for number in range(1, ROUNDS + 1):
        missing = {cell: quota - len(accepted[cell]) for cell, quota in quotas.items() if quota > len(accepted[cell])}
        plans = list(_plan(task, missing, accepted, number, seed))
        answers = chat.ask([plan.request for plan in plans], stage="wordings")
        if chat.settings.dry_run:
            texts = [text for answer in answers if answer for text in answer.wordings]
            chat.ask(check_requests(task, texts), stage=CHECK)
            return []
        fresh = _screen(task, zip(plans, answers, strict=True), known, chat)
        confirmed = confirm(task, fresh, chat)
        for wording in confirmed:
            accepted[wording.role, wording.language].append(wording)
        # The next round depends on all answers of this one: without them it would be paid in vain.
        unanswered = any(item.unanswered for item in chat.set_aside)
        if not confirmed or unanswered or all(len(accepted[cell]) >= quota for cell, quota in quotas.items()):
            break
    result = _mix(accepted, quotas, seed)
    if len(result) < n:
        reasons = Counter(item.reason for item in chat.set_aside).most_common()
        why = ", ".join(f"{count} × {reason}" for reason, count in reasons)
        rounds = f"{number} round{'s' if number > 1 else ''}"
        console.warn(f"{n} wordings for {task} were asked for, {len(result)} accepted in {rounds}; set aside: {why}.")
    return result


def _divide(task: str, n: int, languages: Sequence[str]) -> dict[Cell, int]:
    """How many wordings each role and language gets."""
    for code in languages:
        if code not in LANGUAGES:
            raise UsageError(f"unknown language '{code}': use codes among {', '.join(LANGUAGES)}.")
    roles = list(load_roles(task)) if task in MULTI else [None]
    cells: list[Cell] = list(product(roles, dict.fromkeys(languages)))
    if not 0 < len(cells) <= n:
        raise UsageError(f"{n} wordings cannot be divided over {len(cells)} roles and languages: ask for more.")
    return {cell: n // len(cells) + (i < n % len(cells)) for i, cell in enumerate(cells)}


def _shipped(task: str, role: str | None) -> Sequence[str]:
    return load_roles(task)[role] if role else load_pool(task)


# --- writing ---


def _plan(
    task: str, missing: Mapping[Cell, int], accepted: Mapping[Cell, Sequence[Wording]], number: int, seed: int
) -> Iterator[Plan]:
    """The requests of a round: a style each, all styles in turn."""
    surplus = FIRST_SURPLUS if number == 1 else LATER_SURPLUS
    for (role, language), count in missing.items():
        rng = Random(f"{seed} {task} {role} {language} {number}")
        styles = _styles(role)
        rng.shuffle(styles)
        shipped, own = _shipped(task, role), [wording.text for wording in accepted[role, language]]
        for i in range(ceil(count * surplus / PER_REQUEST)):
            style = styles[i % len(styles)]
            if TASKS[task].constraints and i % CONSTRAINED == CONSTRAINED - 1:
                style += f", says what the answer is like: {rng.choice(TASKS[task].constraints)}"
            existing = rng.sample(shipped, SHIPPED_SHOWN) + rng.sample(own, min(ACCEPTED_SHOWN, len(own)))
            yield Plan((role, language), style, _write_request(task, role, language, style, existing))


def _styles(role: str | None) -> list[str]:
    if role:
        lengths = CLAUSE_LENGTHS if role in SLOTS else CONNECTIVE_LENGTHS
        return [f"{length}, {register}" for length, register in product(lengths, REGISTERS)]
    return [", ".join(style) for style in product(LENGTHS, FORMS, REGISTERS)]


def _write_request(
    task: str, role: str | None, language: str, style: str, existing: Sequence[str]
) -> Request[Wordings]:
    of_task = TASKS[task]
    what = of_task.roles[role].asks if role else f"this instruction: {of_task.asks}"
    slot = SLOTS.get(role or "")
    demands = f"Each wording holds {slot} exactly once." if slot else of_task.demands
    return Request(
        id=f"{task} {role or ''} {language}: {style}".replace("  ", " "),
        instructions=WRITE.format(
            count=PER_REQUEST, what=what, demands=demands, language=LANGUAGES[language], style=f"Style: {style}"
        ),
        material={"existing": list(existing)},
        # Words that suit no task, for the model to copy the form alone.
        example=Wordings(wordings=[f"wording {i + 1} in the language and style asked for" for i in range(PER_REQUEST)]),
        max_tokens=MAX_TOKENS,
        check=lambda answer: None if answer.wordings else "The list is empty.",
    )


def _screen(
    task: str, answers: Iterable[tuple[Plan, Wordings | None]], known: Mapping[str | None, Known], chat: Chat
) -> list[Wording]:
    """The wordings that keep the rules; they count as known from then on."""
    kept = []
    for plan, answer in answers:
        role, language = plan.cell
        for written in answer.wordings if answer else ():
            text = tidy(written, role)
            fault = find_fault(text, task, role) or (NEAR_DUPLICATE if known[role].has_like(text) else None)
            if fault:
                chat.reject(text[:SHOWN_CHARACTERS], "wordings", fault)
                continue
            known[role].add(text)
            fields = {"task": task, "text": text, "language": language, "role": role, "style": plan.style}
            kept.append(Wording.model_validate(fields))
    return kept


def _mix(accepted: Mapping[Cell, Sequence[Wording]], quotas: Mapping[Cell, int], seed: int) -> list[Wording]:
    """As many as wanted, shuffled, and the cells interleaved: the seen and the unseen part get their share of each."""
    placed: list[tuple[float, Wording]] = []
    for cell, quota in quotas.items():
        chosen = Random(f"{seed} {cell}").sample(accepted[cell], min(quota, len(accepted[cell])))
        placed += [((i + 0.5) / len(chosen), wording) for i, wording in enumerate(chosen)]
    return [wording for _, wording in sorted(placed, key=lambda pair: pair[0])]
