"""The miniature's card: its numbers are those of the files, and whose voices are whose is said."""

import json

import numpy as np
import pytest
import yaml
from safetensors.numpy import save_file

from wavllm_cli.data.manifest import write_manifest
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import UsageError
from wavllm_cli.mini.card import card

FIGURE = {"unit": "fraction", "lower_is_better": True, "low": 0.1, "high": 0.2, "value": 0.1234, "n": 41}


@pytest.fixture
def files(tmp_path):
    """Bundle, sources, scores and clips, as the commands write them."""
    bundle, clips = tmp_path / "bundle", tmp_path / "clips"
    bundle.mkdir()
    clips.mkdir()
    config = {
        "dtype": "float16",
        "taught_seconds": 16.0,
        "text_config": {"num_hidden_layers": 5, "hidden_size": 256},
        "backbones": {"semantic_encoder": {"path": "whisper-tiny.en", "known": True}},
    }
    (bundle / "config.json").write_text(json.dumps(config))
    save_file({"a": np.zeros((3, 7), np.float16), "b": np.zeros(2000, np.float16)}, bundle / "model.safetensors")
    sources = {
        "sources": [
            {"name": "espeak-ng", "licence": "GPL-3.0"},
            {"name": "librispeech-mini", "licence": ["- Licence: LibriSpeech, CC BY 4.0."], "for test alone": False},
            {"name": "eval-only-acted", "licence": ["CC BY-NC-SA 4.0"], "for test alone": True},
            {"name": "piper", "used": False, "why": "it is not installed"},
        ],
        "manifests": {
            "test-read.jsonl": {"rows": 1410, "hours": 0.5, "corpora": {"librispeech": 41}, "voices": {"a": 41}}
        },
    }
    (tmp_path / "sources.json").write_text(json.dumps(sources))
    (tmp_path / "scores").mkdir()
    for test in ("read", "wrong-audio"):
        scores = {"system": "stage2", "tasks": {"asr": {"metrics": {"wer": FIGURE, "exact": FIGURE | {"value": None}}}}}
        (tmp_path / "scores" / f"{test}.json").write_text(json.dumps(scores))
    row = {"id": "a", "audio": "read-1.flac", "task": "asr", "prompt": "p", "target": "t", "corpus": "librispeech"}
    extra = {"source": "LibriSpeech", "licence": "CC BY 4.0"}
    write_manifest(clips / "demo.jsonl", [Utterance.model_validate(row | {"extra": extra})])
    return bundle, tmp_path / "sources.json", tmp_path / "scores", clips


def test_every_number_is_one_of_the_files(files):
    text = card(*files)
    assert "2,021 stored parameters" in text and "float16" in text and "up to 16 seconds" in text
    assert "| test-read.jsonl | 1,410 | 0.5 | librispeech |" in text
    wer = next(line for line in text.splitlines() if line.startswith("| read |") and "word error rate" in line)
    assert "| read English of an open vocabulary | librispeech |" in wer and "| 12.34 % | 10.00 … 20.00 | 41 |" in wer
    assert "| wrong-audio | closed world, each row with the audio of another | – |" in text and "exact" not in text


def test_its_head_is_that_of_a_model_card(files):
    _, head, _ = card(*files).split("---\n", 2)
    about = yaml.safe_load(head)
    assert about["license"] == "mit" and about["base_model"] == ["openai/whisper-tiny.en"] and "en" in about["language"]


def test_every_source_is_named_with_its_licence(files):
    text = card(*files)
    assert "- **espeak-ng**: GPL-3.0\n" in text
    assert "- **librispeech-mini**: Licence: LibriSpeech, CC BY 4.0.\n" in text
    assert "- **eval-only-acted**: CC BY-NC-SA 4.0, for tests alone\n" in text
    assert "piper" not in text.lower().split("## data")[1].split("## scores")[0]
    assert "| read-1.flac | asr | LibriSpeech | CC BY 4.0 |" in text
    assert "Vassil Panayotov" in text and "openslr.org/12" in text and "Zohar Jackson" not in text


def test_of_several_systems_one_has_to_be_named(files):
    bundle, sources, scores, clips = files
    one = json.loads((scores / "read.json").read_text())
    (scores / "read.json").write_text(json.dumps({"systems": [one | {"system": "stage1", "tasks": {}}, one]}))
    assert "system stage2" in card(bundle, sources, scores, clips, "stage2")
    with pytest.raises(UsageError, match=r"read\.json holds the scores of stage1, stage2: say whose"):
        card(bundle, sources, scores, clips)
    with pytest.raises(UsageError, match=r"holds no TEST\.json with scores of 'stage1'"):
        card(bundle, sources, scores, clips, "stage1")
    with pytest.raises(UsageError, match=r"holds no TEST\.json"):
        card(bundle, sources, clips, clips)


def test_what_is_known_of_its_training_is_said(files):
    assert "## Training" not in card(*files)
    assert "## Training\n\nIn two runs.\n\n## Scores" in card(*files, training="In two runs.\n")
