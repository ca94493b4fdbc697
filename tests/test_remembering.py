"""A computation that knows its last result."""

import torch

from wavllm_cli.systems.remembering import remembering


def test_the_same_tensors_are_computed_with_once():
    calls = []

    def double(tensor, *, names=(), mask=None):
        calls.append(names)
        return [2 * tensor]

    known = remembering(double)
    ones, mask = torch.ones(2, 3), torch.tensor([True])
    first = known(ones, names=["a"], mask=mask)
    first.append("changed by whoever was given it")
    (second,) = known(ones.clone(), names=["a"], mask=mask.clone())
    assert torch.equal(second, 2 * ones) and len(calls) == 1
    others = [(ones + 1, ["a"], mask), (ones, ["b"], mask), (ones, ["b"], ~mask), (ones, ["b"], None)]
    others += [(ones.double(), ["b"], None), (ones[:1], ["b"], None), (ones, ["a"], mask)]
    for tensor, names, other in others:
        (result,) = known(tensor, names=names, mask=other)
        assert torch.equal(result, 2 * tensor)
    assert len(calls) == 1 + len(others)
