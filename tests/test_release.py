"""A release: bundle, card and clips take the place of those of the one before, or nothing changes."""

import json

import pytest
from showcase_rows import write_test_rows

from wavllm_cli.convert import bundle as bundling
from wavllm_cli.convert.bundle import Bundled
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.errors import WavLLMError
from wavllm_cli.mini.release import release
from wavllm_cli.model.load import load_model


@pytest.fixture
def made(tmp_path):
    """Data and scores of a run, and a package with an older release."""
    for name in ("data", "scores", "package/bundle", "package/clips"):
        (tmp_path / name).mkdir(parents=True)
    write_test_rows(tmp_path / "data")
    (tmp_path / "data" / "sources.json").write_text(json.dumps({"sources": [], "manifests": {}}))
    figure = {"value": 0.1, "low": 0.0, "high": 0.2, "n": 9, "unit": "fraction", "lower_is_better": True}
    scores = {"system": "x", "tasks": {"asr": {"metrics": {"wer": figure}}}}
    (tmp_path / "scores" / "read.json").write_text(json.dumps(scores))
    (tmp_path / "package" / "bundle" / "old").touch()
    return tmp_path


def test_it_takes_the_place_of_the_one_before(made, answering):
    release(str(answering / "model"), made / "data", made / "scores", package=made / "package")
    assert sorted(path.name for path in (made / "package").iterdir()) == ["bundle", "clips"]
    bundle = made / "package" / "bundle"
    assert not (bundle / "old").exists() and "# The miniature" in (bundle / "README.md").read_text()
    model, _ = load_model(str(bundle))
    assert model.config.dtype is not None and len(read_manifest(made / "package" / "clips" / "demo.jsonl")) >= 12


def test_one_that_is_too_large_changes_nothing(made, monkeypatch):
    monkeypatch.setattr(bundling, "bundle", lambda model, output, dtype: Bundled(str(output), {}, 25_000_001))
    with pytest.raises(WavLLMError, match=r"has 25,000,001 bytes, more than 25,000,000\."):
        release("model", made / "data", made / "scores", package=made / "package")
    assert (made / "package" / "bundle" / "old").exists()
    assert sorted(path.name for path in (made / "package").iterdir()) == ["bundle", "clips"]
