"""What check finds, train stops at: one function, asked before anything is written or built."""

import re

import pytest

from wavllm_cli import recipe as recipes
from wavllm_cli.data.audio import write_wav
from wavllm_cli.data.manifest import write_manifest
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.training import plan, stages

MANIFESTS = ("train", "train-spelled", "train-short", "train-sqa", "train-sft", "train-ii", "dev")
SEMANTIC, LLM = "model.semantic_encoder.config", "model.language_model.config"
NETWORKS: dict = {}


def row(number: int, **fields) -> Utterance:
    return Utterance(**{"id": str(number), "audio": None, "task": "sft", "prompt": "a", "target": "b", **fields})


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Every manifest of the tiny recipe, two text rows each."""
    folder = tmp_path_factory.mktemp("data")
    for name in MANIFESTS:
        write_manifest(folder / f"{name}.jsonl", [row(1), row(2)])
    return folder


@pytest.fixture(autouse=True)
def one_network(monkeypatch):
    """The same model is built once for all tests: it costs a third of a second."""
    real = plan._networks

    def remembered(recipe, trust):
        key = recipe.model.model_dump_json()
        if key not in NETWORKS:
            NETWORKS[key] = real(recipe, trust)
        return NETWORKS[key]

    monkeypatch.setattr(plan, "_networks", remembered)


@pytest.fixture
def check(data, tmp_path):
    """Function: overrides of the tiny recipe -> its plan."""

    def make(*overrides: str, only: int | None = None) -> plan.Plan:
        return plan.check(recipes.load("tiny", [f"data={data}", *overrides]), tmp_path / "run", only)

    return make


def test_the_tiny_recipe_has_no_problems_and_its_costs(check):
    found = check()
    assert found.problems == [] and found.warnings == []
    assert [stage.utterances for stage in found.stages] == [10, 8]
    assert sum(found.parameters.values()) == 957_389
    assert found.stages[1].trained_parameters + found.stages[1].frozen_parameters == 957_389


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (f"{LLM}.foo_bar=5", "is not a key that LlamaConfig has"),
        (f"{LLM}.num_attention_heads=0", "must be at least 1"),
        (f"{LLM}.num_attention_heads=3", "is not a multiple of the number of attention heads"),
        (f"{LLM}.num_key_value_heads=3", "cannot run"),
        (f"{LLM}.model_type=whisper", "is not a key that WhisperConfig has"),
        (f"{LLM}.model_type=phi3", "prompt-aware LoRA needs one in each layer"),
        (f"{LLM}.rope_parameters={{rope_type: foo}}", "has the rope_type 'foo'"),
        (f"{LLM}.hidden_size=-4", "must be at least 1"),
        (f"{LLM}.hidden_size=10000000", "no machine has more than 32,768: look at the sizes under model."),
        (f"{SEMANTIC}.max_source_positions=120", "must be a multiple of 50"),
        ("stages.0.mixture=[{manifest: gone.jsonl, weight: 1}]", "gone.jsonl, which does not exist"),
        ("stages.0.mixture=[{manifest: no.txt, weight: 1}]", "no.txt is not a manifest"),
        ("stages.0.mixture=[{manifest: broken.jsonl, weight: 1}]", 'line 2: key "id" is missing'),
        ("stages.0.validation={manifest: mute.jsonl, every: 9}", "that stage 1 can use: 2 no target."),
        (
            "stages.0.trainable=[adapters, layer_weights]",
            "names only what hears (adapters, layer_weights)",
        ),
        ("stages.0.curriculum.0.objective=alignment", "has 2 rows that are not asr with audio: leave them out"),
        ("stages.0.max_audio_seconds=1", None),
    ],
)
def test_train_stops_at_what_check_finds(check, data, tmp_path, override, expected):
    (data / "no.txt").touch()
    (data / "broken.jsonl").write_text(row(1).json_line() + '\n{"audio": null, "task": "sft", "prompt": "a"}\n')
    write_manifest(data / "mute.jsonl", [row(1, target=None), row(2, target=None)])
    problems = check(override).problems
    assert [expected in problem for problem in problems if expected] == [True] * len(problems)
    assert bool(problems) == bool(expected)
    if problems:
        recipe = recipes.load("tiny", [f"data={data}", override])
        with pytest.raises(UsageError) as caught:
            stages.train(recipe, 1, tmp_path / "run")
        assert set(str(caught.value).splitlines()) <= set(problems)
        assert list((tmp_path / "run").rglob("*")) == []


def test_an_encoder_cache_has_its_price(check, data, noise):
    write_wav(data / "clip.wav", noise(2.0))
    write_manifest(data / "heard.jsonl", [row(i, audio="clip.wav", duration=2.0, task="asr") for i in (1, 2)])
    override = "stages.1.mixture=[{manifest: heard.jsonl, weight: 1}]", "stages.1.encoder_cache=kept"
    first, second = check(*override, "stages.1.validation=null").stages
    assert first.encoder_cache_gib is None and "encoder cache gib" not in first.cells()
    assert second.encoder_cache_gib * 2**30 == pytest.approx(4 * 2 * (50 * 96 + 50 * 2 * 48))
    assert second.cells()["encoder cache gib"].startswith("at most ")
    (data / "kept").touch()
    assert "kept cannot be the output: it is a file" in check(*override).problems[0]
    (data / "kept").unlink()


def test_the_commands_say_the_same_and_end_alike(wavllm, data, tmp_path):
    for override in (f"{LLM}.foo_bar=5", "stages.0.optimizer.betas=[2, 3]", "seed=[1"):
        options = ("--set", f"data={data}", "--set", override, "--output", tmp_path / "run")
        code, _, said = wavllm("check", "tiny", *options)
        assert code == (1 if "foo" in override else 2)
        assert wavllm("train", "--stage", "1", "--recipe", "tiny", *options) == (2, "", said)


def test_every_problem_of_the_data_is_said_once(check, data):
    """The same manifest stands in both stages and in the validation."""
    (data / "bad.jsonl").write_text('{"id": "a"}\n{"id": "b"}\n')
    mixture = "mixture=[{manifest: bad.jsonl, weight: 1}, {manifest: gone.jsonl, weight: 1}]"
    found = check(f"stages.0.{mixture}", f"stages.1.{mixture}", "stages.0.validation.manifest=gone.jsonl")
    assert [problem.split(": ")[0].split("/")[-1] for problem in found.problems] == [
        "gone.jsonl, which does not exist", "bad.jsonl, lines 1 (id a), 2 (id b)",
    ]  # fmt: skip
    assert [stage.hours for stage in found.stages] == [None, None]
    assert found.stages[0].cells()["hours"] == "unknown"


@pytest.mark.parametrize(
    ("durations", "shown"),
    [
        ([3600.0, 1800.0], "1.50"),
        ([200.0, 10.4], "3 min 30 s"),
        ([3600.0, None], "at least 1.00 (1 rows without duration)"),
        ([None, None], "unknown (2 rows without duration)"),
    ],
)
def test_hours_are_what_is_known_of_them(check, data, durations, shown):
    (data / "a.wav").touch()
    rows = [row(i, audio="a.wav", duration=seconds) for i, seconds in enumerate(durations)]
    write_manifest(data / "spoken.jsonl", rows)
    stage = "stages.0.{}".format
    found = check(
        stage("mixture=[{manifest: spoken.jsonl, weight: 1}]"), stage("curriculum=[]"), stage("max_audio_seconds=9999")
    )
    assert found.stages[0].cells()["hours"] == shown


def test_a_conversation_in_training_and_validation_is_a_warning(check, data):
    write_manifest(data / "heard.jsonl", [row(1, group="call 7"), row(2, group="call 8"), row(3)])
    write_manifest(data / "held-out.jsonl", [row(4, group="call 8"), row(5, group="call 9"), row(6)])
    overrides = [
        "stages.0.mixture=[{manifest: heard.jsonl, weight: 1}]", "stages.0.curriculum=[]",
        "stages.0.validation.manifest=held-out.jsonl",
    ]  # fmt: skip
    (sentence,) = check(*overrides).warnings
    assert "held-out.jsonl validates stage 1, but 1 of its groups are in" in sentence
    assert "heard.jsonl too, which trains it (first: call 8)" in sentence
    assert check(*overrides[:2], "stages.0.validation.manifest=heard.jsonl").warnings == []


def test_what_will_be_left_out_is_a_warning_with_the_first_id(check, data):
    (data / "a.wav").touch()
    rows = [row(1), row(2, target=None), row(3, audio="gone.wav"), row(4, audio="a.wav", duration=99.0)]
    rows += [row(5, speech_text="say it"), row(6, audio=[{"audio": "a.wav", "duration": 7}] * 2)]
    write_manifest(data / "some.jsonl", rows)
    found = check("stages.0.mixture=[{manifest: some.jsonl, weight: 1}]", "stages.0.curriculum=[]")
    assert found.problems == []
    assert found.stages[0].utterances == 1
    assert [warning.split("will be ")[1] for warning in found.warnings] == [
        "left out, no target (first: 2).",
        "left out, audio file missing (first: 3).",
        "left out, longer than 12 s (first: 4).",
        "left out, speech_text not spoken yet (first: 5).",
    ]


def test_clips_beyond_the_positions_of_the_language_model_are_foreseen(check):
    (warning,) = check("stages.0.max_audio_seconds=80", f"{LLM}.max_position_embeddings=1000").warnings
    assert "are 1,000 speech tokens, but the language model has 1,000 positions" in warning


def test_memory_that_this_machine_lacks_is_a_warning_and_where_it_trains_a_problem(check, monkeypatch):
    monkeypatch.setattr(plan, "memory", lambda: (2**20, "this machine"))
    found = check()
    assert found.problems == []
    assert found.warnings[0] == (
        "Stage 1 takes at least 0.0 GiB of memory, activations not included; this machine has 0.0."
    )
    assert check(only=2).problems == [found.warnings[1]]


def test_a_full_disk_is_a_problem_unless_the_files_are_there_already(check, data, tmp_path, monkeypatch):
    from types import SimpleNamespace

    from wavllm_cli.data import files

    free = 20 * 10**6
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    (problem,) = check(only=1).problems
    assert re.search(r"run needs [\d.]+ MB, but 20.0 MB are free", problem)
    (tmp_path / "run" / "stage1").mkdir(parents=True)
    with (tmp_path / "run" / "stage1" / "model.safetensors").open("wb") as file:
        file.truncate(30 * 10**6)
    assert check(only=1).problems == []


def test_an_output_under_a_file_is_a_problem(data):
    found = plan.check(recipes.load("tiny", [f"data={data}"]), data / "dev.jsonl" / "run")
    assert [problem.split("dev.jsonl")[-1] for problem in found.problems] == [" is a file, not a folder."]


def test_doubts_are_warnings_of_both(check, data, tmp_path, capsys):
    overrides = ("stages.0.steps=40", "stages.0.curriculum=[]", "stages.1.steps=1")
    assert ["warmup_steps is 50" in check(*overrides, only=1).warnings[0], len(check(*overrides).warnings)] == [True, 2]
    plan.require_sound(recipes.load("tiny", [f"data={data}", *overrides]), 1, tmp_path / "run")
    assert "warmup_steps is 50, but the stage has 40 steps" in capsys.readouterr().err


def test_a_stage_that_starts_from_a_checkpoint_does_not_build_the_recipes_model(check, data, tmp_path):
    recipe = recipes.load("tiny", [f"data={data}", f"{LLM}.foo_bar=5"])
    plan.require_sound(recipe, 2, tmp_path / "run", start="elsewhere")
    with pytest.raises(WavLLMError, match="foo_bar"):
        plan.require_sound(recipe, 2, tmp_path / "run")
