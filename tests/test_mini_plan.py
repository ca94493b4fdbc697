"""The plan of the miniature: what differs between its trainings, and what does not."""

from pathlib import Path

import pytest
from mini_exam import write_tests

from wavllm_cli import recipe
from wavllm_cli.data.manifest import write_manifest
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import UsageError
from wavllm_cli.mini import plan
from wavllm_cli.mini.request import QUICK, SOURCES, Request

PRESENT = ("world", "st", "sqa", "er", "felt", "sv", "sqqa", "sft", "ii", "cot")
READ = ("sft", "text", "words", "choices", "exchanges", "moods")


@pytest.fixture(scope="module")
def request_for(tmp_path_factory):
    """A request about complete manifests, but for those of real recordings."""
    folder = tmp_path_factory.mktemp("plan")
    data = folder / "data"
    write_tests(data)
    for name in {*PRESENT, *READ}:
        audio = None if name in READ else "clip.wav"
        row = Utterance(id=name, audio=audio, task="sft", prompt="What is said?", target="Nothing.")
        write_manifest(data / f"train-{name}.jsonl", [row])
    (data / SOURCES).write_text("{}\n")

    def make(**fields) -> Request:
        return Request(data, folder / "out", **fields)

    return make


@pytest.fixture(scope="module")
def steps(request_for):
    return plan.later_steps(request_for())


def recipe_of(steps, name) -> recipe.Recipe:
    """What a training is trained by."""
    arguments = next(step for step in steps if step.name == name).work.arguments
    return recipe.load("mini", [arguments[i + 1] for i, word in enumerate(arguments) if word == "--set"])


def test_the_prompt_adapter_is_all_that_differs(steps):
    tuned, plain = (recipe_of(steps, f"stage2-{kind}-2") for kind in ("prompt", "plain"))
    assert tuned.seed == plain.seed == 2 and tuned.stages[1].steps == plain.stages[1].steps
    assert "prompt_adapter" in tuned.stages[1].trainable and plain.stages[1].prompt_adapter is None
    left = tuned.stages[1].model_copy(update={"prompt_adapter": None, "trainable": plain.stages[1].trainable})
    rates = {group: r for group, r in left.optimizer.group_rates.items() if group != "prompt_adapter"}
    left = left.model_copy(update={"optimizer": left.optimizer.model_copy(update={"group_rates": rates})})
    assert left == plain.stages[1] and tuned.model == plain.model


def test_the_acoustic_encoder_is_all_that_differs_of_the_deaf(steps):
    heard, deaf = (recipe_of(steps, name) for name in ("stage2-prompt-1", "deaf-stage2"))
    assert heard.stages == deaf.stages and heard.seed == deaf.seed
    paths = {r.model.acoustic_encoder.path for r in (heard, deaf)}
    assert len(paths) == 2
    assert heard.model.model_copy(update={"acoustic_encoder": deaf.model.acoustic_encoder}) == deaf.model


def test_what_nobody_has_brought_is_left_out_of_the_mixtures(steps):
    trained = recipe_of(steps, "stage1").stages[0]
    assert set(trained.manifests) == {f"train-{name}.jsonl" for name in PRESENT if name not in ("ii", "cot")}
    assert trained.curriculum[0].objective == "alignment"


def test_changes_of_a_user_reach_all_trainings(request_for):
    steps = plan.later_steps(request_for(changes=("stages.1.steps=7", "model.lora.rank=3")))
    names = ["stage1", "stage2-plain-3", "deaf-stage2"]
    mixture = "stages.0.mixture=[{manifest: train-st.jsonl, weight: 1}]"
    (first,) = [step for step in plan.later_steps(request_for(changes=(mixture,))) if step.name == "stage1"]
    assert {path.name for path in first.reads if path.suffix == ".jsonl"} == {
        f"train-{name}.jsonl" for name in ("world", "felt", "st")
    }
    assert {(r.stages[1].steps, r.model.lora.rank) for name in names if (r := recipe_of(steps, name))} == {(7, 3)}


def test_backbones_that_are_named_are_not_trained(request_for):
    steps = plan.later_steps(request_for(language_model="smollm2-135m-instruct", acoustic_encoder=Path("wavlm")))
    assert not [step for step in steps if step.group in ("language", "listener")]
    model = recipe_of(steps, "stage1").model
    assert (model.language_model.path, model.acoustic_encoder.path) == ("smollm2-135m-instruct", "wavlm")


@pytest.mark.parametrize("key", ["data", "seed", "model.language_model.path", "model.acoustic_encoder"])
def test_what_has_an_option_is_no_change(request_for, key):
    with pytest.raises(UsageError, match=f"--set {key}=x: that is what --.* is for"):
        request_for(changes=(f"{key}=x",))


def test_every_step_reads_what_is_there_or_what_an_earlier_step_writes(request_for):
    steps = plan.later_steps(request_for(size=QUICK))
    written = set()
    for step in steps:
        missing = [path.name for path in step.reads if not path.is_file() and path not in written]
        assert missing in ([], ["dev-text.jsonl"]), step.name
        written.update(step.writes)
    assert len({step.name for step in steps}) == len(steps)
    assert {step.group for step in steps} | {"data", "report"} == set(plan.GROUPS)


def test_what_will_not_be_trained_is_asked_nothing(request_for):
    request = request_for()
    assert [step.name for step in plan.later_steps(request, ["answers"]) if step.group == "answers"] == [
        "exam",
        "sort-right",
    ]
    for name in plan.MODEL:
        path = request.out / "stage1" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    asked = [step.name for step in plan.later_steps(request, ["answers"]) if step.group == "answers"]
    assert asked == ["exam", "sort-right", "ask-stage1", "sort-stage1"]


def test_manifests_that_are_complete_are_taken_as_they_are(request_for, tmp_path):
    data = request_for().data
    assert plan.data_step(request_for()) is None
    real = tmp_path / "real"
    real.mkdir()
    (real / "train.jsonl").write_text("{}\n")
    step = plan.data_step(request_for(real=(real,), fsdd=tmp_path, size=QUICK))
    assert step.reads == (real / "train.jsonl",)
    given = f"--real {real} --fsdd {tmp_path} --scale 0.01"
    assert str(step.work) == f"wavllm prep mini --out {data} {given}"
    assert plan.data_step(Request(tmp_path, tmp_path)) is not None


def test_without_manifests_there_is_no_later_step(tmp_path):
    with pytest.raises(UsageError, match="holds no manifests yet: step data makes them"):
        plan.later_steps(Request(tmp_path, tmp_path / "out"))


def test_a_listener_learns_from_what_can_be_heard(steps):
    learnt = next(step for step in steps if step.name == "listener").reads
    assert {path.name for path in learnt} == {f"train-{name}.jsonl" for name in PRESENT if name not in READ}
