"""What a run depends on, written into its folder when it begins and compared whenever it is continued.

run.json
    stage       counted from 1
    recipe      as resolved (recipe.yaml shows the same to people, and is not read)
    manifests   for each that the stage reads: number of rows, SHA-256 of the rows and of the file
    sounds      what augmentation mixes in, by the key of its section: SHA-256 of the names and sizes of its files
    start       the checkpoint that the stage began from: its place, SHA-256 of its files, what it refers to;
                `adopted` if the model is one that no recipe made, so that the recipe's `model` was taken from it
    backbones   what the recipe's pretrained parts are known by: a folder's SHA-256, or hub id and revision
    versions    of the libraries
    begin       SHA-256 of the files in begin/: configuration, tokenizer and processor as the run began
    changes     what was changed on purpose since, and after which step
    result      once the stage has ended: its steps, SHA-256 of its files

What decides is content. A manifest is its rows, wherever it lies and whatever it is packed in.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from wavllm_cli import __version__
from wavllm_cli.data.files import digest
from wavllm_cli.data.origin import Origin, identity, locate, stored_origin
from wavllm_cli.data.sounds import Sounds
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.recipe import Backbone, Recipe, Stage
from wavllm_cli.training.inventory import manifests_of
from wavllm_cli.training.survey import surveyed

RECORD, CONFIG = "run.json", "config.json"
PARTS = ("semantic_encoder", "acoustic_encoder", "language_model")
MODEL_FILES = (
    CONFIG,
    "processor_config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "vocab.json",
    "merges.txt",
    "model.safetensors.index.json",
)


class Content(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rows(Content):
    """A manifest. `file` saves reading the rows again; other bytes may hold the same rows."""

    rows: int
    sha256: str
    file: str


class Start(Content):
    """A checkpoint. `files` is empty for one on the hub, which its revision tells."""

    path: str
    chosen: bool  # with --start, instead of being the previous stage's result
    files: dict[str, str]
    backbones: dict[str, str]
    revision: str | None = None
    adopted: bool = False

    def same(self, other: "Start") -> bool:
        where = self.files or (self.path, self.revision)
        return where == (other.files or (other.path, other.revision)) and self.backbones == other.backbones


class Accepted(Content):
    """What was changed on purpose, after this step."""

    step: int
    changed: list[str]


class Result(Content):
    steps: int
    files: dict[str, str]


class Record(Content):
    """See the module."""

    stage: int
    recipe: Recipe
    manifests: dict[str, Rows | None]  # None: it has been deleted since
    sounds: dict[str, str] = {}  # without those that have been deleted since
    start: Start | None
    backbones: dict[str, str]
    versions: dict[str, str]
    begin: dict[str, str] = {}
    changes: list[Accepted] = []
    result: Result | None = None

    @property
    def section(self) -> Stage:
        """The recipe's section on this stage."""
        return self.recipe.stages[self.stage - 1]


def describe(recipe: Recipe, stage_number: int, start: Start | None, known: "Record | None" = None) -> Record:
    """The record of a run as it would begin now.

    Args:
        known: an earlier one, which saves reading manifests that have not changed.

    Raises:
        ManifestError: a manifest cannot be read.
        UsageError: a backbone's folder is missing.
    """
    stage = recipe.stages[stage_number - 1]
    read = {rows.file: rows for rows in (known.manifests.values() if known else ()) if rows}
    return Record(
        stage=stage_number,
        recipe=recipe,
        manifests={name: _rows(recipe.manifest(name), read) for name in manifests_of(stage)},
        sounds=_sounds(recipe, stage),
        start=start,
        backbones={} if start else _recipe_backbones(recipe),
        versions={"wavllm": __version__, **{name: version(name) for name in ("torch", "transformers")}},
    )


# --- what content is known by ---


def _rows(path: Path, read: Mapping[str, Rows]) -> Rows | None:
    if not path.is_file():
        return None
    file = digest(path)
    if file in read:
        return read[file]
    found = surveyed(path)
    return Rows(rows=len(found), sha256=found.sha256, file=file)


def _sounds(recipe: Recipe, stage: Stage) -> dict[str, str]:
    known: dict[str, str] = {}
    for key, source in stage.augmentation.sources.items() if stage.augmentation else ():
        with suppress(WavLLMError):  # `check` has said so
            known[key] = Sounds(recipe.manifest(source)).content
    return known


def describe_start(source: str, chosen: bool, adopted: bool = False) -> Start:
    """A checkpoint as it is now.

    Raises:
        UsageError: it refers to a backbone in a folder that is missing.
    """
    origin = locate(source)
    if not origin.local:
        revision = origin.pinned().revision
        return Start(path=source, chosen=chosen, files={}, backbones={}, revision=revision, adopted=adopted)
    if not Path(origin.path, CONFIG).is_file():
        missing = "it has no config.json" if Path(origin.path).is_dir() else "there is no such folder"
        raise UsageError(f"{source} is not a model folder: {missing}.")
    files = model_digests(Path(origin.path))
    return Start(path=source, chosen=chosen, files=files, backbones=_stored_backbones(origin), adopted=adopted)


def model_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of all that a checkpoint's answers depend on, by file."""
    files = sorted(file for file in folder.glob("*") if file.name in MODEL_FILES or file.suffix == ".safetensors")
    return {file.name: digest(file) for file in files}


def _stored_backbones(origin: Origin) -> dict[str, str]:
    """What the configuration of a checkpoint's folder refers to."""
    config = Path(origin.path, CONFIG)
    entries = json.loads(config.read_text(encoding="utf-8")).get("backbones") if config.is_file() else None
    return {part: _known_by(stored_origin(entry, origin.path)) for part, entry in (entries or {}).items()}


def _recipe_backbones(recipe: Recipe) -> dict[str, str]:
    sections = {part: getattr(recipe.model, part) for part in PARTS}
    return {part: backbone_content(section) for part, section in sections.items() if section.path}


def backbone_content(section: Backbone) -> str:
    """What a pretrained backbone of a recipe is known by."""
    assert section.path is not None
    return _known_by(locate(section.path, section.revision))


def _known_by(origin: Origin) -> str:
    """A folder's digest; a hub's id and revision as they were asked for (the commit is pinned in begin/)."""
    if not origin.local:
        return f"{origin.path} @ {origin.revision or 'main'}"
    return f"sha256 {identity({'path': origin.path, 'local': True})['sha256']}"
