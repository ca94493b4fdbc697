"""Half precision: every module against float32, and training against inference.

Some CPUs have a bfloat16 kernel for grouped convolutions that returns other numbers altogether; the tests stand in for
it, so that they see on any machine what such a CPU would do.
"""

import copy

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from wavllm_cli.model.load import load_model, restore_stored
from wavllm_cli.model.precision import HALF
from wavllm_cli.training.groups import set_trainable

AUDIO = ("input_features", "input_values", "audio_lengths")
STAGE_TWO = ("adapters", "layer_weights", "lora", "prompt_adapter")
# Relative error of half precision, norm by norm; a wrong positional convolution makes it 0.2 to 1.
TOLERANCE = {torch.bfloat16: 0.05, torch.float16: 0.01}


class WrongGroupedConvolutions(TorchDispatchMode):
    """A CPU whose half-precision convolutions are wrong where they have groups."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        grouped = function is torch.ops.aten.convolution.default and args[8] > 1
        return result.flip(1) if grouped and result.dtype in HALF else result


def relative_error(actual: torch.Tensor, expected: torch.Tensor) -> float:
    return float((actual.double() - expected.double()).norm() / expected.double().norm())


@pytest.fixture(scope="module")
def batch(collate, utterances):
    return collate(utterances)


def outputs(model, batch) -> dict[str, torch.Tensor]:
    """What each module makes of the inputs that it meets in the whole model."""
    found = {}

    def keep(name):
        def hook(_module, _args, output) -> None:
            tensor = output[0] if isinstance(output, tuple) else getattr(output, "logits", output)
            found.setdefault(name, tensor)

        return hook

    parts = ("semantic_encoder", "acoustic_encoder", "semantic_adapter", "acoustic_adapter", "fusion", "prompt_adapter")
    hooks = [getattr(model, part).register_forward_hook(keep(part)) for part in parts]
    layer = model.language_model.model.layers[0].self_attn.q_proj
    hooks.append(layer.register_forward_hook(keep("q_proj with LoRA")))
    embeds = model.embed(batch["input_ids"], *(batch[key] for key in AUDIO))
    found["speech"] = embeds[batch["input_ids"] == model.config.audio_token_id]
    found["scale"] = model.get_lora_scale(batch["prompt_ids"], batch["prompt_mask"], len(embeds))
    found.pop("q_proj with LoRA")  # the prompt pass is without LoRA
    real = batch["attention_mask"].bool()
    found["logits"] = model(**batch).logits[real]
    for hook in hooks:
        hook.remove()
    return found


@torch.no_grad()
@pytest.mark.parametrize(
    ("norm", "dtype"), [("group", torch.bfloat16), ("layer", torch.bfloat16), ("layer", torch.float16)], ids=str
)
def test_every_module_computes_in_half_precision_what_it_does_in_float32(tiny_model, batch, norm, dtype):
    half = copy.deepcopy(tiny_model(norm)).to(dtype)
    expected = outputs(copy.deepcopy(half).float(), batch)  # the same values: the error is the arithmetic's
    with WrongGroupedConvolutions():
        actual = outputs(half, batch)
    errors = {name: relative_error(actual[name], tensor) for name, tensor in expected.items()}
    assert set(errors) >= {"acoustic_encoder", "semantic_adapter", "prompt_adapter", "q_proj with LoRA", "logits"}
    assert {name: error for name, error in errors.items() if error > TOLERANCE[dtype]} == {}
    assert min(errors.values()) > 1e-5  # it was not float32


def test_the_positional_convolution_is_the_only_one_with_groups(tiny_model):
    grouped = {n for n, m in tiny_model().named_modules() if isinstance(m, nn.Conv1d | nn.Conv2d) and m.groups > 1}
    assert grouped == {"acoustic_encoder.model.encoder.pos_conv_embed.conv"}


@torch.no_grad()
def test_inference_hears_what_training_heard(tiny_model, tiny_processor, batch, tmp_path):
    """A bfloat16 stage under autocast, its trained tensors in float32, and the saved model as `infer` loads it."""
    tiny_model().save_pretrained(tmp_path)
    tiny_processor.save_pretrained(tmp_path)
    trained, _ = load_model(str(tmp_path), torch.bfloat16)
    set_trainable(trained, STAGE_TWO)
    restore_stored(trained, str(tmp_path), STAGE_TWO)
    loaded, _ = load_model(str(tmp_path), torch.bfloat16)
    regimes = []
    for model in (trained.train(), loaded):
        model.semantic_encoder.register_forward_hook(
            lambda *_: regimes.append((torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")))
        )
    audio = [batch[key] for key in AUDIO]
    prompt = (batch["prompt_ids"], batch["prompt_mask"], len(batch["prompt_ids"]))
    with torch.autocast("cpu", torch.bfloat16):
        features, scale = torch.cat(trained.get_audio_features(*audio)), trained.get_lora_scale(*prompt)
    assert torch.equal(torch.cat(loaded.get_audio_features(*audio)), features)
    assert torch.equal(loaded.get_lora_scale(*prompt), scale)
    assert regimes == [(True, torch.bfloat16)] * 2
    assert not torch.is_autocast_enabled("cpu")


@torch.no_grad()
def test_float32_and_float64_stay_what_they_are(tiny_model, batch):
    for dtype in (torch.float32, torch.float64):
        assert outputs(tiny_model(dtype=dtype), batch)["fusion"].dtype == dtype
