import re
from random import Random
from string import Formatter

import pytest

from wavllm_cli.errors import UsageError
from wavllm_cli.mini.vocabulary import Noun, distinct, kinds, world
from wavllm_cli.mini.world import german_digits, scenes
from wavllm_cli.text.words import count_words

SPLITS = ("train", "dev", "test")


@pytest.fixture(scope="module")
def drawn():
    """300 scenes of each split."""
    return {split: scenes(split, 300, seed=1) for split in SPLITS}


@pytest.fixture(scope="module")
def told(drawn):
    return [scene for split in SPLITS for scene in drawn[split]]


# A scene of each story, read by eye: word order, cases of the three genders, numbers, times, contractions.
GOLDEN = {
    "if you need help phone sarah on three four nine four": (
        "Wenn Sie Hilfe brauchen, rufen Sie Sarah unter drei vier neun vier an.",
        "Phone number of Sarah.",
        "Telefonnummer von Sarah.",
    ),
    "three nine seven two is the code for the white suitcase": (
        "Drei neun sieben zwei ist der Code für den weißen Koffer.",
        "Code for the white suitcase.",
        "Code für den weißen Koffer.",
    ),
    "please write down that the wedding is on the ninth of december": (
        "Bitte notieren Sie, dass die Hochzeit am neunten Dezember ist.",
        "Wedding on the ninth of December.",
        "Hochzeit am neunten Dezember.",
    ),
    "for four euros we will send you the red jacket": (
        "Für vier Euro schicken wir Ihnen die rote Jacke.",
        "Red jacket for four euros.",
        "Rote Jacke für vier Euro.",
    ),
    "i would like to order nine apples and six eggs": (
        "Ich möchte neun Äpfel und sechs Eier bestellen.",
        "Nine apples and six eggs.",
        "Neun Äpfel und sechs Eier.",
    ),
    "to get to munich you must take the train from milan at half past nine": (
        "Um nach München zu kommen, müssen Sie um halb zehn den Zug von Mailand nehmen.",
        "Train to Munich at half past nine.",
        "Zug nach München um halb zehn.",
    ),
    "the ticket is listed as number two five nine six": (
        "Die Karte ist als Nummer zwei fünf neun sechs eingetragen.",
        "Ticket number two five nine six.",
        "Karte Nummer zwei fünf neun sechs.",
    ),
    "drive carefully in the east because we expect fog on tuesday afternoon": (
        "Fahren Sie im Osten vorsichtig, denn wir erwarten am Dienstagnachmittag Nebel.",
        "Fog in the east on Tuesday afternoon.",
        "Nebel im Osten am Dienstagnachmittag.",
    ),
    "thomas got a call from robert at a quarter past five about the gift": (
        "Thomas bekam um Viertel nach fünf einen Anruf von Robert, es ging um das Geschenk.",
        "Call from Robert to Thomas.",
        "Anruf von Robert bei Thomas.",
    ),
    "the forecast for vienna says that there is thunder on saturday": (
        "Die Vorhersage für Wien sagt, dass es am Samstag Donner gibt.",
        "Thunder in Vienna on Saturday.",
        "Donner am Samstag in Wien.",
    ),
    "prague reports fifteen degrees while brussels reports thirteen degrees": (
        "Prag meldet fünfzehn Grad, während Brüssel dreizehn Grad meldet.",
        "Fifteen degrees in Prague, thirteen in Brussels.",
        "Fünfzehn Grad in Prag, dreizehn in Brüssel.",
    ),
    "instead of tuesday the meeting with paul is now on thursday": (
        "Statt am Dienstag ist das Treffen mit Paul jetzt am Donnerstag.",
        "Meeting with Paul now on Thursday.",
        "Treffen mit Paul jetzt am Donnerstag.",
    ),
    "let us talk to peter on the phone about the invoice on wednesday morning": (
        "Lassen Sie uns am Mittwochmorgen mit Peter am Telefon über die Rechnung sprechen.",
        "Phone call with Peter on Wednesday morning.",
        "Telefonat mit Peter am Mittwochmorgen.",
    ),
    "a seat on the train to moscow is booked for nina on friday": (
        "Für Nina ist am Freitag ein Platz im Zug nach Moskau reserviert.",
        "Nina travels to Moscow on Friday.",
        "Nina reist am Freitag nach Moskau.",
    ),
    "we are sorry that the train to berlin on platform four is seven minutes late": (
        "Es tut uns leid, dass der Zug nach Berlin auf Gleis vier um sieben Minuten verspätet ist.",
        "Train to Berlin seven minutes late.",
        "Zug nach Berlin sieben Minuten verspätet.",
    ),
    "david will wait for you in the library on tuesday at a quarter past two": (
        "David wartet am Dienstag um Viertel nach zwei in der Bibliothek auf Sie.",
        "Meeting with David on Tuesday.",
        "Treffen mit David am Dienstag.",
    ),
    "the thirteen pencils that martin bought cost eleven euros": (
        "Die dreizehn Bleistifte, die Martin gekauft hat, kosten elf Euro.",
        "Martin bought thirteen pencils.",
        "Martin hat dreizehn Bleistifte gekauft.",
    ),
    "please bring martin the brown umbrella instead of the yellow one": (
        "Bitte bringen Sie Martin den braunen Regenschirm statt des gelben.",
        "The brown umbrella is for Martin.",
        "Der braune Regenschirm ist für Martin.",
    ),
}


def test_the_world_as_it_is_told():
    said = {scene.text: scene for split in ("dev", "test") for scene in scenes(split, 400, seed=5)}
    assert len(GOLDEN) == len(world()["stories"])
    for text, known in GOLDEN.items():
        assert (said[text].german, said[text].summary, said[text].summary_german) == known


def test_the_same_arguments_give_the_same_scenes(drawn):
    assert scenes("dev", 50, seed=1) == drawn["dev"][:50]
    assert scenes("dev", 50, seed=2) != drawn["dev"][:50]


def check_disjoint(drawn, each):
    facts = {split: {scene.key.rpartition(" | ")[0] for scene in drawn[split]} for split in SPLITS}
    texts = {split: {scene.text for scene in drawn[split]} for split in SPLITS}
    assert {len(said) for said in texts.values()} == {each}
    for held_out in (facts, texts):
        assert held_out["train"].isdisjoint(held_out["dev"] | held_out["test"])
        assert held_out["dev"].isdisjoint(held_out["test"])


def test_no_scene_is_drawn_twice_and_no_facts_are_in_two_splits(drawn):
    check_disjoint(drawn, 300)


@pytest.mark.slow
def test_thousands_of_scenes_share_no_facts():
    check_disjoint({split: scenes(split, 3000, seed) for seed, split in enumerate(SPLITS)}, 3000)


def test_more_than_there_are_cannot_be_drawn():
    dice = Random(1)

    def draw():
        rolled = dice.randint(1, 6)
        return None if rolled == 6 else (rolled, lambda: rolled)

    assert sorted(distinct(draw, 5, "rolls")) == [1, 2, 3, 4, 5]
    with pytest.raises(UsageError, match=r"^6 rolls were asked for, but there are hardly more than 5"):
        distinct(draw, 6, "rolls")


def test_text_is_what_a_voice_says(told):
    for scene in told:
        assert re.fullmatch("[a-z]+( [a-z]+)*", scene.text), scene.text
        assert 6 <= count_words(scene.text) <= 16, scene.text


def test_german_and_summaries_are_sentences(told):
    for scene in told:
        assert re.fullmatch(r"[A-ZÄÖÜ][\wäöüß, ]+\.", scene.german), scene.german
        for summary in (scene.summary, scene.summary_german):
            assert re.fullmatch(r"[A-Z][\wäöüß, ]+\.", summary) and count_words(summary) <= 8, summary


def test_german_holds_no_english(told):
    """Words of four letters and more; a name, and what both languages spell alike, is no English."""
    alike = {"code", "hotel", "park", "museum", "thermometer", "wind", "frost", "garage", "also", "will"}
    alike |= {"april", "august", "september", "november"}
    english = {word for scene in told for word in scene.text.split() if len(word) > 3}
    names = {word.lower() for kind in ("person", "city") for word, german in kinds()[kind].items() if word == german}
    german = {word for scene in told for word in re.findall(r"\w+", f"{scene.german} {scene.summary_german}".lower())}
    assert german & english - names <= alike


def test_every_fact_of_a_sentence_is_in_its_german(told):
    for scene in told:
        for fact in scene.key.split(" | ")[1:-1]:
            german = next((words[fact] for words in kinds().values() if fact in words), None) or german_digits(fact)
            assert any(words[fact] in scene.german for words in kinds().values() if fact in words) or (
                german.lower() in scene.german.lower()
            ), (fact, scene.german)


def test_questions_follow_from_what_is_said(told):
    topics = {about["about"] for about in world()["domains"].values()}
    for scene in told:
        assert 3 <= len(scene.questions) <= 5
        assert len({q.question for q in scene.questions}) == len(scene.questions)
        *about_facts, about_all = scene.questions
        assert about_all.answer == world()["domains"][scene.domain]["about"] and topics.issuperset(about_all.wrong)
        for q in about_facts:
            assert q.question[0].isupper() and q.question.endswith("?")
            assert len({q.answer, *q.wrong}) == 3, q
            if not q.question.startswith(("How many digits", "Of how many digits", "What is the length")):
                assert f" {q.answer.lower()} " in f" {scene.text} ", (scene.text, q)


def test_to_have_heard_a_word_is_not_enough(told):
    """Where the other city of a train, the other number of an order, another digit is heard, it is a wrong choice."""
    trains = [scene for scene in told if " | " in scene.key and "Where does the journey end?" in str(scene.questions)]
    assert trains
    for scene in trains:
        start, end = scene.questions[:2]
        assert start.answer in end.wrong and end.answer in start.wrong
    for scene in told:
        for q in scene.questions:
            if q.question == "Which digit comes first?":
                spoken = set(scene.key.split(" | ")[-2].split())
                assert len(spoken & set(q.wrong)) == min(1, len(spoken - {q.answer})), scene


def test_three_in_ten_scenes_are_about_digits(drawn):
    shares = {domain: sum(scene.domain == domain for scene in drawn["train"]) / 300 for domain in world()["domains"]}
    assert 0.25 < shares["codes"] < 0.35
    assert min(shares.values()) > 0.05


@pytest.mark.parametrize("number", range(len(world()["stories"])))
def test_every_story_is_told_in_many_ways_about_all_its_facts(number):
    story = world()["stories"][number]
    asked = set(story["facts"]) - {"code"}
    assert set(story["questions"]) == asked and min(map(len, story["questions"].values())) >= 4
    assert len(story["sentences"]) >= 6 and len(set(map(tuple, story["sentences"]))) == len(story["sentences"])
    for pair in story["sentences"]:
        for text in pair:
            slots = {name.partition(".")[0] for _, name, _, _ in Formatter().parse(text) if name}
            assert slots == set(story["facts"]), text


def test_german_digits():
    assert german_digits("four seven zero one") == "vier sieben null eins"
    with pytest.raises(UsageError, match="'eleven' in 'four eleven' is not a digit: they are zero, one"):
        german_digits("four eleven")


def test_a_noun_brings_its_article_and_endings():
    door = kinds()["place"]["door"]
    assert isinstance(door, Noun) and (door, door.der, door.dem, door.er) == ("Tür", "die", "der", "e")
    with pytest.raises(AttributeError, match="das"):
        door.das  # noqa: B018
