"""Many short texts in little memory: of a million paths and the like, 8 bytes each beside their own."""

from array import array


class Texts:
    """Texts as bytes, one after the other; each is a string only while it is touched."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ends = array("q", [0])

    def append(self, text: str) -> None:
        self._bytes += text.encode()
        self._ends.append(len(self._bytes))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> str:
        return self._bytes[self._ends[index] : self._ends[index + 1]].decode()
