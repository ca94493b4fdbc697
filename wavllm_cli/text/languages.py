"""The languages that manifests speak of, by their codes."""

from functools import cache

# The target languages of CoVoST 2 and MuST-C, and English.
LANGUAGES = {
    "ar": "Arabic",
    "ca": "Catalan",
    "cs": "Czech",
    "cy": "Welsh",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "et": "Estonian",
    "fa": "Persian",
    "fr": "French",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "lv": "Latvian",
    "mn": "Mongolian",
    "nl": "Dutch",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sl": "Slovenian",
    "sv": "Swedish",
    "ta": "Tamil",
    "tr": "Turkish",
    "vi": "Vietnamese",
    "zh": "Chinese",
}


def known_language(code: str) -> str | None:
    """ "de", "de-DE" or "de_DE" -> "German"; None for a code that is not in `LANGUAGES`."""
    return LANGUAGES.get(code.replace("_", "-").split("-")[0].lower())


@cache
def language_tag(language: str) -> str:
    """A language as BCP 47 has it: "zh_cn" -> "zh-CN", "German" -> "de", "nan-tw" -> "nan-TW"."""
    first, *subtags = language.strip().replace("_", "-").split("-")
    return "-".join([language_code(first), *map(_subtag, subtags)])


def _subtag(text: str) -> str:
    """Regions in upper case, scripts with a capital, variants in lower case."""
    if len(text) == 2:
        return text.upper()
    return text.title() if len(text) == 4 and text.isalpha() else text.lower()


@cache
def language_code(language: str) -> str:
    """ "German", "de-DE" or "DE" -> "de"; what is not in `LANGUAGES` stays as it is, in lower case."""
    word = language.replace("_", "-").split("-")[0].strip().lower()
    return next((code for code, name in LANGUAGES.items() if name.lower() == word), word)
