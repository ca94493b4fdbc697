"""`wavllm prep check`: one planted fault of every kind is found under the id that has it, and nothing else is."""

import json

import numpy as np
import pytest
from faulty import RATE, Corpus, clean_corpus, plant, sound

from wavllm_cli.audit.faults import FAULTS


@pytest.fixture
def clean(tmp_path):
    return clean_corpus(tmp_path)


def found(result) -> dict[str, list[str]]:
    faults = json.loads(result[1])["faults"]
    return {fault: [one["item"] for one in about["found"]] for fault, about in faults.items()}


def test_a_clean_data_set_has_nothing(wavllm, clean):
    code, out, err = wavllm("prep", "check", *clean.manifests)
    assert (code, out) == (0, "Rows: 18. Nothing found.\n"), err
    for depth in ("headers", "none"):
        assert wavllm("prep", "check", *clean.manifests, "--audio", depth)[0] == 0


def test_every_fault_is_found_with_its_id(wavllm, clean):
    planted = plant(clean)
    assert planted.keys() == FAULTS.keys()
    result = wavllm("prep", "check", *clean.manifests, "--longest", 2, "--json")
    assert result[0] == 1 and found(result) == planted


def test_the_first_of_each_are_shown(wavllm, clean):
    for number in range(5):
        clean.add(f"bad{number}", target="")
    out = wavllm("prep", "check", *clean.manifests)[1]
    place = f"{clean.folder / 'train.jsonl'}, line 15"
    assert "bad0, bad1, bad2 and 2 more" in out and f"no-target: {place}: bad0: its target is empty\n" in out
    assert "bad3" not in out


def test_what_is_not_to_be_found_is_not(wavllm, clean):
    clean.add("shouted", target="THREE LOUD WORDS")
    assert wavllm("prep", "check", *clean.manifests, "--skip", "wrong-case")[0] == 0
    code, _, err = wavllm("prep", "check", *clean.manifests, "--skip", "wrong-cas")
    assert code == 2 and "no fault 'wrong-cas' (did you mean wrong-case?)" in err


def test_clips_without_decoding(wavllm, clean):
    clean.add("too much", duration=0.9)
    clean.add("third channel", samples=sound(1, channels=2), channel=2)
    clean.add("missing", audio="audio/nowhere.wav")
    clean.add("silent", samples=np.zeros((RATE, 1)))
    result = wavllm("prep", "check", *clean.manifests, "--audio", "headers", "--json")
    assert found(result) == {
        "no-audio": ["missing"], "no-channel": ["third channel"], "wrong-duration": ["too much"],
    }  # fmt: skip
    assert wavllm("prep", "check", *clean.manifests, "--audio", "none")[0] == 0


def test_wrong_use(wavllm, clean, tmp_path):
    train = clean.manifests[0]
    code, _, err = wavllm("prep", "check", train, train)
    assert code == 2 and "named twice" in err
    code, _, err = wavllm("prep", "check", train, tmp_path / "nowhere.jsonl")
    assert code == 2 and "nowhere.jsonl does not exist" in err
    (tmp_path / "empty.jsonl").write_text("\n")
    code, _, err = wavllm("prep", "check", tmp_path / "empty.jsonl")
    assert code == 2 and "there are no rows" in err


def test_only_rows_that_cannot_be_read(wavllm, tmp_path):
    (tmp_path / "train.jsonl").write_text("".join(f'{{"id": "row {i}"}}\n' for i in range(12)) + "no JSON\n")
    code, out, _ = wavllm("prep", "check", tmp_path / "train.jsonl", "--json")
    items = [one["item"] for one in json.loads(out)["faults"]["invalid-row"]["found"]]
    assert code == 1 and items == [*(f"row {i}" for i in range(12)), "line 13"]


def test_splits_are_those_that_rows_name(wavllm, tmp_path):
    """All parts of training are one split; a row that names none is of the split that its file is called by."""
    corpus = Corpus(tmp_path)
    for number, split in enumerate(["train-clean-100", "train-other-500", "dev", None]):
        row = corpus.add(f"row{number}", speaker="same") | {"split": split}
        corpus.lines["train"][-1] = json.dumps({key: value for key, value in row.items() if value})
    (about,) = json.loads(wavllm("prep", "check", corpus.manifests[0], "--json")[1])["faults"].values()
    (one,) = about["found"]
    assert (one["item"], one["detail"]) == ("same", "in train-clean-100 (3, the first row0), dev (1, the first row2)")
