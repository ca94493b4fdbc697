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
def language_code(language: str) -> str:
    """ "German", "de-DE" or "DE" -> "de"; what is not in `LANGUAGES` stays as it is, in lower case."""
    word = language.replace("_", "-").split("-")[0].strip().lower()
    return next((code for code, name in LANGUAGES.items() if name.lower() == word), word)
