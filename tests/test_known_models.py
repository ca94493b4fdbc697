import re

import pytest

from wavllm_cli.data.known_models import cache_folder, catalogue, known, name_of, resolve
from wavllm_cli.data.origin import Origin, anchored, entry_of, locate, looks_local, stored_origin
from wavllm_cli.errors import UsageError


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("WAVLLM_CACHE", str(tmp_path))
    return tmp_path


def test_the_catalogue_says_where_everything_comes_from():
    for name, model in catalogue().items():
        assert model.license and model.precision
        if model.bundled:
            continue
        assert not looks_local(name) and re.fullmatch(r"[\w-]+/[\w.-]+", model.hub)
        assert model.format in ("ctranslate2", "gguf")
        for package in model.packages:
            assert re.fullmatch(r"[\w-]+==[\d.]+", package.requirement) and package.bytes > 1_000_000
            assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in package.files.values())


def test_names_stand_for_fetched_folders(cache):
    with pytest.raises(UsageError, match=r"not on this machine yet: `wavllm models get whisper-base` fetches it\.$"):
        locate("whisper-base")
    folder = cache / "models" / "whisper-base"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    assert resolve("whisper-base") == folder
    assert locate("whisper-base").path == str(folder) and locate("whisper-base").local


def test_other_names_are_the_hubs():
    assert resolve("openai/whisper-base") is None
    assert not locate("openai/whisper-base", "main").local
    with pytest.raises(UsageError, match=r"^No model is called .* \(did you mean whisper-base\?\); there are "):
        known("whisper-bas")


def test_a_folder_of_that_name_goes_first(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "whisper-base").mkdir()
    assert locate("whisper-base").path == str(tmp_path / "whisper-base")


def test_the_cache_lies_where_the_user_wants_it(monkeypatch, tmp_path):
    assert cache_folder() == tmp_path
    monkeypatch.setenv("WAVLLM_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "wavllm"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert str(cache_folder()) == "/home/somebody/.cache/wavllm"


def test_a_folder_of_the_cache_has_a_name(cache):
    assert name_of(cache / "models" / "whisper-base") == "whisper-base"
    assert name_of(cache / "models" / "mine") is None and name_of(cache / "whisper-base") is None


def test_a_known_backbone_keeps_its_name(cache, monkeypatch):
    entry = entry_of(Origin(str(cache / "models" / "whisper-base"), local=True))
    assert entry == {"path": "whisper-base", "known": True}
    assert anchored({"semantic_encoder": entry}) == {"semantic_encoder": entry}  # whether it is here or not
    with pytest.raises(UsageError, match="not on this machine yet"):
        stored_origin(entry)
    for folder in ("models/whisper-base", "here/whisper-base"):
        (cache / folder).mkdir(parents=True)
        (cache / folder / "config.json").write_text("{}")
    monkeypatch.chdir(cache / "here")  # a folder of that name does not take its place
    assert stored_origin(entry).path == str(cache / "models" / "whisper-base")
    with pytest.raises(UsageError, match=r"^No model is called 'other'"):
        stored_origin({"path": "other", "known": True})
