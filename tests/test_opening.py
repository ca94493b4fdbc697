"""What a stage's folder says to a request: begin, continue, finished, or another training. Nothing is trained here."""

import json
import shutil
from contextlib import ExitStack
from zlib import crc32

import pytest
from beeps import shrunken

from wavllm_cli.data.files import digest, owned
from wavllm_cli.data.manifest import read_manifest, write_manifest
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.training.checkpoint import RunFolder
from wavllm_cli.training.opening import Request, _texts, open_stage
from wavllm_cli.training.record import describe


@pytest.fixture(autouse=True)
def no_check(monkeypatch):
    """What `check` looks for before every run costs a quarter of a second; test_plan.py is about it."""
    from wavllm_cli.training import plan

    monkeypatch.setattr(plan, "require_sound", lambda *_: None)


def opened(recipe, path, number=1, start=None, restart=False):
    with ExitStack() as stack:
        return open_stage(Request(recipe, number, start, restart), RunFolder(path), stack)


@pytest.fixture
def run(beep_run, tmp_path):
    """A copy of the finished run."""
    shutil.copytree(beep_run, tmp_path / "run")
    return tmp_path / "run"


def change_record(stage, **fields):
    record = json.loads((stage / "run.json").read_text())
    (stage / "run.json").write_text(json.dumps({**record, **fields}))


@pytest.fixture
def half(run):
    """The same, of which stage 1 was to have 12 steps and was stopped after 8."""
    record = json.loads((run / "stage1" / "run.json").read_text())
    record["recipe"]["stages"][0]["steps"] = 12
    change_record(run / "stage1", recipe=record["recipe"], result=None)
    for name in record["result"]["files"]:
        (run / "stage1" / name).unlink()
    return run / "stage1"


@pytest.fixture
def data(beeps, tmp_path):
    """A copy of the data, elsewhere."""
    shutil.copytree(beeps, tmp_path / "data")
    return tmp_path / "data"


MATTERS = [
    ("seed=2", "seed was 1, is 2"),
    ("model.lora.rank=64", "model.lora.rank was 8, is 64"),
    ("model.adapters.width=64", "model.adapters.width was 128, is 64"),
    ("model.language_model.tokenizer.vocab_size=500", "vocab_size was 600, is 500"),
    ("stages.0.augmentation.speed={factors: [1.1]}", "stages.0.augmentation was None, is "),
    ("stages.0.batch.accumulate=2", "stages.0.batch.accumulate was 1, is 2"),
    ("stages.0.precision=bf16", "stages.0.precision was 'fp32', is 'bf16'"),
    ("stages.0.mixture.0.manifest=text.jsonl", "mixture.0.manifest was 'train.jsonl', is 'text.jsonl'"),
]
FREE = [
    "name=other",
    "stages.0.workers=2",
    "stages.0.checkpoint_every=7",
    "stages.0.gradient_checkpointing=true",
    "generation.max_new_tokens=9",
    "stages.1.optimizer.learning_rate=1e-5",
]
PURPOSE = [
    ("stages.0.optimizer.learning_rate=1e-4", "stages.0.optimizer.learning_rate was 0.001, is 0.0001"),
    ("stages.0.optimizer.schedule=constant", "stages.0.optimizer.schedule was 'cosine', is 'constant'"),
    ("stages.0.validation.every=3", "stages.0.validation.every was 4, is 3"),
    ("stages.0.validation=null", "stages.0.validation was"),
]


@pytest.mark.parametrize(("override", "said"), MATTERS)
def test_another_training_is_refused_by_name(beep_recipe, run, half, override, said):
    if "text.jsonl" in override:  # each manifest once
        override = "stages.0.mixture=[{manifest: text.jsonl, weight: 1}, {manifest: train.jsonl, weight: 0.5}]"
    with pytest.raises(UsageError, match="holds another training") as half_way:
        opened(beep_recipe("stages.0.steps=12", override), half)
    assert said in str(half_way.value)
    assert "--output" in str(half_way.value)


@pytest.mark.parametrize(("override", "said"), [*MATTERS[:3], *PURPOSE, ("stages.0.steps=7", "steps was 8, is 7")])
def test_a_finished_stage_is_finished_for_its_own_recipe_alone(beep_recipe, beep_run, override, said):
    with pytest.raises(
        UsageError, match=r"Stage 1 is finished in .*, but as another training: .*--restart"
    ) as finished:
        opened(beep_recipe(override), beep_run / "stage1")
    assert said in str(finished.value)


def test_what_matters_to_nothing_may_change(beep_recipe, beeps, beep_run, half, capsys):
    spelled = f"data={beeps.parent}/./{beeps.name}"
    assert opened(beep_recipe(*FREE, spelled), beep_run / "stage1").finished
    assert "generation.max_new_tokens stays 4" in capsys.readouterr().err
    log = (half / "log.jsonl").read_text()
    opening = opened(beep_recipe("stages.0.steps=12", *FREE, spelled), half)
    assert not opening.finished
    assert opening.recipe.stages[0].workers == 2
    assert "changes" not in capsys.readouterr().err
    assert (half / "log.jsonl").read_text() == log
    assert "workers: 2" in (half / "recipe.yaml").read_text()


@pytest.mark.parametrize(("override", "said"), [*PURPOSE, ("stages.0.steps=20", "stages.0.steps was 12, is 20")])
def test_what_is_changed_on_purpose_is_accepted_and_noted(beep_recipe, half, capsys, override, said):
    opening = opened(beep_recipe("stages.0.steps=12", override), half)
    assert not opening.finished
    assert f"continuing with changes: {said}" in capsys.readouterr().err
    note = json.loads((half / "log.jsonl").read_text().splitlines()[-1])
    assert note["step"] == 8
    assert note["changed"][0].startswith(said)
    record = RunFolder(half).record
    assert record.changes[0].step == 8
    assert record.recipe == opening.recipe


def test_more_steps_continue_a_finished_stage_and_fewer_than_done_do_not(beep_recipe, run, half, beep_run, capsys):
    shutil.rmtree(run)
    shutil.copytree(beep_run, run)
    assert not opened(beep_recipe("stages.0.steps=11"), run / "stage1").finished
    assert "stage 1 was finished with 8 steps; continuing to 11" in capsys.readouterr().err
    assert not RunFolder(run / "stage1").finished
    with pytest.raises(UsageError, match=r"stages\.0\.steps is 7, but 8 steps are done"):
        opened(beep_recipe("stages.0.steps=7"), run / "stage1")


def test_the_rows_of_a_manifest_decide_not_its_place(run, half, data):
    moved = shrunken(data, "stages.0.steps=12")
    assert not opened(moved, half).finished
    rows = read_manifest(data / "train.jsonl")
    write_manifest(data / "train.jsonl", rows[1:])
    with pytest.raises(UsageError, match=r"train\.jsonl has changed since the run began \(8 rows then, 7 now\)"):
        opened(moved, half)
    write_manifest(data / "train.jsonl", [row.model_copy(update={"prompt": "Is it high?"}) for row in rows])
    with pytest.raises(UsageError, match=r"train\.jsonl has changed since the run began \(8 rows, but others\)"):
        opened(moved, half)
    write_manifest(data / "train.jsonl", rows)
    write_manifest(data / "train.jsonl.gz", read_manifest(data / "train.jsonl"))
    packed = "stages.0.mixture.0.manifest=train.jsonl.gz"
    assert not opened(shrunken(data, "stages.0.steps=12", packed), half).finished


def test_the_noise_of_a_run_stays(half, data):
    """Noise may be found elsewhere, but must be the same."""
    added = "stages.0.augmentation.noise={source: noise, snr: [0, 10]}"
    noise = data / "noise"
    noise.mkdir()
    shutil.copy(data / "0.wav", noise)
    moved = shrunken(data, "stages.0.steps=12", added.replace(": noise", ": elsewhere"))
    recipe = shrunken(data, "stages.0.steps=12", added)
    known = describe(recipe, 1, None)
    change_record(half, recipe=known.recipe.model_dump(mode="json"), sounds=known.sounds)
    assert not opened(recipe, half).finished and known.sounds.keys() == {"noise"}
    noise.rename(data / "elsewhere")
    assert not opened(moved, half).finished
    shutil.copy(data / "1.wav", data / "elsewhere")
    with pytest.raises(UsageError, match=r"files in stages\.0\.augmentation\.noise\.source are not those"):
        opened(moved, half)


def test_the_lock_of_a_process_that_was_killed_at_the_end_is_removed(beep_recipe, run):
    lock = run / f".stage1-{crc32(b'stage1'):08x}.lock"
    lock.write_text("process 1 on a machine")
    assert opened(beep_recipe(), run / "stage1").finished
    assert not lock.exists()


def test_another_validation_manifest_is_noted(half, data, capsys):
    shutil.copy(data / "text.jsonl", data / "dev.jsonl")
    opened(shrunken(data, "stages.0.steps=12", "stages.0.validation.manifest=dev.jsonl"), half)
    assert "stages.0.validation.manifest was 'train.jsonl', is 'dev.jsonl'" in capsys.readouterr().err


def test_a_finished_stage_is_finished_although_its_data_is_gone(run, data, capsys):
    (data / "text.jsonl").unlink()
    assert opened(shrunken(data), run / "stage1").finished
    assert f"{data}/text.jsonl cannot be compared any more" in capsys.readouterr().err


def test_stage_2_depends_on_the_stage_1_it_began_from(beep_recipe, run):
    assert opened(beep_recipe(), run / "stage2", 2).finished
    config = run / "stage1" / "config.json"
    config.write_text(config.read_text() + "\n")
    with pytest.raises(
        UsageError, match=r"stage 1's result has been replaced since stage 2 began \(config.json differ"
    ):
        opened(beep_recipe(), run / "stage2", 2)
    shutil.rmtree(run / "stage1")
    assert opened(beep_recipe(), run / "stage2", 2).finished


def test_another_start_is_refused_and_the_same_elsewhere_is_not(beep_recipe, run, beep_run, tmp_path):
    shutil.copytree(beep_run / "stage1", tmp_path / "elsewhere")
    assert opened(beep_recipe(), run / "stage2", 2, start=str(tmp_path / "elsewhere")).finished
    with pytest.raises(UsageError, match=r"--start names another model: it was .*stage1, is .*stage2 \("):
        opened(beep_recipe(), run / "stage2", 2, start=str(beep_run / "stage2"))
    with pytest.raises(UsageError, match="the run began without --start, which names"):
        opened(beep_recipe(), run / "stage1", 1, start=str(beep_run / "stage2"))
    with pytest.raises(UsageError, match="is not a model folder: there is no such folder"):
        opened(beep_recipe(), run / "stage2", 2, start=str(tmp_path / "nothing"))


@pytest.mark.parametrize("damage", ["empty", "bit", "cut"])
def test_a_damaged_result_does_not_count_as_finished(beep_recipe, run, capsys, damage):
    file = run / "stage1" / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes({"empty": b"", "bit": content, "cut": content[:1000]}[damage])
    shutil.rmtree(run / "stage2")
    with pytest.raises(UsageError, match=r"stage 1, which is finished, but .*model\.safetensors is"):
        opened(beep_recipe(), run / "stage2", 2)
    assert not opened(beep_recipe(), run / "stage1").finished
    said = "is empty" if damage == "empty" else "is not what the training wrote"
    assert f"model.safetensors {said}: the result of stage 1 is written again" in capsys.readouterr().err
    shutil.rmtree(run / "stage1" / "state")
    with pytest.raises(WavLLMError, match="has no training state to continue from"):
        opened(beep_recipe(), run / "stage1")


def test_the_tokenizer_is_the_one_that_the_run_began_with(beep_recipe, half, capsys):
    began = digest(half / "begin" / "tokenizer.json")
    (half / "begin" / "tokenizer.json").write_text("")
    opened(beep_recipe("stages.0.steps=12"), half)
    assert "is made again from the same data" in capsys.readouterr().err
    assert digest(half / "begin" / "tokenizer.json") == began


def test_of_many_rows_a_tokenizer_is_trained_on_some_from_everywhere(beep_recipe, monkeypatch):
    recipe = beep_recipe()
    rows = read_manifest(recipe.manifest(recipe.stages[0].manifests[0]))
    all_of_them = list(_texts(recipe))
    assert all_of_them[: 2 * len(rows)] == [text for row in rows for text in (row.prompt, row.target)]
    monkeypatch.setattr("wavllm_cli.training.opening.TOLD", len(rows) // 2)
    assert list(_texts(recipe))[:4] == [rows[0].prompt, rows[0].target, rows[2].prompt, rows[2].target]


@pytest.mark.parametrize("text", ["", "a: [", "[1, 2]", None])
def test_recipe_yaml_is_shown_and_not_read(beep_recipe, half, text):
    shown = half / "recipe.yaml"
    before = shown.read_text()
    shown.unlink() if text is None else shown.write_text(text)
    opened(beep_recipe("stages.0.steps=12"), half)
    assert shown.read_text() == before.replace("steps: 8", "steps: 12")


def test_a_record_that_cannot_be_read_is_said(beep_recipe, half):
    (half / "run.json").write_text('{"stage": 1}')
    with pytest.raises(WavLLMError, match=r"run\.json cannot be read.*--restart"):
        opened(beep_recipe("stages.0.steps=12"), half)


def test_one_process_trains_in_a_folder(beep_recipe, half):
    import subprocess
    import sys

    hold = (
        "import sys\nfrom pathlib import Path\nfrom wavllm_cli.data.files import owned\n"
        "with owned(Path(sys.argv[1])):\n    print('mine', flush=True)\n    sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", hold, str(half)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "mine\n"
    with pytest.raises(WavLLMError, match=f"is being written by process {other.pid} on") as refused:
        opened(beep_recipe("stages.0.steps=12"), half)
    assert refused.value.exit_code == 1
    other.communicate()
    assert not opened(beep_recipe("stages.0.steps=12"), half).finished
    with owned(half):
        pass


# --- folders that are not a run's ---


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "log.jsonl", "recipe.yaml"])
def test_a_run_overwrites_nothing_that_it_did_not_write(beep_recipe, tmp_path, name):
    stage = tmp_path / "stage1"
    stage.mkdir()
    (stage / name).write_text("mine")
    with pytest.raises(UsageError, match=f"holds {name}, but no record of a run .*choose another --output"):
        opened(beep_recipe(), stage)
    with pytest.raises(UsageError, match=f"is no run's folder.*will not delete {name}"):
        opened(beep_recipe(), stage, restart=True)
    assert (stage / name).read_text() == "mine"


def test_restart_deletes_what_a_run_wrote_and_nothing_else(beep_recipe, run, capsys):
    stage = run / "stage1"
    for folder in (stage, stage / "state", stage / "tensorboard"):
        (folder / "notes.txt").write_text("mine")
    began = digest(stage / "begin" / "tokenizer.json")
    opened(beep_recipe("seed=2"), stage, restart=True)
    kept = {str(file.relative_to(stage)) for file in stage.rglob("*") if file.is_file()}
    begin = {f"begin/{file.name}" for file in (stage / "begin").iterdir()}
    assert kept == {"notes.txt", "state/notes.txt", "tensorboard/notes.txt", "run.json", "recipe.yaml", *begin}
    assert digest(stage / "begin" / "tokenizer.json") == began
    assert "notes.txt kept, for no run wrote them" in capsys.readouterr().err


def test_restart_with_a_wrong_request_deletes_nothing(beep_recipe, run):
    before = sorted(run.rglob("*"))
    with pytest.raises(UsageError, match="does not exist"):
        opened(beep_recipe("stages.0.mixture.0.manifest=nothing.jsonl"), run / "stage1", restart=True)
    assert sorted(run.rglob("*")) == before


@pytest.mark.parametrize(("name", "said"), [("file/x", "is a file, not a folder"), ("a" * 300, "File name too long")])
def test_an_output_that_cannot_be_is_found_before_the_work(beep_recipe, tmp_path, name, said):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=said):
        opened(beep_recipe(), tmp_path / name / "stage1")
