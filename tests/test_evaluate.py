import json
import math
from pathlib import Path

import pytest
from results import results

from wavllm_cli.data.schema import Hypothesis, Part
from wavllm_cli.scoring.evaluate import MAX_WORST, evaluate
from wavllm_cli.scoring.report.scores_json import as_dict
from wavllm_cli.scoring.scores import Item, Recording
from wavllm_cli.scoring.tasks import Options, measure

NOWHERE = Path("nowhere/hyp.jsonl")


def row(name, task, target, text, prompt="", audio="a.wav", **more):
    return Hypothesis(id=str(name), audio=audio, task=task, prompt=prompt, target=target, text=text, **more)


def scores(rows, home=NOWHERE, seed=1, **options):
    return evaluate("tiny", measure(rows, Options(**options)), "basic", seed, home)


def test_every_group_has_its_figures_failures_and_rows():
    rows = [
        row(1, "asr", "a b", "a b"),
        row(2, "asr", "c d", " "),
        row(3, "asr", None, "e"),
        row(4, "er", "sad", "unhappy"),
        row(5, "er", "angry", "sad"),
    ]
    found = scores(rows)
    assert (found.system, found.normalizer, found.seed, list(found.tasks)) == ("tiny", "basic", 1, ["asr", "er"])
    asr, er = found.tasks.values()
    assert (asr.n, asr.not_scored, asr.confusion) == (3, 1, None)
    wer = asr.figures[0]
    assert (wer.metric, wer.value, wer.n, wer.unit, wer.lower_is_better) == ("wer", 0.5, 2, "fraction", True)
    assert wer.counts["deletions"] == 2
    assert {failure.kind: failure.ids for failure in asr.failures if failure.ids} == {
        "empty": ["2"],
        "missing_reference": ["3"],
    }
    assert asr.each == {"wer": [0, 1], "cer": [0, 1]}
    assert (er.n, er.not_scored) == (2, 0)
    assert er.confusion == {"angry": {"angry": 0, "sad": 1}, "sad": {"angry": 0, "sad": 1}}


def test_intervals_are_those_of_the_measures_and_the_seed():
    rows = [row(i, "asr", "a b", "a x" if i % 3 else "a b") for i in range(30)]
    (group,) = measure(rows, Options())
    for seed in (1, 2):
        figures = evaluate("tiny", [group], "basic", seed, NOWHERE).tasks["asr"].figures
        assert [(f.low, f.high) for f in figures] == [m.interval(seed) for m in group.measures]
        assert all(f.low < f.value < f.high for f in figures)
    assert scores(rows, seed=1) == scores(rows, seed=1) != scores(rows, seed=2)


def test_what_lies_in_an_archive_cannot_be_played(tmp_path):
    (tmp_path / "s.tar").write_bytes(bytes(2048))
    (item,) = scores([row("1", "asr", "a", "b", audio="s.tar#512+9")], home=tmp_path / "h.jsonl").tasks["asr"].worst
    assert item.audio == []


def test_a_group_that_no_metric_covers_is_listed_as_not_scored():
    rows = [row(1, "asr", "a", "a"), row(2, "sv", "yes", "yes"), row(3, "sv", "no", "")]
    sv = scores(rows, metrics=("wer",)).tasks["sv"]
    assert (sv.n, sv.not_scored, sv.figures, sv.worst, sv.robustness, sv.each) == (2, 2, [], [], None, {})
    assert [failure.kind for failure in sv.failures if failure.ids] == ["empty"]


def test_multi_task_rows_are_scored_whole_and_by_part():
    parts = [
        Part(task="asr", prompt="Transcribe the clip.", target="the bus left"),
        Part(task="sv", prompt="Is there only one speaker?", target="yes"),
    ]
    found = scores([row(1, "ii", None, "The bus left.", parts=parts), row(2, "ii", None, "", parts=None)])
    assert list(found.tasks) == ["ii", "ii/asr", "ii/sv"]
    assert (found.tasks["ii"].n, found.tasks["ii"].not_scored) == (2, 1)
    assert [item.id for task in found.tasks.values() for item in task.worst] == ["1", "1#2"]


def test_the_same_clip_under_two_instructions_shows_how_much_the_wording_matters():
    found = scores([row(1, "asr", "a b", "a b", "P"), row(2, "asr", "a b", "a x", "Q")])
    assert (found.tasks["asr"].robustness.best, found.tasks["asr"].robustness.worst) == (0, 0.5)


# --- the worst rows ---


def test_every_piece_of_a_row_can_be_heard_from_where_it_begins_to_where_it_ends(tmp_path):
    (tmp_path / "a.wav").touch()
    piece = {"audio": "a.wav", "start": 2.0, "duration": 1.5}
    pieces = [piece, {"audio": "gone.wav"}, {"audio": "a.wav", "channel": 1}]
    (item,) = scores([row("1", "asr", "a", "x", audio=pieces)], home=tmp_path / "h.jsonl").tasks["asr"].worst
    path = str(tmp_path / "a.wav")
    assert item.audio == [Recording(path, 2.0, 3.5), Recording(path, channel=1)]


def test_the_worst_rows_come_first_and_perfect_ones_not_at_all():
    texts = {"one": "a x c d", "none": "a b c d", "four": "w x y z", "two": "x x c d", "also two": "a b y y"}
    rows = [row(name, "asr", "a b c d", text) for name, text in texts.items()]
    silence = row("noise", "asr", "", "thank you")
    worst = scores([*rows, silence]).tasks["asr"].worst
    assert [item.id for item in worst] == ["noise", "four", "two", "also two", "one"]
    assert [item.value for item in worst] == [math.inf, 1, 0.5, 0.5, 0.25]
    assert worst[1] == Item("four", "asr", "", "a b c d", "w x y z", 1.0)


def test_the_worst_rows_have_all_their_right_answers():
    (item,) = scores([row("1", "st", "a b c d", "x", references=["w x", "y z"])], metrics=("bleu",)).tasks["st"].worst
    assert (item.reference, item.references) == ("a b c d", ["w x", "y z"])


def test_where_more_is_better_the_least_is_the_worst():
    question = "Where? A. here; B. there."
    texts = {"right": "A", "wrong": "B", "open": "who knows"}
    sqa = scores([row(name, "sqa", "A", text, question) for name, text in texts.items()]).tasks["sqa"]
    assert [item.id for item in sqa.worst] == ["wrong", "open"]
    target = "der letzte Bus fährt um zehn Uhr"
    texts = {"same": target, "near": "der letzte Bus fährt um zehn", "far": "Guten Tag"}
    st = scores([row(name, "st", target, text) for name, text in texts.items()]).tasks["st"]
    assert [item.id for item in st.worst] == ["far", "near"]


def test_there_are_not_more_than_a_few_of_the_worst():
    rows = [row(i, "asr", "a b", "a x") for i in range(MAX_WORST + 5)]
    assert [item.id for item in scores(rows).tasks["asr"].worst] == [str(i) for i in range(MAX_WORST)]


def test_a_recording_is_named_where_there_is_one(tmp_path):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.wav").touch()
    paths = {"there": "clips/a.wav", "absolute": str(tmp_path / "clips" / "a.wav"), "gone": "clips/b.wav", "text": None}
    rows = [row(name, "asr", "a", "x", audio=audio) for name, audio in paths.items()]
    worst = scores(rows, home=tmp_path / "hyp.jsonl").tasks["asr"].worst
    here = str(tmp_path / "clips" / "a.wav")
    found = {item.id: [recording.path for recording in item.audio] for item in worst}
    assert found == {"there": [here], "absolute": [here], "gone": [], "text": []}


def test_a_relative_home_gives_absolute_recordings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.wav").touch()
    (item,) = scores([row(1, "asr", "a", "x")], home=Path("hyp.jsonl")).tasks["asr"].worst
    assert item.audio == [Recording(str(tmp_path / "a.wav"))]


@pytest.mark.parametrize("text", ["", "thank you"])
def test_nothing_but_silence_can_be_scored_and_written(text):
    found = scores([row(1, "asr", "", text, duration=2.0)])
    json.dumps(as_dict(results(found)), allow_nan=False)
    assert found.tasks["asr"].figures[0].value == (math.inf if text else 0)


def test_what_was_not_followed_is_said_of_each_row():
    parts = [
        Part(task="asr", prompt="Transcribe the clip.", target="the bus left at ten"),
        Part(task="sv", prompt="Is there only one speaker?", target="yes"),
    ]
    texts = ("The bus left at ten.\nYes.", "The bus left at ten.")
    (ii, *_) = scores([row(i, "ii", None, text, parts=parts) for i, text in enumerate(texts)]).tasks.values()
    assert ii.unfollowed == {"1": ["instruction 2: missing"]}
    (item,) = ii.worst
    assert (item.id, item.note) == ("1", "instruction 2: missing")
