"""Reading and writing recipes: names, files, `--set`, and a sentence for every problem."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from wavllm_cli.errors import RecipeError, did_you_mean, reason, shortened
from wavllm_cli.recipe.schema import Location, Places, Recipe
from wavllm_cli.recipe.yaml_text import MAX_DEPTH, MAX_SIZE, TOO_LONG, TextError, parse

REPORTED = 20  # problems at once
WORDS = {  # pydantic speaks of Python's types, a recipe has YAML's
    "tuple_type": "it should be a list",
    "dict_type": "it should be a section of keys",
    "model_type": "it should be a section of keys",
    "string_type": "it should be text",
}

_PACKAGE = Path(__file__).parent.parent
PACKAGED = (_PACKAGE / "recipes", _PACKAGE.parent / "recipes")


def shipped() -> dict[str, Path]:
    """The recipes that come with the package, by name."""
    return {path.stem: path for folder in PACKAGED for path in sorted(folder.glob("*.yaml"))}


def find(name_or_path: str) -> Path:
    """The file behind `--recipe`: a path, or the name of a shipped recipe."""
    path = Path(name_or_path)
    try:
        if path.is_file():
            return path
        state = "is no file" if path.exists() else "does not exist"
    except OSError as error:  # a folder that may not be entered, a name that is too long
        raise RecipeError(f"Recipe {shortened(name_or_path)} cannot be read: {error.strerror}.") from error
    if path.suffix in (".yaml", ".yml"):
        raise RecipeError(f"Recipe {name_or_path} {state}.")
    recipes = shipped()
    if name_or_path not in recipes:
        raise RecipeError(
            f"There is no recipe {shortened(name_or_path)!r}{did_you_mean(name_or_path, recipes)}; "
            f"shipped are {', '.join(sorted(recipes))}, or give the path of a .yaml file."
        )
    return recipes[name_or_path]


def load(name_or_path: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply `--set a.b=c` overrides.

    Raises:
        RecipeError: one line for each problem, with file, line, key, value and the nearest valid key.
    """
    path = find(name_or_path)
    content, lines = _read(path)
    places = Places({(): str(path)} | {key: f"{path}:{line}" for key, line in lines.items()})
    for override in overrides:
        key = _apply(content, override)
        _overwrite(places, key, f"--set {shortened(override)}")
    try:
        recipe = Recipe.model_validate(content)
    except ValidationError as error:
        problems = [_sentence(places, problem) for problem in error.errors() if not _follows(problem)]
        left_out = [f"{path}: {len(problems) - REPORTED} more problems."] if len(problems) > REPORTED else []
        raise RecipeError(*problems[:REPORTED], *left_out) from error
    recipe._places = places
    return recipe


def dump(recipe: Recipe) -> str:
    """The resolved recipe as YAML; `load` reads it back to an equal recipe."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _read(path: Path) -> tuple[dict[str, Any], dict[Location, int]]:
    """The content of a file and the line of each key."""
    try:
        if path.stat().st_size > MAX_SIZE:
            raise TextError(TOO_LONG)
        content, lines = parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path} is not valid YAML: it is not UTF-8 ({reason(error)}).") from error
    except TextError as error:
        place = f"{path}:{error.line}" if error.line else str(path)
        raise RecipeError(f"{place}: {error}.") from error
    if not isinstance(content, dict):
        raise RecipeError(
            f"{path} is not a recipe: it must be a mapping with the keys {', '.join(Recipe.model_fields)}."
        )
    return content, lines


# --- --set ---


def _apply(content: dict[str, Any], override: str) -> Location:
    """Set one dotted key, e.g. `stages.0.steps=500`; the value is read as YAML."""
    key, equals, text = override.partition("=")
    shown = f"--set {shortened(repr(override))}"
    if not equals or not key:
        raise RecipeError(f"{shown} must have the form key=value, such as stages.0.steps=500.")
    *parents, last = key.split(".")
    if len(parents) > MAX_DEPTH:
        raise RecipeError(f"{shown}: no key is more than {MAX_DEPTH} sections deep.")
    try:
        value, _ = parse(text)
    except TextError as error:
        raise RecipeError(f"{shown}: the value is no YAML for a recipe: {error}.") from error
    target: Any = content
    location: list[Any] = []
    for name in parents:
        location.append(_position(target, name, shown))
        target = _child(target, location[-1])
    if not isinstance(target, dict | list):
        raise RecipeError(f"{shown}: {'.'.join(parents)} is a single value, it has no key {shortened(last)!r}.")
    location.append(_position(target, last, shown))
    target[location[-1]] = value
    return tuple(location)


def _overwrite(places: Places, key: Location, where: str) -> None:
    """Everything from this key on was written elsewhere, and so were sections that it needed."""
    for inner in [place for place in places if place[: len(key)] == key]:
        del places[inner]
    for size in range(1, len(key) + 1):
        places.setdefault(key[:size], where)


def _position(target: Any, name: str, shown: str) -> Any:
    """The key or index by which a part of a section is reached."""
    if isinstance(target, list):
        if name.isdecimal() and len(name) < 10 and int(name) < len(target):
            return int(name)
        positions = f"one of the {len(target)} positions 0..{len(target) - 1}" if target else "in an empty list"
        raise RecipeError(f"{shown}: {shortened(name)!r} is not {positions}.")
    if isinstance(target, dict):
        return name
    raise RecipeError(f"{shown}: there is no section {shortened(name)!r}.")


def _child(target: Any, position: Any) -> Any:
    """A part of a section; a section that is absent begins empty."""
    if isinstance(target, dict) and target.get(position) is None:
        target[position] = {}
    return target[position]


# --- sentences ---


def _follows(problem: Any) -> bool:
    """Whether a list is called too short only because its items have problems of their own."""
    return problem["type"] == "too_short" and len(problem["input"]) >= problem["ctx"]["min_length"]


def _sentence(places: Places, problem: Any) -> str:
    location = tuple(problem["loc"])
    where = places.of(location)
    key = shortened(".".join(map(str, location))) or "the recipe"
    if problem["type"] == "extra_forbidden":
        return f"{where}: unknown key {key}{did_you_mean(str(location[-1]), _keys_at(location[:-1]))}."
    if problem["type"] == "missing":
        return f"{where}: the key {key} is missing."
    if problem["type"] == "invalid_key":
        return f"{where}: the key {key} should be text."
    message = WORDS.get(problem["type"]) or problem["msg"].removeprefix("Value error, ")
    for subject in ("Input", "String", "Tuple"):
        message = message.replace(f"{subject} should", "it should").replace(" after validation", "")
    value = "" if isinstance(problem["input"], dict) else f" is {shortened(repr(problem['input']))}"
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
