import pytest

from wavllm_cli.data.schema import Hypothesis, Part
from wavllm_cli.scoring.failures import failures
from wavllm_cli.scoring.tasks import Options, measure

KINDS = (
    *("empty", "repetition", "echo", "refusal", "wrong_language", "hallucination", "missing_part"),
    *("out_of_order", "wrong_form", "overrun", "unanswered", "ambiguous", "missing_reference"),
)
LOOP = "and then " * 20
TRANSCRIBE = "Transcribe the audio clip into text."
CANNOT = "I'm sorry, but I can't hear the audio."
GERMAN = "Der letzte Bus ist vor zehn Minuten abgefahren."
ENGLISH = "The last bus has left ten minutes ago."
BUS = "der letzte Bus"


def row(name="r", task="asr", target="a b", text="a b", prompt=TRANSCRIBE, **more):
    return Hypothesis(id=name, audio="a.wav", task=task, prompt=prompt, target=target, text=text, **more)


def found(*rows):
    """The failures of the only group that these rows are in, or of that of the multi-task rows."""
    group = measure(rows, Options())[0]
    return {failure.kind: failure for failure in failures(group) if failure.ids}


def kinds(**fields):
    return list(found(row(**fields)))


def test_a_good_answer_has_no_failure_and_it_is_known_what_was_looked_for():
    assert kinds() == []
    assert kinds(text="") == ["empty"]
    looked_for = [failure.kind for failure in failures(measure([row()], Options())[0])]
    assert looked_for == ["empty", "repetition", "echo", "refusal", "overrun", "missing_reference"]


@pytest.mark.parametrize(
    ("kind", "failing", "neighbour"),
    [
        ("empty", {"text": " \n"}, {"text": "a"}),
        ("repetition", {"text": LOOP}, {"text": LOOP, "target": LOOP}),
        ("repetition", {"text": "no " * 12, "target": "no no"}, {"text": "no " * 11, "target": "no no"}),
        ("echo", {"text": "Transcribe the audio clip."}, {"text": "Describe a movie clip."}),
        (
            "echo",
            {"task": "sft", "prompt": "Repeat this: the bus left", "text": "Repeat this: the bus left", "target": "x"},
            {"task": "sft", "prompt": "the bus left", "text": "The bus left.", "target": "the bus left"},
        ),
        ("refusal", {"text": CANNOT}, {"text": CANNOT, "target": "i'm sorry but i can't hear the audio"}),
        ("refusal", {"text": CANNOT, "transcript": ENGLISH}, {"text": CANNOT, "transcript": CANNOT, "target": "x"}),
        (
            "refusal",
            {"task": "st", "text": CANNOT, "transcript": GERMAN, "target": ENGLISH},
            {"task": "st", "text": CANNOT, "transcript": "Tut mir leid, ich höre nichts", "target": CANNOT},
        ),
        ("hallucination", {"target": "", "text": "Thank you."}, {"target": "", "text": " … "}),
        ("hallucination", {"target": " ", "text": "Thank you."}, {"target": "thanks", "text": "Thank you."}),
        ("hallucination", {"target": "", "text": "Thank you."}, {"target": "", "text": "Thank you.", "task": "st"}),
        ("missing_reference", {"target": None}, {"target": ""}),
    ],
)
def test_a_row_that_fails_and_its_neighbour_that_does_not(kind, failing, neighbour):
    assert kind in kinds(**failing)
    assert kind not in kinds(**neighbour)


@pytest.mark.parametrize(
    ("failing", "neighbour"),
    [
        ({"language": "en", "text": GERMAN, "target": ENGLISH}, {"language": "de", "text": GERMAN, "target": GERMAN}),
        ({"language": "en-US", "text": GERMAN, "target": ENGLISH}, {"text": GERMAN, "target": ENGLISH}),  # unknown
        ({"language": "English", "text": GERMAN, "target": "x"}, {"language": "Klingon", "text": GERMAN}),
        ({"language": "en", "text": GERMAN, "target": "x"}, {"language": "en", "text": BUS, "target": "x"}),  # short
        ({"language": "en", "text": GERMAN, "target": "x"}, {"language": "en", "text": GERMAN, "target": GERMAN}),
        (
            {"task": "st", "language": "en", "target_language": "de", "text": ENGLISH, "target": GERMAN},
            {"task": "st", "language": "en", "target_language": "de", "text": GERMAN, "target": "Der Bus ist weg."},
        ),
        (
            {"task": "st", "target_language": "zh", "text": "今日は北京に行きます。とても楽しみです", "target": "我们"},
            {"task": "st", "target_language": "zh", "text": "我们今天去北京看看天气怎么样吧好不好", "target": "我们"},
        ),
        (
            {"language": "en", "text": GERMAN, "target": "x"},
            {"task": "sqqa", "language": "en", "text": GERMAN, "target": "x"},  # may be answered in any
        ),
    ],
)
def test_the_language_is_looked_at_where_an_answer_must_be_in_one(failing, neighbour):
    assert "wrong_language" in kinds(**failing)
    assert "wrong_language" not in kinds(**neighbour)


def test_only_rows_that_could_have_failed_so_are_counted():
    rows = [
        row("german", text=GERMAN, target="x", language="en"),
        row("english", text=ENGLISH, target="x", language="en"),
        row("short", text="yes", target="x", language="en"),
        row("unknown", text=GERMAN, target="x"),
        row("silent", text="", target=""),
        row("noise", text="hm", target=""),
    ]
    failing = found(*rows)
    assert (failing["wrong_language"].ids, failing["wrong_language"].of) == (["german"], 2)
    assert (failing["hallucination"].ids, failing["hallucination"].of) == (["noise"], 2)
    assert (failing["empty"].ids, failing["empty"].of) == (["silent"], 6)


def test_ids_and_kinds_stand_in_order():
    rows = [row(f"{i}", text="" if i % 2 else LOOP, target="x y") for i in range(9, 0, -1)]
    failing = found(*rows, row("none", text=CANNOT, target=None))
    assert failing["empty"].ids == ["9", "7", "5", "3", "1"]
    assert failing["repetition"].ids == ["8", "6", "4", "2"]
    assert list(failing) == [kind for kind in KINDS if kind in failing]
    assert list(failing) == ["empty", "repetition", "refusal", "overrun", "missing_reference"]


def test_words_per_minute_of_silence():
    rows = [
        row("a", target="", text="thank you for watching", duration=30.0),
        row("b", target="", text="", duration=60.0),
        row("c", target="", text="you", duration=None),  # of unknown length: hallucinated, but in no rate
        row("d", target="a b", text="a b", duration=600.0),
    ]
    failing = found(*rows)["hallucination"]
    assert (failing.ids, failing.of) == (["a", "c"], 3)
    assert failing.detail == "2.7 words per minute of silence"  # 4 words in 1.5 minutes
    assert found(rows[2])["hallucination"].detail == ""


def test_an_overrun_is_more_than_twice_the_reference_and_ten_words_more():
    def text(words):
        return " ".join(f"word{i}" for i in range(words))

    assert kinds(target=text(3), text=text(13)) == ["overrun"]
    assert kinds(target=text(3), text=text(12)) == []
    assert kinds(target=text(20), text=text(41)) == ["overrun"]
    assert kinds(target=text(20), text=text(40)) == []
    assert kinds(task="st", target="我们", text="我们今天去北京看看天气怎么样吧好不好再说明年") == [
        "overrun"
    ]  # two for a word
    assert kinds(target="", text=text(30)) == ["hallucination"]
    assert kinds(task="er", target="sad", text=f"sad {text(30)}") == []


def test_the_longest_overrun_is_named():
    rows = [row(str(n), target="one", text=" ".join(f"w{i}" for i in range(n))) for n in (12, 30, 20)]
    failing = found(*rows)["overrun"]
    assert (failing.ids, failing.of) == (["12", "30", "20"], 3)
    assert failing.detail == "longest: 30 words for 1 (30)"


def test_what_could_not_be_read_is_told_from_what_is_empty():
    question = "Where? A. here; B. there."
    texts = {"right": "A", "open": "who knows", "both": "here or there", "empty": ""}
    rows = [row(name, "sqa", "A", text, question) for name, text in texts.items()]
    failing = found(*rows, row("none", "sqa", None, "who knows", question))
    assert {kind: (failure.ids, failure.of) for kind, failure in failing.items()} == {
        "empty": (["empty"], 5),
        "unanswered": (["open"], 3),
        "ambiguous": (["both"], 3),
        "missing_reference": (["none"], 5),
    }


def test_a_part_is_missing_if_nothing_in_the_answer_is_for_it():
    parts = [
        Part(task="asr", prompt="Transcribe the clip.", target="the bus left at ten"),
        Part(task="sv", prompt="Is there only one speaker?", target="yes"),
    ]
    texts = {
        "whole": "The bus left at ten.\nYes.",
        "half": "The bus left at ten.",
        "wrong order": "Yes.\nThe bus left at ten.",
        "no transcript": "Somebody missed a bus.\nYes.",
        "empty": "",
    }
    rows = [row(name, "ii", None, text, "Transcribe; one speaker?", parts=parts) for name, text in texts.items()]
    failing = found(*rows, row("no parts", "ii", None, "Yes.", parts=None))
    assert (failing["missing_part"].ids, failing["missing_part"].of) == (["half", "empty"], 5)
    assert failing["wrong_form"].ids == ["no transcript"]
    assert failing["out_of_order"].ids == ["wrong order"]
    assert failing["missing_reference"].ids == ["no parts"]
    assert failing["empty"].ids == ["empty"]


def test_answers_of_a_wrong_form_come_with_the_commonest_reasons():
    def summary(i, text):
        parts = [
            Part(task="sv", prompt="Is there only one speaker?", target="yes"),
            Part(task="sft", prompt="Summarise the clip in no more than 5 words.", target="A bus left early."),
        ]
        return row(i, "ii", None, f"Yes.\n{text}", parts=parts, transcript=ENGLISH, language="en")

    short, long, longer = (
        "A bus left early.",
        "A bus left ten minutes ago, they say.",
        "The bus has, I fear, left us long ago.",
    )
    failing = found(*(summary(str(i), text) for i, text in enumerate([short, long, longer])))
    assert failing["wrong_form"].ids == ["1", "2"]
    assert failing["wrong_form"].detail == "… words where … are allowed (2)"
    assert "overrun" not in failing  # the target of such a row may be that of its last part alone
