"""The ids of a file's rows, to find those that occur twice: of a million they take 50 MB, as a dictionary 150."""

from array import array
from collections.abc import Iterator

from wavllm_cli.data.texts import Texts


class Ids:
    """Ids and the numbers of the rows that have them, side by side; what occurs twice shows when all are there."""

    def __init__(self) -> None:
        self._ids = Texts()
        self._hashes = array("q")
        self._numbers = array("q")

    def add(self, id: str, number: int) -> None:
        self._ids.append(id)
        self._hashes.append(hash(id))
        self._numbers.append(number)

    def repeated(self) -> Iterator[tuple[int, str, int]]:
        """(number, id, number of the first row that has it) of every row whose id an earlier one has, in order."""
        import numpy as np

        hashes = np.array(self._hashes)
        order = np.argsort(hashes, kind="stable")
        is_alike = np.diff(hashes[order]) == 0
        alike = np.unique([order[:-1][is_alike], order[1:][is_alike]])  # different ids may have one hash
        first: dict[str, int] = {}
        for place in alike.tolist():
            id, number = self._ids[place], self._numbers[place]
            if id in first:
                yield number, id, first[id]
            else:
                first[id] = number
