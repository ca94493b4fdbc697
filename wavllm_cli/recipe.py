"""A recipe is a whole experiment in one YAML file: model, data, both training stages.

The pydantic models below *are* the format. Every key is checked, a missing one has no silent default unless its
absence means something, and presence is the switch: a stage has a prompt adapter because it has a
`prompt_adapter` section. The recipe as resolved is saved with every run and is itself a valid recipe.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError, model_validator

from wavllm_cli.errors import RecipeError

ParameterGroup = Literal[
    "semantic_encoder", "acoustic_encoder", "layer_weights", "adapters", "language_model", "lora", "prompt_adapter"
]
PARAMETER_GROUPS: tuple[str, ...] = get_args(ParameterGroup)


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Backbone(Section):
    """Pretrained (`path`: hub id or folder) or random (`config`: the keys of its transformers configuration)."""

    path: str | None = None
    revision: str | None = None
    config: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "Backbone":
        if (self.path is None) == (self.config is None):
            raise ValueError("give either `path` (pretrained) or `config` (random weights), not both or neither")
        return self


class TokenizerTraining(Section):
    """A byte-level BPE tokenizer learned from the texts of the recipe's manifests."""

    vocab_size: PositiveInt


class LanguageModel(Backbone):
    tokenizer: TokenizerTraining | None = None

    @model_validator(mode="after")
    def _tokenizer_of_its_own(self) -> "LanguageModel":
        if (self.config is None) != (self.tokenizer is None):
            raise ValueError("`tokenizer` belongs with `config`: a pretrained language model brings its own")
        return self


class Adapters(Section):
    """Channels are those of the two convolutions, before the gated linear unit halves them."""

    semantic_channels: tuple[PositiveInt, PositiveInt]
    acoustic_channels: tuple[PositiveInt, PositiveInt]
    bottleneck: PositiveInt
    width: PositiveInt


class LoRA(Section):
    rank: PositiveInt
    alpha: PositiveFloat
    dropout: Annotated[float, Field(ge=0, lt=1)]


class Model(Section):
    semantic_encoder: Backbone
    acoustic_encoder: Backbone
    language_model: LanguageModel
    adapters: Adapters
    lora: LoRA


class PromptAdapter(Section):
    width: PositiveInt


class Source(Section):
    """One manifest of the mixture; an utterance is drawn from it `weight` / (sum of weights) of the time."""

    manifest: str
    weight: PositiveFloat


class Phase(Section):
    """A beginning of a stage that draws from a mixture of its own: text before speech, short before long."""

    steps: PositiveInt
    mixture: Annotated[tuple[Source, ...], Field(min_length=1)]


class Batch(Section):
    """A batch is full at either limit; padding counts towards the seconds."""

    max_seconds: PositiveFloat
    max_utterances: PositiveInt
    accumulate: PositiveInt = 1


class Optimizer(Section):
    """AdamW; the rate rises linearly over `warmup_steps`, then falls to zero along the schedule."""

    learning_rate: PositiveFloat
    warmup_steps: Annotated[int, Field(ge=0)]
    schedule: Literal["linear", "cosine", "constant"]
    weight_decay: Annotated[float, Field(ge=0)]
    betas: tuple[float, float] = (0.9, 0.98)
    max_grad_norm: PositiveFloat = 1.0


class CTC(Section):
    """An auxiliary CTC loss on the speech tokens of asr rows, for encoders that are trained from nothing."""

    weight: PositiveFloat


class Validation(Section):
    """Every `every` steps: the loss on the whole manifest, and `samples` decoded answers beside their references."""

    manifest: str
    every: PositiveInt
    samples: PositiveInt = 4


class Stage(Section):
    trainable: Annotated[tuple[ParameterGroup, ...], Field(min_length=1)]
    prompt_adapter: PromptAdapter | None = None
    mixture: Annotated[tuple[Source, ...], Field(min_length=1)]
    curriculum: tuple[Phase, ...] = ()
    max_audio_seconds: PositiveFloat
    steps: PositiveInt
    batch: Batch
    optimizer: Optimizer
    ctc: CTC | None = None
    precision: Literal["fp32", "bf16"]
    gradient_checkpointing: bool = False
    validation: Validation | None = None
    checkpoint_every: PositiveInt
    workers: Annotated[int, Field(ge=0)] = 0

    @property
    def manifests(self) -> tuple[str, ...]:
        """Every manifest that the stage draws from, once."""
        mixtures = [*(phase.mixture for phase in self.curriculum), self.mixture]
        return tuple(dict.fromkeys(source.manifest for mixture in mixtures for source in mixture))

    @model_validator(mode="after")
    def _prompt_adapter_exists(self) -> "Stage":
        if "prompt_adapter" in self.trainable and self.prompt_adapter is None:
            raise ValueError("`trainable` names prompt_adapter, but the stage has no `prompt_adapter` section")
        return self


class Generation(Section):
    """Decoding; `temperature` 0 is greedy."""

    max_new_tokens: PositiveInt = 512
    temperature: Annotated[float, Field(ge=0)] = 0.0
    num_beams: PositiveInt = 1

    def options(self) -> dict[str, Any]:
        """As keywords of transformers' `generate`."""
        return {"max_new_tokens": self.max_new_tokens, "num_beams": self.num_beams, **sampling(self.temperature)}


def sampling(temperature: float) -> dict[str, Any]:
    """A temperature as keywords of transformers' `generate`: drawn from all tokens, not from its default of 50."""
    if temperature > 0:
        return {"do_sample": True, "temperature": temperature, "top_k": 0}
    return {"do_sample": False, "temperature": None, "top_k": None, "top_p": None}


class Recipe(Section):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    data: str
    model: Model
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    generation: Generation = Generation()

    def manifest(self, name: str) -> Path:
        """A manifest's path; relative ones lie in the recipe's `data` folder."""
        return Path(self.data) / name


# --- reading ---


class _Loader(yaml.SafeLoader):
    """YAML 1.1 reads `1e-4` as text; this one reads it as the number everybody means."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+0123456789.")
)

PACKAGED = (Path(__file__).parent / "recipes", Path(__file__).parent.parent / "recipes")


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
        raise RecipeError("\n".join(_sentence(path, lines, problem) for problem in error.errors())) from error


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
