import numpy as np
import pytest

from wavllm_cli.data.audio import write_wav
from wavllm_cli.errors import UsageError
from wavllm_cli.model.conversation import instruction

TEXT = {"type": "text", "text": "What is said?"}


def user(*parts) -> list[dict]:
    return [{"role": "user", "content": list(parts)}]


def test_a_message_is_an_instruction_about_a_clip(tmp_path, noise):
    samples = noise()
    write_wav(tmp_path / "a.wav", samples)
    assert instruction([{"role": "user", "content": "Say ok."}]) == ("Say ok.", None)
    for key, audio in (("audio", samples), ("audio", str(tmp_path / "a.wav")), ("path", tmp_path / "a.wav")):
        text, clip = instruction(user({"type": "audio", key: audio}, TEXT))
        assert text == "What is said?"
        np.testing.assert_allclose(clip, samples, atol=1e-4)
    assert instruction(user(TEXT, TEXT)) == ("What is said?\nWhat is said?", None)


@pytest.mark.parametrize(
    ("messages", "sentence"),
    [
        ([{"role": "system", "content": "x"}, *user(TEXT)], "answers one message of the user; .*, not messages of sys"),
        ([], "not messages of nobody"),
        (user(TEXT, {"type": "image", "url": "x"}), "is text or audio, not 'image'"),
        (user({"type": "audio"}), "needs `audio`"),
        (user(*[{"type": "audio", "audio": np.ones(9)}] * 2, TEXT), "hears one clip at a time, not 2"),
    ],
)
def test_more_than_that_is_a_sentence(messages, sentence):
    with pytest.raises(UsageError, match=sentence):
        instruction(messages)
