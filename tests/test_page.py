"""The page as a browser reads it."""

import math
import random
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from results import ABOUT, difference, figure, results, system, task

from wavllm_cli.console import STEERING
from wavllm_cli.scoring.about import Source
from wavllm_cli.scoring.published import Published
from wavllm_cli.scoring.report.page import link, page, sort_key
from wavllm_cli.scoring.scores import Failure, Item, Recording, Robustness
from wavllm_cli.scoring.significance import Change, Comparison

OTHER = {"system": "other", "task": "asr", "corpus": "toy", "metric": "wer", "value": 0.2, "unit": "fraction"}
PUBLISHED = {"asr": [Published(**OTHER, source="paper")]}
HOSTILE = "<script>alert(1)</script>\"' onerror=alert(2) &amp; <img src=x>"
VOID = {"meta", "br"}
BLOCKS = {"p", "small", "td", "th", "dt", "dd"}  # what stands apart from the text before it


class Reader(HTMLParser):
    """Every element with its attributes and text; fails where elements do not close in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements = [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        if tag in BLOCKS:
            self.handle_data(" ")
        self.elements.append({"tag": tag, "text": "", **dict(attributes)})
        if tag not in VOID:
            self.open.append(self.elements[-1])

    def handle_startendtag(self, tag, attributes):
        self.elements.append({"tag": tag, "text": "", **dict(attributes)})

    def handle_endtag(self, tag):
        assert self.open.pop()["tag"] == tag

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, tag):
        return [element for element in self.elements if element["tag"] == tag]


def toy(name="ours", text="the cat sat", audio=None, word="x", channel=None):
    """A system with everything a page can show; `word` stands wherever a free text can."""
    asr = task(
        figure(),
        failures=[Failure("echo", [word, "row-2"], 40, word), Failure("empty", [], 40)],
        not_scored=3,
        worst=[
            Item(
                word, "asr", word, "the cat sat down", text, 0.25, [Recording(audio, channel=channel)] if audio else []
            )
        ],
        robustness=Robustness("wer", 10, 4, 0.05, 0.04, 0.09, 0.05, "fraction"),
        each={"wer": [0.0, 0.1, 0.25, 2.5]},
    )
    er = task(
        figure("accuracy", 0.5, 0.3),
        worst=[Item("row-3", "er", word, "happy", word, 0.0, references=["glad", word])],
        confusion={"happy": {"happy": 3, word: 1}, "sad": {}},
        each={"accuracy": [0.0, 1.0, 1.0]},
    )
    return system(name, asr=asr, er=er)


def comparison(a, b, word="x"):
    change = Change("row-1", word, "the cat sat", 0.3, 0.0, "the hat sat", word)
    return Comparison(a, b, [difference(changed=[change])])


def read(*scores, folder=Path(), judge_prompt=None, **more):
    return Reader(page(results(*scores, **more), folder, judge_prompt))


def test_the_page_needs_nothing_else_and_all_its_elements_close():
    found = read(toy("a"), toy("b"), comparisons=[comparison("a", "b")], published=PUBLISHED, judge_prompt="Judge.")
    assert not {"link", "img", "iframe", "object"} & {element["tag"] for element in found.elements}
    addresses = [element[key] for element in found.elements for key in ("src", "href") if key in element]
    ids = {f"#{element['id']}" for element in found.elements if "id" in element}
    assert addresses and set(addresses) <= ids
    (style,) = found.all("style")
    assert "url(" not in style["text"] and "@import" not in style["text"]


def test_no_text_of_a_row_can_become_part_of_the_page():
    hostile = replace(ABOUT, test_set=HOSTILE, command=HOSTILE, models=[HOSTILE], sources=[Source(HOSTILE, None)])
    scores = [toy(HOSTILE, HOSTILE, HOSTILE, HOSTILE), toy("b", word=HOSTILE)]
    harmless = read(toy("a", audio="x"), toy("b"), comparisons=[comparison("a", "b")], judge_prompt="Judge.")
    attacked = read(*scores, comparisons=[comparison(HOSTILE, "b", HOSTILE)], judge_prompt=HOSTILE, about=hostile)
    assert len(attacked.all("script")) == 1
    assert not attacked.all("img")
    assert {key for e in attacked.elements for key in e} == {key for e in harmless.elements for key in e}
    assert any(e["text"] == HOSTILE for e in attacked.all("pre"))


def test_everything_that_was_found_is_on_the_page():
    found = read(toy("a"), toy("b"), comparisons=[comparison("a", "b")], judge_prompt="Say yes or no.")
    (whole,) = [" ".join(e["text"].split()) for e in found.all("main")]
    for text in (
        "5.00 % 4.00 … 6.00",
        "2 of 40 5.00 %",
        "Expected: happyOr: gladOr: x x",
        "found in no row: empty.",
        "rows without a score: a 3, b 3.",
        "10 4 5.00 % 4.00 % 9.00 % 5.00 %",
        "6.00 % 5.00 % -1.00 -2.00 … 0.00 < 0.001 0.030 9 / 28 / 3",
        "wer|signed",
        "a.jsonl 5c1e",
        "Say yes or no.",
    ):
        assert text in whole


def test_what_was_scored_and_what_the_first_figure_means_stand_before_everything_else():
    text = page(results(toy()), Path())
    first = " ".join(Reader(text).all("body")[0]["text"].split("Scores: ours")[0].split())
    facts = "Test set toy test Hours 1.00 Rows 40 Model tiny Date 2026-02-03 Command wavllm score a.jsonl"
    assert first.startswith(f"Scores of ours {facts}")
    assert "ours has 5.00 % word error rate: words that are wrong" in first


def test_examples_are_open_and_only_the_significantly_best_is_bold():
    a, b = toy("a"), toy("b")
    examples = read(a, b, comparisons=[comparison("a", "b")]).all("details")
    assert sum("open" in e for e in examples) == 5  # worst rows of two tasks of two systems, and what changed
    shown = [[e["text"] for e in read(a, b, best=best).all("b")] for best in ([], [("asr", "wer", "a")])]
    assert shown == [[], ["5.00 %", "5.00 %"]]  # in the table and beside its plot


def test_errors_of_transcripts_are_marked_word_by_word():
    found = read(toy(text="A cat, sat right"))
    (cell,) = [e for e in found.all("td") if "cat sat" in e["text"]]
    assert cell["text"].split() == ["x", "the", "a", "cat", "sat", "down", "right"]
    assert [e["text"] for e in found.all("del")] == ["the", "down", *("missing", "expected")]  # the latter explain
    assert [e["text"] for e in found.all("ins")] == ["a", "right", *("inserted", "given instead")]


def test_other_answers_are_shown_as_they_are():
    found = read(toy(word="Happy, I think!"))
    assert any(e["text"].split() == ["Happy,", "I", "think!"] for e in found.all("p"))


def test_recordings_are_played_from_where_they_lie(tmp_path):
    audio = tmp_path / "clips" / "a b#1?.wav"
    (player,) = read(toy(audio=str(audio)), folder=tmp_path / "reports").all("audio")
    assert player["src"] == "../clips/a%20b%231%3F.wav"
    assert player["preload"] == "none" and "controls" in player
    assert not read(toy()).all("audio")


def test_the_channel_that_was_heard_is_named():
    heard = [read(toy(audio="/a.wav", channel=channel)).all("body")[0]["text"] for channel in (None, 1)]
    assert ["Only channel 1 (from 0) was heard" in text for text in heard] == [False, True]


def test_a_relative_recording_is_found_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert link(Recording("clips/a.wav"), Path("reports/today")) == "../../clips/a.wav"
    assert link(Recording("clips/a.wav"), Path()) == "clips/a.wav"
    assert link(Recording("a:b.wav"), Path()) == "a%3Ab.wav"  # else "a" would be read as a protocol


def test_of_a_recording_the_seconds_of_the_row_are_played():
    assert link(Recording("a.wav", 12.5, 15.0), Path()) == "a.wav#t=12.5,15"
    assert link(Recording("a.wav", 12.5), Path()) == "a.wav#t=12.5"
    assert link(Recording("a.wav", 0.0, 2.0), Path()) == "a.wav#t=0,2"


def test_published_figures_are_marked_as_such():
    (row,) = [e for e in read(toy(), published=PUBLISHED).all("tr") if e.get("class") == "published"]
    assert "other toy; paper" in " ".join(row["text"].split())
    assert "published" not in {e.get("class") for e in read(toy()).elements}


def test_every_picture_and_every_column_has_a_name():
    found = read(toy("a"), toy("b"), comparisons=[comparison("a", "b")], published=PUBLISHED)
    assert all(e["text"].strip() for e in found.all("svg") if e.get("role") == "img")
    assert all(e.get("role") == "img" or e.get("aria-hidden") == "true" for e in found.all("svg"))
    assert all(e["scope"] in ("col", "row") for e in found.all("th"))
    assert "lang" in found.all("html")[0]


def test_rows_that_are_only_right_or_wrong_have_no_histogram():
    assert [e["text"] for e in read(toy("a")).all("figcaption")] == ["Rows of a by word error rate"]


def test_numbers_sort_as_javascript_reads_them():
    assert [sort_key(v) for v in (0.5, math.inf, math.nan)] == ["0.5", "Infinity", "-Infinity"]


def test_a_page_of_usual_size_is_small():
    rng = random.Random(0)
    words = [rng.choice(["one", "two", "three", "four"]) for _ in range(20)]
    items = [Item(f"row-{i}", "asr", "Transcribe.", " ".join(words), " ".join(words[i:]), i / 20) for i in range(20)]
    each = {"wer": [rng.random() for _ in range(2000)]}
    tasks = {name: task(figure(), worst=items, each=each) for name in ("asr", "ii_asr", "cot_asr")}
    assert len(page(results(system(**tasks)), Path()).encode()) < 100_000


def test_what_is_invisible_can_be_seen():
    text = page(results(toy(word="a\x1b[2J\x00\x9b\u202eb\u2028", text="the\u202e cat")), Path())
    assert r"a\x1b[2J\x00\x9b\u202eb\u2028" in text and not STEERING.search(text.replace("\n", "").replace("\t", ""))
    assert "&lt;script&gt;" in page(results(toy(word=HOSTILE)), Path())  # once, and not twice


def test_a_recording_whose_name_is_not_utf8_is_linked():
    assert link(Recording("a\udcff.wav"), Path()) == "a%FF.wav"
