"""The reference of a recipe's keys (docs/recipes.md), made from the schema itself."""

import ast
import inspect
from collections.abc import Iterable, Iterator
from itertools import pairwise
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import AfterValidator
from pydantic.fields import FieldInfo

from wavllm_cli.recipe import augmentation, network, schema
from wavllm_cli.recipe.ranges import AtLeast, AtMost
from wavllm_cli.recipe.schema import Recipe
from wavllm_cli.recipe.section import Section

HEAD = """# The keys of a recipe

Made by `wavllm check --keys` from the schema that reads recipes. `stages[]` is each item of the list `stages`.
"""
COLUMNS = ("key", "type", "range", "default", "meaning")
NAMES = {int: "whole number", float: "number", str: "text", bool: "true or false", dict: "keys"}
BOUNDS = {
    "gt": "above {}",
    "ge": "from {}",
    "lt": "below {}",
    "le": "to {}",
    "min_length": "at least {} long",
    "max_length": "at most {} long",
}


def reference() -> str:
    """The page, in Markdown: a table for every section, in the order in which a recipe has them."""
    places: dict[type[Section], list[str]] = {}
    for section, place in _sections(Recipe, ""):
        places.setdefault(section, []).append(place)
    meanings = _meanings()
    return "\n".join([HEAD, *(_table(section, at, meanings) for section, at in places.items())])


def _sections(section: type[Section], place: str) -> Iterator[tuple[type[Section], str]]:
    """Each section and where it stands, from the outermost on."""
    yield section, place
    for key, hint in get_type_hints(section, include_extras=True).items():
        if key in section.model_fields:
            kind, _ = _plain(hint)
            inner = _item(kind)
            if inner:
                yield from _sections(inner, f"{place}.{key}".lstrip(".") + ("" if inner is kind else "[]"))


def _table(section: type[Section], places: list[str], meanings: dict[str, dict[str, str]]) -> str:
    title = ", ".join(f"`{place}`" for place in places if place) or "The outermost keys"
    about = " ".join(inspect.cleandoc(section.__doc__ or "").split())
    hints = get_type_hints(section, include_extras=True)
    lines = [f"## {title}", "", *([about, ""] if about else []), _line(COLUMNS), _line(["---"] * len(COLUMNS))]
    for key, field in section.model_fields.items():
        kind, limits = _plain(hints[key])
        default = "required" if field.is_required() else _shown(field.default)
        meaning = next((meanings[c.__name__][key] for c in section.__mro__ if key in meanings.get(c.__name__, ())), "")
        lines.append(_line([f"`{key}`", _type_name(kind), _range(kind, limits), default, meaning]))
    return "\n".join([*lines, ""])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _meanings() -> dict[str, dict[str, str]]:
    """What stands in quotes under each key, by class."""
    trees = [ast.parse(inspect.getsource(module)) for module in (schema, network, augmentation)]
    meanings: dict[str, dict[str, str]] = {}
    for node in (node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)):
        for key, said in pairwise(node.body):
            if isinstance(key, ast.AnnAssign) and isinstance(said, ast.Expr):
                meanings.setdefault(node.name, {})[ast.unparse(key.target)] = ast.literal_eval(said.value)
    return meanings


# --- types and ranges ---


def _plain(hint: Any) -> tuple[Any, list[Any]]:
    """A type without `Annotated` and `None`, and all that was annotated."""
    limits: list[Any] = []
    while True:
        if get_origin(hint) is Annotated:
            hint, *more = get_args(hint)
            limits += [inner for one in more for inner in (one.metadata if isinstance(one, FieldInfo) else [one])]
        elif get_origin(hint) in (Union, UnionType):
            (hint,) = (member for member in get_args(hint) if member is not NoneType)
        else:
            return hint, limits


def _item(kind: Any) -> type[Section] | None:
    """The section that a key holds, or that each item of its list is."""
    inner = _plain(get_args(kind)[0])[0] if get_origin(kind) is tuple else kind
    return inner if isinstance(inner, type) and issubclass(inner, Section) else None


def _type_name(kind: Any) -> str:
    if get_origin(kind) is tuple:
        items = [_type_name(_plain(item)[0]) for item in get_args(kind) if item is not ...]
        return f"list: {items[0]}" if len(items) == 1 else f"list of {len(items)}: {items[0]}"
    if get_origin(kind) is dict:
        return NAMES[dict] if Any in get_args(kind) else "number by name"
    if get_origin(kind) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    if isinstance(kind, type) and issubclass(kind, Section):
        return "section"
    return NAMES[get_origin(kind) or kind]


def _range(kind: Any, limits: list[Any]) -> str:
    """The bounds of a number, of each number of a list, or of a length."""
    if get_origin(kind) is tuple and not _item(kind):
        item, inner = _plain(get_args(kind)[0])
        own = _range(None, limits)
        return f"{own}{'; each ' if own else ''}{_range(item, inner)}" if inner else own
    bounds: dict[str, float] = {}
    for limit in limits:
        if isinstance(limit, AfterValidator) and isinstance(limit.func, AtMost | AtLeast):
            bounds["le" if isinstance(limit.func, AtMost) else "ge"] = limit.func.limit
        bounds |= {name: getattr(limit, name) for name in BOUNDS if getattr(limit, name, None) is not None}
    if kind is int and "gt" in bounds:
        bounds["ge"] = bounds.pop("gt") + 1
    if "ge" in bounds:
        bounds.pop("gt", None)
    return ", ".join(words.format(f"{bounds[name]:,}") for name, words in BOUNDS.items() if name in bounds)


def _shown(default: Any) -> str:
    if isinstance(default, Section):
        return "its defaults"
    if default is None or default in ((), {}):
        return "absent"
    value = list(default) if isinstance(default, tuple) else default
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
