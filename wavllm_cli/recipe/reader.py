"""Reading and writing recipes: names, YAML, `--set`, and a sentence for every problem."""

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from wavllm_cli.errors import RecipeError
from wavllm_cli.recipe.schema import Recipe


class _Loader(yaml.SafeLoader):
    """YAML 1.1 reads `1e-4` as text; this one reads it as the number everybody means."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+0123456789.")
)

_PACKAGE = Path(__file__).parent.parent
PACKAGED = (_PACKAGE / "recipes", _PACKAGE.parent / "recipes")


def shipped() -> dict[str, Path]:
    """The recipes that come with the package, by name."""
    return {path.stem: path for folder in PACKAGED for path in sorted(folder.glob("*.yaml"))}


def find(name_or_path: str) -> Path:
    """The file behind `--recipe`: a path, or the name of a shipped recipe."""
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        if path.is_file():
            return path
        raise RecipeError(f"Recipe {name_or_path} does not exist.")
    recipes = shipped()
    if name_or_path not in recipes:
        raise RecipeError(
            f"There is no recipe {name_or_path!r}{_did_you_mean(name_or_path, recipes)}; "
            f"shipped are {', '.join(sorted(recipes))}, or give the path of a .yaml file."
        )
    return recipes[name_or_path]


def load(name_or_path: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply `--set a.b=c` overrides.

    Raises:
        RecipeError: one line for each problem, with file, line, key, value and the nearest valid key.
    """
    path = find(name_or_path)
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=_Loader)
        content = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise RecipeError(
            f"{path} is not a recipe: it must be a mapping with the keys {', '.join(Recipe.model_fields)}."
        )
    for override in overrides:
        _apply(content, override)
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        lines = dict(_lines(root))
        raise RecipeError(*(_sentence(path, lines, problem) for problem in error.errors())) from error


def dump(recipe: Recipe) -> str:
    """The resolved recipe as YAML; `load` reads it back to an equal recipe."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _apply(content: dict[str, Any], override: str) -> None:
    """Set one dotted key, e.g. `stages.0.steps=500`; the value is read as YAML."""
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise RecipeError(f"--set {override!r} must have the form key=value, such as stages.0.steps=500.")
    *parents, last = key.split(".")
    target: Any = content
    for name in parents:
        target = _child(target, name, override)
    if isinstance(target, list):
        _child(target, last, override)
        target[int(last)] = yaml.load(value, Loader=_Loader)
    elif isinstance(target, dict):
        target[last] = yaml.load(value, Loader=_Loader)
    else:
        raise RecipeError(f"--set {override!r}: {'.'.join(parents)} is a single value, it has no key {last!r}.")


def _child(target: Any, name: str, override: str) -> Any:
    if isinstance(target, list):
        if name.isdigit() and int(name) < len(target):
            return target[int(name)]
        raise RecipeError(
            f"--set {override!r}: {name!r} is not one of the {len(target)} positions 0..{len(target) - 1}."
        )
    if isinstance(target, dict):
        if target.get(name) is None:
            target[name] = {}
        return target[name]
    raise RecipeError(f"--set {override!r}: there is no section {name!r}.")


def _lines(node: yaml.Node | None, location: tuple = ()) -> Iterator[tuple[tuple, int]]:
    """Where each key stands: ('stages', 0, 'steps') -> line, counted from 1."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*location, key.value), key.start_mark.line + 1
            yield from _lines(value, (*location, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            yield (*location, i), value.start_mark.line + 1
            yield from _lines(value, (*location, i))


def _sentence(path: Path, lines: dict[tuple, int], problem: Any) -> str:
    location = tuple(problem["loc"])
    known = next((location[:i] for i in range(len(location), 0, -1) if location[:i] in lines), ())
    where = f"{path}:{lines[known]}" if known else str(path)
    key = ".".join(map(str, location)) or "the recipe"
    if problem["type"] == "extra_forbidden":
        return f"{where}: unknown key {key}{_did_you_mean(str(location[-1]), _keys_at(location[:-1]))}."
    if problem["type"] == "missing":
        return f"{where}: the key {key} is missing."
    message = problem["msg"].removeprefix("Value error, ")
    value = "" if isinstance(problem["input"], dict) else f" is {problem['input']!r}"
    return f"{where}: {key}{value}: {message[0].lower()}{message[1:]}."


def _keys_at(location: tuple) -> list[str]:
    """The valid keys of the section at this place."""
    section: Any = Recipe
    for name in location:
        if isinstance(name, str):
            section = next(m for m in _models(section.model_fields[name].annotation))
    return list(section.model_fields)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _did_you_mean(name: str, candidates: Any) -> str:
    nearest = difflib.get_close_matches(name, list(candidates), n=1, cutoff=0.5)
    return f" (did you mean {nearest[0]}?)" if nearest else ""
