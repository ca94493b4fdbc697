"""Which voice says which text: every voice of a language says about as many as any other."""

from collections.abc import Callable, Iterator, Sequence
from random import Random

Voices = Callable[[str], Sequence[str]]


class Cast:
    """Deals texts out to voices, in the order in which texts come.

    A text of a language is said by one voice, however many rows have it: they are about one clip. Rows that are added
    at the end of a manifest change nothing for those before them.

    Args:
        voices: of a language.
        seed: of the order in which voices take turns.
    """

    def __init__(self, voices: Voices, seed: int):
        self._voices, self._seed = voices, seed
        self._turns: dict[str, Iterator[str]] = {}
        self._dealt: dict[tuple[str, str], str] = {}

    def voice(self, text: str, language: str) -> str:
        """Who says it.

        Raises:
            NoVoice: nobody speaks the language.
        """
        if (text, language) not in self._dealt:
            if language not in self._turns:
                self._turns[language] = self._in_turn(language, self._voices(language))
            self._dealt[text, language] = next(self._turns[language])
        return self._dealt[text, language]

    def _in_turn(self, language: str, voices: Sequence[str]) -> Iterator[str]:
        """All voices in a random order, again and again."""
        rng = Random(f"voices {language} {self._seed}")
        while True:
            yield from rng.sample(voices, len(voices))
