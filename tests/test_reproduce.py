"""`wavllm reproduce mini` as a user calls it."""

import json

import pytest


def test_a_step_that_does_not_exist_is_guessed(wavllm, tmp_path):
    code, _, err = wavllm("reproduce", "mini", "--out", tmp_path, "--only", "stage-1")
    assert code == 2 and "There is no step 'stage-1' (did you mean stage1?): data, language, listener" in err


@pytest.mark.parametrize("seeds", ["1,1", "one", "1,-2"])
def test_seeds_are_different_numbers(wavllm, tmp_path, seeds):
    code, _, err = wavllm("reproduce", "mini", "--out", tmp_path, "--seeds", seeds)
    assert code == 2 and f"--seeds {seeds!r} must be different whole numbers" in err


def test_backbones_are_asked_for_before_any_work(wavllm, tmp_path, monkeypatch):
    monkeypatch.setenv("WAVLLM_CACHE", str(tmp_path / "cache"))
    code, _, err = wavllm("reproduce", "mini", "--out", tmp_path / "out", "--data", tmp_path / "data")
    assert code == 2 and "whisper-tiny.en (71 MB) would be fetched: say that you agree with --yes." in err
    assert "Or: `wavllm models get whisper-tiny.en`" in err
    assert not (tmp_path / "data").exists() and not (tmp_path / "out").exists()


def test_an_output_that_is_a_file_is_refused(wavllm, tmp_path):
    (tmp_path / "out").write_text("mine")
    code, _, err = wavllm("reproduce", "mini", "--quick", "--out", tmp_path / "out")
    assert code == 2 and "it is a file, not a folder" in err


@pytest.mark.slow
def test_every_step_runs_and_none_of_them_twice(wavllm, tmp_path, monkeypatch):
    monkeypatch.setenv("WAVLLM_CACHE", str(tmp_path / "cache"))  # toy sizes need no pretrained model
    command = ("reproduce", "mini", "--quick", "--out", tmp_path / "out")
    assert wavllm(*command, "--only", "data", "--only", "language")[0] == 0
    code, out, err = wavllm(*command, "--json")
    assert code == 0, err
    assert "llm: done" in err and "stage1: wavllm train" in err
    log = [json.loads(line) for line in (tmp_path / "out" / "log.jsonl").read_text().splitlines()]
    assert {line["state"] for line in log} == {"done"} and len({line["step"] for line in log}) == len(log)
    report = (tmp_path / "out" / "report.md").read_text()
    assert json.loads(out)["report"] == str(tmp_path / "out" / "report.html")
    for title in ("Synthetic voices", "Wrong audio", "From stage 1 to stage 2", "Prompt adapter on and off", "Sources"):
        assert f"## {title}\n" in report
    scores = json.loads((tmp_path / "out" / "scores" / "world.json").read_text())
    value = next(s for s in scores["systems"] if s["system"] == "stage 2, seed 1")["tasks"]["asr"]["metrics"]["wer"]
    assert f"| {100 * value['value']:.2f} % |" in report
    code, _, err = wavllm(*command)
    assert code == 0 and err.count(": done") == len(log) - 1, "complete manifests are taken as they are"
