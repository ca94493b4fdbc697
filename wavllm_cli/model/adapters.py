"""From encoder frames (50 Hz) to speech tokens (12.5 Hz): the trained part between the encoders and the LLM."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavllm_cli.model.configuration_wavllm import halve


def length_mask(lengths: Tensor, size: int) -> Tensor:
    """(N,) lengths -> (N, size) booleans, true where a frame is real."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


class Subsampler(nn.Module):
    """Two convolutions (kernel 3, stride 2), each with a gated linear unit: a quarter of the frames.

    Frames beyond a clip's length are zeroed before each convolution, which is exactly what its own padding would be:
    the result does not depend on what a clip is batched with.
    """

    def __init__(self, input_width: int, channels: Sequence[int]):
        super().__init__()
        widths = [input_width, *(c // 2 for c in channels)]
        self.conv_layers = nn.ModuleList(
            nn.Conv1d(width, out, kernel_size=3, stride=2, padding=1)
            for width, out in zip(widths, channels, strict=False)
        )

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(N, T, D), (N,) -> (N, T / 4, channels[-1] / 2), (N,)."""
        x = frames.transpose(1, 2)
        for conv in self.conv_layers:
            x = x * length_mask(lengths, x.shape[-1])[:, None]
            x = F.glu(conv(x), dim=1)
            lengths = halve(lengths)
        return x.transpose(1, 2), lengths


class Bottleneck(nn.Module):
    """x + LayerNorm(up(GELU(down(x))))."""

    def __init__(self, width: int, inner: int):
        super().__init__()
        self.down_layer = nn.Linear(width, inner)
        self.up_layer = nn.Linear(inner, width)
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layer_norm(self.up_layer(F.gelu(self.down_layer(x))))


class SpeechAdapter(nn.Module):
    """Subsampler, bottleneck, projection: one for each encoder (paper, section 3.1).

    In training a share of what comes in and of what the projection is given is left out (`dropout`).
    """

    def __init__(
        self, input_width: int, channels: Sequence[int], bottleneck: int, output_width: int, dropout: float = 0.0
    ):
        super().__init__()
        width = channels[-1] // 2
        self.subsample = Subsampler(input_width, channels)
        self.adapter = Bottleneck(width, bottleneck)
        self.projector = nn.Linear(width, output_width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(N, T, D), (N,) -> (N, T / 4, output_width), (N,)."""
        x, lengths = self.subsample(self.dropout(frames), lengths)
        return self.projector(self.dropout(self.adapter(x))), lengths
