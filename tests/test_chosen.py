"""Who answers by default: the user's choice, else the model of the package, else a cascade; none fetched unasked."""

import json

import pytest

from wavllm_cli.data import known_models
from wavllm_cli.data.known_models import known
from wavllm_cli.errors import UsageError
from wavllm_cli.inference import default
from wavllm_cli.inference.default import chosen
from wavllm_cli.models import get
from wavllm_cli.models.default import set_default


@pytest.fixture(autouse=True)
def fetched(monkeypatch, tmp_path):
    """The names of the models that are fetched, into a cache that is empty; nobody has set a default."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WAVLLM_MODEL", raising=False)
    monkeypatch.setenv("WAVLLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(known_models, "BUNDLE", tmp_path / "bundle")  # without one
    names = []
    monkeypatch.setattr(get, "fetch", lambda model: names.append(model.name))
    return names


def have(name):
    known(name).folder.mkdir(parents=True)
    (known(name).folder / "config.json").write_text("{}")


@pytest.fixture
def bundle(tmp_path):
    """The package has a model, whose Whisper goes by its name."""
    (tmp_path / "bundle").mkdir()
    backbones = {"semantic_encoder": {"path": "whisper-tiny.en", "known": True}}
    (tmp_path / "bundle" / "config.json").write_text(json.dumps({"model_type": "wavllm", "backbones": backbones}))
    return tmp_path / "bundle"


def test_the_package_s_own_model_may_answer_by_default(bundle, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(default, "BUNDLED", "mini")
    have("whisper-tiny.en")
    assert chosen(None, None, False) == chosen("wavllm", None, False) == ("wavllm", "mini")
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("model: mini – ") and "small closed world" in said[0] and "--system cascade" in said[0]
    assert chosen("cascade", None, True)[0] == "cascade"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("{}")
    set_default("mine")
    assert chosen(None, None, False) == ("wavllm", str(tmp_path / "mine"))


def test_the_cascade_answers_while_it_hears_better(bundle):
    assert chosen(None, None, True)[0] == "cascade"
    assert chosen("wavllm", None, True) == ("wavllm", None)


def test_what_a_model_is_built_on_is_fetched_with_leave(bundle, fetched, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    monkeypatch.setattr(default, "BUNDLED", "mini")
    for model in (None, "mini", str(bundle)):
        with pytest.raises(UsageError, match=r"parts that are not here\. whisper-tiny\.en .* --yes"):
            chosen(None, model, False)
    assert not fetched
    assert chosen(None, "mini", True) == ("wavllm", "mini")
    assert fetched == ["whisper-tiny.en"]


def test_the_package_s_model_can_be_chosen_and_is_never_removed(bundle, wavllm):
    set_default("mini")
    assert chosen(None, None, True) == ("wavllm", "mini")
    code, out, _ = wavllm("models")
    assert code == 0 and "mini: in this package" in out
    code, out, _ = wavllm("models", "get", "mini", "--json")
    assert code == 0 and json.loads(out)[0]["folder"] == str(bundle)
    code, _, err = wavllm("models", "remove", "mini")
    assert code == 2 and "belongs to the package" in err and (bundle / "config.json").is_file()


def test_an_installation_without_it_says_so(wavllm):
    for command in (("get", "mini"), ("default", "mini")):
        code, _, err = wavllm("models", *command)
        assert code == 2 and "mini is not in this installation of wavllm" in err
    with pytest.raises(UsageError, match="mini is not in this installation"):
        chosen(None, "mini", True)


def test_a_named_model_is_taken_as_it_is(fetched):
    assert chosen(None, "mine", False) == ("wavllm", "mine")
    assert chosen("cascade", "a+b", False) == ("cascade", "a+b")
    assert chosen("remote", None, False) == ("remote", None)  # which asks for one itself
    assert not fetched


def test_what_the_user_has_set_goes_first(monkeypatch, tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text(json.dumps({"model_type": "wavllm"}))
    set_default("mine")
    assert chosen(None, None, False) == ("wavllm", str(tmp_path / "mine"))
    monkeypatch.setenv("WAVLLM_MODEL", "somebody/wavllm")
    assert chosen("wavllm", None, False) == ("wavllm", "somebody/wavllm")
    assert capsys.readouterr().err.endswith("model: somebody/wavllm (set by $WAVLLM_MODEL)\n")


def test_a_run_that_lies_there_is_nobodys_choice(tmp_path):
    stage = tmp_path / "runs" / "tiny" / "stage2"
    stage.mkdir(parents=True)
    (stage / "model.safetensors").touch()
    assert chosen("wavllm", None, True) == ("wavllm", None)
    assert chosen(None, None, True)[0] == "cascade"


def test_the_small_cascade_says_what_it_can(fetched, capsys):
    have("whisper-base")
    have("smollm2-135m-instruct")
    assert chosen(None, None, False) == ("cascade", "whisper-base+smollm2-135m-instruct")
    said = capsys.readouterr().err
    assert "recognises speech of 99 languages" in said and "often wrongly" in said and said.count("\n") == 1
    assert not fetched


def test_an_english_recogniser_that_is_here_is_good_enough(fetched):
    have("whisper-tiny.en")
    assert chosen("cascade", None, True) == ("cascade", "whisper-tiny.en+smollm2-135m-instruct")
    assert fetched == ["smollm2-135m-instruct"]


def test_nothing_is_fetched_without_leave(fetched, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(UsageError, match=r"would be fetched: .* --yes.*`wavllm models get whisper-base smollm2-135m-i"):
        chosen(None, None, False)
    assert not fetched
    chosen(None, None, True)
    assert fetched == ["whisper-base", "smollm2-135m-instruct"]
