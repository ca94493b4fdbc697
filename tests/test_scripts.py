import pytest

from wavllm_cli.text.scripts import foreign_letters, garbled, scripts_of


@pytest.mark.parametrize(
    ("language", "scripts"),
    [("de", ("Latn",)), ("ja", ("Hani", "Hira", "Kana")), ("ko", ("Hang", "Hani")), ("zh-TW", ("Hani",)),
     ("sr", ("Cyrl",)), ("sr-Latn", ("Latn",)), ("sv_SE", ("Latn",)), ("English", ()), ("qqx-zz-9", ()), ("", ())],
)  # fmt: skip
def test_scripts_by_language(language, scripts):
    assert scripts_of(language) == scripts


@pytest.mark.parametrize(
    ("language", "text"),
    [("de", "Größe, naïve Señor – 20 % „ja“ ½ €"), ("ja", "今日はサーカスへ ABC を。"),
     ("ru", "Интернет Google"),
     ("zh", "我的iPhone很好"), ("hi", "यह 5G है"), ("xx-none", "что угодно"), ("en", "it's 20°, café"),
     ("ko", "K팝 漢字")],
)  # fmt: skip
def test_what_a_language_is_written_in(language, text):
    assert foreign_letters(text, language) is None and garbled(text) is None


@pytest.mark.parametrize(
    ("language", "text", "found"),
    [("en", "hello мир там", "мир"), ("de", "schön 你好", "你好"), ("ru", "Mосква", "Mосква"),
     ("zh", "你好안녕", "안녕")],
)  # fmt: skip
def test_what_it_is_not(language, text, found):
    assert foreign_letters(text, language) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [("das ist schÃ¶n", "schÃ¶n"), ("f\ufffdr", "\ufffd"), ("a\x07b", "\x07"), ("a\ue000", "\ue000"),
     ("Ã\x9cber", "Ã\x9cber")],
)  # fmt: skip
def test_what_is_no_text(text, found):
    assert garbled(text) in (found, "\x9c")
