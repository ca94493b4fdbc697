import pytest

from wavllm_cli.corpora.importers.columns import Mapped, fields_of, meanings, names, require_told, seconds
from wavllm_cli.errors import UsageError


def found(*columns, told=()):
    return {column: str(meaning) for column, meaning in meanings(columns, map(Mapped.parse, told)).items()}


def test_columns_are_known_by_their_names_however_they_are_written():
    assert found("File Name", "SENTENCE", "Speaker-ID", "start.ms", "note") == {
        "File Name": "audio",
        "SENTENCE": "text",
        "Speaker-ID": "speaker",
        "start.ms": "start (ms)",
        "note": "extra",
    }


def test_of_several_columns_for_one_field_the_likeliest_is_taken_and_the_others_kept():
    assert found("path", "audio", "transcript", "text") == {
        "path": "extra",
        "audio": "audio",
        "transcript": "extra",
        "text": "text",
    }


def test_what_the_user_says_comes_first():
    assert found("nr", "start", "text", told=["nr=id", "start=start:ms", "text=extra"]) == {
        "nr": "id",
        "start": "start (ms)",
        "text": "extra",
    }
    assert found("a=b", told=["a=b=speaker"]) == {"a=b": "speaker"}


@pytest.mark.parametrize("text, says", [
    ("nr", "COLUMN=FIELD"),
    ("nr=", "COLUMN=FIELD"),
    ("nr=speker", "did you mean speaker"),
    ("id=nr", "comes first: nr=id"),
    ("nr=id:ms", "have a unit"),
    ("nr=start:h", "one of s, ms"),
])  # fmt: skip
def test_what_the_user_may_not_say(text, says):
    with pytest.raises(UsageError, match=says):
        Mapped.parse(text)


def test_a_column_that_is_not_there():
    with pytest.raises(UsageError, match=r"no column 'tekst' .did you mean text"):
        require_told([Mapped.parse("tekst=text")], ["audio", "text"])


@pytest.mark.parametrize("value, unit, is_", [
    (1.5, "s", 1.5),
    ("1500", "ms", 1.5),
    ("1,5", "s", 1.5),
    ("00:01:02.5", "s", 62.5),
    ("00:01:02,5", "ms", 62.5),
    ("1:02", "s", 62),
    ("123:00:00", "s", 442_800),
])  # fmt: skip
def test_times(value, unit, is_):
    assert seconds(value, "start", unit) == is_


@pytest.mark.parametrize("value", ["soon", "nan", "inf", "1:2:3:4", "", True and "yes"])
def test_what_is_no_time(value):
    with pytest.raises(ValueError, match=r"begin .* is not a time"):
        seconds(value, "begin")


def test_empty_fields_are_none_and_nothing_else_is_lost():
    record = {"audio": "a.wav", "text": "", "gender": "f", "age": None, "n": 0}
    assert fields_of(record, meanings(tuple(record))) == ({"audio": "a.wav"}, {"gender": "f", "n": 0})


def test_no_name_means_two_fields():
    known = [name.partition(":")[0] for some in names()["columns"].values() for name in some]
    assert len(known) == len(set(known)) and all(name == name.lower() and " " not in name for name in known)
