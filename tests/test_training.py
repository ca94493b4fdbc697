"""The training loop on a shrunken tiny recipe and a handful of beeps: learning, stopping, continuing, stages."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

import numpy as np
import pytest
from beeps import WORDS, forget_accelerate

from wavllm_cli import recipe as recipes
from wavllm_cli.data.manifest import write_manifest
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.training import stages
from wavllm_cli.training.checkpoint import RunFolder
from wavllm_cli.training.opening import Request, open_stage


@pytest.fixture(scope="module")
def data(beeps):
    return beeps


@pytest.fixture
def recipe(beep_recipe):
    return beep_recipe


@pytest.fixture(scope="module")
def finished(beep_run):
    return beep_run


@pytest.fixture(autouse=True)
def no_check(monkeypatch):
    """What `check` looks for before every run costs a quarter of a second; test_plan.py is about it."""
    from wavllm_cli.training import plan

    monkeypatch.setattr(plan, "require_sound", lambda *_: None)


@pytest.fixture(autouse=True)
def fresh_accelerate():
    """Accelerate keeps its precision for the life of a process; a command line has one, a test run has many."""
    yield
    forget_accelerate()


def curve(run):
    """What a run logged, without the timings."""
    lines = [json.loads(line) for line in (run / "stage1" / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


def flat(line):
    """The numbers of a log line for `pytest.approx`, which takes neither words nor one dictionary in another."""
    parts = {f"{name}.{key}": number for name, of in line.items() if isinstance(of, dict) for key, number in of.items()}
    return parts | {name: value for name, value in line.items() if isinstance(value, int | float)}


def tensors(folder):
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def test_every_step_is_logged_and_validated(finished):
    lines = curve(finished)
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 9))
    assert [line["step"] for line in lines if "validation_loss" in line] == [4, 8]
    rates = [line["learning_rate"] for line in lines if "loss" in line]
    assert rates[0] == pytest.approx(rates[1] / 2)
    assert rates[1] == max(rates)
    assert 0 < rates[-1] < rates[2]
    samples = [json.loads(line) for line in (finished / "stage1" / "samples.jsonl").read_text().splitlines()]
    assert {s["reference"] for s in samples} <= set(WORDS)
    assert len(samples) == 4


def test_the_log_tells_the_loss_of_each_task_and_what_becomes_of_the_scale(finished):
    for number in (1, 2):
        text = (finished / f"stage{number}" / "log.jsonl").read_text()
        steps = [line for line in map(json.loads, text.splitlines()) if "loss" in line]
        assert {task for line in steps for task in line["loss_by_task"]} <= {"asr", "sqa", "sft", "ii", "cot"}
        assert all(min(line["loss_by_task"].values()) > 0 for line in steps)
        assert all(("scale_dead" in line) == (number == 2) for line in steps)
    assert steps[0]["scale_dead"] == steps[0]["scale_clipped"] == 0.0


def test_the_losses_of_tasks_come_to_the_loss():
    import torch

    from wavllm_cli.training.by_task import CODES, Prepared, means, weights_of

    tasks = torch.tensor([CODES.index(code) for code in ("asr", "er", "asr")])
    batch = Prepared(None, tasks == 0, tasks, torch.tensor([10.0, 1.0, 30.0]))
    tokens = batch.summed(batch.tokens)
    assert means(batch.summed(torch.tensor([20.0, 5.0, 20.0])), tokens) == {"asr": 1.0, "er": 5.0}
    weights = weights_of({"er": 4.0}, torch.device("cpu"))
    assert (tokens * weights).sum() == 44 and weights[tasks].tolist() == [1, 4, 1]


def test_a_group_has_its_own_rate(finished):
    from wavllm_cli.model.load import load_model
    from wavllm_cli.recipe import Optimizer
    from wavllm_cli.training.groups import optimizer_groups, set_trainable

    model, _ = load_model(str(finished / "stage2"))
    trained = set_trainable(model, ["adapters", "prompt_adapter"])
    options = {"learning_rate": 1e-3, "warmup_steps": 1, "schedule": "linear", "weight_decay": 0.1}
    (matrices, vectors) = optimizer_groups(model, Optimizer(**options))
    assert matrices["peak"] == vectors["peak"] == 1e-3 and vectors["weight_decay"] == 0
    groups = optimizer_groups(model, Optimizer(**options, group_rates={"prompt_adapter": 1e-4}))
    assert [group["peak"] for group in groups] == [1e-3, 1e-3, 1e-4, 1e-4]
    own = {id(parameter) for parameter in model.prompt_adapter.parameters()}
    assert {id(parameter) for group in groups[2:] for parameter in group["params"]} == own
    assert sum(len(group["params"]) for group in groups) == len(trained)


def test_the_model_learns_the_beeps(recipe, tmp_path):
    loaded = recipe("stages.0.steps=60", "stages.0.validation.every=60", "stages.0.optimizer.learning_rate=3e-3")
    summary = stages.train(loaded, 1, tmp_path / "run")
    losses = [line["loss"] for line in curve(tmp_path / "run") if "loss" in line]
    assert np.mean(losses[-10:]) < 0.3 * np.mean(losses[:5])
    assert summary.steps == 60


def test_shards_train_like_the_files_in_them(recipe, finished, data, tmp_path):
    from wavllm_cli.data.sharding import write_shards

    (tmp_path / "shards").mkdir()
    for manifest in data.glob("*.jsonl"):
        try:
            write_shards(manifest, tmp_path / "shards", 1)
        except UsageError:  # it has no audio
            shutil.copy(manifest, tmp_path / "shards")
    stages.train(recipe(f"data={tmp_path / 'shards'}"), 1, tmp_path / "run")
    assert list((tmp_path / "shards").glob("train-*.tar")) and curve(tmp_path / "run") == curve(finished)
    ours, theirs = tensors(tmp_path / "run" / "stage1"), tensors(finished / "stage1")
    assert all((ours[name] == theirs[name]).all() for name in theirs)


@pytest.mark.parametrize(
    "interrupt", [signal.SIGINT, signal.SIGUSR1, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_an_interrupted_run_continues_to_the_same_end(recipe, finished, tmp_path, monkeypatch, interrupt):
    from wavllm_cli.training.loop import Trainer

    original = Trainer._step

    def step(self, number, batches, received):
        if number == 4:
            os.kill(os.getpid(), interrupt)
        return original(self, number, batches, received)

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_step", step)
        with pytest.raises(KeyboardInterrupt):
            stages.train(recipe(), 1, run)
    assert RunFolder(run / "stage1").newest_state().name == "step-00000005"
    assert not RunFolder(run / "stage1").finished
    stages.train(recipe(), 1, run)
    assert curve(run) == curve(finished)
    ours, theirs = tensors(run / "stage1"), tensors(finished / "stage1")
    assert all((ours[name] == theirs[name]).all() for name in theirs)


def test_a_run_killed_before_its_first_state_leaves_nothing_in_the_log(recipe, finished, tmp_path):
    run = tmp_path / "run"
    with ExitStack() as stack:
        open_stage(Request(recipe(), 1), RunFolder(run / "stage1"), stack)
    (run / "stage1" / "log.jsonl").write_text('{"step": 1, "loss": 99.0}\n{"step": 2, "lo')
    stages.train(recipe(), 1, run)
    assert curve(run) == curve(finished)


@pytest.mark.slow
def test_a_killed_run_continues_to_the_same_end(recipe, finished, tmp_path):
    resolved = tmp_path / "recipe.yaml"
    resolved.write_text(recipes.dump(recipe()))
    run = tmp_path / "run"
    command = [sys.executable, "-m", "wavllm_cli", "train", "--stage", "1", "-r", str(resolved), "-o", str(run)]
    killed = subprocess.Popen(command)
    while not list(run.glob("stage1/state/step-*")):
        time.sleep(0.01)
        assert killed.poll() is None
    killed.kill()
    killed.wait()
    assert not RunFolder(run / "stage1").finished
    subprocess.run(command, check=True)
    assert curve(run) == curve(finished)


def processes(run, resolved, count, **environment):
    """Processes of one run, as srun would start them."""
    command = [sys.executable, "-m", "wavllm_cli", "train", "--stage", "1", "-r", str(resolved), "-o", str(run)]
    slurm = {"SLURM_NTASKS": str(count), "SLURM_JOB_ID": str(os.getpid()), "OMP_NUM_THREADS": "1"}
    return [
        subprocess.Popen(command, env={**os.environ, **slurm, "SLURM_PROCID": str(i), "SLURM_LOCALID": str(i)})
        for i in range(count)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("accumulate", "more"), [(1, []), (3, []), (1, ["trainable=[adapters, language_model]", "encoder_cache=FOLDER"])]
)
def test_processes_share_the_work_of_one(recipe, tmp_path, accumulate, more):
    """The same steps with the same batches, losses and gradients; a process without a clip waits for nobody."""
    settings = ["steps=4", "validation.every=4", "optimizer.learning_rate=1e-4", "batch.max_utterances=3"]
    more = [setting.replace("FOLDER", str(tmp_path / "kept")) for setting in more]
    common = [f"stages.0.{setting}" for setting in [*settings, *more, f"batch.accumulate={accumulate}"]]
    resolved = tmp_path / "recipe.yaml"
    resolved.write_text(recipes.dump(recipe(*common)))
    for process in processes(tmp_path / "two", resolved, 2):
        assert process.wait(timeout=300) == 0
    stages.train(recipe(*common), 1, tmp_path / "one")
    for two, one in zip(curve(tmp_path / "two"), curve(tmp_path / "one"), strict=True):
        assert flat(two) == pytest.approx(flat(one), rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("signal_number", "told"), [(signal.SIGTERM, 1), (signal.SIGUSR1, 0)])
def test_a_signal_to_one_process_ends_all_after_the_same_step(recipe, tmp_path, told, signal_number):
    common = ["stages.0.steps=4000", "stages.0.validation=null", "stages.0.batch.max_utterances=2"]
    resolved = tmp_path / "recipe.yaml"
    resolved.write_text(recipes.dump(recipe(*common)))
    both = processes(tmp_path / "two", resolved, 2)
    while len(list(tmp_path.glob("two/stage1/state/step-*"))) < 1:
        time.sleep(0.01)
    both[told].send_signal(signal_number)
    assert [process.wait(timeout=60) for process in both] == [130, 130]
    stopped = RunFolder(tmp_path / "two" / "stage1").newest_state()
    last = int(stopped.name.removeprefix("step-"))
    assert curve(tmp_path / "two")[-1]["step"] == last


@pytest.mark.slow
def test_one_process_continues_what_two_began(recipe, tmp_path):
    common = ["stages.0.steps=12", "stages.0.batch.max_utterances=3", "stages.0.optimizer.learning_rate=1e-4"]
    resolved = tmp_path / "recipe.yaml"
    resolved.write_text(recipes.dump(recipe(*common)))
    both = processes(tmp_path / "run", resolved, 2)
    while not list(tmp_path.glob("run/stage1/state/step-*")):
        time.sleep(0.005)
    both[1].send_signal(signal.SIGTERM)
    assert [process.wait(timeout=60) for process in both] == [130, 130]
    assert not RunFolder(tmp_path / "run" / "stage1").finished
    stages.train(recipe(*common), 1, tmp_path / "run")
    stages.train(recipe(*common), 1, tmp_path / "whole")
    for two, one in zip(curve(tmp_path / "run"), curve(tmp_path / "whole"), strict=True):
        assert flat(two) == pytest.approx(flat(one), rel=1e-5)


def test_stage_2_starts_where_stage_1_ended_and_moves_only_what_it_trains(finished):
    before, after = tensors(finished / "stage1"), tensors(finished / "stage2")
    assert set(after) - set(before) == {name for name in after if name.startswith("prompt_adapter.")}
    frozen = [n for n in before if n.startswith(("semantic_encoder.", "language_model.")) and ".lora_" not in n]
    frozen += [n for n in before if n.startswith("acoustic_encoder.model.")]
    assert frozen
    assert all((before[name] == after[name]).all() for name in frozen)
    for moved in ("fusion.weight", "semantic_adapter.projector.weight", "acoustic_encoder.layer_weights"):
        assert (before[moved] != after[moved]).any()
    assert any((before[n] != after[n]).any() for n in before if ".lora_B" in n)


def test_a_new_prompt_adapter_changes_nothing_at_first(finished, data):
    import torch

    from wavllm_cli.data.batch import Collator, clips_of
    from wavllm_cli.model.load import load_model

    inputs = None
    logits = []
    for options in ({}, {"prompt_adapter_width": 8}):
        model, processor = load_model(str(finished / "stage1"), **options)
        inputs = inputs or Collator(processor, with_targets=True)(clips_of(data / "train.jsonl")[:3]).inputs
        with torch.no_grad():
            logits.append(model(**inputs).logits)
    torch.testing.assert_close(*logits, atol=1e-5, rtol=1e-5)


def test_stage_2_trains_a_released_checkpoint_on(recipe, released, tmp_path):
    start = released().folder
    with pytest.raises(UsageError, match="has prompt_adapter_width 16, it cannot become 24"):
        stages.train(recipe("stages.1.prompt_adapter.width=24"), 2, tmp_path / "run", start=str(start))
    stages.train(recipe("stages.1.prompt_adapter.width=16"), 2, tmp_path / "run", start=str(start))
    before, after = tensors(start), tensors(tmp_path / "run" / "stage2")
    moved = {name for name in before if (before[name] != after[name]).any()}
    assert {"prompt_adapter.up.weight", "fusion.weight", "acoustic_encoder.layer_weights"} <= moved
    assert "language_model.model.layers.1.self_attn.q_proj.lora_B.weight" in moved
    assert not {n for n in moved if n.startswith(("semantic_encoder.", "acoustic_encoder.model.")) or ".base_" in n}
    config = json.loads((tmp_path / "run" / "stage2" / "config.json").read_text())
    assert config["interleaved_scale"]
    processor = json.loads((tmp_path / "run" / "stage2" / "processor_config.json").read_text())
    assert processor["template"]["bos_after_speech"]


def test_a_finished_stage_is_left_alone_and_restart_forgets_it(recipe, finished, capsys):
    stamp = (finished / "stage1" / "model.safetensors").stat().st_mtime_ns
    stages.train(recipe(), 1, finished)
    assert "is finished" in capsys.readouterr().err
    assert (finished / "stage1" / "model.safetensors").stat().st_mtime_ns == stamp


def test_another_recipe_does_not_continue_a_run(recipe, finished):
    with pytest.raises(UsageError, match=r"seed was 1, is 2.*--restart"):
        stages.train(recipe("seed=2"), 1, finished)


def test_wrong_requests(recipe, tmp_path):
    with pytest.raises(UsageError, match="there is no stage 3"):
        stages.train(recipe(), 3, tmp_path)
    with pytest.raises(UsageError, match="has not been trained"):
        stages.train(recipe(), 2, tmp_path)
    with pytest.raises(UsageError, match=r"nothing\.jsonl, which does not exist"):
        stages.train(recipe("stages.0.mixture.0.manifest=nothing.jsonl"), 1, tmp_path)
    assert not list(tmp_path.iterdir())


def test_unusable_clips_are_left_out_by_name_and_the_rest_is_trained(recipe, data, tmp_path, capsys):
    rows = [Utterance(id="gone", audio="gone.wav", task="asr", prompt="?", target="x", duration=1.0)]
    (data / "broken.wav").write_text("this is not audio")
    rows.append(Utterance(id="broken", audio="broken.wav", task="asr", prompt="?", target="x", duration=1.0))
    rows.append(Utterance(id="good", audio="0.wav", task="asr", prompt="?", target="low", duration=0.5))
    write_manifest(data / "mixed.jsonl", rows)
    run = tmp_path / "run"
    stages.train(recipe("stages.0.mixture=[{manifest: mixed.jsonl, weight: 1}]", "stages.0.steps=4"), 1, run)
    printed = capsys.readouterr().err
    assert "1 utterances left out, audio file missing (first: gone)" in printed
    assert printed.count("broken: ") == 1
    assert len([line for line in curve(run) if "loss" in line]) == 4


def test_a_clip_that_cannot_be_used_in_the_validation_is_named(capsys):
    from wavllm_cli.data.batch import Batch
    from wavllm_cli.training.dataset import Utterances, validation_batches

    utterances = Utterances(clips=["gone"], seconds=np.ones(1), text_bytes=np.ones((1, 2)))
    batches = validation_batches(utterances, [[0]], lambda clips: Batch([], None, [f"{clips[0]}: no such clip"]))
    assert not list(batches)
    assert "gone: no such clip" in capsys.readouterr().err


@pytest.fixture
def poisoned(monkeypatch):
    """Function: from this step on (0-based), so many steps have a loss, or only gradients, that are no number."""
    import torch

    from wavllm_cli.training.loop import Trainer

    original = Trainer._backward

    def make(first: int, count: int, gradients_only: bool = False) -> None:
        seen = []

        def backward(self, batch, minimised, counted, number):
            seen.append(number)
            part = original(self, batch, minimised, counted, number)
            if not first <= len(seen) - 1 < first + count:
                return part
            self.trained[0].grad[0] = torch.nan
            return part if gradients_only else part._replace(loss=part.loss * torch.nan)

        monkeypatch.setattr(Trainer, "_backward", backward)

    return make


@pytest.mark.parametrize("gradients_only", [False, True])
def test_a_step_without_a_usable_gradient_is_skipped_and_named(recipe, tmp_path, poisoned, capsys, gradients_only):
    poisoned(2, 1, gradients_only)
    stages.train(recipe("stages.0.steps=4"), 1, tmp_path / "run")
    lines = [line for line in curve(tmp_path / "run") if "validation_loss" not in line]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    reason = "the norm of the gradient is nan" if gradients_only else "the loss is nan"
    assert lines[2]["skipped"] == reason
    assert lines[2]["ids"]
    assert f"step 3 is skipped, {reason}; its clips: {lines[2]['ids'][0]}" in capsys.readouterr().err
    assert np.isfinite(lines[3]["loss"])
    assert all(tensor.isfinite().all() for tensor in tensors(tmp_path / "run" / "stage1").values())


def test_a_run_that_learns_nothing_any_more_ends_and_continues(recipe, tmp_path, poisoned):
    from wavllm_cli.training.loop import MOST_SKIPPED

    longer = recipe("stages.0.steps=20", "stages.0.validation=null", "stages.0.checkpoint_every=4")
    poisoned(5, 100)
    with pytest.raises(WavLLMError, match=r"Steps 6 to 15 taught nothing, the last because the loss is nan.*--set"):
        stages.train(longer, 1, tmp_path / "run")
    steps = [(line["step"], "skipped" in line) for line in curve(tmp_path / "run")]
    assert steps == [(n, n > 5) for n in range(1, 6 + MOST_SKIPPED)]
    poisoned(0, 0)
    stages.train(longer, 1, tmp_path / "run")
    assert [line["step"] for line in curve(tmp_path / "run")] == list(range(1, 21))


def test_a_validation_that_was_missed_is_made_up_for(recipe, finished, tmp_path, monkeypatch):
    """A process that is told to stop saves its state first and has no time to validate."""
    from wavllm_cli.training.loop import Trainer

    original = Trainer._step

    def step(self, number, batches, received):
        return original(self, number, batches, [signal.SIGTERM] if number == 3 else received)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_step", step)
        with pytest.raises(KeyboardInterrupt):
            stages.train(recipe(), 1, tmp_path / "run")
    assert not [line for line in curve(tmp_path / "run") if "validation_loss" in line]
    stages.train(recipe(), 1, tmp_path / "run")
    assert curve(tmp_path / "run") == curve(finished)


def test_what_a_user_starts_from_is_validated_before_it_is_changed(recipe, finished, tmp_path, capsys):
    stages.train(recipe("stages.0.steps=1"), 1, tmp_path / "run", start=str(finished / "stage1"))
    before, _, after = curve(tmp_path / "run")
    last = [line["validation_loss"] for line in curve(finished) if "validation_loss" in line][-1]
    assert before == {"step": 0, "validation_loss": pytest.approx(last, rel=1e-4)} and after["step"] == 1
    assert "step 0: validation loss" in capsys.readouterr().err


def test_rows_whose_loss_is_no_number_are_left_out_of_the_validation(recipe, tmp_path, monkeypatch, capsys):
    import torch

    from wavllm_cli.training.validate import Validator

    original = Validator._summed

    def summed(self, model, batch):
        return original(self, model, batch) * (torch.nan if "beep0" in [row.id for row in batch.rows] else 1)

    monkeypatch.setattr(Validator, "_summed", summed)
    stages.train(recipe("stages.0.steps=1", "stages.0.validation.every=1"), 1, tmp_path / "run")
    line = curve(tmp_path / "run")[-1]
    assert "beep0" in line["left_out"]
    assert np.isfinite(line["validation_loss"])
    assert "they are left out: beep0" in capsys.readouterr().err


def test_accumulated_batches_are_one_large_batch(recipe, tmp_path):
    """Two batches of two and one of four: the same utterances, the same loss and gradient."""
    common = ("stages.0.mixture=[{manifest: train.jsonl, weight: 1}]", "stages.0.steps=2", "stages.0.validation=null")
    first = []
    for name, batch in (
        ("large", "{max_seconds: 99, max_utterances: 8}"),
        ("small", "{max_seconds: 99, max_utterances: 4, accumulate: 2}"),
    ):
        stages.train(recipe(*common, f"stages.0.batch={batch}"), 1, tmp_path / name)
        first.append(curve(tmp_path / name)[0])
    assert first[0]["loss"] == pytest.approx(first[1]["loss"], rel=1e-5)
    assert first[0]["grad_norm"] == pytest.approx(first[1]["grad_norm"], rel=1e-3)
    assert first[0]["answer_tokens"] == first[1]["answer_tokens"]


@pytest.mark.parametrize("option", ["precision=bf16", "gradient_checkpointing=true"])
def test_other_ways_to_compute(recipe, finished, tmp_path, option):
    stages.train(recipe("stages.0.steps=2", f"stages.0.{option}"), 1, tmp_path / "run")
    ours, theirs = curve(tmp_path / "run")[0], curve(finished)[0]
    assert ours["loss"] == pytest.approx(theirs["loss"], rel=0.02 if "bf16" in option else 1e-5)


def test_an_alignment_runs_before_the_answers_and_is_continued_exactly(recipe, tmp_path, monkeypatch):
    from wavllm_cli.training.loop import Trainer

    phase = "{steps: 3, objective: alignment, mixture: [{manifest: train.jsonl, weight: 1}]}"
    fewer = ["stages.0.steps=4", "stages.0.checkpoint_every=2", "stages.0.validation=null"]
    loaded = recipe(f"stages.0.curriculum=[{phase}]", *fewer)
    stages.train(loaded, 1, tmp_path / "whole")
    steps = [line for line in curve(tmp_path / "whole") if "loss" in line]
    assert [line["objective"] for line in steps] == ["alignment"] * 3 + ["answers"]
    assert steps[0]["loss_by_task"] == {"asr": pytest.approx(steps[0]["loss"])}

    original = Trainer._save_state

    def save(self, done):
        original(self, done)
        if done == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_save_state", save)
        with pytest.raises(KeyboardInterrupt):
            stages.train(loaded, 1, tmp_path / "broken")
    stages.train(loaded, 1, tmp_path / "broken")
    assert curve(tmp_path / "broken") == curve(tmp_path / "whole")
    ours, theirs = tensors(tmp_path / "broken" / "stage1"), tensors(tmp_path / "whole" / "stage1")
    assert all((ours[name] == theirs[name]).all() for name in theirs)


def test_the_ctc_loss_counts_transcriptions_alone_and_never_divides_a_row(finished, data, monkeypatch):
    """Against torch's CTC loss, row by row; questions and text rows add nothing."""
    import torch
    import torch.nn.functional as F

    from wavllm_cli.data.batch import Collator, clips_of
    from wavllm_cli.model.load import load_model
    from wavllm_cli.training.objective import Objective

    model, processor = load_model(str(finished / "stage1"))
    clips = [*clips_of(data / "train.jsonl")[:3], clips_of(data / "text.jsonl")[0]]
    collate = Collator(processor, with_targets=True)
    with torch.no_grad():
        inputs = collate(clips).inputs
        tokens = (inputs["labels"] != -100).sum()
        transcribes = torch.tensor([True, False, True, False])
        plain, rows = Objective(model, 0.0)(inputs, transcribes, torch.ones(4), tokens)
        with_ctc, _ = Objective(model, 0.7)(inputs, transcribes, torch.ones(4), tokens)
        weighted, _ = Objective(model, 0.0)(inputs, transcribes, torch.tensor([1.0, 3.0, 1.0, 1.0]), tokens)
        expected = 0.0
        for clip in (clips[0], clips[2]):
            alone = collate([clip]).inputs
            logits = model.get_output_embeddings()(model(**alone).speech)
            words = torch.tensor([processor.tokenizer.encode(clip.row.target, add_special_tokens=False)])
            lengths = torch.tensor([len(logits)]), torch.tensor([words.shape[1]])
            expected += F.ctc_loss(logits.log_softmax(-1)[:, None], words, *lengths, blank=1, reduction="sum")
        monkeypatch.setattr(model.get_decoder(), "forward", None)  # an alignment has no use for the LLM's layers
        aligned, _ = Objective(model, 0.7)(inputs, transcribes, torch.ones(4), tokens, "alignment")
        _, by_row = Objective(model, 0.7, blank=int(words[0, -1]))(
            inputs, transcribes, torch.ones(4), tokens, "alignment"
        )
    assert by_row[2] == 0, "its answer has the blank in it"
    torch.testing.assert_close(aligned, expected / tokens, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(with_ctc, plain + 0.7 * expected / tokens, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(plain, rows.sum() / tokens)
    torch.testing.assert_close(weighted, plain + 2 * rows[1] / tokens)


def test_the_blank_is_one_token(finished):
    from wavllm_cli.model.processing_wavllm import WavLLMProcessor
    from wavllm_cli.training.objective import token_of

    tokenizer = WavLLMProcessor.from_pretrained(finished / "stage1").tokenizer
    assert tokenizer.convert_ids_to_tokens(token_of("<s>", tokenizer)) == "<s>"
    with pytest.raises(UsageError, match="must be one token of the language model's tokenizer; 'two words' is"):
        token_of("two words", tokenizer)


# --- what was changed, lost or damaged on the way ---


def test_a_finished_run_goes_on_for_more_steps_with_what_was_changed(recipe, finished, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(finished / "stage1", run / "stage1")
    summary = stages.train(recipe("stages.0.steps=10", "stages.0.optimizer.learning_rate=1e-5"), 1, run)
    assert summary.steps == 10
    lines = curve(run)
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 11))
    assert lines[-3]["learning_rate"] < 1e-5
    assert [line["step"] for line in lines if "changed" in line] == [8]
    assert "stage 1 was finished with 8 steps; continuing to 10" in capsys.readouterr().err
    assert RunFolder(run / "stage1").finished
    assert sorted(path.name for path in (run / "stage1" / "state").iterdir()) == ["step-00000009", "step-00000010"]


def test_a_run_survives_a_bad_disk_and_ends_the_same(recipe, finished, tmp_path, capsys):
    """The newest state, the result and every log are damaged; nothing that is lost cannot be made again."""
    run = tmp_path / "run"
    shutil.copytree(finished / "stage1", run / "stage1")
    stage = run / "stage1"
    (stage / "model.safetensors").write_bytes(b"")
    (stage / "state" / "step-00000008" / "trained.pt").write_bytes(b"")
    (stage / "recipe.yaml").write_text("")
    for name in ("log.jsonl", "samples.jsonl"):
        (stage / name).write_bytes(b"garbage\n" + (stage / name).read_bytes() + b"\0\0\n")
    shutil.rmtree(stage / "tensorboard")
    (stage / "tensorboard").write_text("")
    (stage / "writing").write_text("")
    stages.train(recipe(), 1, run)
    printed = capsys.readouterr().err
    assert "model.safetensors is empty: the result of stage 1 is written again" in printed
    assert "step-00000008 is damaged (trained.pt is empty): continuing from the state before, of step 6" in printed
    assert "log.jsonl: 2 lines cannot be read" in printed
    assert curve(run) == curve(finished)
    ours, theirs = tensors(stage), tensors(finished / "stage1")
    assert all((ours[name] == theirs[name]).all() for name in theirs)
    assert (stage / "recipe.yaml").read_text() == (finished / "stage1" / "recipe.yaml").read_text()


def test_a_summary_says_what_is_known(finished, tmp_path):
    shutil.copytree(finished / "stage1", tmp_path / "stage1")
    log = tmp_path / "stage1" / "log.jsonl"
    log.write_text(log.read_text() * 2)  # two processes wrote it
    whole = stages.summarise(RunFolder(finished / "stage1"))
    twice = stages.summarise(RunFolder(tmp_path / "stage1"))
    assert (twice.steps, twice.loss) == (whole.steps, whole.loss) == (8, pytest.approx(whole.loss))
    log.unlink()
    lost = stages.summarise(RunFolder(tmp_path / "stage1"))
    assert (lost.steps, lost.loss, lost.validation_loss) == (8, None, None)
