"""The miniature's model card. Every number in it comes from a file: the model's, the data's sources, the scores."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.data.origin import read_json
from wavllm_cli.errors import UsageError
from wavllm_cli.mini import showcase
from wavllm_cli.scoring.metrics.registry import spelled_out as metric_name
from wavllm_cli.scoring.report.table import amount, interval
from wavllm_cli.tasks.registry import spelled_out as task_name

TEMPLATE = Path(__file__).with_name("card.md.jinja")
SCORES = "scores.json"
WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Score:
    """A line of the card's table of scores, as text."""

    test: str
    corpora: str
    task: str
    metric: str
    value: str
    interval: str
    n: int


def card(bundle: Path, sources: Path, scores: Path, clips: Path, system: str | None = None) -> str:
    """The card's Markdown.

    Args:
        bundle: what `wavllm export --to bundle` wrote.
        sources: the `sources.json` of `wavllm prep mini`.
        scores: a folder that holds TEST/scores.json for every test, at any depth.
        clips: the folder of the demo clips.
        system: whose scores are shown, where files hold those of several.

    Raises:
        UsageError: there are no scores, or none of the system.
        WavLLMError: one of the files is damaged.
    """
    import jinja2

    config, about = read_json(bundle / "config.json"), read_json(sources)
    manifests = about["manifests"]
    backbones = (config.get("backbones") or {}).values()
    rows = list(read_manifest(clips / showcase.MANIFEST))
    corpora = {row.corpus for row in rows}
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    text = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        bases=sorted(entry["path"] for entry in backbones),
        stored=_parameters(bundle / WEIGHTS),
        megabytes=sum(file.stat().st_size for file in bundle.iterdir()) / 1e6,
        precision=config["dtype"],
        llm=config["text_config"],
        longest=config.get("taught_seconds"),
        sources=[_source(source) for source in about["sources"] if source.get("used", True)],
        manifests=manifests,
        scores=list(_scores(scores, manifests, system)),
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
    files = sorted(folder.rglob(SCORES))
    if not files:
        raise UsageError(f"{folder} holds no TEST/{SCORES}, as `wavllm score` writes it.")
    for file in files:
        test = file.parent.name
        corpora = ", ".join(manifests.get(f"test-{test}.jsonl", {}).get("corpora", {})) or "–"
        for task, about in _of_system(file, system)["tasks"].items():
            for metric, figure in about["metrics"].items():
                yield Score(test, corpora, task_name(task), metric_name(metric), *_shown(figure), figure["n"])


def _of_system(file: Path, system: str | None) -> dict[str, Any]:
    content = read_json(file)
    systems: Sequence[dict[str, Any]] = content.get("systems", [content])
    found = [one for one in systems if system in (None, one["system"])]
    if len(found) != 1:
        names = ", ".join(str(one["system"]) for one in systems)
        raise UsageError(f"{file} holds the scores of {names}: say whose go into the card.")
    return found[0]


def _shown(figure: Mapping[str, Any]) -> tuple[str, str]:
    value, low, high = (math.nan if figure[key] is None else figure[key] for key in ("value", "low", "high"))
    return amount(value, figure["unit"]), interval(low, high, figure["unit"])
