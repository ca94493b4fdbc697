"""Whether an instruction is a plain request for a transcript or for a translation of all that is said.

The pools of wordings show how people write those. An instruction is one if it names its result ("transcribe", "what is
said"), consists of words that the wordings of its task consist of, and is likelier one of those than one of any other
task (naive Bayes over which words are there, each kind of wording as likely as the other). A word that no such request
has, "summarize", asks for something else, and so does one that some of them forbid. Which language it is, and what the
recording is called, make no difference.
"""

from collections import Counter
from collections.abc import Iterable
from functools import cache
from math import log

from wavllm_cli.prompts.pools import load_pool, load_roles
from wavllm_cli.prompts.wording_checks import PLACEHOLDER
from wavllm_cli.tasks.registry import IN_ORDER, MULTI, SINGLE, UNPROMPTED
from wavllm_cli.text.language import languages_replaced
from wavllm_cli.text.lexicon import pattern
from wavllm_cli.text.normalize import basic
from wavllm_cli.text.words import words

LANGUAGE = "{language}"  # a wording's slot, which stands for any of them


def plain_task(task: str | None, instruction: str) -> str | None:
    """What is plainly asked for: by the task, where it decides that; else by the words of a request in order of time.

    Args:
        task: as a manifest names it; None where nobody has said it.

    Returns:
        The task's code; None where only somebody who understands the instruction can tell.
    """
    if task in UNPROMPTED:
        return task
    return next((code for code in IN_ORDER if asks_for(code, instruction)), None)


def asks_for(task: str, instruction: str) -> bool:
    """Whether that which all wordings of a task ask for is the whole answer."""
    if SINGLE[task].slot == LANGUAGE:
        instruction = languages_replaced(instruction, LANGUAGE)
    if basic(instruction) in map(basic, load_pool(task)):
        return True
    evidence, said = _evidence(task), _words(instruction)
    is_named = pattern("labels", SINGLE[task].form).search(instruction) is not None
    return is_named and said <= evidence.keys() and sum(evidence[word] for word in said) > 0


@cache
def _evidence(task: str) -> dict[str, float]:
    """Of each word of the pool: log of how much likelier a wording of the task has it than another wording."""
    others = [wording for code in SINGLE if code != task for wording in load_pool(code)]
    others += [wording for kind in MULTI for role in load_roles(kind).values() for wording in role]
    negation = pattern("choices", "negation")  # what stands behind it is not asked for
    mine = [negation.split(wording, maxsplit=1)[0] for wording in load_pool(task)]
    ours, foreign = _holding(mine), _holding(others)
    return {word: log(_share(ours[word], len(mine)) / _share(foreign[word], len(others))) for word in ours}


def _holding(wordings: Iterable[str]) -> Counter[str]:
    """In how many wordings each word is."""
    return Counter(word for wording in wordings for word in _words(wording))


def _words(text: str) -> set[str]:
    """Without slots, and without what somebody calls a recording."""
    return set(words(pattern("recordings", "heard").sub("", PLACEHOLDER.sub("", text))))


def _share(holding: int, wordings: int) -> float:
    """Of wordings, by Laplace's rule: what was never seen is not impossible."""
    return (holding + 1) / (wordings + 2)
