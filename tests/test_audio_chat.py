"""Audio chat models of transformers, whatever their processors' conventions."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from audio_chats import FAMILIES, POSITIONS, save_audio_chat
from safetensors.torch import load_file, save_file
from transformers.utils import is_mistral_common_available

from wavllm_cli.data.audio import write_wav
from wavllm_cli.errors import UsageError
from wavllm_cli.systems import asking, audio_prompts
from wavllm_cli.systems.audio_chat import AudioChat
from wavllm_cli.systems.audio_prompts import AudioPrompts, require_family
from wavllm_cli.systems.base import Answer, Failure, Item, Options
from wavllm_cli.systems.decoding import Decoding

SIX = Decoding(max_new_tokens=6, logprobs=True)


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory, tiny_tokenizer):
    """Function: the folder of a family's model."""
    made = {}

    def find(family: str):
        if family == "voxtral" and not is_mistral_common_available():
            pytest.skip("needs mistral-common: pip install wavllm[voxtral]")
        if family not in made:
            made[family] = tmp_path_factory.mktemp(family)
            save_audio_chat(family, tiny_tokenizer, made[family])
        return made[family]

    return find


@pytest.fixture(scope="session")
def system_of(folder_of):
    """Function: a family's model as a system, loaded."""
    made = {}

    def find(family: str) -> AudioChat:
        if family not in made:
            made[family] = AudioChat.open(Options(str(folder_of(family)), device="cpu", decoding=SIX))
        return made[family]

    return find


@pytest.fixture(params=FAMILIES)
def system(request, system_of):
    return system_of(request.param)


@pytest.fixture
def items(noise) -> list[Item]:
    """Clips of unequal length, one of a few samples, and a text between them."""
    clips = [noise(1.0), None, noise(1.9, seed=1), noise(0.01, seed=2)]
    prompts = ["hello", "say something", "say something long about it", "a"]
    return [Item(f"row{i}", prompt, clip) for i, (prompt, clip) in enumerate(zip(prompts, clips, strict=True))]


def test_a_row_is_answered_the_same_alone_and_in_a_batch(system, items):
    together = asking.ask(system, items)
    assert all(isinstance(answer, Answer) for answer in together)
    assert len({tuple(answer.token_ids) for answer in together}) > 1
    for item, answer in zip(items, together, strict=True):
        (alone,) = asking.ask(system, [item])
        assert alone.token_ids == answer.token_ids
        assert alone.logprobs == pytest.approx(answer.logprobs, abs=1e-3)


def test_the_clip_is_heard_and_the_instruction_read(system, items, noise):
    item = items[0]
    others = [
        item,
        replace(item, samples=noise(1.0, seed=9)),
        replace(item, prompt="what"),
        replace(item, samples=None),
    ]
    others = [replace(other, id=f"row{i}") for i, other in enumerate(others)]
    answers = asking.ask(system, others)
    assert len({tuple(answer.logprobs) for answer in answers}) == len(others)


def test_what_was_said_before_is_known(system, items):
    assert system.converses
    later = replace(items[0], history=(("hello", "in"), ("or", "so")))
    first, second = asking.ask(system, [items[0], replace(later, id="later")])
    assert first.logprobs != second.logprobs
    ids = system.prompts.inputs([later])["input_ids"][0]
    written = system.prompts.processor.tokenizer.decode(ids)
    places = [written.index(text) for text in (system.prompts.placeholder, "in", "or", "so")]
    assert places == sorted(places) or system.prompts.family.text_first


def test_a_clip_is_encoded_once_for_many_questions(folder_of, items):
    encoded = []
    system = AudioChat.open(Options(str(folder_of("qwen2_audio")), device="cpu", decoding=SIX))
    first_layer = system.model.get_encoder("audio").layers[0]
    first_layer.register_forward_hook(lambda *_: encoded.append(1))
    answers = [asking.ask(system, [replace(items[0], prompt=prompt)])[0] for prompt in ("hello", "what", "hello")]
    assert len(encoded) == 1 and answers[0] == answers[2] != answers[1]


def test_a_template_that_forgets_is_told_nothing_of_before(system_of):
    prompts = system_of("audio_flamingo_3").prompts
    forgets = AudioPrompts("forgets", "audioflamingo3", prompts.processor)
    forgets.template = "{% set m = messages[-1] %}{% for p in m.content %}{{ p.text }}{% endfor %}"
    assert prompts.takes_history and not forgets.takes_history


def test_the_answer_streams(system, items):
    for item in items[:2]:
        (whole,) = asking.ask(system, [item])
        pieces = asking.stream(system, item)
        text = ""
        while True:
            try:
                text += next(pieces)
            except StopIteration as end:
                assert end.value == whole
                break
        assert text == whole.text


def test_it_is_greedy_where_nobody_asks_for_more(folder_of, tmp_path):
    folder = shutil.copytree(folder_of("qwen2_audio"), tmp_path / "drawn")
    settings = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps(settings | {"do_sample": True, "temperature": 0.7}))
    drawn = AudioChat.open(Options(str(folder), device="cpu", decoding=SIX))
    assert drawn.generation.do_sample is False
    warm = AudioChat.open(Options(str(folder), device="cpu", decoding=replace(SIX, temperature=0.9)))
    assert warm.generation.do_sample is True
    assert drawn.fingerprint().key != warm.fingerprint().key


def test_other_weights_have_another_fingerprint(folder_of, system_of, tmp_path):
    folder = shutil.copytree(folder_of("qwen2_audio"), tmp_path / "moved")
    options = Options(str(folder), device="cpu", decoding=SIX)
    assert AudioChat.open(options).fingerprint() == system_of("qwen2_audio").fingerprint()
    weights = load_file(folder / "model.safetensors")
    name = next(iter(weights))
    save_file(weights | {name: weights[name] + 1}, folder / "model.safetensors", metadata={"format": "pt"})
    assert AudioChat.open(options).fingerprint() != system_of("qwen2_audio").fingerprint()


def test_an_answer_that_is_cut_says_so(system_of, items):
    (answer,) = asking.ask(system_of("audio_flamingo_3"), items[:1])
    assert len(answer.token_ids) == 6 and answer.warnings == ["cut at 6 tokens"]


# --- what cannot be answered ---


def test_a_clip_is_never_cut_silently(system_of, noise):
    def failure(family, seconds):
        (outcome,) = asking.ask(system_of(family), [Item("row", "hello", noise(seconds))])
        return outcome.sentence if isinstance(outcome, Failure) else None

    assert failure("qwen2_audio", 2.0) is None
    assert "has 2.1 s, of which" in failure("qwen2_audio", 2.1) and "first 2 only" in failure("qwen2_audio", 2.1)
    assert failure("audio_flamingo_3", 6.0) is None
    assert "first 6 only" in failure("audio_flamingo_3", 6.1)
    assert failure("granite_speech", 7.0) is None


def test_one_row_without_room_costs_no_other_its_answer(system, items):
    long = Item("long", "a" * POSITIONS)
    *answers, failure = asking.ask(system, [*items, long])
    assert all(isinstance(answer, Answer) for answer in answers)
    assert f"leave no room for an answer of 6: {system.name} has {POSITIONS} positions." in failure.sentence


def test_a_placeholder_in_the_instruction_is_not_taken_for_a_clip(system, noise):
    (failure,) = asking.ask(system, [Item("row", f"What is {system.prompts.placeholder}?", noise())])
    assert failure.sentence == (f"its instruction has {system.prompts.placeholder!r} in it, which stands for the clip.")


# --- what is no such model ---


def opened(model, **options):
    return AudioChat.open(Options(str(model), device="cpu", decoding=SIX, **options))


def test_no_model_says_which_there_are():
    with pytest.raises(UsageError, match=r"needs a model: --model FOLDER, a hub id, or one of qwen2-audio, qwen-audio"):
        AudioChat.open(Options())


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"The audio chat model .*/none cannot be loaded: there is no folder .*/none"):
        opened(tmp_path / "none")


def test_models_of_other_kinds_name_the_system_that_reads_them(answering, backbones, tmp_path):
    with pytest.raises(UsageError, match="holds a 'wavllm' model: --system wavllm answers with it"):
        opened(answering / "model")
    with pytest.raises(UsageError, match="holds a 'whisper' model: it transcribes and cannot be asked; --system casc"):
        opened(backbones["semantic_encoder"]["path"])
    with pytest.raises(UsageError, match="holds a 'llama' model: it reads text alone; --system cascade puts one"):
        opened(backbones["language_model"]["path"])
    with pytest.raises(UsageError, match="holds a 'wavlm' model: no system here asks such a model about audio"):
        opened(backbones["acoustic_encoder"]["path"])


def test_no_chat_template_or_no_ears_is_said(folder_of, tmp_path, tiny_tokenizer):
    bare = shutil.copytree(folder_of("audio_flamingo_3"), tmp_path / "bare")
    (bare / "chat_template.jinja").unlink()
    with pytest.raises(UsageError, match=r"\(AudioFlamingo3Processor\) has no chat template"):
        opened(bare)
    with pytest.raises(UsageError, match=r"processor of deaf \(TokenizersBackend\) takes no audio: name a model"):
        AudioPrompts("deaf", "llama", tiny_tokenizer)
    mute = shutil.copytree(folder_of("audio_flamingo_3"), tmp_path / "mute")
    (mute / "chat_template.jinja").write_text("{% for m in messages %}{{ m.role }}{% endfor %}")
    with pytest.raises(UsageError, match=r"has no place for a clip\."):
        opened(mute)


def test_what_a_family_lacks_is_said_before_anything_is_loaded(monkeypatch):
    with pytest.raises(UsageError, match="phi listens by an adapter in its folder speech-lora, which is not read here"):
        require_family("phi", "phi4_multimodal")
    monkeypatch.setattr(audio_prompts, "is_mistral_common_available", lambda: False)
    with pytest.raises(UsageError, match=r"the package mistral-common: pip install 'wavllm\[voxtral\]'"):
        require_family("mini", "voxtral")


def test_code_from_the_hub_needs_trust(folder_of, tmp_path):
    folder = shutil.copytree(folder_of("qwen2_audio"), tmp_path / "code")
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "modeling_qwen.QWenLMHeadModel"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match=r"names Python code of its own .* --trust-remote-code"):
        opened(folder)


# --- the command ---


def test_a_manifest_is_answered_and_scored(wavllm, answering, folder_of, tmp_path):
    model = ["--system", "audio-chat", "--model", folder_of("qwen2_audio"), "--max-new-tokens", "6"]
    rows = (answering / "manifest.jsonl").read_text().splitlines()
    manifest = answering / "five.jsonl"
    manifest.write_text("\n".join(row for row in rows if json.loads(row).get("duration", 0) < 2) + "\n")
    output = tmp_path / "answers.jsonl"
    code, _, err = wavllm("infer", manifest, *model, "--output", output)
    assert code == 0, err
    answers = [json.loads(line) for line in output.read_text().splitlines()]
    assert len(answers) == 5 and all("text" in answer for answer in answers)
    assert {answer["system"] for answer in answers} == {str(folder_of("qwen2_audio"))}
    code, _, err = wavllm("score", output)
    assert code == 0, err
    assert "asr" in (tmp_path / "scores.json").read_text()


def test_a_file_is_answered(wavllm, answering, folder_of):
    code, out, err = wavllm(
        "infer", answering / "0.wav", "hello", "--system", "audio-chat", "--model", folder_of("granite_speech"),
        "--max-new-tokens", "6", "--json",
    )  # fmt: skip
    assert code == 0, err
    assert json.loads(out)["text"]


def test_what_is_longer_than_it_hears_goes_window_by_window(wavllm, folder_of, tmp_path, noise):
    write_wav(tmp_path / "long.wav", noise(14.0))
    code, out, err = wavllm(
        "infer", tmp_path / "long.wav", "Transcribe the audio.", "--system", "audio-chat",
        "--model", folder_of("audio_flamingo_3"), "--max-new-tokens", "6", "--json",
    )  # fmt: skip
    assert code == 0, err
    assert "0:10-0:14" in err and json.loads(out)["text"]


def test_half_precision_changes_features_too(folder_of, items):
    system = AudioChat.open(Options(str(folder_of("qwen2_audio")), device="cpu", dtype="bfloat16", decoding=SIX))
    assert all(isinstance(answer, Answer) for answer in asking.ask(system, items))
    assert system.model.dtype == torch.bfloat16
