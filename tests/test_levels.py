import numpy as np
import pytest

from wavllm_cli.data.levels import HEADROOM, INT16, Levels
from wavllm_cli.errors import AudioError


def levels(*blocks) -> Levels:
    found = Levels()
    for block in blocks:
        found.add(np.asarray(block, dtype=np.float32).reshape(len(block), -1))
    return found


def test_ordinary_samples_need_no_word(noise):
    found = levels(noise(), 2 * noise())
    assert found.scale("x") == 1 and found.channel is None and not found.notes("x")
    assert levels(np.full(9, HEADROOM - 0.5)).scale("x") == 1


@pytest.mark.parametrize(
    "samples", [np.round(9000 * np.sin(np.arange(800))), 9000 * np.sin(np.arange(800)), [0, 3, -2] * 9]
)
def test_16_bit_numbers_are_divided(samples):
    found = levels(samples)
    assert found.scale("x.wav") == INT16
    note = found.notes("x.wav")[0]
    assert note.startswith("x.wav holds samples up to ") and note.endswith("they are divided by 32768.")


@pytest.mark.parametrize("peak", [12.5, 20_000.5, 1e6, 1e29])
def test_spikes_and_absurd_levels_are_refused_with_the_figure(noise, peak):
    samples = noise()
    samples[7] = peak
    with pytest.raises(AudioError, match=rf"x.wav cannot be used: its samples reach {peak:.3g} times full scale \(1 of"
                       .replace("+", r"\+")):  # fmt: skip
        levels(samples).scale("x.wav")
    with pytest.raises(AudioError, match="times full scale"):
        levels(1e29 * noise()).scale("x.wav")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused_in_every_block(noise, bad):
    samples = noise()
    samples[7] = bad
    for blocks in ((samples, noise()), (noise(), samples)):
        with pytest.raises(AudioError, match="not numbers"):
            levels(*blocks).scale("x.wav")


def test_channels_that_cancel_are_not_averaged(noise):
    one = noise()[:, None]
    opposite = levels(np.hstack([0.9 * one, -one]))
    assert opposite.channel == 1 and opposite.notes("x") == [
        "x: its channels cancel each other out; channel 1 (from 0) alone is used."
    ]
    rng = np.random.default_rng(0)
    unrelated = rng.standard_normal((4000, 64)) / 9
    for block in (np.hstack([one, one]), np.hstack([one, 0 * one]), np.hstack([one, -0.5 * one]), unrelated, 0 * one):
        assert levels(block).channel is None


def test_clipping_is_named_with_its_share(noise):
    loud = np.clip(40 * noise(), -1, 32767 / 32768)
    (note,) = levels(loud).notes("x")
    assert note.startswith("x is clipped: ") and note.endswith(" % of its samples are at full scale.")
    assert not levels(np.sin(np.arange(16_000) / 9)).notes("x")
