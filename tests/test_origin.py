"""Where models come from: folders and hub ids kept apart, code refused, what is fetched said."""

import ast
import json
from pathlib import Path

import pytest

from wavllm_cli.data.origin import (
    Origin,
    anchored,
    entry_of,
    foreign_code,
    identity,
    locate,
    refuse_code,
    stored_origin,
)
from wavllm_cli.errors import UsageError, WavLLMError

PACKAGE = Path(__file__).parent.parent / "wavllm_cli"


@pytest.mark.parametrize("name", ["./llm", "../llm", "/models/llm", "~/llm", "models/llm/7b", "models/", ".", "a\\b"])
def test_what_is_written_like_a_path_is_never_a_hub_id(name):
    assert locate(name).local


@pytest.mark.parametrize("name", ["gpt2", "openai/whisper-large-v2", "owner/name_1.5-hf"])
def test_a_folder_that_exists_wins_over_a_hub_id(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert locate(name, "v1") == Origin(name, "v1")
    (tmp_path / name).mkdir(parents=True)
    assert locate(name, "v1") == Origin(str(tmp_path / name), local=True)


def test_an_entry_means_the_same_from_every_folder(tmp_path, monkeypatch):
    (tmp_path / "owner" / "llm").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    entries = {"a": entry_of(locate("owner/llm")), "b": entry_of(locate("owner/other", "v1"))}
    assert entries == {
        "a": {"path": str(tmp_path / "owner" / "llm"), "local": True},
        "b": {"path": "owner/other", "revision": "v1", "local": False},
    }
    (tmp_path / "owner" / "other").mkdir()  # a folder of a hub id's name does not take its place
    monkeypatch.chdir("/")
    assert anchored(entries) == entries
    assert stored_origin({"path": "../llm", "local": True}, tmp_path / "run") == Origin(
        str(tmp_path / "llm"), local=True
    )
    with pytest.raises(UsageError, match=rf"there is no folder {tmp_path}/llm"):
        stored_origin({"path": "llm", "local": True}, tmp_path).file("config.json")
    with pytest.raises(UsageError, match="needs a path, not None"):
        stored_origin({"revision": "main"})
    with pytest.raises(UsageError, match="needs a path, not None"):
        anchored({"language_model": "../../etc"})


CODE = {"auto_map": {"AutoTokenizer": ["mine.Tokens", None]}}


@pytest.mark.parametrize(
    ("file", "content", "named"),
    [
        ("tokenizer_config.json", CODE, "names Python code of its own (mine.Tokens)"),
        ("tokenizer_config.json", {"auto_map": ["mine.Tokens", None]}, "(mine.Tokens)"),
        ("preprocessor_config.json", {"auto_map": {"AutoFeatureExtractor": "x--mine.X"}}, "(x--mine.X)"),
        ("processor_config.json", {"feature_extractor": CODE}, "(mine.Tokens)"),
        ("config.json", {"text_config": {"auto_map": {"AutoModelForCausalLM": "mine.M"}}}, "(mine.M)"),
        ("config.json", {"attn_implementation": "kernels-community/flash-attn2"}, "a kernel on the hub (kernels-comm"),
        ("config.json", {"text_config": {"_attn_implementation": {"": "a/b@v1:c"}}}, "(a/b@v1:c)"),
        ("processor_config.json", {"audio_tokenizer": {"audio_tokenizer_name_or_path": "a/b"}}, "another model (a/b)"),
        ("adapter_config.json", {"base_model_name_or_path": "a/b"}, "an adapter of another model"),
    ],
)
def test_files_that_name_code_are_refused_unless_trusted(tmp_path, file, content, named):
    (tmp_path / file).write_text(json.dumps(content))
    with pytest.raises(UsageError) as caught:
        refuse_code(locate(str(tmp_path)))
    assert named in str(caught.value) and str(tmp_path / file) in str(caught.value)
    assert "--trust-remote-code" in str(caught.value) and "\n" not in str(caught.value)
    refuse_code(locate(str(tmp_path)), trust=True)


def test_files_without_code_are_not_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"attn_implementation": "flash_attention_2", "auto_map": null, "a": "b/c"}')
    assert foreign_code(locate(str(tmp_path))) is None


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("special_tokens_map.json", {"bos_token": {"content": "<s>", "\x1b[2J": 1}}),
        ("special_tokens_map.json", {"auto_map": {"\x1b[2J": "x"}}),
        ("tokenizer_config.json", {"added_tokens_decoder": {"0": {"content": "<s>", "\x1b[2J": 1}}}),
        ("tokenizer.json", {"added_tokens": [{"id": 0, "content": "<s>", "\x1b[2J": 1}]}),
    ],
)
def test_tokens_with_keys_that_a_library_would_print(tmp_path, file, content):
    (tmp_path / file).write_text(json.dumps(content))
    with pytest.raises(WavLLMError, match=f"{file} describes a token with the unknown key"):
        refuse_code(locate(str(tmp_path)))
    (tmp_path / file).write_text('{"bos_token": {"content": "<s>", "lstrip": false}, "eos_token": "</s>", "a": [1]}')
    refuse_code(locate(str(tmp_path)))


@pytest.mark.parametrize("content", ["", "{", "[1]", "[" * 100_000, "\x00"])
def test_damaged_json_is_one_sentence(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(WavLLMError, match=r"config\.json (is not valid JSON: .+|holds no JSON object\.)"):
        foreign_code(locate(str(tmp_path)))


def test_a_pointer_of_git_lfs_says_what_to_do(tmp_path):
    (tmp_path / "tokenizer.json").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(WavLLMError, match=rf"Git LFS pointer, not the file itself: run `git lfs pull` in {tmp_path}\."):
        locate(str(tmp_path)).file("tokenizer.json")


def test_identity_is_the_content_of_a_folder(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"1")
    entry = {"path": str(tmp_path), "local": True}
    first = identity(entry)
    assert first == identity({"path": ".", "local": True}, tmp_path) and len(first["sha256"] or "") == 64
    (tmp_path / "notes.txt").write_text("x")
    assert identity(entry) == first
    (tmp_path / "model.safetensors").write_bytes(b"2")
    assert identity(entry) != first


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A cache with one repository at one commit, and no way to the hub."""
    cache, commit = tmp_path / "cache", "a" * 40
    snapshot = cache / "models--owner--llm" / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (cache / "models--owner--llm" / "refs").mkdir()
    (cache / "models--owner--llm" / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return Origin("owner/llm", options={"cache_dir": str(cache)})


def test_a_repository_in_the_cache_is_read_and_pinned_without_the_hub(hub, capsys):
    assert hub.file("config.json").parent.name == "a" * 40
    assert hub.file("tokenizer_config.json") is None
    assert foreign_code(hub) is None
    assert entry_of(hub.pinned()) == {"path": "owner/llm", "revision": "a" * 40, "local": False}
    assert capsys.readouterr().err == ""


def test_what_is_fetched_is_said_once(hub, capsys, monkeypatch):
    monkeypatch.setattr("wavllm_cli.data.hub.unreachable", lambda: None)
    monkeypatch.setattr("transformers.utils.cached_file", lambda *_, **__: None)
    hub.file("config.json")
    assert capsys.readouterr().err == ""
    hub.file("model.safetensors")
    hub.file("model.safetensors.index.json")
    assert capsys.readouterr().err == "fetches owner/llm @ main from the Hugging Face hub\n"


def test_a_repository_that_cannot_be_reached_is_one_sentence(hub):
    with pytest.raises(WavLLMError, match=r"^owner/other @ v1 is not on this machine, .*\(HF_HUB_OFFLINE is set\)"):
        Origin("owner/other", "v1", options=hub.options).file("config.json")


# --- nothing is forgotten ---

# Classes of ours or of one kind, whose files can name no code (and generation settings, which hold none).
OWN = {"super()", "WavLLMConfig", "GenerationConfig", "WavLLMProcessor", "WavLLMForConditionalGeneration"}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_every_loader_says_whether_code_may_run(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr not in ("from_pretrained", "from_config") or ast.unparse(node.func.value) in OWN:
            continue
        assert "trust_remote_code" in {keyword.arg for keyword in node.keywords}, f"line {node.lineno}"
