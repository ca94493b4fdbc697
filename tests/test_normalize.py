import random
import unicodedata
from dataclasses import replace

import pytest

from wavllm_cli.errors import UsageError
from wavllm_cli.text.normalize import (
    NORMALIZERS,
    as_spoken,
    basic,
    erases,
    get_normalizer,
    librispeech,
    normalizers_named,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don’t -- well-known, GRÖSSE!", "don't well known grösse"),
        ("'Tis the boys' ball, 'he said'.", "tis the boys ball he said"),
        ("  a\t b\n\nc ", "a b c"),
        ("„Grüß Gott“ – 5 € + 3%", "grüß gott 5 3"),
        ("这是，测试。", "这是 测试"),
        ("नमस्ते!", "नमस्ते"),  # combining vowel signs are no punctuation
        ("snake_case", "snake case"),
        ("... ?!", ""),
        ("", ""),
    ],
)
def test_basic(text, expected):
    assert basic(text) == expected


def test_basic_does_not_care_how_an_umlaut_is_encoded():
    assert basic(unicodedata.normalize("NFD", "Über größte Äpfel")) == "über größte äpfel"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MISTER QUILTER'S MANNER", "mister quilter's manner"),
        ("Señor, the boys’ 2 dogs!", "senor the boys' 2 dogs"),
        ("Cæsar's well-known Œuvre", "caesar's well known oeuvre"),
    ],
)
def test_librispeech(text, expected):
    assert librispeech(text) == expected


def test_none_and_lower_change_nothing_else():
    assert get_normalizer("none")("A,  B ") == "A,  B "
    assert get_normalizer("lower")("A,  Ü ") == "a,  ü "


SENTENCES = [
    "Mr. Smith's colour won't cost $20",
    "twenty one",
    "  [noise] Uh, I'm gonna (laughs) pay £3.50 – y'know?",
    "Größe und Straße, 20 %",
    "double oh seven, the 2nd of the nineties",
    "",
]


@pytest.mark.parametrize(
    ("text", "english", "others"),
    [
        (
            "Mr. Smith's colour won't cost $20",
            "mister smith is color will not cost $20",
            "mr smith s colour won t cost 20",
        ),
        ("twenty one", "21", "twenty one"),
        ("[noise] Uh, I'm here. ", "i am here", "uh i m here"),
    ],
)
def test_whispers_normalisers(text, english, others):
    assert get_normalizer("whisper-english")(text) == english
    assert get_normalizer("whisper-basic")(text) == others


def test_whispers_normalisers_are_those_of_the_libraries():
    from transformers.models.whisper.english_normalizer import BasicTextNormalizer
    from whisper_normalizer.english import EnglishTextNormalizer  # its own copy of the code, and of the spellings

    for text in SENTENCES:
        assert get_normalizer("whisper-english")(text) == EnglishTextNormalizer()(text).strip()
        assert get_normalizer("whisper-basic")(text) == BasicTextNormalizer()(text).strip()


def test_all_normalisers_have_one_name():
    assert normalizers_named("all") == list(NORMALIZERS.values())
    assert normalizers_named("lower") == [NORMALIZERS["lower"]]
    with pytest.raises(UsageError, match="unknown normaliser 'al'"):
        normalizers_named("al")


@pytest.mark.parametrize("name", [name for name in NORMALIZERS if not name.startswith("whisper")])
def test_normalising_twice_is_normalising_once(name):
    rng = random.Random(0)
    for _ in range(2000):
        text = "".join(chr(rng.choice((rng.randrange(32, 127), rng.randrange(160, 0x2FFF)))) for _ in range(12))
        once = NORMALIZERS[name](text)
        assert NORMALIZERS[name](once) == once, repr(text)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match="'libraspeech': did you mean 'librispeech'"):
        get_normalizer("libraspeech")


@pytest.mark.parametrize("name", ["basic", "librispeech", "whisper-english", "whisper-basic"])
def test_characters_that_show_nothing_are_nothing(name):
    normalizer = NORMALIZERS[name]
    shown, hidden = "hello Donaudampfschiff naïve", "hello\u200b Donau\u00addampf\u00adschiff \ufeffnaïve\u200e"
    assert normalizer(hidden) == normalizer(shown)


def test_an_i_has_a_dot_or_none_by_the_language():
    basic = NORMALIZERS["basic"]
    turkish = replace(basic, language="tr")
    assert (turkish("IŞIK İstanbul"), basic("İstanbul"), basic("DIES")) == ("ışık istanbul", "istanbul", "dies")
    assert (turkish.signature, basic.signature) == ("basic|case:tr", "basic")
    untouched = replace(NORMALIZERS["none"], language="tr")
    assert (untouched("IŞIK"), untouched.signature) == ("IŞIK", "none")


@pytest.mark.parametrize(
    ("name", "text", "erased"),
    [
        ("librispeech", "привет мир", True),
        ("librispeech", "привет, ok", True),
        ("librispeech", "señor, naïve Größe – œuvre", False),
        ("librispeech", "5 µm long", False),
        ("librispeech", "…", False),
        ("whisper-basic", "मैं घर जा रहा हूँ", True),
        ("whisper-english", "मैं घर जा रहा हूँ", True),
        ("whisper-basic", "ฉันรักคุณที่นี่", True),
        ("whisper-basic", "привет мир", False),
        ("whisper-basic", "(laughs)", False),
        ("basic", "मैं घर जा रहा हूँ", False),
        ("basic", "今天天气很好", False),
    ],
)
def test_a_normaliser_that_does_not_fit_a_script_erases_what_tells_words_apart(name, text, erased):
    assert erases(text, NORMALIZERS[name](text)) is erased


@pytest.mark.parametrize(
    "text, language, spoken",
    [
        ("“Don’t -- well-known,” the boys’ 2 DOGS said.", "en", "don't well known the boys' 2 dogs said"),
        ("He said 'that's it' and 'no', 'cause ''I'' can.", "en", "he said that's it and no 'cause i can"),
        ("’Tis the boys’ turn; fish ’n’ chips for ’em!", "en", "'tis the boys' turn fish 'n' chips for 'em"),
        ("He wrote 'twas, 't and 'no'.", None, "he wrote 'twas 't and no"),
        ("'Tis so', 'em' in print.", "fr", "tis so em in print"),
        ("’s ist ‘so’, ’ne Tür der Jungs’.", "de", "'s ist so 'ne tür der jungs'"),
        ("Col·lecció · L’Hospitalet", "ca", "col·lecció l'hospitalet"),
        ("می‌خواهم.", "fa", "می‌خواهم"),
        ("IŞIK İzmir", "tr", "ışık izmir"),
        ("Gro\u0308ße…", "de", "größe"),
        ("—'—", None, ""),
    ],
)
def test_as_spoken(text, language, spoken):
    assert as_spoken(text, language) == spoken
