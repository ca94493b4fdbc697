"""All that is known of tasks is whole, is found by what people call it, and stands in no second place."""

import ast
import re
from pathlib import Path

import pytest

import wavllm_cli
from wavllm_cli.errors import UsageError
from wavllm_cli.scoring.following.forms import FORMS
from wavllm_cli.scoring.metrics.registry import METRICS
from wavllm_cli.tasks.registry import ALIASES, MULTI, SINGLE, STEPS, TASKS, spelled_out, task_called, task_led_in

PACKAGE = Path(wavllm_cli.__file__).parent
MANY = 3  # tasks in one place are a list of tasks
_NAME = rf"\b(?:{'|'.join(ALIASES)})\b"
NAME = re.compile(_NAME)
ENUMERATION = re.compile(rf"{_NAME}(?:[\s,;/|]+(?:(?:or|and)\s+)?{_NAME})+")  # "asr, st or sv"


# --- what is known of each ---


def test_tasks_stand_in_the_order_of_help_and_reports():
    codes = [code for code in TASKS if code in ("asr", "st", "sv", "er", "sqa", "sqqa", "sft", "ii", "cot")]
    assert codes == ["asr", "st", "sv", "er", "sqa", "sqqa", "sft", "ii", "cot"]
    assert list(TASKS) == [*SINGLE, *MULTI]
    assert len({task.order for task in TASKS.values()}) == len({task.name for task in TASKS.values()}) == len(TASKS)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_task_is_whole(task):
    assert task.name and task.name == task.name.lower()
    assert {*task.metrics, *(task.classes.metrics if task.classes else ())} <= set(METRICS)
    assert task.metrics or task.classes
    if task.code in SINGLE:
        assert task.form in {*FORMS, "request"} and task.asks and task.judged_as
    assert not task.steps or task.code in task.steps
    assert not task.slot_is_last or task.slot


def test_no_name_or_step_belongs_to_two_tasks():
    assert len(ALIASES) == sum(1 + len(set(task.aliases) - {task.code}) for task in TASKS.values())
    assert len(STEPS) == sum(len(task.steps) for task in TASKS.values())


def test_a_lead_in_tells_its_task():
    assert task_led_in("The German translation is") == "st"
    assert task_led_in(" the transcription is ") == "asr"
    assert task_led_in("The summary is") == "sft"
    assert task_led_in("The weather is") is None


# --- what people call them ---


@pytest.mark.parametrize(("name", "code"), [("asr", "asr"), ("emo", "er"), ("gaokao", "sqa"), ("cot", "cot")])
def test_a_task_is_known_by_its_code_and_its_aliases(name, code):
    assert task_called(name) == code


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("asrr", r"unknown task 'asrr' \(did you mean asr\?\): use one of asr, st, .*, cot\."),
        ("speech recogniton", r"did you mean asr\?"),
        ("Emotion Recognition", r"did you mean er\?"),
        ("", r"unknown task '': use one of"),
        ("summary of everything in the world", r"world': use one of"),
    ],
)
def test_another_name_is_an_error_that_knows_what_was_meant(name, message):
    with pytest.raises(UsageError, match=message):
        task_called(name)


def test_only_some_tasks_may_be_meant():
    with pytest.raises(UsageError, match="unknown task 'cot': use one of asr,"):
        task_called("cot", SINGLE)


@pytest.mark.parametrize(
    ("group", "words"),
    [
        ("asr", "speech recognition (asr)"),
        ("st/de", "speech translation, German (st/de)"),
        ("st/sv", "speech translation, Swedish (st/sv)"),
        ("st/unknown", "speech translation, language unknown (st/unknown)"),
        ("sqa/free", "spoken question answering, free answers (sqa/free)"),
        ("ii", "independent instructions (ii)"),
        ("ii/sv", "independent instructions, speaker verification (ii/sv)"),
        ("cot/st/de", "chain of thought, speech translation, German (cot/st/de)"),
        ("something else", "something else"),
    ],
)
def test_people_read_names_and_not_codes_alone(group, words):
    assert spelled_out(group) == words


# --- no second list ---


def lists_of_tasks(source: str) -> list[str]:
    """Where source text names `MANY` tasks or more: in a collection, in a text that is no docstring, or one after the
    other in the comparisons of a function. What a corpus has (`tasks=(…)`) is a fact about the corpus."""
    if len(set(NAME.findall(source))) < MANY:
        return []
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    of_corpora = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "tasks"}
    found = []
    for node in (node for node in ast.walk(tree) if id(node) not in of_corpora):
        texts: list[ast.expr | None] = []
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            texts = list(node.elts)
        elif isinstance(node, ast.Dict):
            texts = [*node.keys, *node.values]
        elif isinstance(node, ast.FunctionDef):
            compared = (inner for inner in ast.walk(node) if isinstance(inner, ast.Compare))
            texts = [text for inner in compared for text in (inner.left, *inner.comparators)]
        named = {text.value for text in texts if isinstance(text, ast.Constant)} & ALIASES.keys()
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            named = set(re.findall(r"\w+", max(ENUMERATION.findall(node.value), key=len, default=""))) & ALIASES.keys()
        if len(named) >= MANY:
            found.append(f"line {node.lineno}: {', '.join(sorted(named))}")
    return found


TELL_OF_TASKS = {PACKAGE / "tasks", PACKAGE / "mini"}  # what they are; the corpus that has a manifest of each


def test_no_other_module_lists_tasks():
    outside = (path for path in sorted(PACKAGE.rglob("*.py")) if path.parent not in TELL_OF_TASKS)
    found = {path.relative_to(PACKAGE): lists_of_tasks(path.read_text(encoding="utf-8")) for path in outside}
    assert len(found) > 100
    assert {str(path): lists for path, lists in found.items() if lists} == {}


@pytest.mark.parametrize(
    "source",
    [
        'TASKS = ("asr", "st", "sv")',
        'Task = Literal["asr", "sqa", "ii"]',
        'METRICS = {"asr": 1, "st": 2, "er": 3}',
        'names = {"a": "asr", "b": "st", "c": "emo"}',
        'help = f"one of asr, st, sv: {x}"',
        'error = "It takes asr, st and er rows."',
        'def f(task):\n  if task == "asr":\n    a()\n  elif x or "st" == task:\n    b()\n  elif task != "er":\n    c()',
    ],
)
def test_a_second_list_would_be_found(source):
    assert lists_of_tasks(source)


def test_a_task_or_two_are_no_list():
    assert not lists_of_tasks('"""asr, st, sv and er."""\nkind = ("ii", "cot")\nsaid = ["asr", "de", "fr"]')
    assert not lists_of_tasks('ABOUT = About("digits", tasks=("asr", "sqa", "sft"))')
