"""Asking a system about a batch, so that one item never costs another its answer.

What has no room together is halved, down to the one item that has none alone; an error is the item's that it comes
with. Commands, validation and systems made of other systems all ask here.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from wavllm_cli.errors import WavLLMError, reason
from wavllm_cli.systems.base import Answer, Failure, Item, System


@dataclass
class Prepared:
    """Items that a system can be asked about, what it has made of them, and why it cannot be asked about others.

    Attributes:
        inputs: None where the system makes nothing, or could not: it meets the same error when it is asked.
        failures: by id.
    """

    items: list[Item] = field(default_factory=list)
    inputs: Any = None
    failures: dict[str, Failure] = field(default_factory=dict)


def ask(system: System, items: Sequence[Item]) -> list[Answer | Failure]:
    """An answer or a failure for each item, in their order.

    Raises:
        SystemFailed: the system itself, not an item.
    """
    outcomes = answer(system, prepare(system, items))
    return [outcomes[item.id] for item in items]


def prepare(system: System, items: Sequence[Item]) -> Prepared:
    """The first half of `ask`, for the CPU alone: it may run in a thread while another batch is answered."""
    prepared = Prepared()
    for item in items:
        if failure := _refused(system, item):
            prepared.failures[item.id] = failure
        else:
            prepared.items.append(item)
    try:
        prepared.inputs = system.prepare(prepared.items) if prepared.items else None
    except Exception:
        prepared.inputs = None
    return prepared


def answer(system: System, prepared: Prepared) -> dict[str, Answer | Failure]:
    """The second half of `ask`: what became of each item, by id. The inputs are used up.

    Raises:
        SystemFailed: the system itself, not an item.
    """
    items, inputs = prepared.items, prepared.inputs
    prepared.inputs = None
    answers = _together(system, items, inputs) if items else []
    return prepared.failures | dict(zip((item.id for item in items), answers, strict=True))


def stream(system: System, item: Item) -> Generator[str, None, Answer | Failure]:
    """The answer to one item as it comes: pieces that together are the answer's text; returns the whole answer.

    Raises:
        SystemFailed: the system itself, not the item.
    """
    if failure := refusal(system, item):
        return failure
    try:
        return (yield from system.stream(item))
    except Exception as error:
        return _failure(system, error)


def refusal(system: System, item: Item) -> Failure | None:
    """Why an item cannot be answered alone, as far as shows without the system's weights."""
    return _refused(system, item) or _crowded_out(system, item)


def explained(error: Exception, system: System) -> str:
    """What went wrong with an item, in a sentence."""
    if system.is_out_of_memory(error):
        return f"it does not fit into the memory of {system.device}, even alone."
    return str(error) if isinstance(error, WavLLMError) else f"it cannot be answered: {reason(error).rstrip('.')}."


def _together(system: System, items: Sequence[Item], inputs: Any = None) -> list[Answer | Failure]:
    """Answer items at once; where that fails, each half by itself, down to the one that it fails with."""
    if len(items) == 1:
        if failure := _crowded_out(system, items[0]):
            return [failure]
    elif not system.fits(items):
        return _halves(system, items)
    try:
        return [*system.answer(items, system.prepare(items) if inputs is None else inputs)]
    except Exception as error:
        failure = _failure(system, error)
        full = system.is_out_of_memory(error)
    if len(items) == 1:
        return [failure]
    inputs = None
    if full:
        system.release()  # here, not above: the exception held on to what is to be released
    return _halves(system, items)


def _halves(system: System, items: Sequence[Item]) -> list[Answer | Failure]:
    half = len(items) // 2
    return _together(system, items[:half]) + _together(system, items[half:])


def _failure(system: System, error: Exception) -> Failure:
    """
    Raises:
        SystemFailed: the error is not an item's.
    """
    if failed := system.own_failure(error):
        raise failed from error
    return Failure(explained(error, system))


def _refused(system: System, item: Item) -> Failure | None:
    if item.history and not system.converses:
        return Failure("it goes on from earlier questions, and this system answers each by itself.")
    try:
        problem = system.problem(item)
    except Exception as error:  # of an instruction of unknown content, anything may come
        return _failure(system, error)
    return Failure(f"{problem}.") if problem else None


def _crowded_out(system: System, item: Item) -> Failure | None:
    problem = system.memory_problem(item)
    return Failure(f"{problem}.") if problem else None
