import re
from random import Random
from string import Formatter

import pytest

from wavllm_cli.mini.exchanges import FAMILIES, as_said, exchanges
from wavllm_cli.mini.vocabulary import kinds, split_of, tables

SPLITS = ("train", "dev", "test")


@pytest.fixture(scope="module")
def drawn():
    """(split, spoken) -> 300 exchanges."""
    return {(split, spoken): exchanges(split, 300, 1, spoken) for split in SPLITS for spoken in (True, False)}


# One of each family, worked out by hand.
GOLDEN = {
    "What is eleven plus zero?": "eleven",
    "What is ten plus one plus two?": "thirteen",
    "What is thirteen minus two?": "eleven",
    "What is ten times two?": "twenty",
    "What is twice three?": "six",
    "What is half of two?": "one",
    "Which is larger, eleven or seven?": "eleven",
    "Which is smaller, nineteen or ten?": "ten",
    "Is eleven larger than twelve?": "No",
    "Is eight even or odd?": "even",
    "Which number comes after ten?": "eleven",
    "Which number comes before eight?": "seven",
    "Which number follows four, seven, ten?": "thirteen",
    "Robert has eleven lemons and gets seven more, how many lemons does Robert have now?": "eighteen",
    "Helen has eleven tickets and gives ten away, how many tickets are left?": "one",
    "It is six, what time is it in three hours?": "nine",
    "Which day comes after Wednesday?": "Thursday",
    "Which day comes before Thursday?": "Wednesday",
    "Which day is two days after Thursday?": "Saturday",
    "Which month comes after April?": "May",
    "Which month comes before December?": "November",
    "Which letter comes after B?": "C",
    "Which letter comes before K?": "J",
    "What is the first letter of library?": "L",
    "What is the last letter of car?": "R",
    "What is the opposite of long?": "short",
    "Which colour do you get when you mix white and black?": "grey",
    "What is the plural of city?": "cities",
    "What is the German word for outing?": "Ausflug",
    "Which of these is a day of the week, Saturday, September or grey?": "Saturday",
    "Is Thursday a kind of weather or a day of the week?": "a day of the week",
    "Repeat the digits four three seven one.": "four three seven one",
    "Say the digits eight seven eight four zero six backwards.": "six zero four eight seven eight",
    "What is the first digit of eight two zero six?": "eight",
    "What is the last digit of four nine five?": "five",
    "How many digits are there in seven zero six?": "three",
    "Translate into German: on Sunday at a quarter past six": "am Sonntag um Viertel nach sechs",
    "What does the German word schwarz mean?": "black",
    "Translate into English: ein Anruf von Nina": "a call from Nina",
    "Write in figures: four eight seven five": "4875",
    "Write 90728 in words, digit by digit.": "nine zero seven two eight",
    "Spell the word sunshine.": "s u n s h i n e",
    "Join the letters n o r t h to a word.": "north",
    "Write in capital letters: about the invoice": "ABOUT THE INVOICE",
    "Write in small letters: ON FRIDAY AFTERNOON": "on friday afternoon",
    "Repeat exactly: east Munich stamps Nina sixteen": "east Munich stamps Nina sixteen",
    "Reverse the order of these words: east Moscow": "Moscow east",
    "Sort these words by the alphabet: car frost Vienna": "car frost Vienna",
    "Sort these numbers, the smallest first: seven, eighteen, twelve": "seven, twelve, eighteen",
    "Sort these days, beginning with Monday: Thursday, Friday, Tuesday": "Tuesday, Thursday, Friday",
    "How many words are these? brown suitcase": "two",
    "What is the first word of: dress stamps south Moscow hotel": "dress",
    "What is the last word of: book gate south fifteen Monday": "Monday",
    "Which word stands in the middle? letter auction race party May": "race",
    "Which word does not belong? Robert, hail, thunder, wind": "Robert",
    "Fill the gap: Thursday, Friday, ___, Sunday": "Saturday",
    "Put table in place of Athens: wedding white Athens": "wedding white table",
    "Leave out the word Paul: Rome April sunshine Paul": "Rome April sunshine",
    "Write with commas between the words: three February apples chair": "three, February, apples, chair",
}


def test_answers_are_right():
    said = {}
    for name, family in FAMILIES.items():
        slots = family(Random(f"golden {name}"))
        wording = {**tables()["aloud"], **tables()["written"]}[name][0]
        said[wording.format_map(slots)] = slots["answer"]
    assert said == GOLDEN


def test_the_same_arguments_give_the_same_exchanges(drawn):
    assert exchanges("dev", 50, 1, spoken=True) == drawn["dev", True][:50]
    assert exchanges("dev", 50, 2, spoken=True) != drawn["dev", True][:50]


def test_what_is_asked_aloud_in_one_split_is_asked_in_no_other_way(drawn):
    words = {key: {as_said(exchange.prompt) for exchange in found} for key, found in drawn.items()}
    for split in SPLITS:
        for spoken in (True, False):
            assert split == "train" or len({exchange.prompt for exchange in drawn[split, spoken]}) == 300
        elsewhere = [words[other, spoken] for other in SPLITS for spoken in (True, False) if other != split]
        assert not (words[split, True] | words[split, False]) & set().union(*elsewhere)
    assert words["train", True] & words["train", False]  # the same questions are asked as text, too


def test_spoken_questions_are_what_a_voice_says(drawn):
    for split in SPLITS:
        for exchange in drawn[split, True]:
            assert re.fullmatch("[a-z]+( [a-z]+)+", exchange.prompt), exchange
            assert split_of(exchange.prompt) == split


def test_a_prompt_has_one_answer(drawn):
    answers = {}
    for found in drawn.values():
        for exchange in found:
            assert answers.setdefault(as_said(exchange.prompt), exchange.answer.lower()) == exchange.answer.lower()
            assert exchange.answer and len(exchange.answer.split()) <= 12


def test_there_are_thousands(drawn):
    assert len(exchanges("train", 5000, 1, spoken=True)) == len(exchanges("train", 5000, 1, spoken=False)) == 5000


def test_train_repeats_what_there_is_little_of():
    asked = exchanges("train", 3600, 1, spoken=True)  # of 36 families
    of_days = [one for one in asked if re.search("two days (after|later)", one.prompt)]
    assert len(set(of_days)) < 25 and len(of_days) > 50


def test_every_family_has_wordings_for_all_that_it_draws():
    wordings = {**tables()["aloud"], **tables()["written"]}
    assert wordings.keys() == FAMILIES.keys()
    for name, family in FAMILIES.items():
        given = set(family(Random(1))) - {"answer"}
        assert len(set(wordings[name])) >= 4
        for wording in wordings[name]:
            assert {slot for _, slot, _, _ in Formatter().parse(wording) if slot} <= given, wording


def test_words_that_are_translated_have_one_translation_each_way():
    pairs = {(word, str(kinds()[kind][word])) for kind in tables()["translated"] for word in kinds()[kind]}
    for side in zip(*pairs, strict=True):
        assert len(set(side)) == len(pairs)
