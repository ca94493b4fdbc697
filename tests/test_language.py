"""Which language a text is in, and which one an instruction names."""

import pytest

from wavllm_cli.text.language import by_script, is_in, language_of, named_in
from wavllm_cli.text.languages import LANGUAGES, language_tag

SENTENCES = {
    "ar": "غادرت الحافلة في الساعة العاشرة وكان علينا أن نعود إلى المنزل سيرا على الأقدام تحت المطر.",
    "ca": "L'autobús va marxar a les deu i vam haver de tornar a casa caminant sota la pluja.",
    "cs": "Autobus odjel v deset hodin a my jsme museli jít domů pěšky v dešti.",
    "de": "Der Bus fuhr um zehn Uhr ab und wir mussten im Regen nach Hause gehen.",
    "en": "The bus left at ten o'clock and we had to walk home in the rain.",
    "es": "El autobús salió a las diez y tuvimos que volver a casa caminando bajo la lluvia.",
    "fr": "Le bus est parti à dix heures et nous avons dû rentrer à pied sous la pluie.",
    "it": "L'autobus è partito alle dieci e siamo dovuti tornare a casa a piedi sotto la pioggia.",
    "ja": "バスは十時に出発したので、私たちは雨の中を歩いて帰らなければなりませんでした。",
    "ko": "버스가 열 시에 출발해서 우리는 비를 맞으며 집까지 걸어가야 했습니다.",
    "nl": "De bus vertrok om tien uur en we moesten in de regen naar huis lopen.",
    "pt": "O ônibus saiu às dez horas e tivemos que voltar para casa a pé na chuva.",
    "ru": "Автобус уехал в десять часов, и нам пришлось идти домой пешком под дождём.",
    "sv": "Bussen gick klockan tio och vi var tvungna att gå hem i regnet.",
    "tr": "Otobüs saat onda kalktı ve yağmurda eve yürümek zorunda kaldık.",
    "zh": "公共汽车十点钟开走了，我们只好冒雨走回家。",
}


@pytest.mark.parametrize("code", SENTENCES)
def test_a_sentence_is_in_its_own_language_and_in_no_other(code):
    text = SENTENCES[code]
    assert language_of(text) == code
    assert {other for other in SENTENCES if is_in(text, other)} == {code}


def test_languages_go_by_codes_regions_and_names():
    for german in ("de", "de-DE", "de_AT", "DE", "German"):
        assert is_in(SENTENCES["de"], german)
        assert not is_in(SENTENCES["fr"], german)


def test_any_text_may_be_in_a_language_that_the_identifier_does_not_know():
    assert is_in(SENTENCES["en"], "sw") and is_in(SENTENCES["zh"], "Klingon")


def test_what_has_no_letters_is_in_every_language_and_in_none():
    for text in ("", " ", "42 %", "… !", "10:30"):
        assert language_of(text) is None
        assert all(is_in(text, code) for code in LANGUAGES)


def test_a_word_or_two_are_given_the_benefit_of_the_doubt():
    assert is_in("Wellington", "de") and is_in("Wellington", "en")
    assert not is_in("公共汽车", "en") and not is_in("The bus left.", "zh")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("今天", "zh"),
        ("カメラ", "ja"),
        ("東京に行きました", "ja"),
        ("안녕하세요", "ko"),
        ("用 GPU 训练", "zh"),
        ("The Chinese word for tea is 茶", None),
        ("Привет", None),
        ("hello", None),
        ("123", None),
        ("", None),
    ],
)
def test_scripts_that_tell_a_language(text, expected):
    assert by_script(text) == expected


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ("translate the French text into German", "de"),
        ("Translate this English summary into chinese.", "zh"),
        ("Give the Mandarin version", "zh"),
        ("Übersetze den Text ins Deutsche.", "de"),
        ("Fasse den deutschen Text auf Englisch zusammen", "en"),
        ("Traduisez en français", "fr"),
        ("Traduisez le texte anglais en allemand", "de"),
        ("Traduce al español", "es"),
        ("It's a plan e for you", None),
        ("请把这段话翻译成英文", "en"),
        ("把中文翻译成日语", "ja"),
        ("日本語に翻訳してください", "ja"),
        ("transcribe the clip", None),
        ("find the finish line", None),
        ("Germany's capital?", None),
        ("", None),
    ],
)
def test_the_last_language_that_an_instruction_names(instruction, expected):
    assert named_in(instruction) == expected


def test_every_language_is_known_by_its_english_name():
    assert {code: named_in(f"translate it into {name}, please") for code, name in LANGUAGES.items()} == {
        code: code for code in LANGUAGES
    }


def test_of_a_long_text_only_the_beginning_is_looked_at(monkeypatch):
    from py3langid.langid import LanguageIdentifier

    lengths = []
    rank = LanguageIdentifier.rank
    monkeypatch.setattr(LanguageIdentifier, "rank", lambda self, text: lengths.append(len(text)) or rank(self, text))
    assert is_in(SENTENCES["de"] * 1000, "de")
    assert max(lengths) <= 1000


@pytest.mark.parametrize(("text", "code"), [("ฉันรักคุณที่นี่", "th"), ("ខ្ញុំស្រលាញ់អ្នក", "km"), ("good day to you all ฉัน", None)])
def test_scripts_of_one_language_say_which_it_is(text, code):
    assert by_script(text) == code


@pytest.mark.parametrize(
    "said, tag",
    [("zh_cn", "zh-CN"), ("German", "de"), ("sv-SE", "sv-SE"), ("zh-hant-tw", "zh-Hant-TW"), ("hsb", "hsb")],
)
def test_languages_by_their_tag(said, tag):
    assert language_tag(said) == tag
