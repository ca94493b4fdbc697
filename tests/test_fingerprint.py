"""Fingerprints: what makes another run, and what does not."""

import json
import shutil

import pytest
from transformers import GenerationConfig

from wavllm_cli.systems.fingerprint import Fingerprint, model_digest, settings_of


@pytest.fixture
def model(answering, tmp_path):
    shutil.copytree(answering / "model", tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "generation_config.json"])
def test_any_file_of_the_model_counts(model, name):
    before = model_digest(str(model))
    content = bytearray((model / name).read_bytes())
    content[-2] ^= 1
    (model / name).write_bytes(content) if name != "config.json" else (model / name).write_text(
        json.dumps(json.loads((model / name).read_text()) | {"note": 1})
    )
    assert model_digest(str(model)) != before


def test_place_time_and_what_training_leaves_do_not_count(model, tmp_path):
    before = model_digest(str(model))
    (model / "log.jsonl").write_text("{}\n")
    (model / "README.md").write_text("mine")
    (model / "state").mkdir()
    shutil.move(model, tmp_path / "moved")
    assert model_digest(str(tmp_path / "moved")) == before


def test_backbones_count_by_their_content(model, tmp_path):
    (tmp_path / "llm").mkdir()
    (tmp_path / "llm" / "model.safetensors").write_bytes(b"weights")
    backbones = {"language_model": {"path": str(tmp_path / "llm"), "local": True}}
    config = json.loads((model / "config.json").read_text()) | {"backbones": backbones}
    (model / "config.json").write_text(json.dumps(config))
    before = model_digest(str(model))
    (tmp_path / "llm" / "model.safetensors").write_bytes(b"others!")
    assert model_digest(str(model)) != before


def test_the_seed_counts_only_where_something_is_drawn():
    greedy = GenerationConfig(max_new_tokens=5, do_sample=False, temperature=0.3)
    assert settings_of(greedy, 1) == settings_of(greedy, 2)
    sampled = GenerationConfig(max_new_tokens=5, do_sample=True, temperature=0.3)
    assert settings_of(sampled, 1) != settings_of(sampled, 2)
    assert settings_of(sampled, 1, dtype="float32")["temperature"] == 0.3


def test_difference_in_words():
    old = Fingerprint("a", {"num_beams": 1, "temperature": 0.5})
    assert old.since(old) == ""
    assert Fingerprint("b", {"num_beams": 4, "seed": 1}).since(old) == (
        "another model (its files have changed); num beams 1, now 4; seed none, now 1; temperature 0.5, now none"
    )
    assert len({old.key, Fingerprint("b", old.settings).key, Fingerprint("a", {}).key}) == 3
