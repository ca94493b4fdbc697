"""Recipes: every problem at once, with file, line and the nearest valid key; resolved recipes are recipes."""

import time
from pathlib import Path

import pytest
import yaml

from wavllm_cli import recipe
from wavllm_cli.corpora import registry
from wavllm_cli.errors import RecipeError


@pytest.fixture
def edited(tmp_path):
    """Write the tiny recipe with one textual change and return its path."""

    def write(old: str, new: str):
        text = recipe.find("tiny").read_text()
        assert old in text
        path = tmp_path / "edited.yaml"
        path.write_text(text.replace(old, new))
        return str(path)

    return write


def problems(*arguments) -> str:
    with pytest.raises(RecipeError) as caught:
        recipe.load(*arguments)
    return str(caught.value)


@pytest.mark.parametrize("name", sorted(recipe.shipped()))
def test_shipped_recipes_are_valid_and_their_dump_is_the_same_recipe(name, tmp_path):
    loaded = recipe.load(name)
    path = tmp_path / "resolved.yaml"
    path.write_text(recipe.dump(loaded))
    assert recipe.load(str(path)) == loaded


def test_unknown_key_names_file_line_and_nearest(edited):
    path = edited("warmup_steps: 20", "warmup_step: 20")
    line = next(i for i, text in enumerate(Path(path).read_text().splitlines(), 1) if "warmup_step: 20" in text)
    with pytest.raises(RecipeError) as caught:
        recipe.load(path)
    assert f"{path}:{line}: unknown key stages.1.optimizer.warmup_step (did you mean warmup_steps?)." in str(
        caught.value
    )


def test_all_problems_are_reported_at_once(edited):
    path = edited("lora: {rank: 8, alpha: 8, dropout: 0.0}", "lora: {rank: -1, alpha: x, dropuot: 0.0}")
    with pytest.raises(RecipeError) as caught:
        recipe.load(path)
    lines = str(caught.value).splitlines()
    for expected in ("lora.rank is -1", "lora.alpha is 'x'", "unknown key model.lora.dropuot (did you mean dropout?)"):
        assert sum(expected in line for line in lines) == 1, expected
    assert sum("model.lora.dropout is missing" in line for line in lines) == 1


@pytest.mark.parametrize("text", ["1e-4", "1E-4", "0.0001", "1.0e-4"])
def test_scientific_notation_is_a_number_even_in_free_form_sections(text):
    loaded = recipe.load("tiny", [f"model.language_model.config.rms_norm_eps={text}"])
    assert loaded.model.language_model.config["rms_norm_eps"] == 1e-4


def test_set_changes_one_key_and_creates_absent_sections():
    loaded = recipe.load("tiny", ["stages.0.prompt_adapter.width=4", "seed=7", "stages.1.mixture.0.weight=9"])
    assert loaded.stages[0].prompt_adapter.width == 4
    assert loaded.seed == 7
    assert loaded.stages[1].mixture[0].weight == 9
    assert loaded.stages[1].steps == recipe.load("tiny").stages[1].steps


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("stages.0.stepz=3", "did you mean steps?"),
        ("stages.9.steps=3", "not one of the 2 positions"),
        ("name.x=3", "single value"),
        ("steps", "key=value"),
    ],
)
def test_wrong_overrides(override, expected):
    with pytest.raises(RecipeError, match="^(?s:.*)" + expected.replace("?", r"\?")):
        recipe.load("tiny", [override])


def test_a_backbone_has_exactly_one_source():
    with pytest.raises(RecipeError, match=r"either `path` .* or `config`"):
        recipe.load("tiny", ["model.semantic_encoder.path=openai/whisper-tiny"])


def test_training_the_prompt_adapter_needs_its_section():
    with pytest.raises(RecipeError, match="no `prompt_adapter` section"):
        recipe.load("tiny", ["stages.1.prompt_adapter=null"])


def test_unknown_recipe_name_suggests_one():
    with pytest.raises(RecipeError, match=r"no recipe 'tinny' \(did you mean tiny\?\)"):
        recipe.load("tinny")


@pytest.mark.parametrize("text", ["[1, 2", "- a\n- b\n", "\x00"])
def test_files_that_are_no_recipes(tmp_path, text):
    path = tmp_path / "no.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=r"not valid YAML|not a recipe"):
        recipe.load(str(path))


def test_the_dump_keeps_numbers_numbers():
    assert yaml.safe_load(recipe.dump(recipe.load("wavllm-7b")))["stages"][0]["optimizer"]["learning_rate"] == 1e-4


def test_the_recipe_of_the_paper_names_what_its_commands_write():
    header = Path(recipe.find("wavllm-7b")).read_text().split("\nname:")[0]
    folders = {registry.find(name).ABOUT.out: name for name in registry.names()}
    for stage in recipe.load("wavllm-7b").stages:
        for name in [*stage.manifests, stage.validation.manifest]:
            folder, _, file = name.rpartition("/")
            written = f"data/{name}" in header or f"/{file}" in header
            assert written or f"{folders[f'data/{folder}']} ROOT" in header, name


# --- ranges ---


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("stages.0.optimizer.betas=[2, 3]", "betas.0 is 2: it should be less than 1"),
        ("stages.0.optimizer.learning_rate=.inf", "is inf: it should be a finite number"),
        ("stages.0.optimizer.learning_rate=1e30", "is 1e+30: it may be at most 1.0, since AdamW moves every weight"),
        ("stages.0.optimizer.max_grad_norm=.nan", "is nan: it should be a finite number"),
        ("stages.0.task_weights={asrr: 2}", "there is no task 'asrr' (did you mean asr?)"),
        ("stages.0.task_weights={er: 0}", "it should be greater than 0"),
        ("stages.0.optimizer.group_rates={lora: 1e-4}", "`optimizer.group_rates` names lora, which `trainable` does"),
        ("stages.0.optimizer.group_rates={lorra: 1e-4}", "lorra"),
        ("stages.0.mixture.0.weight=.inf", "is inf: it should be a finite number"),
        ("stages.0.batch.accumulate=1000000000", "it may be at most 4,096"),
        ("stages.0.workers=100000", "it may be at most 256, each of them a process"),
        ("stages.0.steps=true", "it must be a number, not yes or no"),
        ("model.adapters.semantic_channels=[255, 256]", "channels.0 is 255: it must be even"),
        ("model.semantic_window=10", "of one with `config` max_source_positions says it"),
        ("model.adapters.width=100000000", "it may be at most 131,072"),
        ("model.language_model.tokenizer.vocab_size=1000000000", "it may be at most 1,048,576"),
        ("model.language_model.tokenizer.vocab_size=5", "it should be greater than or equal to 259"),
        ("model.language_model.config.rms_norm_eps=.nan", "its rms_norm_eps is nan"),
        ("generation.num_beams=1000000", "it may be at most 64"),
        ("generation.max_new_tokens=100000000000000000000", "it may be at most 131,072"),
        ("generation.temperature=1e-300", "it must be 0, which is greedy, or at least 0.01"),
        ("stages.0.mixture=[{manifest: a, weight: 1}, {manifest: a, weight: 2}]", "a occurs twice: name it once"),
        ("stages.0.trainable=[lora, lora]", "names lora twice"),
        ("stages.0.encoder_cache=kept", "frozen encoders make, but `trainable` names semantic_encoder"),
        ("stages.0.curriculum=null", "is None: it should be a list"),
    ],
)
def test_what_no_run_can_mean_is_a_problem(override, expected):
    assert expected in problems("tiny", [override])


def test_sections_of_a_stage_that_contradict_each_other():
    alignment = "stages.0.curriculum.1.objective=alignment"
    steps = [recipe.load("tiny", [alignment]).stages[0].minimises(step) for step in (399, 400, 799, 800)]
    assert steps == ["answers", "alignment", "alignment", "answers"]
    assert "the stage has no `ctc` section" in problems("tiny", [alignment, "stages.0.ctc=null"])
    changed = "stages.1.augmentation={speed: {factors: [0.9]}}", "stages.1.encoder_cache=kept"
    assert "keeps what is made of clips, but `augmentation` changes them" in problems("tiny", [*changed])
    deaf = "stages.0.trainable=[language_model, lora]"
    assert "names nothing that hears (semantic_encoder, acoustic" in problems("tiny", [alignment, deaf])


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], []),
        (["stages.1.steps=20"], ["stages.1.optimizer.warmup_steps is 20, but the stage has 20 steps: it ends before"]),
        (["stages.0.steps=800"], ["stages.0.curriculum takes 800 steps, but the stage has 800: nothing is drawn"]),
        (["stages.0.max_audio_seconds=81"], ["stages.0.max_audio_seconds is 81, above batch.max_seconds 80"]),
    ],
)
def test_what_hardly_is_meant_is_doubted(overrides, expected):
    doubts = recipe.load("tiny", overrides).doubts()
    assert len(doubts) == len(expected)
    assert all(sentence in doubt for sentence, doubt in zip(expected, doubts, strict=True))


# --- texts that are no recipe ---


def written(folder, text):
    path = folder / "text.yaml"
    path.write_text(text)
    return str(path)


BOMB = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BOMB, ":5: it holds more than 50,000 values, aliases written out."),
        ("name: &a\n  b: *a\n", ":2: the alias *a stands for a section that it is itself a part of."),
        ("name: *a\n", ":1: not valid YAML: found undefined alias 'a'."),
        ("name: " + "[" * 50, ":1: it holds sections within sections, more than 32 deep."),
        ("name: x\nseed: !!int 1\n", ":2: a recipe has no tags such as tag:yaml.org,2002:int."),
        (
            "name: x\nseed: 1\ndata: d\nseed: 2\nname: y\n",
            "the key seed is given twice, in lines 2 and 4; the key name",
        ),
        ("model:\n  lora: {rank: 8,\n    rank: 9}\n", "the key model.lora.rank is given twice, in lines 2 and 3."),
        ("seed: 0x_\n", ":1: not valid YAML: invalid literal for int()"),
        ("data: 2026-99-99\n", ":1: not valid YAML: month must be in 1..12."),
        ("name: x\n? [1]\n: 2\n", ":2: not valid YAML: while constructing a mapping found unhashable key."),
        ("name: x\0\n", ":1: not valid YAML: the character '\\x00' is not allowed."),
        ("#" + "x" * 2**20, "it has more than 1,048,576 characters"),
    ],
)
def test_what_cannot_be_a_recipe_is_said_in_one_sentence_at_once(tmp_path, text, expected):
    started = time.process_time()
    message = problems(written(tmp_path, text))
    assert expected in message
    assert len(message.splitlines()) == 1
    assert time.process_time() - started < 1


def test_an_alias_is_what_it_stands_for(edited):
    stage = recipe.load("tiny").stages[0]
    path = Path(edited("batch: {max_seconds: 80, max_utterances: 16}", "batch: *limits"))
    path.write_text(path.read_text().replace("*limits", "&limits {max_seconds: 80, max_utterances: 16}", 1))
    assert [s.batch for s in recipe.load(str(path)).stages] == [stage.batch, stage.batch]


@pytest.mark.parametrize("value", ["[1", "!!int 1", "!x 1", "{a: 1, a: 2}", "&a [*a]", "@", "'"])
def test_a_set_value_that_is_no_yaml_is_one_sentence(value):
    message = problems("tiny", [f"seed={value}"])
    assert message.startswith(f"--set {f'seed={value}'!r}: the value is no YAML for a recipe: ")
    assert len(message.splitlines()) == 1


def test_a_problem_is_placed_where_it_was_written():
    assert problems("tiny", ["seed=-1"]).startswith("--set seed=-1: seed is -1")
    assert problems("tiny", ["x.y=1"]) == "--set x.y=1: unknown key x."
    loaded = recipe.load("tiny", ["model.lora={rank: 4, alpha: 4, dropout: 0}"])
    assert loaded.key("model", "lora", "rank") == "--set model.lora={rank: 4, alpha: 4, dropout: 0}: model.lora.rank"
    assert loaded.key("seed") == f"{recipe.find('tiny')}:18: seed"


def test_two_wrong_stages_are_not_called_too_few():
    rates = [f"stages.{i}.optimizer.learning_rate=.nan" for i in (0, 1)]
    lines = problems("tiny", rates).splitlines()
    assert len(lines) == 2 and all(line.endswith("is nan: it should be a finite number.") for line in lines)
    assert "at least 1 item" in problems("tiny", ["stages=[]"])


def test_long_values_and_many_problems_are_cut(edited):
    message = problems(edited("name: tiny", f"name: {'y' * 100_000}"))
    assert "name is 'yyy" in message and len(message) < 400
    many = "".join(f"k{i}: 1\n" for i in range(50))
    lines = problems(edited("name: tiny", f"{many}name: tiny")).splitlines()
    assert len(lines) == 21
    assert lines[-1].endswith("30 more problems.")


def test_a_path_that_is_no_file(tmp_path):
    (tmp_path / "folder.yaml").mkdir()
    assert problems(str(tmp_path / "folder.yaml")).endswith("is no file.")
    assert problems("x" * 5000).endswith("cannot be read: File name too long.")
