import pytest
import soundfile

from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.models.default import default_model, set_default, settings_file


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.delenv("WAVLLM_MODEL", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_is_kept_by_its_absolute_path(home):
    assert default_model() is None
    (home / "mine").mkdir()
    with pytest.raises(WavLLMError, match=r"mine has no config\.json"):
        set_default("mine")
    (home / "mine" / "config.json").write_text("{}")
    set_default("mine")
    assert default_model() == (str(home / "mine"), str(home / "config" / "wavllm" / "config.yaml"))


def test_the_environment_goes_first(monkeypatch):
    set_default("somebody/wavllm")
    assert default_model()[0] == "somebody/wavllm"
    monkeypatch.setenv("WAVLLM_MODEL", "other/wavllm")
    assert default_model() == ("other/wavllm", "$WAVLLM_MODEL")


def test_forgetting_leaves_other_settings_alone():
    settings_file().parent.mkdir(parents=True)
    settings_file().write_text("colour: none\n")
    set_default("somebody/wavllm")
    set_default(None)
    assert settings_file().read_text() == "colour: none\n" and default_model() is None


def test_a_part_is_no_default():
    with pytest.raises(UsageError, match=r"^smollm2-135m-instruct answers .* no model that answers about audio"):
        set_default("smollm2-135m-instruct")


def test_infer_takes_it_and_says_so(wavllm, monkeypatch, noise, home):
    soundfile.write("clip.wav", noise(0.5), 16_000)
    monkeypatch.setenv("WAVLLM_MODEL", str(home / "gone"))
    code, out, err = wavllm("infer", "clip.wav", "Transcribe the audio.")
    assert (code, out) == (2, "")
    assert err.startswith(f"model: {home / 'gone'} (set by $WAVLLM_MODEL)\nerror: There is no model folder")


def test_the_name_of_a_part_is_a_sentence(wavllm, monkeypatch, noise, home):
    soundfile.write("clip.wav", noise(0.5), 16_000)
    monkeypatch.setenv("WAVLLM_CACHE", str(home / "cache"))
    assert "`wavllm models get whisper-base`" in wavllm("infer", "clip.wav", "Hi", "--model", "whisper-base")[2]
    folder = home / "cache" / "models" / "whisper-base"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "whisper"}')
    code, _, err = wavllm("infer", "clip.wav", "Hi", "--model", "whisper-base")
    assert code == 2 and "whisper-base holds a 'whisper' model, not a WavLLM." in err


@pytest.mark.parametrize("text", ["- a\n", "model: [1]\n", "a: [\n", "\x00"])
def test_settings_that_are_none_are_a_sentence(text):
    settings_file().parent.mkdir(parents=True)
    settings_file().write_text(text)
    with pytest.raises(UsageError, match=r"^The settings in .*config\.yaml "):
        default_model()
