"""All tasks in their order, and how one is found by what people call it.

A task is a module of this package with a `TASK` and a pool of wordings; nothing else lists it.
"""

import re
from collections.abc import Collection
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from wavllm_cli.errors import UsageError, nearest
from wavllm_cli.tasks.task import Step, Task
from wavllm_cli.text.languages import known_language

HOME = Path(__file__).parent
WORDINGS = HOME / "wordings"
FREE, FREE_ANSWERS = "free", "free answers"  # of a task with classes, the rows whose answers are texts


def _found() -> list[Task]:
    modules = (m.name for m in iter_modules([str(HOME)]) if not m.ispkg and m.name not in ("registry", "task"))
    return [import_module(f"wavllm_cli.tasks.{name}").TASK for name in modules]


TASKS: dict[str, Task] = {task.code: task for task in sorted(_found(), key=lambda task: task.order)}
SINGLE = {code: task for code, task in TASKS.items() if not task.roles}
MULTI = {code: task for code, task in TASKS.items() if task.roles}  # rows of several parts
UNPROMPTED = {code: task for code, task in SINGLE.items() if not task.has_own_prompt}
IN_ORDER = [code for code, task in SINGLE.items() if task.in_order]
ALIASES = {alias: task.code for task in TASKS.values() for alias in (task.code, *task.aliases)}

STEPS: dict[str, Step] = {what: step for task in TASKS.values() for what, step in task.steps.items()}
_LED_IN = [
    (re.compile(re.escape(step.lead_in.strip(" :")).replace(r"\{language\}", r"\w+"), re.IGNORECASE), task.code)
    for task in TASKS.values()
    for step in task.steps.values()
]


def task_led_in(label: str) -> str | None:
    """The task whose answer a label leads in: "The German translation is" -> "st"."""
    return next((code for pattern, code in _LED_IN if pattern.fullmatch(label.strip())), None)


def nearest_task(name: str, among: Collection[str]) -> str | None:
    """The code that a wrong one, an alias or a name spelled out may mean."""
    known = {word: code for word, code in ALIASES.items() if code in among}
    known |= {task.name: task.code for task in TASKS.values() if task.code in among}
    meant = nearest(name.strip().lower(), known)
    return known[meant] if meant else None


def task_called(name: str, among: Collection[str] = TASKS.keys()) -> str:
    """The code of a task by its code or an alias.

    Raises:
        UsageError: there is none of that name.
    """
    code = ALIASES.get(name)
    if code and code in among:
        return code
    meant = nearest_task(name, among)
    hint = f" (did you mean {meant}?)" if meant else ""
    raise UsageError(f"unknown task '{name}'{hint}: use one of {', '.join(among)}.")


def spelled_out(group: str) -> str:
    """What people read of a task or a group of its rows: "ii/st/de" -> "independent instructions, speech translation,
    German (ii/st/de)"."""
    parts, names = group.split("/"), []
    for tasks in (MULTI, SINGLE):
        if parts and parts[0] in tasks:
            names.append(tasks[parts.pop(0)].name)
    if not names:
        return group
    kinds = [FREE_ANSWERS if kind == FREE else known_language(kind) or f"language {kind}" for kind in parts]
    return f"{', '.join([*names, *kinds])} ({group})"
