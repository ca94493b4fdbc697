"""Phrases as regular expressions, what is wrong with a lexicon, and the ones that come with the package."""

import re
from importlib.resources import files

import pytest

from wavllm_cli.errors import WavLLMError
from wavllm_cli.text.languages import LANGUAGES
from wavllm_cli.text.lexicon import GAP, any_of, lexicon, parse, pattern, phrases

SHIPPED = [path.name.removesuffix(".yaml") for path in (files("wavllm_cli.text") / "lexicon").iterdir()]
AMONG = parse("animal: {en: [cat, dog], fr: [chien]}\nowned: {en: ['(my|your) {animal}']}", "pets.yaml")


def finds(phrase: str, text: str) -> bool:
    return re.search(any_of([phrase], AMONG), text, re.IGNORECASE) is not None


@pytest.mark.parametrize(
    ("phrase", "found", "other"),
    [
        ("at most", "At  most ten", "at mostly"),
        ("(no|not) more than", "not more than", "more than"),
        ("at the? most", "at most", "at a most"),
        ("a (very|rather)? big cat", "a big cat", "a very rather big cat"),
        ("résum*", "un résumé court", "préresume"),
        ("*n't", "it isn't so", "it is"),
        ("a * cat", "a well-fed cat", "a very big cat"),
        ("the {animal} sat", "the chien sat", "the bird sat"),
        ("{owned}", "is it your dog?", "is it dog?"),
        ("no audio … attached", "no audio file is attached", "no audio. It is attached"),
        ("don't (hear|see)", "I don't see", "I do see"),
        ("日本語", "これは日本語です", "日本"),
        ("german", "翻译成german吧", "germany"),
        ("c++", "in c++ code", "in c"),
    ],
)
def test_a_phrase_finds_what_it_says_and_no_neighbour(phrase, found, other):
    assert finds(phrase, found)
    assert not finds(phrase, other)


def test_a_gap_is_limited():
    assert finds("one … two", f"one {'a' * (GAP - 1)} two")
    assert not finds("one … two", f"one {'a' * (GAP + 1)} two")


def test_the_longest_phrase_is_found_first():
    assert re.search(any_of(["sum", "sum up"]), "sum up")[0] == "sum up"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- sad", "mood.yaml has to map names to languages to lists of phrases"),
        ("sad: [unhappy]", "mood.yaml: sad has to be a list of phrases under the code of their language"),
        ("sad: {en: unhappy}", "mood.yaml: sad.en has to be a list of phrases"),
        ("sad: {en: []}", "mood.yaml: sad.en has to be a list of phrases"),
        ("sad: {en: [no]}", "mood.yaml: sad.en: False is no text in lower case"),
        ("sad: {en: [Unhappy]}", "mood.yaml: sad.en: 'Unhappy' is no text in lower case"),
        ("sad: {en: [", "mood.yaml is no YAML"),
    ],
)
def test_what_is_wrong_with_a_lexicon_is_said_with_its_place(text, message):
    with pytest.raises(WavLLMError, match=re.escape(message)):
        parse(text, "mood.yaml")


def test_phrases_that_name_each_other_are_refused():
    among = parse("a: {en: ['{b}']}\nb: {en: ['{a}']}", "round.yaml")
    with pytest.raises(WavLLMError, match="names itself"):
        any_of(["{a}"], among)


@pytest.mark.parametrize("file", SHIPPED)
def test_what_comes_with_the_package_is_sound(file):
    for name, languages in lexicon(file).items():
        said = phrases(file, name)
        assert set(languages) <= LANGUAGES.keys(), name
        assert len(set(said)) == len(said), name
        assert not pattern(file, name).search(""), name
