"""The figures that others published (published.yaml), each with its source, to stand beside ours."""

from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

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


@cache
def load() -> tuple[Published, ...]:
    """All published figures in the order of the file."""
    return TypeAdapter(tuple[Published, ...]).validate_python(yaml.safe_load(SHIPPED.read_text(encoding="utf-8")))


def published_for(task: str, metric: str) -> list[Published]:
    """The published figures of a task and metric, whatever the corpus: the reader sees it in `origin`."""
    return [figure for figure in load() if (figure.task, figure.metric) == (task, metric)]
