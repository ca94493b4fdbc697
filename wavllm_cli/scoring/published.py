"""The figures that others published (published.yaml), each with its source, to stand beside ours."""

import re
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from wavllm_cli.data.schema import Hypothesis

SHIPPED = Path(__file__).with_name("published.yaml")

SOURCES = {
    "paper": "the paper that presents the system",
    "secondary": "cited after secondary sources",
    "independent": "measured by others on the released checkpoint",
}


class Published(BaseModel):
    """One figure as it was published; `value` and `unit` are as in `Measure`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    system: str = Field(min_length=1)
    task: str
    corpus: str
    metric: str
    value: float = Field(ge=0, allow_inf_nan=False)
    unit: Literal["fraction", "points"]
    source: Literal["paper", "secondary", "independent"]
    cited: str = ""
    note: str = ""

    @property
    def origin(self) -> str:
        """Where the figure comes from, in words: "LibriSpeech test-clean; paper, arXiv 2404.00656"."""
        return "; ".join(filter(None, [self.corpus, ", ".join(filter(None, [self.source, self.cited])), self.note]))


class File(BaseModel):
    """The content of published.yaml; `test_sets`: by corpus, what all rows of it say of themselves."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    test_sets: dict[str, dict[Literal["corpus", "split", "language", "target_language"], str]]
    figures: tuple[Published, ...]


@cache
def load() -> File:
    """All that is shipped."""
    return File.model_validate(yaml.safe_load(SHIPPED.read_text(encoding="utf-8")))


def published_of(group: str, rows: Sequence[Hypothesis]) -> list[Published]:
    """The published figures of the very rows of a group ("asr", "st/de"): same task, corpus and split."""
    file = load()
    known = {corpus for corpus, said in file.test_sets.items() if all(map(partial(_says, said), rows))}
    return [p for p in file.figures if p.task == group.partition("/")[0] and p.corpus in known]


def _says(wanted: Mapping[Any, str], row: Hypothesis) -> bool:
    return all(_name(getattr(row, key) or "") == _name(value) for key, value in wanted.items())


def _name(text: str) -> str:
    """A name whose spelling differs from file to file: "CoVoST 2", "covost2"."""
    return re.sub(r"[\W_]", "", text).casefold()
