import copy
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from transformers import (
    AutoProcessor,
    AutoTokenizer,
    PreTrainedTokenizerFast,
    Wav2Vec2FeatureExtractor,
    WhisperFeatureExtractor,
)

from wavllm_cli.convert.tokenizer import load_sentencepiece
from wavllm_cli.data.origin import OWN_PROCESSOR, locate, refuse_code
from wavllm_cli.model.processing_wavllm import IGNORE, LLAMA2, SYSTEM, Template, WavLLMProcessor, template_of

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "<start_of_turn>{{ m['role'] }}\n{{ m['content'] | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


@pytest.fixture
def tokenizer(tiny_tokenizer):
    return copy.deepcopy(tiny_tokenizer)


@pytest.fixture(scope="module")
def remake(tiny_processor):
    """Function: the tiny processor with another tokenizer or other feature extractors."""

    def make(tokenizer=None, **changes):
        parts = {
            "feature_extractor": tiny_processor.feature_extractor,
            "acoustic_feature_extractor": tiny_processor.acoustic_feature_extractor,
            "tokenizer": tokenizer or tiny_processor.tokenizer,
            "audio_token_id": 5000,
            "acoustic_convs": tiny_processor.acoustic_convs,
        }
        return WavLLMProcessor(**(parts | changes))

    return make


def assert_equal_batches(a: dict, b: dict) -> None:
    assert a.keys() == b.keys()
    for key in a:
        assert torch.equal(a[key], b[key]), key


# --- templates ---


def test_template_of_a_tokenizer_without_chat_template(tokenizer):
    assert template_of(tokenizer) == LLAMA2
    assert LLAMA2.left.startswith("[INST]<<SYS>>\nAs a helpful language and speech assistant, you are able to")
    assert LLAMA2.left.endswith("using natural language.\n<</SYS>>\n\n") and LLAMA2.right == " [/INST]"
    tokenizer.bos_token = None
    assert template_of(tokenizer) == Template(LLAMA2.left, LLAMA2.right, bos=False)


def test_template_out_of_chatml(tokenizer):
    tokenizer.chat_template = CHATML
    assert template_of(tokenizer) == Template(
        left=f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n",
        right="<|im_end|>\n<|im_start|>assistant\n",
        bos=False,
    )


def test_template_that_rejects_system_messages(tokenizer):
    tokenizer.chat_template = GEMMA
    assert template_of(tokenizer) == Template(
        left="<start_of_turn>user\n", right="<end_of_turn>\n<start_of_turn>model\n", bos=True
    )


@pytest.mark.parametrize("chat_template", [None, CHATML, GEMMA])
def test_ids_read_as_the_chat(tokenizer, remake, chat_template):
    """With audio or without, the text is the tokenizer's own rendering of the conversation, with one BOS if any."""
    tokenizer.chat_template = chat_template
    processor = remake(tokenizer)
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "Say ok."}]
    if chat_template is None:
        expected = f"<s>{LLAMA2.left}Say ok. [/INST]"
    else:
        messages = messages[chat_template == GEMMA :]
        expected = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    ids, _ = processor.encode("Say ok.", audio_tokens=0)
    assert tokenizer.decode(ids) == expected
    assert ids.count(tokenizer.bos_token_id) == (0 if chat_template == CHATML else 1)

    ids, _ = processor.encode("Say ok.", audio_tokens=3)
    assert ids.count(5000) == 3
    start = ids.index(5000)
    assert ids[start : start + 3] == [5000] * 3
    spoken = tokenizer.decode(ids[:start]) + tokenizer.decode(ids[start + 3 :])
    assert spoken == expected.replace("Say ok.", "<SPEECH> </SPEECH> Say ok.")


def test_processors_do_not_share_their_template(remake):
    first, second = remake(), remake()
    first.template["right"] = "changed"
    assert second.template["right"] == LLAMA2.right == " [/INST]"


def test_a_given_template_wins(tokenizer, remake):
    tokenizer.chat_template = CHATML
    processor = remake(tokenizer, template={"left": "Q:", "right": " A:", "bos": True})
    ids, _ = processor.encode("x", audio_tokens=0)
    assert tokenizer.decode(ids) == "<s>Q:x A:"


# --- ids and loss mask ---


@pytest.mark.parametrize("audio_tokens", [0, 4])
def test_training_ids_are_inference_ids_then_answer_then_eos(tiny_processor, audio_tokens):
    tokenizer = tiny_processor.tokenizer
    prompt_ids, nothing = tiny_processor.encode("What?", audio_tokens)
    ids, labels = tiny_processor.encode("What?", audio_tokens, "hello world")
    answer = tokenizer.encode("hello world", add_special_tokens=False)
    assert ids == prompt_ids + answer + [tokenizer.eos_token_id]
    assert labels == [IGNORE] * len(prompt_ids) + answer + [tokenizer.eos_token_id]
    assert nothing == [IGNORE] * len(prompt_ids)


def test_batch_is_padded_around_the_rows(tiny_processor, utterances):
    batch = tiny_processor(**{key: [row[key] for row in utterances] for key in ("text", "audio", "target")})
    lengths = batch["attention_mask"].sum(1).tolist()
    longest = max(lengths)
    assert len(set(lengths)) == 4
    for i, row in enumerate(utterances):
        samples = int(batch["audio_lengths"][i])
        ids, labels = tiny_processor.encode(row["text"], tiny_processor.audio_tokens(samples), row["target"])
        pad = longest - len(ids)
        assert batch["input_ids"][i].tolist() == [tiny_processor.tokenizer.pad_token_id] * pad + ids
        assert batch["labels"][i].tolist() == [IGNORE] * pad + labels
        assert batch["attention_mask"][i].tolist() == [0] * pad + [1] * len(ids)
        prompt = tiny_processor.tokenizer.encode(f'"{row["text"]}"', add_special_tokens=False)
        rest = batch["prompt_ids"].shape[1] - len(prompt)
        assert batch["prompt_ids"][i, : len(prompt)].tolist() == prompt  # no BOS
        assert batch["prompt_mask"][i].tolist() == [1] * len(prompt) + [0] * rest
    assert batch["audio_lengths"].tolist() == [16_000, 70_001, 730, 0]
    assert set(batch) == {"labels", *tiny_processor.model_input_names}


def test_rows_without_a_target_have_no_labels(tiny_processor):
    batch = tiny_processor(text=["a", "b"], target=["yes", None])
    assert batch["labels"][1].tolist() == [IGNORE] * batch["labels"].shape[1]


def test_tokenizer_without_pad_token(tokenizer, remake):
    tokenizer.pad_token = None
    batch = remake(tokenizer)(text=["a", "longer"])
    assert batch["input_ids"][0, 0] == tokenizer.eos_token_id and batch["attention_mask"][0, 0] == 0


# --- audio ---


def test_text_only_batches_have_no_audio(tiny_processor):
    for batch in (tiny_processor(text="hi"), tiny_processor(text=["hi", "there"], audio=[None, None])):
        assert set(batch) == {"input_ids", "attention_mask", "prompt_ids", "prompt_mask"}
        assert (batch["input_ids"] != tiny_processor.audio_token_id).all()


def test_clips_are_cut_into_padded_windows(tiny_processor, utterances):
    batch = tiny_processor(text=["", "", "", ""], audio=[row["audio"] for row in utterances])
    clip = utterances[1]["audio"]
    assert batch["input_features"].shape == (4, 3, 16, 200)
    for i, start in enumerate((0, 32_000, 64_000)):
        alone = tiny_processor.feature_extractor(clip[start : start + 32_000], sampling_rate=16_000)
        torch.testing.assert_close(batch["input_features"][1, i], torch.from_numpy(alone.input_features[0]))
    assert not batch["input_features"][0, 1:].any() and not batch["input_features"][3].any()
    assert torch.equal(batch["input_values"][1], torch.from_numpy(clip))
    assert not batch["input_values"][0, 16_000:].any()
    assert torch.equal(batch["input_values"][2, :300], torch.from_numpy(utterances[2]["audio"]))


def test_input_values_are_normalised_clip_by_clip_where_the_encoder_wants_it(remake, utterances):
    processor = remake(acoustic_feature_extractor=Wav2Vec2FeatureExtractor(do_normalize=True))
    batch = processor(text=["", ""], audio=[row["audio"] for row in utterances[:2]])
    for values, n in zip(batch["input_values"], batch["audio_lengths"].tolist(), strict=True):
        assert abs(values[:n].mean()) < 1e-4 and abs(values[:n].std() - 1) < 1e-3
        assert not values[n:].any()


@pytest.mark.parametrize("samples", [1, 729, 730, 16_000, 31_999, 32_000, 32_001, 70_001])
def test_placeholders_are_counted_without_audio(tiny_processor, tiny_model, samples):
    batch = tiny_processor(text="x", audio=np.ones(samples, np.float32))
    count = int((batch["input_ids"] == tiny_processor.audio_token_id).sum())
    assert count == tiny_processor.audio_tokens(samples) > 0
    audio = [batch[key] for key in ("input_features", "input_values", "audio_lengths")]
    with torch.no_grad():
        assert [len(tokens) for tokens in tiny_model().get_audio_features(*audio)] == [count]


def test_one_clip_may_come_alone_or_as_a_tensor(tiny_processor, utterances):
    clip = utterances[0]["audio"]
    expected = tiny_processor(text=["hi"], audio=[clip])
    for audio in (clip, torch.from_numpy(clip), clip.astype(np.float64), [torch.from_numpy(clip)], clip[None]):
        assert_equal_batches(tiny_processor(text="hi", audio=audio), expected)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"sampling_rate": 44_100}, r"must be at 16000 Hz, not 44100"),
        ({"audio": [np.zeros((2, 800), np.float32)]}, r"must be mono, shape \(samples,\), not \(2, 800\)"),
        ({"audio": np.zeros((2, 800), np.float32)}, r"1 texts, 2 clips and 1 targets do not match"),
        ({"text": ["a", "b"], "audio": [None]}, r"2 texts, 1 clips and 2 targets do not match"),
        ({"text": ["a", "b"], "target": ["c"]}, r"2 texts, 2 clips and 1 targets do not match"),
        ({"text": ["a", "b"], "target": "c"}, r"2 texts, 2 clips and 1 targets do not match"),
        ({"return_tensors": "np"}, r"return_tensors='pt'"),
        ({"padding": "max_length"}, r"pads a batch to its longest row: padding=True, not 'max_length'"),
        ({"text": ["a", "b"], "padding": False}, r"padding=True, not False"),
        ({"truncation": True}, r"has no option 'truncation'; it takes text, audio, target, "),
        ({"audio": [None], "audios": [None]}, r"`audio` and `audios` are two names of one argument"),
    ],
)
def test_wrong_input_is_named(tiny_processor, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        tiny_processor(**({"text": "a"} | arguments))


def test_other_names_that_transformers_has_for_the_same(tiny_processor, utterances):
    clip = utterances[0]["audio"]
    expected = tiny_processor(text="hi", audio=clip)
    assert_equal_batches(tiny_processor(text="hi", audios=clip, padding=False, images=None), expected)
    message = {"role": "user", "content": [{"type": "audio", "audio": clip}, {"type": "text", "text": "hi"}]}
    options = {"add_generation_prompt": True, "return_tensors": "pt", "processor_kwargs": {"padding": "longest"}}
    assert_equal_batches(tiny_processor.apply_chat_template([message], **options), expected)
    pair = tiny_processor.apply_chat_template([[message], [{"role": "user", "content": "no sound"}]])
    assert_equal_batches(pair, tiny_processor(text=["hi", "no sound"], audio=[clip, None]))
    with pytest.raises(ValueError, match="speech has no text"):
        tiny_processor.apply_chat_template([message], tokenize=False)


# --- saving and loading ---


@pytest.mark.parametrize("chat_template", [None, CHATML])
def test_a_saved_processor_comes_back(tokenizer, remake, utterances, tmp_path, chat_template):
    tokenizer.chat_template = chat_template
    processor = remake(
        tokenizer, acoustic_feature_extractor=Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)
    )
    processor.save_pretrained(tmp_path)
    loaded = WavLLMProcessor.from_pretrained(tmp_path)
    assert isinstance(loaded.feature_extractor, WhisperFeatureExtractor)
    assert isinstance(loaded.acoustic_feature_extractor, Wav2Vec2FeatureExtractor)
    assert loaded.feature_extractor.n_samples == 32_000
    assert loaded.acoustic_feature_extractor.do_normalize
    columns = {key: [row[key] for row in utterances] for key in ("text", "audio", "target")}
    assert_equal_batches(loaded(**columns), processor(**columns))
    assert (loaded.template, loaded.audio_token_id, loaded.geometry) == (processor.template, 5000, processor.geometry)
    assert isinstance(AutoTokenizer.from_pretrained(tmp_path), PreTrainedTokenizerFast)


def test_a_folder_says_whose_processor_it_holds(tiny_processor, tmp_path, monkeypatch):
    """So that `AutoProcessor` without this package refuses; with it, nothing in the folder is asked or imported."""
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    tiny_processor.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "processor_config.json").read_text())["auto_map"] == {"AutoProcessor": OWN_PROCESSOR}
    refuse_code(locate(str(tmp_path)))
    assert isinstance(AutoProcessor.from_pretrained(tmp_path), WavLLMProcessor)
    (tmp_path / "wavllm_processor.py").write_text("raise RuntimeError('ran')")
    assert isinstance(WavLLMProcessor.from_pretrained(tmp_path), WavLLMProcessor)
    assert isinstance(AutoProcessor.from_pretrained(tmp_path), WavLLMProcessor)
    tiny_processor.save_pretrained(tmp_path)
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setitem(sys.modules, "wavllm_cli.model.processing_wavllm", None)  # as if it were not installed
    with pytest.raises(ImportError, match=r"^This folder holds a WavLLM, whose code is the Python package wavllm"):
        get_class_from_dynamic_module(OWN_PROCESSOR, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("trust", "sentence"), [(False, "custom code"), (True, "holds a WavLLM")])
def test_auto_processor_without_this_package(tiny_processor, tmp_path, trust, sentence):
    tiny_processor.save_pretrained(tmp_path / "model")
    code = (
        "import sys; sys.modules['wavllm_cli'] = None\n"
        "from transformers import AutoProcessor\n"
        f"AutoProcessor.from_pretrained('model', trust_remote_code={trust})"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert found.returncode and sentence in found.stderr.splitlines()[-1]


def test_answers_are_decoded(tiny_processor):
    ids = tiny_processor.tokenizer.encode("<s>hello<unk></s></s>", add_special_tokens=False)
    assert tiny_processor.batch_decode([ids], skip_special_tokens=True) == ["hello"]


# --- LLaMA-2 ---


@pytest.fixture(scope="module")
def sentencepiece(shared_data):
    from sentencepiece import SentencePieceProcessor

    return SentencePieceProcessor(model_file=str(shared_data / "wavllm_examples" / "tokenizer.model"))


@pytest.fixture(scope="module")
def llama2_tokenizer(shared_data):
    return load_sentencepiece(shared_data / "wavllm_examples" / "tokenizer.model")


PROMPTS = (
    "Describe the speaker's emotion.",
    "",
    "A. eins;  B. zwei; C. “drei”",
    "Übersetze ins Deutsche: 你好 🙂",
    " leading and trailing ",
    "two\nlines\tand a tab",
)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_ids_of_the_released_template(llama2_tokenizer, sentencepiece, remake, prompt):
    processor = remake(llama2_tokenizer)
    ids, labels = processor.encode(prompt, 2, "an answer")
    left = [1, *sentencepiece.encode(LLAMA2.left + "<SPEECH>")]
    right = sentencepiece.encode(f" </SPEECH> {prompt} [/INST]")
    answer = [*sentencepiece.encode("an answer"), 2]
    assert len(left) == 57
    assert right[0] == 29871  # the lone space
    assert ids == [*left, 5000, 5000, *right, *answer]
    assert labels == [IGNORE] * (57 + 2 + len(right)) + answer
    batch = processor(text=prompt)
    assert batch["prompt_ids"][0].tolist() == sentencepiece.encode(f'"{prompt}"')
    assert batch["input_ids"][0].tolist() == [1, *sentencepiece.encode(f"{LLAMA2.left}{prompt} [/INST]")]


def test_llama2_tokenizer_survives_saving(llama2_tokenizer, sentencepiece, remake, tmp_path):
    remake(llama2_tokenizer).save_pretrained(tmp_path)
    tokenizer = WavLLMProcessor.from_pretrained(tmp_path).tokenizer
    for prompt in (*PROMPTS, " </SPEECH> x"):
        ids = tokenizer.encode(prompt, add_special_tokens=False)
        assert ids == sentencepiece.encode(prompt)
        assert tokenizer.decode(ids) == prompt
