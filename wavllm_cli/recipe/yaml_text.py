"""YAML as a recipe needs it: every number a number, every key once, nothing that grows or runs when it is read.

Aliases (`*name`) are fine, but what they stand for is counted as if it were written out: a few lines of them can stand
for more than any memory holds.
"""

import re
from collections.abc import Iterator

import yaml

MAX_SIZE = 2**20  # bytes; a recipe has a few thousand
MAX_NODES = 50_000  # keys, values and lists, aliases written out; a recipe has a few hundred
MAX_DEPTH = 32  # sections within sections; a recipe has six
REPORTED = 10  # problems at once
TOO_LONG = f"it has more than {MAX_SIZE:,} characters, a recipe has a few thousand"

Location = tuple[str | int, ...]


class TextError(Exception):
    """What is wrong with a text and in which line, from 1 on (None: in all of it)."""

    def __init__(self, message: str, line: int | None = None):
        super().__init__(message)
        self.line = line


class _Loader(yaml.SafeLoader):
    """YAML 1.1 reads `1e-4` as text; this one reads it as the number everybody means."""

    def construct_object(self, node: yaml.Node, deep: bool = False):
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # `0x_` and `2026-99-99` look like numbers and dates, but are none.
            raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from error


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+0123456789.")
)


def parse(text: str) -> tuple[object, dict[Location, int]]:
    """The content of a YAML document, and the line of each of its keys.

    Raises:
        TextError: no YAML, or a key that occurs twice, a tag, or more than a recipe can hold.
    """
    if len(text) > MAX_SIZE:
        raise TextError(TOO_LONG)
    try:
        _measure(text)
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            return None, {}
        lines = dict(_lines(root))
        _require_keys_once(root)
        return loader.construct_document(root), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = f"{error.context} {error.problem}" if error.context else str(error.problem)
        raise TextError(f"not valid YAML: {' '.join(words.split())}", mark.line + 1 if mark else None) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise TextError(f"not valid YAML: the character {chr(error.character)!r} is not allowed", line) from error


def _measure(text: str) -> None:
    """Look at the text without building anything of it: depth, size with all aliases written out, tags."""
    nodes = 0
    sizes: dict[str, int] = {}  # anchor -> nodes of what it stands for
    around: list[tuple[str | None, int]] = []  # anchor of each open section, and nodes before it
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else None
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in (anchor for anchor, _ in around):
                raise TextError(f"the alias *{event.anchor} stands for a section that it is itself a part of", line)
            nodes += sizes.get(str(event.anchor), 0)
        elif isinstance(event, yaml.NodeEvent):
            if tag := getattr(event, "tag", None):
                raise TextError(f"a recipe has no tags such as {tag}", line)
            nodes += 1
            if isinstance(event, yaml.CollectionStartEvent):
                around.append((event.anchor, nodes - 1))
            elif event.anchor:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = around.pop()
            if anchor:
                sizes[anchor] = nodes - before
        if nodes > MAX_NODES:
            raise TextError(f"it holds more than {MAX_NODES:,} values, aliases written out", line)
        if len(around) > MAX_DEPTH:
            raise TextError(f"it holds sections within sections, more than {MAX_DEPTH} deep", line)


def _lines(node: yaml.Node, location: Location = ()) -> Iterator[tuple[Location, int]]:
    """Where each key stands: ('stages', 0, 'steps') -> line, counted from 1."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place = (*location, str(key.value))
            yield place, key.start_mark.line + 1
            yield from _lines(value, place)
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            yield (*location, i), value.start_mark.line + 1
            yield from _lines(value, (*location, i))


def _require_keys_once(root: yaml.Node) -> None:
    problems = [f"the key {key} is given twice, in lines {first} and {second}" for key, first, second in _twice(root)]
    if problems:
        shown = problems[:REPORTED] + (["…"] if len(problems) > REPORTED else [])
        raise TextError("; ".join(shown))


def _twice(node: yaml.Node, location: str = "") -> Iterator[tuple[str, int, int]]:
    """Each key that its section has already, and both lines."""
    if isinstance(node, yaml.MappingNode):
        lines: dict[tuple, int] = {}
        for key, value in node.value:
            name, line = (key.tag, str(key.value)), key.start_mark.line + 1
            if name in lines:
                yield f"{location}{key.value}", lines[name], line
            lines[name] = line
            yield from _twice(value, f"{location}{key.value}.")
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            yield from _twice(value, f"{location}{i}.")
