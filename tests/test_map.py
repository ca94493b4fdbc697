"""docs/map.md names every file of the package, and none that is not there."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAP = ROOT / "docs" / "map.md"
PACKAGE = ROOT / "wavllm_cli"


BROUGHT = {"bundle", "clips"}  # in mini/: made by `mini.release`, and of no size that a map could show


def named() -> Iterator[str]:
    """The paths of the tree, `wavllm_cli/text/words.py` or `wavllm_cli/text/lexicon/*.yaml`, folders with a slash."""
    tree = MAP.read_text().split("```")[1]
    above: list[str] = []
    for line in tree.strip().splitlines():
        name = line.split()[0]
        depth = (len(line) - len(line.lstrip())) // 2
        above = [*above[:depth], name]
        yield "".join(above)


def line_for(path: Path) -> str:
    """The line to add for a file, with the first sentence of its docstring where it has one."""
    about = ast.get_docstring(ast.parse(path.read_text())) if path.suffix == ".py" else None
    folder = path.parent.relative_to(ROOT)
    return f"under {folder}/: {path.name}  {(about or 'what it holds').splitlines()[0]}"


def test_every_file_is_on_the_map():
    files = [p for p in PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    there = {p.parent if p.name == "__init__.py" else p for p in files if p.parent.name not in BROUGHT}
    missing = sorted(there - {p for name in named() for p in ROOT.glob(name)})
    if missing:
        pytest.fail("\n".join(["add to docs/map.md …", *map(line_for, missing)]), pytrace=False)


def test_the_map_names_nothing_that_is_not_there():
    gone = [name for name in named() if not any(ROOT.glob(name))]
    if gone:
        pytest.fail(f"not there any more, take out of docs/map.md: {', '.join(gone)}", pytrace=False)


def test_every_line_says_what_a_file_is():
    bare = [line for line in MAP.read_text().split("```")[1].strip().splitlines()[1:] if len(line.split()) < 2]
    assert not bare, f"say in a few words what it holds: {bare}"
