import copy

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import WavLMModel

from wavllm_cli.model import wavlm
from wavllm_cli.model.encoders import weighted_sum


@pytest.fixture(scope="module")
def pair(tiny_config):
    """A plain WavLM of transformers and the same weights with our parts, in float64."""
    torch.manual_seed(0)
    plain = WavLMModel(tiny_config(norm="layer").acoustic_config).double().eval()
    torch.nn.init.normal_(plain.encoder.layers[0].attention.rel_attn_embed.weight)
    adapted = copy.deepcopy(plain)
    wavlm.adapt_wavlm(adapted)
    return plain, adapted


@torch.no_grad()
@pytest.mark.parametrize("block", [1, 500, wavlm.BLOCK], ids=["a query", "some queries", "all queries"])
def test_attention_in_blocks_is_transformers_attention(pair, monkeypatch, block):
    plain, adapted = pair
    monkeypatch.setattr(wavlm, "BLOCK", block)
    waves = torch.randn(3, 20_000, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    mask = (torch.arange(20_000) < torch.tensor([[20_000], [9_000], [731]])).long()
    mine, theirs = (m(waves, attention_mask=mask, output_hidden_states=True).hidden_states for m in (adapted, plain))
    frames = plain._get_feat_extract_output_lengths(mask.sum(1)).tolist()
    for ours, expected in zip(mine, theirs, strict=True):
        for row, count in enumerate(frames):
            torch.testing.assert_close(ours[row, :count], expected[row, :count])


def test_attention_in_blocks_learns_as_transformers_attention(pair, monkeypatch):
    monkeypatch.setattr(wavlm, "BLOCK", 500)
    wave = torch.randn(1, 9_000, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    gradients = []
    for model in pair:
        model.zero_grad()
        model(wave).last_hidden_state.square().sum().backward()
        gradients.append({name: p.grad for name, p in model.encoder.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-6, atol=1e-9)


@torch.no_grad()
def test_no_tensor_is_as_large_as_the_square_of_the_length(pair, monkeypatch):
    frames, sizes = 1_000, []

    class Sizes(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                sizes.append(result.untyped_storage().nbytes() // result.element_size())
            return result

    monkeypatch.setattr(wavlm, "BLOCK", 2**16)
    attention = pair[1].encoder.layers[0].attention
    with Sizes():
        attention(torch.randn(1, frames, 32, dtype=torch.double), torch.ones(1, frames, dtype=torch.bool))
    assert frames * 32 < max(sizes) <= 2**16 < frames * frames


def test_layers_are_summed_in_float32():
    states = [torch.full((1, 2, 3), value, dtype=torch.bfloat16) for value in (1.0, 2.0, 4.0)]
    total = weighted_sum(states, torch.tensor([0.1, 0.2, 0.3]))
    expected = sum(w * v for w, v in zip(torch.tensor([0.1, 0.2, 0.3]).softmax(0), (1.0, 2.0, 4.0), strict=True))
    assert total.dtype == torch.bfloat16 and torch.equal(total, torch.full((1, 2, 3), float(expected)).bfloat16())
