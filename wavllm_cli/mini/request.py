"""What `wavllm reproduce mini` is asked for, and what that means for recipe mini."""

from dataclasses import dataclass
from pathlib import Path

from wavllm_cli.errors import UsageError
from wavllm_cli.mini.exam import Tests
from wavllm_cli.recipe import Recipe, load

RECIPE, LANGUAGE_RECIPE = "mini", "mini-language"
SOURCES = "sources.json"  # the last file that `prep mini` writes
OPTIONS = {
    "data": "--data",
    "seed": "--seeds",
    "model.language_model": "--language-model",
    "model.acoustic_encoder": "--acoustic-encoder",
}


@dataclass(frozen=True)
class Size:
    """How much of everything.

    Attributes:
        scale: of the data.
        listener: steps of stage 0; None: as many as it takes by default.
        language, recipe: changes of the two recipes.
    """

    scale: float = 1.0
    listener: int | None = None
    language: tuple[str, ...] = ()
    recipe: tuple[str, ...] = ()


FULL = Size()
QUICK = Size(  # every step once, to see that it works: nothing is learnt
    scale=0.01,
    listener=2,
    language=(
        "model.language_model.config.num_hidden_layers=1",
        "stages.0.steps=4",
        "stages.0.curriculum.0.steps=1",
        "stages.0.curriculum.1.steps=1",
        "stages.0.optimizer.warmup_steps=1",
        "stages.0.batch.max_utterances=8",
        "stages.0.validation=null",
    ),
    recipe=(
        "model.semantic_window=null",
        "model.semantic_encoder={config: {d_model: 32, encoder_layers: 1, encoder_attention_heads: 2, "
        "encoder_ffn_dim: 32, num_mel_bins: 40, max_source_positions: 500, decoder_layers: 1, "
        "decoder_attention_heads: 2}}",
        "stages.0.steps=3",
        "stages.0.curriculum.0.steps=1",
        "stages.0.optimizer.warmup_steps=1",
        "stages.0.batch.max_utterances=4",
        "stages.0.validation=null",
        "stages.1.steps=2",
        "stages.1.optimizer.warmup_steps=1",
        "stages.1.batch.max_utterances=4",
        "stages.1.validation=null",
        "generation.max_new_tokens=8",
    ),
)


@dataclass(frozen=True)
class Request:
    """What is to be reproduced.

    Attributes:
        data: folder of the manifests of `prep mini`.
        out: folder of everything else.
        real, fsdd, sentences: what `prep mini` is given.
        seeds: of stage 2; the first one's model is asked everything.
        language_model: a hub id, a folder or a name of `wavllm models`; None: the one that recipe mini-language makes.
        acoustic_encoder: the folder of a WavLM; None: the listener that is trained here.
        rows: that are asked of each test at most; None: all.
        changes: `KEY=VALUE` of recipe mini.

    Raises:
        UsageError: a change is of what has an option of its own.
    """

    data: Path
    out: Path
    real: tuple[Path, ...] = ()
    fsdd: Path | None = None
    sentences: Path | None = None
    seeds: tuple[int, ...] = (1, 2, 3)
    size: Size = FULL
    language_model: str | None = None
    acoustic_encoder: Path | None = None
    rows: int | None = None
    changes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for change in self.changes:
            for key, option in OPTIONS.items():
                if change.partition("=")[0].startswith(key):
                    raise UsageError(f"--set {change}: that is what {option} is for.")

    @property
    def tests(self) -> Tests:
        return Tests(self.data, self.rows)

    @property
    def brings_data(self) -> bool:
        """Whether complete manifests are taken as they are."""
        return (self.data / SOURCES).is_file() and not (self.real or self.fsdd or self.sentences)

    @property
    def language(self) -> Path:
        return self.out / "language"

    @property
    def listener(self) -> Path:
        return self.acoustic_encoder or self.out / "listener"

    def keys(self, acoustic_encoder: Path) -> tuple[str, ...]:
        """The changes of recipe mini that all of its trainings share."""
        language_model = self.language_model or str(self.language / "llm")
        own = (f"data={self.data}", f"model.language_model.path={language_model}")
        return (*own, f"model.acoustic_encoder.path={acoustic_encoder}", *self.size.recipe, *self.changes)

    def recipe(self) -> Recipe:
        """Recipe mini as it is trained here.

        Raises:
            RecipeError: the changes do not fit it.
        """
        return load(RECIPE, self.keys(self.listener))
