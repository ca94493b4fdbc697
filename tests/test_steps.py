"""Steps of decoding: draws that depend on the row alone, rows whose logits are no numbers."""

from collections import Counter

import pytest
import torch

from wavllm_cli.systems.steps import Choice, FirstLook, row_seed


def test_seeds_depend_on_seed_and_id_and_nothing_else():
    seeds = [row_seed(0, "a"), row_seed(0, "b"), row_seed(1, "a"), row_seed(10**30, "a"), row_seed(-1, "a")]
    assert len(set(seeds)) == 5 and all(0 <= seed < 2**63 for seed in seeds)
    assert row_seed(0, "a") == 7473381847846152037


def draws(scores: torch.Tensor, seeds, steps: int) -> list[list[int]]:
    """Tokens that each row draws from the same scores again and again."""
    look = FirstLook()
    choice = Choice(look, [torch.Generator().manual_seed(seed) for seed in seeds], eos=0, logprobs=False)
    return torch.stack([choice(None, look(None, scores)).argmax(-1) for _ in range(steps)], dim=1).tolist()


def test_a_row_draws_the_same_alone_and_in_any_company():
    scores = torch.randn(3, 50, generator=torch.Generator().manual_seed(0))
    together = draws(scores, (7, 8, 9), 20)
    assert together == [draws(scores[i : i + 1], (seed,), 20)[0] for i, seed in enumerate((7, 8, 9))]
    assert together[::-1] == draws(scores.flip(0), (9, 8, 7), 20)


def test_draws_follow_the_distribution():
    probabilities = torch.tensor([0.1, 0.0, 0.6, 0.3])
    tokens = draws(probabilities.log().expand(4000, 4), range(4000), 1)
    counts = Counter(token for (token,) in tokens)
    assert counts[1] == 0
    for token, share in ((0, 0.1), (2, 0.6), (3, 0.3)):
        assert counts[token] / 4000 == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_row_that_is_not_finite_is_noted_and_ended(value):
    look = FirstLook()
    choice = Choice(look, None, eos=2, logprobs=True)
    scores = torch.zeros(2, 4)
    scores[:, 1] = 1
    assert choice(None, look(None, scores)).argmax(-1).tolist() == [1, 1]
    scores[0, 3] = value
    assert choice(None, look(None, scores)).argmax(-1).tolist() == [2, 1]
    scores[0, 3] = 0
    assert choice(None, look(None, scores)).argmax(-1).tolist() == [2, 1], "once broken, always broken"
    assert look.broken.tolist() == [True, False]
    assert torch.stack(choice.logprobs).isfinite().all()
