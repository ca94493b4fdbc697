import copy
import json

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import LlamaForCausalLM, Trainer, TrainingArguments, pipeline

from wavllm_cli.errors import UsageError
from wavllm_cli.model.adapters import SpeechAdapter
from wavllm_cli.model.encoders import AcousticEncoder, SemanticEncoder
from wavllm_cli.model.groups import is_backbone_tensor
from wavllm_cli.model.initialization import default_init
from wavllm_cli.model.modeling_wavllm import WavLLMForConditionalGeneration
from wavllm_cli.model.processing_wavllm import IGNORE, WavLLMProcessor
from wavllm_cli.model.prompt_lora import LoRALinear

F64 = torch.float64
TRAINED = ("semantic_adapter.", "acoustic_adapter.", "fusion.", "prompt_adapter.", "acoustic_encoder.layer_weights")


def by_rows(batch: dict) -> list[torch.Tensor]:
    """Where each row's real tokens are."""
    return [mask.nonzero()[:, 0] for mask in batch["attention_mask"]]


def right_padded(batch: dict) -> dict:
    """The same batch with the padding of its ids, mask and labels moved to the right."""
    shifts = batch["attention_mask"].shape[1] - batch["attention_mask"].sum(1)
    moved = {
        key: torch.stack([row.roll(-int(n)) for row, n in zip(batch[key], shifts, strict=True)])
        for key in ("input_ids", "attention_mask", "labels")
        if key in batch
    }
    return dict(batch) | moved


def answers(model, batch: dict, **options) -> list[list[int]]:
    """New tokens of each row, up to the first EOS."""
    ids = model.generate(**batch, **({"do_sample": False, "max_new_tokens": 8} | options))
    new = ids[:, batch["input_ids"].shape[1] :].tolist()
    eos = model.config.eos_token_id
    return [row[: row.index(eos) + 1] if eos in row else row for row in new]


def gradients(model, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    loss.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def freeze_backbones(model) -> None:
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not is_backbone_tensor(name))


def close(actual, expected, tolerance: float) -> None:
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


@pytest.fixture(scope="module")
def batch(collate, utterances):
    return collate(utterances)


@pytest.fixture(scope="module")
def labelled(collate, utterances):
    return collate(utterances, target=True)


@pytest.fixture
def trainable(tiny_model):
    """A copy with frozen backbones, in float64, to be changed at will."""
    model = copy.deepcopy(tiny_model(dtype=F64))
    freeze_backbones(model)
    return model


# --- rows of a batch ---

VARIANTS = [
    pytest.param({"norm": norm, "prompt_adapter_width": width}, id=f"{norm}-{'prompt' if width else 'constant'}")
    for norm in ("group", "layer")
    for width in (None, 8)
]


@torch.no_grad()
@pytest.mark.parametrize("options", VARIANTS)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(F64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 0.05)], ids=["f64", "f32", "bf16"]
)
@pytest.mark.parametrize("side", ["left", "right"])
def test_logits_of_a_row_do_not_depend_on_its_batch(
    tiny_model, collate, utterances, batch, options, dtype, tolerance, side
):
    """bfloat16 itself is 2 to 4 % off the float64 logits of this model."""
    model = tiny_model(dtype=dtype, **options)
    padded = batch if side == "left" else right_padded(batch)
    logits = model(**padded).logits
    for row, where, utterance in zip(logits, by_rows(padded), utterances, strict=True):
        alone = model(**collate([utterance])).logits[0]
        assert alone.isfinite().all()
        assert (row[where] - alone).norm() <= tolerance * alone.norm()


@torch.no_grad()
@pytest.mark.parametrize("options", VARIANTS)
@pytest.mark.parametrize("beams", [1, 3])
def test_answers_do_not_depend_on_the_batch(tiny_model, collate, utterances, batch, options, beams):
    model = tiny_model(dtype=F64, **options)
    alone = [answers(model, collate([row]), num_beams=beams)[0] for row in utterances]
    assert answers(model, batch, num_beams=beams) == alone
    assert len({tuple(row) for row in alone}) > 1


@torch.no_grad()
def test_every_input_matters(tiny_model, collate, utterances):
    """Else the tests of this file would pass on a model that ignores its input."""
    model = tiny_model(dtype=F64)
    row = utterances[1]
    base = model(**collate([row])).logits[0, -1]
    inputs = collate([row])
    changed = {
        "audio": collate([row | {"audio": row["audio"][::-1].copy()}]),
        "Whisper only": dict(inputs) | {"input_features": inputs["input_features"].flip(2)},
        "a later window": dict(inputs)
        | {"input_features": inputs["input_features"] * torch.tensor([1.0, 1.0, 2.0])[:, None, None]},
        "WavLM only": dict(inputs) | {"input_values": inputs["input_values"].flip(1)},
        "prompt adapter only": dict(inputs) | {"prompt_ids": inputs["prompt_ids"].flip(1)},
    }
    for what, other in changed.items():
        assert (model(**other).logits[0, -1] - base).abs().max() > 1e-3, what


@torch.no_grad()
def test_eager_attention_computes_the_same(tiny_model, labelled):
    """In float32: eager attention with left padding is NaN in float64 (F12)."""
    model = tiny_model()
    eager = copy.deepcopy(model)
    eager.set_attn_implementation("eager")
    close(eager(**labelled).loss, model(**labelled).loss, 1e-5)


# --- speech tokens ---


@torch.no_grad()
def test_speech_tokens_by_hand(tiny_model, batch, utterances):
    """The clip of 70,001 samples: three windows of 2 s, the last one short but as long as the first ones."""
    model = tiny_model(dtype=F64)
    tokens = model.get_audio_features(batch["input_features"], batch["input_values"], batch["audio_lengths"])
    assert [len(t) for t in tokens] == [model.geometry.tokens(n) for n in batch["audio_lengths"].tolist()[:3]] + [0]

    windows = batch["input_features"][1].double()
    frames = model.semantic_encoder.model(windows).last_hidden_state
    assert frames.shape[1] == 100
    adapted = [model.semantic_adapter(f[None], torch.tensor([100]))[0][0] for f in frames]
    semantic = torch.cat(adapted)
    wave = batch["input_values"][1:2].double()
    states = model.acoustic_encoder.model(wave, output_hidden_states=True).hidden_states
    weights = model.acoustic_encoder.layer_weights.softmax(0)
    acoustic = sum(w * s for w, s in zip(weights, states, strict=True))
    acoustic = model.acoustic_adapter(acoustic, torch.tensor([acoustic.shape[1]]))[0][0]
    assert (len(semantic), len(acoustic)) == (75, 55)
    close(tokens[1], model.fusion(torch.cat([semantic[:55], acoustic], dim=-1)), 1e-9)


@torch.no_grad()
def test_semantic_stream_may_be_the_shorter_one(tiny_config, tiny_processor, utterances):
    """An acoustic encoder at 100 Hz: every clip is as long as its windows' true frames, in a batch too."""
    config = tiny_config()
    config.acoustic_config.conv_stride = (10, 8, 2)
    model = WavLLMForConditionalGeneration(config).double().eval()
    processor = WavLLMProcessor.for_config(config, tiny_processor.tokenizer)

    def speech(rows: list[dict]) -> list[torch.Tensor]:
        batch = processor(text=[""] * len(rows), audio=[row["audio"] for row in rows])
        return model.get_audio_features(batch["input_features"], batch["input_values"], batch["audio_lengths"])

    together = speech(utterances)
    assert [len(tokens) for tokens in together] == [13, 75, 1, 0]
    for tokens, row in zip(together[:3], utterances, strict=False):
        close(tokens, speech([row])[0], 1e-6)


@torch.no_grad()
def test_speech_tokens_stand_where_the_placeholders_are(tiny_model, batch):
    model = tiny_model(dtype=F64)
    audio = [batch[key] for key in ("input_features", "input_values", "audio_lengths")]
    embeds = model.embed(batch["input_ids"], *audio)
    placeholder = batch["input_ids"] == model.config.audio_token_id
    close(embeds[placeholder], torch.cat(model.get_audio_features(*audio)), 1e-12)
    text = model.get_input_embeddings().weight[batch["input_ids"][~placeholder]]
    assert torch.equal(embeds[~placeholder], text)


def test_wrong_number_of_placeholders(tiny_model, batch):
    ids = batch["input_ids"].clone()
    ids[1, (ids[1] == tiny_model().config.audio_token_id).nonzero()[0]] = 5
    with pytest.raises(ValueError, match=r"\d+ audio placeholders for \d+ speech tokens"):
        tiny_model()(**(dict(batch) | {"input_ids": ids}))


def test_placeholders_without_audio(tiny_model, batch):
    text = {k: v for k, v in batch.items() if k not in ("input_features", "input_values", "audio_lengths")}
    for call in (tiny_model(), tiny_model().generate):
        with pytest.raises(ValueError, match="audio placeholders in `input_ids`, but no audio"):
            call(**text)


@torch.no_grad()
def test_audio_of_a_row_goes_to_that_row(tiny_model, collate, utterances):
    """Text rows between rows with audio shift nothing."""
    model = tiny_model(dtype=F64)
    first, second, _, text = utterances
    rows = [text, second, text, first]
    together = collate(rows)
    logits = model(**together).logits
    for row, where, utterance in zip(logits, by_rows(together), rows, strict=True):
        close(row[where], model(**collate([utterance])).logits[0], 1e-6)


@torch.no_grad()
def test_fresh_adapters_keep_the_signals_scale():
    torch.manual_seed(0)
    adapter = SpeechAdapter(96, (128, 192), bottleneck=48, output_width=96)
    adapter.apply(default_init)
    tokens, _ = adapter.subsample(torch.randn(4, 400, 96), torch.tensor([400] * 4))
    assert 0.8 < tokens.std() < 1.25
    assert 0.8 < adapter.projector(tokens).std() < 1.25


# --- prompt adapter and LoRA scale ---


def prompt_scale(model, batch: dict) -> torch.Tensor:
    return model.get_lora_scale(batch["prompt_ids"], batch["prompt_mask"], len(batch["prompt_ids"]))


@torch.no_grad()
@torch.no_grad()
@pytest.mark.parametrize("spread", [0.02, 0.5])
def test_fresh_speech_tokens_are_as_loud_as_words(tiny_config, batch, spread):
    config = tiny_config()
    config.text_config.initializer_range = spread
    torch.manual_seed(3)
    model = WavLLMForConditionalGeneration(config).eval()
    words = model.get_input_embeddings().weight
    clips = [batch[key] for key in ("input_features", "input_values", "audio_lengths")]
    speech = torch.cat(model.get_audio_features(*clips))
    rms = (speech.pow(2).mean() / words.pow(2).mean()).sqrt()
    assert 0.7 < rms < 1.4


def test_fresh_prompt_adapter_gives_the_constant_scale(tiny_config, batch):
    model = WavLLMForConditionalGeneration(tiny_config(lora_alpha=6.0)).eval()
    scale = prompt_scale(model, batch)
    assert scale.shape == (4, model.scale_layout.width)
    close(scale, torch.full_like(scale, 6 / 4), 1e-6)


@torch.no_grad()
def test_constant_scale_without_prompt_adapter(tiny_model, batch):
    model = tiny_model(prompt_adapter_width=None, lora_alpha=6.0)
    assert torch.equal(prompt_scale(model, batch), torch.full((4, 48), 6 / 4))
    close(model(**batch).logits, model(**batch, lora_scale=torch.full((4, 48), 6 / 4)).logits, 0)


@torch.no_grad()
def test_prompt_scale_reads_the_bare_llm_before_its_final_norm(tiny_model, batch):
    model = tiny_model(dtype=F64)
    bare = LlamaForCausalLM(model.language_model.config).double().eval()
    state = {n.replace(".base_layer", ""): t for n, t in model.language_model.state_dict().items() if "lora_" not in n}
    bare.load_state_dict(state)
    seen = []
    bare.model.norm.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    expected = []
    for ids, mask in zip(batch["prompt_ids"], batch["prompt_mask"], strict=True):
        bare(ids[None, : mask.sum()])
        expected.append(model.prompt_adapter(seen[-1], torch.ones(1, mask.sum()))[0])
    scale = prompt_scale(model, batch)
    close(scale, torch.stack(expected), 1e-9)
    assert scale.min() >= 0 and scale.max() <= model.config.prompt_scale_max
    assert scale.std(dim=0).max() > 0.1  # prompts differ


@torch.no_grad()
def test_padding_of_the_prompt_does_not_matter(tiny_model, batch):
    model = tiny_model(dtype=F64)
    longer = {
        "prompt_ids": F.pad(batch["prompt_ids"], (0, 5), value=7),
        "prompt_mask": F.pad(batch["prompt_mask"], (0, 5)),
    }
    close(prompt_scale(model, longer), prompt_scale(model, batch), 1e-9)


def test_a_prompt_adapter_needs_a_prompt(tiny_model, batch):
    for missing in ("prompt_ids", "prompt_mask"):
        with pytest.raises(ValueError, match=r"needs `prompt_ids` and `prompt_mask`"):
            tiny_model()(**{k: v for k, v in batch.items() if k != missing})


def test_gradient_reaches_all_that_is_trained_and_nothing_else(trainable, labelled):
    trainable.train()
    found = gradients(trainable, trainable(**labelled).loss)
    expected = {n for n, _ in trainable.named_parameters() if n.startswith(TRAINED) or ".lora_" in n}
    assert set(found) == expected
    for name, gradient in found.items():
        # the softmax over tokens does not see a constant
        assert (gradient.abs().max() > 1e-9) == (name != "prompt_adapter.attention.bias"), name


def test_prompt_adapter_must_be_able_to_start_at_the_constant_scale(tiny_config):
    config = tiny_config(lora_alpha=64.0, prompt_adapter_width=None)
    WavLLMForConditionalGeneration(config)
    config.prompt_adapter_width = 8  # as stage 2 sets it
    with pytest.raises(UsageError, match=r"lora_alpha / lora_rank is 16, above prompt_scale_max 3: "):
        WavLLMForConditionalGeneration(config)


# --- loss ---


def test_loss_is_cross_entropy_of_the_answers(tiny_model, labelled):
    model = tiny_model(dtype=F64)
    unlabelled = {k: v for k, v in labelled.items() if k != "labels"}
    with torch.no_grad():
        logits, output = model(**unlabelled).logits, model(**labelled)
    losses = [
        -logits[row, column - 1].log_softmax(-1)[token]
        for row, labels in enumerate(labelled["labels"].tolist())
        for column, token in enumerate(labels)
        if token != IGNORE
    ]
    answer_ids = labelled["labels"][labelled["labels"] != IGNORE]
    assert len(losses) == len(answer_ids) == 4 + 2 + 5 + 6  # with EOS; o and r are one token in "world"
    close(output.loss.double(), torch.stack(losses).mean(), 1e-6)
    columns = (labelled["labels"] != IGNORE).any(0).nonzero()[:, 0] - 1
    close(output.logits, logits[:, columns], 1e-9)
    with torch.no_grad():
        close(model(**right_padded(labelled)).loss, output.loss, 1e-6)


def test_in_training_the_head_sees_the_rows_that_predict_an_answer(tiny_model, labelled):
    model = tiny_model(dtype=F64, lora_dropout=0.0)
    seen = []
    hook = model.get_output_embeddings().register_forward_pre_hook(lambda _, args: seen.append(tuple(args[0].shape)))
    with torch.no_grad():
        expected, trained = model.eval()(**labelled), model.train()(**labelled)
    hook.remove()
    model.eval()
    assert [len(shape) for shape in seen] == [3, 2] and seen[1][0] == 17
    close(trained.loss, expected.loss, 1e-6)
    close(trained.row_losses, expected.row_losses, 1e-6)
    predicts = (labelled["labels"] != IGNORE)[:, (labelled["labels"] != IGNORE).any(0)]
    close(trained.logits, expected.logits[predicts], 1e-9)


@torch.no_grad()
def test_loss_adds_up_over_micro_batches(tiny_model, collate, utterances):
    model = tiny_model(dtype=F64)
    whole = collate(utterances, target=True)
    count = (whole["labels"] != IGNORE).sum()
    parts = [collate(rows, target=True) for rows in (utterances[:1], utterances[1:])]
    total = sum(model(**part, num_items_in_batch=count).loss for part in parts)
    close(total, model(**whole).loss, 1e-6)
    close(model(**whole, num_items_in_batch=int(count)).loss, model(**whole).loss, 1e-6)


def test_gradient_checkpointing_and_a_second_forward_before_backward(trainable, labelled, collate, utterances):
    """A scale kept in shared state would be the second batch's when the first is recomputed (F2)."""
    batches = [labelled, collate([row | {"text": f"other {row['text']}"} for row in utterances[:2]], target=True)]
    trainable.train()
    plain = [gradients(trainable, trainable(**b).loss) for b in batches]
    expected = {n: plain[0][n] + plain[1][n] for n in plain[0]}
    trainable.activation_checkpointing_enable()
    calls = []
    trainable.language_model.model.layers[0].mlp.register_forward_pre_hook(lambda *_: calls.append(1))
    losses = [trainable(**b).loss for b in batches]
    before = len(calls)
    actual = gradients(trainable, sum(losses))
    assert len(calls) == before + 2  # it did recompute
    assert actual.keys() == expected.keys()
    for name, gradient in actual.items():
        close(gradient, expected[name], 1e-9)


@pytest.mark.parametrize("frozen", [torch.float32, torch.bfloat16])
def test_autocast_trains_in_bfloat16(tiny_model, labelled, frozen):
    """Trained tensors in float32, the frozen backbones in either precision."""
    model = copy.deepcopy(tiny_model())
    freeze_backbones(model)
    with torch.no_grad():
        expected = model(**labelled).loss
    for name, parameter in model.named_parameters():
        if is_backbone_tensor(name):
            parameter.data = parameter.data.to(frozen)
    with torch.autocast("cpu", torch.bfloat16):
        loss = model.train()(**labelled).loss
    close(loss, expected, 0.05)
    found = gradients(model, loss)
    assert all(g.isfinite().all() and g.dtype == torch.float32 for g in found.values())
    assert {n.split(".")[0] for n in found} == {n.split(".")[0] for n in TRAINED} | {"language_model"}


def test_training_mode_changes_nothing_but_lora_dropout(tiny_model, tiny_config, labelled):
    model = copy.deepcopy(tiny_model(dtype=F64))
    with torch.no_grad():
        expected = model(**labelled).loss
        close(model.train()(**labelled).loss, expected, 1e-6)
        for module in model.modules():
            if isinstance(module, SemanticEncoder | AcousticEncoder):
                assert not any(part.training for part in module.modules())
            if isinstance(module, LoRALinear):
                module.lora_dropout.p = 0.5
        assert (model(**labelled).loss - expected).abs() > 1e-3
        assert torch.equal(model.eval()(**labelled).loss, expected)


def test_encoders_listen_in_eval_mode_even_before_anyone_says_so(tiny_config):
    model = WavLLMForConditionalGeneration(tiny_config())
    for encoder in (model.semantic_encoder, model.acoustic_encoder):
        assert not any(module.training for module in encoder.modules())


def test_a_step_changes_only_what_is_trained(trainable, labelled):
    before = copy.deepcopy(trainable.state_dict())
    optimizer = torch.optim.AdamW([p for p in trainable.parameters() if p.requires_grad], lr=0.01)
    trainable.train()(**labelled).loss.backward()
    optimizer.step()
    for name, tensor in trainable.state_dict().items():
        assert torch.equal(tensor, before[name]) == is_backbone_tensor(name) or "attention.bias" in name, name


@torch.no_grad()
def test_a_deepcopy_is_independent(tiny_model, batch):
    model = tiny_model(dtype=F64)
    expected = model(**batch).logits
    twin = copy.deepcopy(model)
    for layer in twin.modules():
        if isinstance(layer, LoRALinear):
            layer.lora_B.weight.neg_()
    assert (twin(**batch).logits - expected).abs().max() > 0.1
    assert torch.equal(model(**batch).logits, expected)


# --- generate ---


@torch.no_grad()
def test_generate_returns_prompt_and_answer(tiny_model, batch):
    model = tiny_model()
    ids = model.generate(**batch, do_sample=False, max_new_tokens=5, min_new_tokens=5)
    length = batch["input_ids"].shape[1]
    assert ids.shape == (4, length + 5)
    placeholder = batch["input_ids"] == model.config.audio_token_id
    assert torch.equal(ids[:, :length], batch["input_ids"].masked_fill(placeholder, 0))
    assert ids.max() < model.config.text_config.vocab_size


@torch.no_grad()
def test_cached_answers_equal_uncached_ones(tiny_model, batch):
    model = tiny_model(dtype=F64)
    inputs = dict(batch)
    for _ in range(8):
        token = model(**inputs).logits[:, -1].argmax(-1, keepdim=True)
        inputs["input_ids"] = torch.cat([inputs["input_ids"], token], dim=1)
        inputs["attention_mask"] = F.pad(inputs["attention_mask"], (0, 1), value=1)
    ids = model.generate(**batch, do_sample=False, max_new_tokens=8, eos_token_id=-1)
    assert torch.equal(ids[:, -8:], inputs["input_ids"][:, -8:])


@torch.no_grad()
@pytest.mark.parametrize("options", [{}, {"num_beams": 2}])
def test_static_cache_keeps_the_padding_mask(tiny_model, batch, options):
    """F8: it is dropped when config.text_config is not the LLM's own object."""
    model = tiny_model(dtype=F64)
    assert model.config.text_config is model.language_model.config
    assert answers(model, batch, cache_implementation="static", **options) == answers(model, batch, **options)


@torch.no_grad()
def test_sampling_follows_its_seed(tiny_model, batch):
    model = tiny_model()
    options = {"do_sample": True, "temperature": 2.0, "num_return_sequences": 2, "min_new_tokens": 8}
    draws = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        draws.append(answers(model, batch, **options))
    assert draws[0] == draws[1] != draws[2]
    assert len(draws[0]) == 8 and draws[0][0] != draws[0][1]


@torch.no_grad()
@pytest.mark.parametrize("beams", [1, 3])
def test_clips_and_prompts_are_encoded_once(tiny_model, batch, beams):
    model = copy.deepcopy(tiny_model())
    calls = {}
    for part in ("semantic_encoder", "acoustic_encoder", "fusion", "prompt_adapter"):
        getattr(model, part).register_forward_hook(lambda *_, part=part: calls.update({part: calls.get(part, 0) + 1}))
    model.generate(**batch, do_sample=False, num_beams=beams, max_new_tokens=4, min_new_tokens=4)
    assert calls == {"semantic_encoder": 1, "acoustic_encoder": 1, "fusion": 3, "prompt_adapter": 1}


@torch.no_grad()
def test_generate_reports_scores_and_states(tiny_model, batch):
    options = {"return_dict_in_generate": True, "output_logits": True, "output_hidden_states": True}
    out = tiny_model().generate(**batch, do_sample=False, max_new_tokens=2, min_new_tokens=2, **options)
    assert len(out.logits) == len(out.hidden_states) == 2
    assert torch.equal(out.logits[0].argmax(-1), out.sequences[:, -2])


@torch.no_grad()
def test_generate_takes_its_ids_under_transformers_name_too(tiny_model, batch):
    model, options = tiny_model(), {"do_sample": False, "max_new_tokens": 3}
    others = {key: value for key, value in batch.items() if key != "input_ids"}
    assert torch.equal(
        model.generate(inputs=batch["input_ids"], **others, **options), model.generate(**batch, **options)
    )
    for call in (model, model.generate):
        with pytest.raises(UsageError, match="needs `input_ids`, instruction and clip in one, as WavLLMProcessor"):
            call(**others)


@pytest.fixture(scope="module")
def folder(tiny_model, tiny_processor, tmp_path_factory):
    folder = tmp_path_factory.mktemp("surface")
    tiny_model().save_pretrained(folder)
    tiny_processor.save_pretrained(folder)
    return folder


def test_pipelines_answer_or_say_which_one_does(folder, tiny_model, collate, tiny_processor, utterances):
    row = utterances[0]
    inputs = collate([row])
    (expected,) = tiny_processor.answers(tiny_model().generate(**inputs, do_sample=False, max_new_tokens=5), inputs)
    answerer = pipeline("any-to-any", model=str(folder))
    options = {"max_new_tokens": 5, "return_full_text": False}
    assert answerer(text=row["text"], audio=row["audio"], **options)[0]["generated_text"].strip() == expected
    parts = [{"type": "audio", "audio": row["audio"]}, {"type": "text", "text": row["text"]}]
    chat = answerer(text=[{"role": "user", "content": parts}], **options)
    assert chat[0]["generated_text"].strip() == expected
    with pytest.raises(UsageError, match="of transformers' pipelines use any-to-any"):
        pipeline("automatic-speech-recognition", model=str(folder))(row["audio"])


@torch.no_grad()
def test_attention_is_chosen_part_by_part(folder, tiny_model, batch):
    """WavLM has its own, which transformers' names do not mean."""

    def chosen(model) -> list[str]:
        parts = (model.config.semantic_config, model.config.acoustic_config, model.config.text_config)
        return [part._attn_implementation for part in parts]

    model = WavLLMForConditionalGeneration.from_pretrained(folder, attn_implementation="sdpa")
    assert chosen(model) == ["sdpa", "eager", "sdpa"]
    close(model(**batch).logits, tiny_model()(**batch).logits, 1e-5)
    model.set_attn_implementation({"text_config": "eager"})
    assert chosen(model) == ["sdpa", "eager", "eager"]
    with pytest.raises(ImportError, match=r"FlashAttention2 .* doesn't seem to be installed"):
        WavLLMForConditionalGeneration.from_pretrained(folder, attn_implementation="flash_attention_2")


def test_the_vocabulary_may_change_but_not_swallow_the_placeholder(tiny_model):
    model = copy.deepcopy(tiny_model())
    most = model.config.audio_token_id
    with pytest.raises(UsageError, match=f"With {most + 1} words, id {most}, the placeholder of speech, would be one"):
        model.resize_token_embeddings(most + 1)
    assert model.resize_token_embeddings(most - 2).weight.shape[0] == most - 2
    assert model.get_output_embeddings().weight.shape[0] == model.config.text_config.vocab_size == most - 2


# --- files ---


def assert_same_model(a, b) -> None:
    """Parameters and buffers, those that no file holds included (F7)."""
    for kind in ("named_parameters", "named_buffers"):
        first, second = dict(getattr(a, kind)()), dict(getattr(b, kind)())
        assert first.keys() == second.keys()
        for name in first:
            assert torch.equal(first[name], second[name]), name


@pytest.mark.parametrize("norm", ["group", "layer"])
def test_a_saved_model_comes_back(tiny_model, batch, tmp_path, norm):
    model = tiny_model(norm)
    model.save_pretrained(tmp_path)
    loaded = WavLLMForConditionalGeneration.from_pretrained(tmp_path)
    assert_same_model(model, loaded)
    assert any("inv_freq" in name for name, _ in loaded.named_buffers())
    assert not loaded.training
    assert loaded.config.text_config is loaded.language_model.config
    with torch.no_grad():
        close(loaded(**batch).logits, model(**batch).logits, 1e-5)
    assert answers(loaded, batch, cache_implementation="static") == answers(model, batch)


def test_a_model_is_loaded_in_the_dtype_asked_for(tiny_model, tmp_path):
    tiny_model().save_pretrained(tmp_path)
    loaded = WavLLMForConditionalGeneration.from_pretrained(tmp_path, dtype=torch.bfloat16)
    for name, parameter in loaded.named_parameters():
        expected = torch.float32 if name.startswith(TRAINED) else torch.bfloat16  # LoRA runs for every token
        assert parameter.dtype == expected, name


def test_freezing_after_loading_leaves_the_trained_set(tiny_model, labelled, tmp_path):
    """from_pretrained undoes what __init__ does to requires_grad (F6)."""
    tiny_model().save_pretrained(tmp_path)
    model = WavLLMForConditionalGeneration.from_pretrained(tmp_path)
    freeze_backbones(model)
    names = {n for n, p in model.named_parameters() if p.requires_grad}
    assert names == {n for n, _ in model.named_parameters() if n.startswith(TRAINED) or ".lora_" in n}
    assert len([n for n in names if ".lora_" in n]) == 2 * 4 * 2
    assert set(gradients(model, model(**labelled).loss)) == names


def test_stage_two_begins_where_stage_one_ended(tiny_model, tiny_config, batch, tmp_path):
    """A checkpoint without prompt adapter, loaded with a configuration that has one."""
    first = tiny_model(prompt_adapter_width=None, lora_alpha=6.0)
    first.save_pretrained(tmp_path)
    config = tiny_config(lora_alpha=6.0, prompt_adapter_width=8)
    second, report = WavLLMForConditionalGeneration.from_pretrained(
        tmp_path, config=config, fresh="prompt_adapter.", output_loading_info=True
    )
    assert {name.split(".")[0] for name in report["missing_keys"]} == {"prompt_adapter"}
    assert all(p.isfinite().all() for p in second.parameters())
    with torch.no_grad():
        close(second(**batch).logits, first(**batch).logits, 1e-5)


def test_saving_a_given_state_dict_keeps_what_is_trained(tiny_model, tmp_path, backbones):
    """As sharded training does, which gathers the tensors itself (F13)."""
    model = copy.deepcopy(tiny_model())
    model.config.backbones = backbones
    state = {name: torch.full_like(t, 2.0) for name, t in model.state_dict().items()}
    model.save_pretrained(tmp_path, state_dict=state)
    saved = load_file(tmp_path / "model.safetensors")
    assert set(saved) == {n for n in state if n.startswith(TRAINED) or ".lora_" in n}
    assert all((t == 2).all() for t in saved.values())
    assert model.config.backbones == backbones


def test_generation_settings_are_kept(tiny_model, tmp_path, backbones):
    model = copy.deepcopy(tiny_model())
    model.config.backbones = backbones
    model.generation_config.update(do_sample=True, temperature=0.5, max_new_tokens=512)
    model.save_pretrained(tmp_path)
    loaded = WavLLMForConditionalGeneration.from_pretrained(tmp_path)
    assert loaded.generation_config.temperature == 0.5
    assert loaded.generation_config.max_new_tokens == 512
    local = {part: {"path": entry["path"], "local": True} for part, entry in backbones.items()}
    assert json.loads((tmp_path / "config.json").read_text())["backbones"] == local


# --- Hugging Face Trainer ---


def test_hugging_face_trainer_trains_it(tiny_model, collate, utterances, tmp_path):
    model = copy.deepcopy(tiny_model())
    freeze_backbones(model)
    arguments = TrainingArguments(
        output_dir=tmp_path, max_steps=2, per_device_train_batch_size=2, gradient_accumulation_steps=2,
        learning_rate=1e-2, activation_checkpointing=True, use_cpu=True, report_to=[], logging_steps=1,
        disable_tqdm=True, remove_unused_columns=False, save_strategy="no", eval_strategy="steps", eval_steps=2,
    )  # fmt: skip
    trainer = Trainer(
        model, arguments, train_dataset=utterances * 2, eval_dataset=utterances[:2],
        data_collator=lambda rows: collate(rows, target=True),
    )  # fmt: skip
    before = copy.deepcopy(model.state_dict())
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses[1] < losses[0]
    for name, tensor in model.state_dict().items():
        assert not torch.equal(tensor, before[name]) or is_backbone_tensor(name) or "attention.bias" in name, name
    assert trainer.predict(utterances[:3]).predictions.shape == (3, 5, model.config.text_config.vocab_size)
    trainer.save_model(tmp_path / "saved")
    assert_same_model(model.eval(), WavLLMForConditionalGeneration.from_pretrained(tmp_path / "saved"))
