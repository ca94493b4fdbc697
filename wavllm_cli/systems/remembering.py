"""A computation that is asked for again with the very same tensors: the encoder's, in every question about a clip."""

from collections.abc import Callable
from copy import copy
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")


def remembering(compute: Callable[P, R]) -> Callable[P, R]:
    """The same function, which has its last result at hand where all arguments are what they were.

    For weights that do not change. Of a list or a dictionary everyone gets a copy, for `generate` changes them.
    """
    last: tuple[Any, R] | None = None

    @wraps(compute)
    def computed(*args: P.args, **kwargs: P.kwargs) -> R:
        nonlocal last
        if last is None or not _same(last[0], (args, kwargs)):
            last = None  # not two results at a time
            last = ((args, kwargs), compute(*args, **kwargs))
        return last[1] if isinstance(last[1], Tensor) else copy(last[1])

    return computed


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        alike = (one.shape, one.dtype, one.device) == (other.shape, other.dtype, other.device)
        return one is other or (alike and torch.equal(one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and bool(one == other)
