"""The miniature's model card. Every number in it comes from a file: the model's, the data's sources, the scores."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavllm_cli.data.known_models import catalogue
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.data.origin import read_json
from wavllm_cli.errors import UsageError
from wavllm_cli.mini import showcase
from wavllm_cli.mini.exam import plan_of_exam
from wavllm_cli.mini.figures import Scores
from wavllm_cli.scoring.metrics.registry import spelled_out as metric_name
from wavllm_cli.tasks.registry import spelled_out as task_name

TEMPLATE = Path(__file__).with_name("card.md.jinja")
WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Score:
    """A line of the card's table of scores, as text."""

    test: str
    about: str
    corpora: str
    task: str
    metric: str
    value: str
    interval: str
    n: int


def card(
    bundle: Path, sources: Path, scores: Path, clips: Path, system: str | None = None, training: str | None = None
) -> str:
    """The card's Markdown.

    Args:
        bundle: what `wavllm export --to bundle` wrote.
        sources: the `sources.json` of `wavllm prep mini`.
        scores: a folder with TEST.json of every test, as `wavllm reproduce mini` writes them.
        clips: the folder of the demo clips.
        system: whose scores are shown, where files hold those of several.
        training: how it was trained, as Markdown, where that is more than one `wavllm reproduce mini`.

    Raises:
        UsageError: there are no scores, or none of the system.
        WavLLMError: one of the files is damaged.
    """
    import jinja2

    config, about = read_json(bundle / "config.json"), read_json(sources)
    manifests = about["manifests"]
    measured = list(_scores(scores, manifests, system))
    if not measured:
        raise UsageError(f"{scores} holds no TEST.json with scores{f' of {system!r}' if system else ''}.")
    bases = sorted(entry["path"] for entry in (config.get("backbones") or {}).values())
    rows = list(read_manifest(clips / showcase.MANIFEST))
    corpora = {row.corpus for row in rows}
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    text = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        bases=bases,
        hubs=[catalogue()[name].hub if name in catalogue() else name for name in bases],
        stored=_parameters(bundle / WEIGHTS),
        megabytes=sum(file.stat().st_size for file in bundle.iterdir()) / 1e6,
        precision=config["dtype"],
        llm=config["text_config"],
        longest=config.get("taught_seconds"),
        sources=[_source(source) for source in about["sources"] if source.get("used", True)],
        manifests=manifests,
        training=training,
        scores=measured,
        system=system,
        clips=rows,
        attributions=[source for corpus, source in showcase.sources().items() if corpus in corpora],
    )
    return f"{text}\n"


def _parameters(weights: Path) -> int:
    """How many numbers a safetensors file says that it holds."""
    with weights.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")


def _source(source: Mapping[str, Any]) -> dict[str, Any]:
    """A source as `prep mini` knows it; what a folder says of its licence may be several lines."""
    licence = source.get("licence", "unknown")
    said = " ".join(line.lstrip("-* ") for line in licence) if isinstance(licence, list) else licence
    return {"name": source["name"], "licence": said, "test_alone": source.get("for test alone", False)}


def _scores(folder: Path, manifests: Mapping[str, Mapping[str, Any]], system: str | None) -> Iterator[Score]:
    """All figures of one system, test by test."""
    for found in map(Scores.read, sorted(folder.glob("*.json"))):
        name = _system_in(found, system)
        about = plan_of_exam()["tests"].get(found.test, {}).get("about", found.test)
        corpora = ", ".join(manifests.get(f"test-{found.test}.jsonl", {}).get("corpora", {})) or "–"
        for figure in found.names(name):
            task, metric = figure.split()
            if one := found.figure(name, figure):
                words = task_name(task), metric_name(metric), str(one.value), one.value.interval
                yield Score(found.test, about, corpora, *words, one.n)


def _system_in(scores: Scores, system: str | None) -> str:
    """The system that was asked for, whether this test has it or not; else the only one.

    Raises:
        UsageError: there are several.
    """
    if system is None and len(scores.systems) > 1:
        raise UsageError(f"{scores.test}.json holds the scores of {', '.join(scores.systems)}: say whose are wanted.")
    return system or next(iter(scores.systems))
