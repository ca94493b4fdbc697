import numpy as np
import pytest

from tests.ctranslate2_file import packed
from wavllm_cli.errors import WavLLMError
from wavllm_cli.models.ctranslate2 import read_model

TENSORS = {
    "a/weight": np.arange(6, dtype=np.float16).reshape(2, 3),
    "a/heads": np.array(4, np.int16),
    "b/weight": np.array([[10, -127], [64, 0]], np.int8),
    "b/weight_scale": np.array([10, 64], np.float32),
}


def test_what_is_written_is_read(tmp_path):
    (tmp_path / "model.bin").write_bytes(packed(TENSORS, {"c/weight": "a/weight"}))
    tensors, aliases = read_model(tmp_path / "model.bin", "WhisperSpec")
    assert aliases == {"c/weight": "a/weight"}
    assert tensors.keys() == {"a/weight", "a/heads", "b/weight"}
    assert tensors["a/weight"].dtype == np.float16 and np.array_equal(tensors["a/weight"], TENSORS["a/weight"])
    assert int(tensors["a/heads"]) == 4
    assert np.allclose(tensors["b/weight"], [[1, -12.7], [1, 0]])


@pytest.mark.parametrize("cut", [2, 9, 40, 70, -1])
def test_a_file_that_is_cut_off_is_a_sentence(cut, tmp_path):
    (tmp_path / "model.bin").write_bytes(packed(TENSORS, {"c/weight": "a/weight"})[:cut])
    with pytest.raises(WavLLMError, match=r"model\.bin cannot be read as a CTranslate2 model: "):
        read_model(tmp_path / "model.bin", "WhisperSpec")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (packed(TENSORS, {}) + b"x", "1 bytes follow its end"),
        (
            packed(TENSORS, {}, "TransformerSpec"),
            "it is a TransformerSpec of version 6, not a WhisperSpec of",
        ),
        (b"", "empty"),
    ],
)
def test_other_files_are_named(content, why, tmp_path):
    (tmp_path / "model.bin").write_bytes(content)
    with pytest.raises(WavLLMError, match=why):
        read_model(tmp_path / "model.bin", "WhisperSpec")
