"""In which scripts a language is written, and which letters of a text are not of them.

Scripts of languages are the likely ones of Unicode's CLDR (by langcodes), scripts of letters those of Unicode's
character database (by regex).
"""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import regex

# ISO 15924 has codes for writing systems of several scripts; Unicode gives scripts to letters.
MIXED = {
    "Jpan": ("Hani", "Hira", "Kana"),
    "Kore": ("Hang", "Hani"),
    "Hans": ("Hani",),
    "Hant": ("Hani",),
    "Hanb": ("Hani", "Bopo"),
}
LATIN = "Latn"  # names and brands are written in it everywhere
LOOKALIKE = ("Cyrl", "Grek")  # have letters that look like Latin ones: within a word they are never meant
MOJIBAKE = ("cp1252", "latin-1")  # what UTF-8 is taken for by mistake


def scripts_of(language: str) -> tuple[str, ...]:
    """ "de" -> ("Latn",), "sr-Latn" -> ("Latn",), "ja" -> ("Hani", "Hira", "Kana"); nothing for an unknown language."""
    import langcodes

    try:
        tag = langcodes.Language.get(language)
    except ValueError:  # "English"
        return ()
    script = tag.maximize().script if tag.is_valid() and tag.language else None
    return MIXED.get(script, (script,)) if script else ()


@cache
def _foreign(language: str) -> "regex.Pattern[str] | None":
    """Letters that are of none of a language's scripts; and words in which some look like letters of theirs."""
    import regex

    scripts = scripts_of(language)
    if not scripts:
        return None
    own = "".join(rf"\p{{scx={script}}}" for script in (*scripts, LATIN))
    found = rf"[\p{{L}}--[{own}]]+"
    for script in {*scripts} & {*LOOKALIKE}:
        found += rf"|\w*(?:\p{{{LATIN}}}\p{{{script}}}|\p{{{script}}}\p{{{LATIN}}})\w*"
    return regex.compile(found, regex.VERSION1)


def foreign_letters(text: str, language: str) -> str | None:
    """The first letters of a text that its language is not written in; None where there are none, or nobody knows.

    Latin letters are at home in every language, but not beside Cyrillic or Greek ones in a word.
    """
    pattern = None if text.isascii() else _foreign(language)
    found = pattern.search(text) if pattern else None
    return found[0] if found else None


@cache
def _unprintable() -> "regex.Pattern[str]":
    import regex

    # U+FFFD stands where bytes could not be decoded; Co, Cn, Cc: private, unassigned, control.
    return regex.compile(r"[\ufffd\p{Co}\p{Cn}[\p{Cc}--[\t\n\r]]]", regex.VERSION1)


def garbled(text: str) -> str | None:
    """The first of a text that is no text: a character that stands for none, or UTF-8 that was read as Latin-1."""
    if found := _unprintable().search(text):
        return found[0]
    return None if text.isascii() else next(filter(None, (_mojibake(text, codec) for codec in MOJIBAKE)), None)


def _mojibake(text: str, codec: str) -> str | None:
    """`"schÃ¶n"`, if the whole text is such: in nothing that people write do all accents make UTF-8."""
    try:
        text.encode(codec).decode()
    except (UnicodeEncodeError, UnicodeDecodeError):
        return None
    return next(word for word in text.split() if not word.isascii())
