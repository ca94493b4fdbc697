"""Sequences whose items are made when they are asked for."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar, overload

Item = TypeVar("Item", covariant=True)


class Lazy(Sequence[Item], Generic[Item]):
    """A sequence that makes an item each time it is asked for it, and a list of those of a slice."""

    @abstractmethod
    def _made(self, index: int) -> Item:
        """The item of a place from 0 on."""

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: Any) -> Any:
        places = range(len(self))[index]
        return [self._made(i) for i in places] if isinstance(index, slice) else self._made(places)
