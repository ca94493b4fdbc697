"""The real models of `wavllm models`, where this user has fetched them."""

import jiwer
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline

from wavllm_cli.data.audio import read_audio
from wavllm_cli.data.known_models import known
from wavllm_cli.text.normalize import NORMALIZERS

SAID = (
    "he hoped there would be stew for dinner turnips and carrots and bruised potatoes and fat mutton pieces to be "
    "ladled out in thick peppered flour fattened sauce"
)


def folder_of(name: str) -> str:
    model = known(name)
    if not model.present:
        pytest.skip(f"{name} is not on this machine: `wavllm models get {name}` fetches it")
    return str(model.folder)


@pytest.mark.parametrize("name", ["whisper-tiny.en", pytest.param("whisper-base", marks=pytest.mark.slow)])
def test_whisper_hears_a_real_recording(name, shared_data):
    recogniser = pipeline("automatic-speech-recognition", folder_of(name), dtype=torch.float32, device="cpu")
    heard = recogniser(read_audio(shared_data / "wavllm_examples" / "audio" / "asr.flac"))["text"]
    normalize = NORMALIZERS["whisper-english"]
    assert jiwer.wer(normalize(SAID), normalize(heard)) < 0.1


@pytest.mark.slow
def test_smollm_answers_a_chat():
    folder = folder_of("smollm2-135m-instruct")
    tokenizer, model = (kind.from_pretrained(folder) for kind in (AutoTokenizer, AutoModelForCausalLM))
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    answer = model.float().generate(**asked, max_new_tokens=20, do_sample=False)[0, asked["input_ids"].shape[1] :]
    assert tokenizer.decode(answer, skip_special_tokens=True) == "The capital of France is Paris."
