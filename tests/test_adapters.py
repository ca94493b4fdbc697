import pytest
import torch
from torch import nn

from wavllm_cli.model.adapters import Bottleneck, SpeechAdapter, Subsampler, length_mask
from wavllm_cli.model.configuration_wavllm import halve


def test_length_mask():
    assert length_mask(torch.tensor([2, 0, 3]), 3).tolist() == [[1, 1, 0], [0, 0, 0], [1, 1, 1]]


def test_bottleneck_is_a_residual_with_its_norm_inside():
    layer = Bottleneck(6, 4)
    x = torch.randn(2, 3, 6)
    inner = nn.functional.gelu(x @ layer.down_layer.weight.T + layer.down_layer.bias)
    update = inner @ layer.up_layer.weight.T + layer.up_layer.bias
    update = (update - update.mean(-1, keepdim=True)) / (update.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(layer(x), x + update)


def test_subsampler_halves_channels_by_gating_and_frames_by_stride():
    """One channel, weights chosen so that each gate is open: conv1 keeps the even frames, conv2 sums three of them."""
    layer = Subsampler(1, (2, 2))
    for conv, taps in zip(layer.conv_layers, ((0.0, 1.0, 0.0), (1.0, 1.0, 1.0)), strict=True):
        nn.init.zeros_(conv.weight)
        conv.weight.data[0, 0] = torch.tensor(taps)
        conv.bias.data = torch.tensor([0.0, 100.0])  # sigmoid(100) = 1
    frames = torch.arange(1.0, 8.0)[None, :, None]  # 1..7 -> 1 3 5 7 -> 1+3, 3+5+7
    tokens, lengths = layer(frames, torch.tensor([7]))
    assert tokens.flatten().tolist() == [4.0, 15.0]
    assert lengths.tolist() == [2]


@pytest.mark.parametrize("channels", [(8, 12), (8,), (8, 12, 8)])
def test_row_of_a_padded_batch_equals_the_row_alone(channels):
    torch.manual_seed(0)
    adapter = SpeechAdapter(5, channels, bottleneck=3, output_width=7).double()
    rows = [torch.randn(n, 5, dtype=torch.double) for n in (1, 2, 9, 16, 17)]
    lengths = torch.tensor([len(row) for row in rows])
    padded = torch.full((len(rows), 17, 5), 9.0, dtype=torch.double)  # what lies beyond a row's end must not matter
    for i, row in enumerate(rows):
        padded[i, : len(row)] = row
    together, out_lengths = adapter(padded, lengths)
    for row, tokens, n in zip(rows, together, out_lengths.tolist(), strict=True):
        alone, _ = adapter(row[None], torch.tensor([len(row)]))
        expected = len(row)
        for _ in channels:
            expected = halve(expected)
        assert n == expected == alone.shape[1]
        torch.testing.assert_close(tokens[:n], alone[0])


def test_dropout_leaves_out_in_training_alone():
    torch.manual_seed(0)
    adapter = SpeechAdapter(5, (8, 12), bottleneck=3, output_width=7, dropout=0.5)
    frames, lengths = torch.randn(1, 16, 5), torch.tensor([16])
    heard, again = adapter(frames, lengths)[0], adapter(frames, lengths)[0]
    assert not torch.equal(heard, again)
    adapter.eval()
    assert torch.equal(adapter(frames, lengths)[0], adapter(frames, lengths)[0])
