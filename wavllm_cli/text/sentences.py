"""The sentences of a text, by NLTK's Punkt with a list of abbreviations: it needs no trained model."""

import re
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING

from wavllm_cli.text.lexicon import lexicon

if TYPE_CHECKING:
    from nltk.tokenize.punkt import PunktSentenceTokenizer

_UNSPACED_END = re.compile(r"(?<=[。！？])(?=\S)")  # where a script puts no space behind the end of a sentence


def sentences(text: str) -> list[str]:
    """ "Dr. Who? No. 他来了。真的！" -> ["Dr. Who?", "No.", "他来了。", "真的！"]."""
    return list(_splitter().tokenize(_UNSPACED_END.sub(" ", text)))


@cache
def _splitter() -> "PunktSentenceTokenizer":
    from nltk.tokenize.punkt import PunktLanguageVars, PunktParameters, PunktSentenceTokenizer

    class Ends(PunktLanguageVars):
        sent_end_chars = (*PunktLanguageVars.sent_end_chars, "。", "！", "？", "।", "؟", "۔")

    known = PunktParameters()
    known.abbrev_types = set(chain(*lexicon("abbreviations")["abbreviations"].values()))
    return PunktSentenceTokenizer(known, lang_vars=Ends())
