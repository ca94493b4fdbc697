"""Opening a checkpoint: the sentences that a user needs when it is not one."""

import pytest

from wavllm_cli.errors import WavLLMError
from wavllm_cli.model.load import taught_seconds


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no config.json"), ("{", "not valid JSON"), ('{"model_type": "llama"}', "holds a 'llama' model")],
)
def test_folders_that_hold_no_wavllm(tmp_path, content, message):
    from wavllm_cli.model.load import load_model

    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(WavLLMError, match=message):
        load_model(str(tmp_path))


def test_a_damaged_checkpoint_is_one_sentence(answering, tmp_path):
    import shutil

    from wavllm_cli.model.load import load_model

    shutil.copytree(answering / "model", tmp_path / "model")
    tensors = tmp_path / "model" / "model.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:2000])
    with pytest.raises(WavLLMError, match="cannot be loaded") as caught:
        load_model(str(tmp_path / "model"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("stages: [{max_audio_seconds: 20}, {max_audio_seconds: 12.5}]", 20),
        ("stages: []", None),
        ("a cake: [flour, eggs", None),
        ("just a word", None),
    ],
)
def test_how_long_clips_were_in_training(answering, tmp_path, text, seconds):
    if text:
        (tmp_path / "recipe.yaml").write_text(text)
    assert taught_seconds(str(tmp_path)) == seconds
