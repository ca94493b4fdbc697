import pytest

from wavllm_cli.corpora.importers.conversations import exchange


def test_ms_swift_and_llama_factory():
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "<audio>What is said?"},
        {"role": "assistant", "content": "Hello."},
    ]
    assert exchange({"messages": messages, "audio": ["a.wav"]}) == (
        {"prompt": "What is said?", "target": "Hello.", "audio": ["a.wav"], "system": "Be brief."},
        0,
    )


def test_sharegpt_and_its_later_turns():
    said = [("human", "<audio>\nWho?"), ("gpt", "Ann."), ("human", "Why?"), ("gpt", "Because.")]
    fields, more = exchange({"messages": [{"from": who, "value": text} for who, text in said], "audio": "a.wav"})
    assert (fields["prompt"], fields["target"], more) == ("Who?", "Ann.", 1)


def test_chat_models_own_parts():
    content = [
        {"type": "audio", "audio_url": "a.wav"},
        {"type": "input_audio", "input_audio": {"url": "b.wav"}},
        {"type": "text", "text": "Same?"},
    ]
    fields, _ = exchange({"messages": [{"role": "user", "content": content}]})
    assert fields == {"prompt": "Same?", "audio": ["a.wav", "b.wav"]}


def test_older_forms():
    assert exchange({"prompt": "Audio 1:<audio>x/a.wav</audio>\nWhat?", "target": "A dog."})[0] == {
        "prompt": "Audio 1:\nWhat?",
        "target": "A dog.",
        "audio": ["x/a.wav"],
    }
    assert exchange({"prompt": "<|audio_bos|><audio>Translate.", "input": "Into German."})[0] == {
        "prompt": "Translate.\n\nInto German."
    }


@pytest.mark.parametrize("messages, says", [
    ([], "begin with the user"),
    ("text", "not valid JSON"),
    ([{"role": "assistant", "content": "Hi."}], "begin with the user"),
    ([{"role": "narrator", "content": "Hi."}], "who speaks"),
    ([{"role": "user", "content": [{"type": "image", "image": "x.png"}]}], "a message with image"),
])  # fmt: skip
def test_what_is_no_conversation(messages, says):
    with pytest.raises(ValueError, match=says):
        exchange({"messages": messages})
