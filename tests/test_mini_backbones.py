"""Backbones of the miniature that are made here."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import WavLMModel

from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.mini.backbones import export_llm, make_deaf


def states(folder: Path, clip: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return WavLMModel.from_pretrained(folder).eval()(clip[None]).last_hidden_state


def test_the_deaf_encoder_makes_the_same_of_every_clip(backbones, tmp_path):
    listener, deaf = Path(backbones["acoustic_encoder"]["path"]), tmp_path / "deaf"
    make_deaf(listener, deaf)
    one, other = torch.randn(2, 8000, generator=torch.Generator().manual_seed(1))
    assert not torch.allclose(states(listener, one), states(listener, other), atol=1e-3)
    heard = states(deaf, one)
    assert torch.equal(heard, states(deaf, other)) and heard.isfinite().all() and heard.shape[1] > 1
    make_deaf(listener, deaf)  # again


def test_what_is_not_ours_is_not_replaced(backbones, tmp_path):
    (tmp_path / "thesis.txt").write_text("all of it")
    with pytest.raises(UsageError, match="exists already"):
        make_deaf(Path(backbones["acoustic_encoder"]["path"]), tmp_path)
    with pytest.raises(WavLLMError, match=r"model\.safetensors is no WavLM whose"):
        make_deaf(tmp_path, tmp_path / "deaf")
    assert (tmp_path / "thesis.txt").read_text() == "all of it"


def test_a_language_model_is_exported_again_where_something_has_changed(answering, tmp_path):
    folder, output = tmp_path / "model", tmp_path / "llm"
    shutil.copytree(answering / "model", folder)
    for temperature in (0.5, 0.7):
        settings = json.loads((folder / "generation_config.json").read_text()) | {"temperature": temperature}
        (folder / "generation_config.json").write_text(json.dumps(settings))
        export_llm(folder, output)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {file.name for file in output.iterdir()}
