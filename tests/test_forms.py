"""What an instruction asks for, and which texts follow it."""

from dataclasses import replace

import pytest

from wavllm_cli.data.schema import Hypothesis, Part
from wavllm_cli.scoring.following.forms import (
    MIN_PRECISION,
    MIN_RECALL,
    NO_ANSWER,
    Instruction,
    Reading,
    instruction,
)
from wavllm_cli.tasks.registry import SINGLE

HEARD = "the last bus left at ten and we had to walk all the way home in the rain because nobody had a car"
GERMAN = "Der letzte Bus fuhr um zehn Uhr ab und wir mussten im Regen den ganzen Weg nach Hause laufen."
QUESTION = "How did they get home? A. By bus; B. On foot; C. In a car"


def asked(task: str, prompt: str, target: str | None = None, chained: bool = False, **fields) -> Instruction:
    part = Part(task=task, prompt=prompt, target=target)
    fields = {"transcript": HEARD, "language": "en"} | fields
    row = Hypothesis(id="r", audio=None, task="cot" if chained else "ii", prompt="", parts=[part], text="", **fields)
    return instruction(row, part, chained)


TRANSCRIBE = asked("asr", "Transcribe the clip")
TRANSLATE = asked("st", "Translate the speech into German", GERMAN)
SUMMARISE = asked("sft", "Summarise the text in no more than eight words", "A walk home", chained=True)
CHOOSE = asked("sqa", QUESTION, "B")
SPEAKERS = asked("sv", "Is there only one speaker?", "yes")
EMOTION = asked("er", "What does the speaker feel: happy, sad, or bored?", "sad")
ANSWER = asked("sft", "What is the capital of New Zealand?", "Wellington")


# --- what is asked for ---


@pytest.mark.parametrize(
    ("ask", "kind"),
    [
        (TRANSCRIBE, "transcript"),
        (TRANSLATE, "translation"),
        (SUMMARISE, "summary"),
        (CHOOSE, "letter"),
        (SPEAKERS, "yes or no"),
        (EMOTION, "emotion"),
        (ANSWER, "text"),
        (asked("sqa", "How did they get home?", "They walked"), "text"),
        (asked("sqa", "How did they get home?", "B", choices=["By bus", "On foot"]), "letter"),
        (asked("sqa", "How did they get home?", "On foot", choices=["By bus", "On foot"]), "letter"),
        (asked("sqa", "What rained?", "They walked", choices=["By bus", "On foot"]), "text"),
        (asked("sft", "Sum it up"), "summary"),
        (asked("sft", "Fasse den Text zusammen"), "summary"),
        (asked("sft", "请概括这段话"), "summary"),
        (asked("sft", "Write a poem of at most 20 words"), "text"),
        (asked("sft", "Say it in at most 20 words", chained=True), "summary"),
    ],
)
def test_each_part_asks_for_a_kind_of_answer(ask, kind):
    assert ask.kind == kind
    assert ask.is_brief == (kind in {"letter", "yes or no", "emotion"})


@pytest.mark.parametrize(
    ("prompt", "limit"),
    [
        ("Summarise it in no more than 20 words", 20),
        ("a summary, not longer than 15 words", 15),
        ("in at most twenty words", 20),
        ("within twenty-five words", 25),
        ("use up to 30 words", 30),
        ("under 12 words", 12),
        ("a maximum of 10 words", 10),
        ("max 10 words", 10),
        ("limit of 18 words", 18),
        ("a 20-word maximum", 20),
        ("20 words or fewer", 20),
        ("ten words or less", 10),
        ("5 words at most", 5),
        ("Fasse den Text in höchstens 20 Wörtern zusammen", 20),
        ("maximal 15 Wörter", 15),
        ("nicht mehr als 10 Worte", 10),
        ("Résumez en 20 mots au plus", 20),
        ("au plus 12 mots", 12),
        ("como máximo 9 palabras", 9),
        ("用不超过20个字概括", 10),
        ("请在30字以内总结", 15),
        ("最多 15 个字", 8),
        ("Summarise the text", None),
        ("The 20 words of the year", None),
        ("Name 3 capitals", None),
    ],
)
def test_the_most_words_that_are_allowed(prompt, limit):
    assert asked("sft", prompt).limit == limit


@pytest.mark.parametrize(
    ("ask", "language"),
    [
        (TRANSCRIBE, "en"),
        (TRANSLATE, "de"),
        (SUMMARISE, "en"),
        (ANSWER, None),
        (asked("st", "Translate it, please", GERMAN), "de"),
        (asked("st", "Translate it", None, target_language="fr-FR"), "fr"),
        (asked("st", "Translate the English summary into Chinese", GERMAN, target_language="German"), "zh"),
        (asked("asr", "Transcribe", transcript=GERMAN, language=None), "de"),
        (asked("sft", "Summarise it in French", chained=True), "fr"),
    ],
)
def test_the_language_of_the_answer(ask, language):
    assert ask.wanted == language


def test_the_transcript_may_be_that_of_the_asr_part():
    parts = [Part(task="asr", prompt="Transcribe", target=HEARD), Part(task="sft", prompt="Summarise it")]
    row = Hypothesis(id="r", audio=None, task="cot", prompt="", parts=parts, text="")
    assert instruction(row, parts[1], chained=True).transcript == HEARD


def test_labels_speak_of_their_own_instruction():
    asks = [TRANSCRIBE, TRANSLATE, SUMMARISE, CHOOSE, SPEAKERS, EMOTION]
    for label, owner in {
        "Transcription": TRANSCRIBE,
        "German translation": TRANSLATE,
        "Auf Deutsch": TRANSLATE,
        "Short summary": SUMMARISE,
        "Answer": CHOOSE,
        "Number of speakers": SPEAKERS,
        "Emotion": EMOTION,
    }.items():
        assert max(asks, key=lambda ask: ask.named_by(label)) is owner, label
    assert not any(ask.named_by(label) for ask in asks for label in ("Doctor", "P.S.", ""))


def test_our_own_lead_ins_name_their_task_and_no_other():
    asks = [asked(code, "Go on", target_language="de") for code in SINGLE]
    for code, task in SINGLE.items():
        for step in task.steps.values():
            label = step.lead_in.format(language="German").strip(" :")
            assert [ask.task for ask in asks if ask.named_by(label)] == [code]


# --- what fits and what follows ---

FOLLOWING = {
    "the transcript": (TRANSCRIBE, HEARD),
    "a sloppy transcript": (
        TRANSCRIBE,
        "The last boss left at ten. We had to walk all away home in the rain 'cause nobody had a car.",
    ),
    "a transcript that ends in a loop": (TRANSCRIBE, f"{HEARD} {'had a car ' * 20}"),
    "a translation": (TRANSLATE, "Der letzte Bus war weg, also gingen wir bei Regen zu Fuß heim."),
    "a bad translation": (TRANSLATE, "Die letzte Bus links bei zehn und wir hatten zu laufen im die Regen."),
    "a summary": (SUMMARISE, "They walked home in the rain."),
    "a summary of the last word allowed": (SUMMARISE, "No bus, no car: they walked home wet."),
    "a letter": (CHOOSE, "B"),
    "a choice's words": (CHOOSE, "They went on foot."),
    "a wrong letter": (CHOOSE, "The answer is C."),
    "no": (SPEAKERS, "No"),
    "speakers in words": (SPEAKERS, "There are two people."),
    "an emotion": (EMOTION, "The speaker sounds sad."),
    "an emotion that is offered": (EMOTION, "bored"),
    "an emotion of no corpus": (EMOTION, "anxious"),
    "a fact": (ANSWER, "Wellington"),
    "a wrong fact": (ANSWER, "The capital of New Zealand is Auckland."),
}


@pytest.mark.parametrize("name", FOLLOWING)
def test_what_has_the_asked_form_follows_right_or_wrong(name):
    ask, text = FOLLOWING[name]
    assert ask.read(text).followed
    assert ask.read(text).reason == ""


FAILING = {
    "a stretch of the transcript": (TRANSCRIBE, "the last bus left at ten", "not a transcription"),
    "a description": (TRANSCRIBE, "A person tells how a group got home on a wet night.", "not a transcription"),
    "half invented": (
        TRANSCRIBE,
        f"{HEARD} {' '.join(f'invented{i}' for i in range(22))}",
        "half of it is not in the clip",
    ),
    "not translated": (TRANSLATE, HEARD, "not in de"),
    "in another language": (TRANSLATE, "Le dernier bus est parti à dix heures et nous avons dû marcher.", "not in de"),
    "a stray word": (TRANSLATE, "Regen", "a stray word"),
    "too long": (SUMMARISE, "Because nobody had a car they had to walk home", "10 words where 8 are allowed"),
    "a summary in German": (SUMMARISE, "Sie mussten alle zu Fuß durch den Regen gehen.", "not in en"),
    "no summary": (asked("sft", "Summarise it", chained=True), HEARD, "the transcript, not a summary"),
    "one word": (SUMMARISE, "Walking", "too short"),
    "two letters": (CHOOSE, "A or B", "no single choice"),
    "yes and no": (SPEAKERS, "Yes and no.", "neither yes nor no"),
    "too long a text": (asked("sft", "Write a poem in at most 4 words"), "The rain fell on us all", "6 words where 4"),
    "a loop": (ANSWER, "Wellington is the capital. " * 20, "repetition"),
}


@pytest.mark.parametrize("name", FAILING)
def test_what_has_another_form_does_not_follow_and_says_why(name):
    ask, text, why = FAILING[name]
    assert ask.read(text).followed is False
    assert why in ask.read(text).reason


@pytest.mark.parametrize("ask", [CHOOSE, SPEAKERS, EMOTION])
def test_what_commits_to_nothing_is_no_brief_answer(ask):
    assert ask.read("Wellington is a windy place") is NO_ANSWER


@pytest.mark.parametrize("ask", [TRANSCRIBE, TRANSLATE, SUMMARISE, CHOOSE, SPEAKERS, EMOTION, ANSWER])
def test_what_has_no_words_answers_nothing(ask):
    assert ask.read("") is ask.read(" … !?") is NO_ANSWER


def test_a_transcription_needs_half_of_the_words_and_few_others():
    words = [f"word{i}" for i in range(20)]
    ask = asked("asr", "Transcribe", transcript=" ".join(words))
    enough = int(MIN_RECALL * 20)
    assert ask.read(" ".join(words[:enough])).followed
    assert not ask.read(" ".join(words[: enough - 1])).followed
    others = [f"other{i}" for i in range(round(20 / MIN_PRECISION) - 20)]
    assert ask.read(" ".join([*words, *others])).followed
    assert not ask.read(" ".join([*words, *others, "more"])).followed


@pytest.mark.parametrize(
    ("ask", "text", "why"),
    [
        (ANSWER, "Bananas ripen slowly", "unclear whether it is an answer"),
        (
            asked("sft", "Sum it up", "A walk home", chained=True),
            "Bananas ripen slowly",
            "unclear whether it is a summary",
        ),
        (
            asked("st", "Translate it into English", HEARD),
            "Bananas ripen slowly in a bowl",
            "unclear whether it is a translation",
        ),
    ],
)
def test_what_shares_no_word_is_an_answer_only_where_its_place_says_so(ask, text, why):
    assert ask.read(text, placed=False) == Reading(None, why, shows=False)
    assert ask.read(text, placed=True) == Reading(True, shows=False)


def test_any_right_answer_shows_what_is_an_answer():
    further = {
        "sft": ("Name a city of New Zealand", "Wellington", "Auckland", "It is windy in Auckland"),
        "st": ("Translate the speech", GERMAN, "Nous sommes rentrés à pied.", "Nous rentrons à pied."),
        "er": ("What does the speaker feel?", "sad", "wistful", "wistful"),
    }
    for task, (prompt, target, another, text) in further.items():
        for references, known in ((None, False), ([another], True)):
            part = Part(task=task, prompt=prompt, target=target, references=references)
            fields = {"id": "r", "audio": None, "task": "ii", "prompt": "", "parts": [part], "text": ""}
            ask = instruction(Hypothesis(**fields, target_language="fr"), part, False)
            assert ask.read(text, placed=False).shows is known, (task, references)


def test_without_a_transcript_there_is_no_telling_what_transcribes_it():
    ask = asked("asr", "Transcribe", transcript=None)
    assert ask.read("The last bus left at ten").followed is None


def test_the_words_of_an_answer_show_which_instruction_it_is_for():
    texts = {
        TRANSCRIBE.kind: HEARD,
        TRANSLATE.kind: GERMAN,
        SPEAKERS.kind: "Yes, only one speaker",
        EMOTION.kind: "The speaker feels sad",
        ANSWER.kind: "Wellington is the capital of New Zealand",
    }
    asks = [TRANSCRIBE, TRANSLATE, SPEAKERS, EMOTION, ANSWER]
    for kind, text in texts.items():
        assert [ask.kind for ask in asks if ask.read(text, placed=False).shows] == [kind], text


# --- right answers ---

NUMBER = asked("sqa", "Which number?", "nine zero three two", transcript="it is nine zero three two")
GIST = asked("sft", "Summarise it", "Rain in the west.", transcript="rain in the west", chained=True)
DIGITS = asked("st", "Translate it into German", "vier null null", transcript="four zero zero")


@pytest.mark.parametrize("ask", [NUMBER, GIST, DIGITS])
def test_what_says_just_what_a_right_answer_says_follows_whatever_it_looks_like(ask):
    said = ask.target.upper()
    assert ask.read(said) == Reading(True)
    assert replace(ask, target="something else").read(said).followed is False
