import math
import random
from html.parser import HTMLParser
from pathlib import Path

import pytest

from wavllm_cli.console import STEERING
from wavllm_cli.scoring.page import Axis, histogram, interval_plot, link, page, sort_key
from wavllm_cli.scoring.scores import Failure, Figure, Item, Robustness, Scores, TaskScores
from wavllm_cli.scoring.significance import Change, Comparison, Difference

HOSTILE = "<script>alert(1)</script>\"' onerror=alert(2) &amp; <img src=x>"
VOID = {"meta", "br"}
BLOCKS = {"p", "small", "td", "th"}  # what stands apart from the text before it


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


def figure(metric="wer", value=0.05, low=0.04, high=0.06, unit="fraction"):
    return Figure(metric, value, low, high, 40, f"{metric}|norm:basic", unit, metric == "wer")


def system(name="ours", text="the cat sat", audio=None, word="x"):
    """A system with everything a page can show; `word` stands wherever a free text can."""
    asr = TaskScores(
        n=40,
        figures=[figure()],
        failures=[Failure("echo", [word, "row-2"], 40, word), Failure("empty", [], 40)],
        not_scored=3,
        worst=[Item(word, "asr", word, "the cat sat down", text, 0.25, audio)],
        robustness=Robustness("wer", 10, 4, 0.05, 0.04, 0.09, 0.05, "fraction"),
        each={"wer": [0.0, 0.1, 0.25, 2.5]},
    )
    er = TaskScores(
        n=9,
        figures=[figure("accuracy", 0.5, 0.2, 0.8)],
        failures=[],
        not_scored=0,
        worst=[Item("row-3", "er", word, "happy", word, 0.0)],
        confusion={"happy": {"happy": 3, word: 1}, "sad": {}},
        each={"accuracy": [0.0, 1.0, 1.0]},
    )
    return Scores(name, {"asr": asr, "er": er}, "basic", 7)


def comparison(a, b, word="x"):
    change = Change("row-1", word, "the cat sat", 0.3, 0.0, "the hat sat", word)
    counts = {"p": 0.01, "p_bootstrap": 0.02, "wins": 3, "ties": 36, "losses": 1}
    rest = {"unit": "fraction", "lower_is_better": True, "signature": "ar", "changed": [change]}
    return Comparison(a, b, [Difference("asr", "wer", 0.06, 0.05, -0.01, -0.02, 0.0, **counts, **rest)])


def test_the_page_needs_nothing_else_and_all_its_elements_close():
    scores = [system("a"), system("b")]
    read = Reader(page(scores, [comparison("a", "b")], True, Path("reports"), "Judge."))
    assert not {"link", "img", "iframe", "object"} & {element["tag"] for element in read.elements}
    addresses = [element[key] for element in read.elements for key in ("src", "href") if key in element]
    ids = {f"#{element['id']}" for element in read.elements if "id" in element}
    assert addresses and set(addresses) <= ids
    (style,) = read.all("style")
    assert "url(" not in style["text"] and "@import" not in style["text"]


def test_no_text_of_a_row_can_become_part_of_the_page():
    scores = [system(HOSTILE, HOSTILE, HOSTILE, HOSTILE), system("b", word=HOSTILE)]
    harmless = Reader(page([system("a", audio="x"), system("b")], [comparison("a", "b")], True, Path(), "Judge."))
    attacked = Reader(page(scores, [comparison(HOSTILE, "b", HOSTILE)], True, Path(), HOSTILE))
    assert len(attacked.all("script")) == 1
    assert not attacked.all("img")
    assert {key for e in attacked.elements for key in e} == {key for e in harmless.elements for key in e}
    assert any(e["text"] == HOSTILE for e in attacked.all("pre"))


def test_everything_that_was_found_is_on_the_page():
    read = Reader(page([system("a"), system("b")], [comparison("a", "b")], False, Path(), "Say yes or no."))
    (whole,) = [" ".join(e["text"].split()) for e in read.all("main")]
    for text in (
        "5.00 % 4.00 … 6.00",
        "2 of 40 5.00 %",
        "found in no row: empty.",
        "Rows without a score: a 3, b 3.",
        "10 4 5.00 % 4.00 % 9.00 % 5.00 %",
        "6.00 % 5.00 % -1.00 -2.00 … 0.00 0.010 0.020 3 / 36 / 1",
        "wer|norm:basic",
        "Say yes or no.",
    ):
        assert text in whole


def test_errors_of_transcripts_are_marked_word_by_word():
    read = Reader(page([system(text="A cat, sat right")], [], False, Path()))
    (cell,) = [e for e in read.all("td") if "cat sat" in e["text"]]
    assert cell["text"].split() == ["x", "the", "a", "cat", "sat", "down", "right"]
    assert [e["text"] for e in read.all("del")] == ["the", "down", *("missing", "expected")]  # the latter explain
    assert [e["text"] for e in read.all("ins")] == ["a", "right", *("inserted", "given instead")]


def test_other_answers_are_shown_as_they_are():
    read = Reader(page([system(word="Happy, I think!")], [], False, Path()))
    assert any(e["text"].split() == ["Happy,", "I", "think!"] for e in read.all("p"))


def test_recordings_are_played_from_where_they_lie(tmp_path):
    audio = tmp_path / "clips" / "a b#1?.wav"
    (player,) = Reader(page([system(audio=str(audio))], [], False, tmp_path / "reports")).all("audio")
    assert player["src"] == "../clips/a%20b%231%3F.wav"
    assert player["preload"] == "none" and "controls" in player
    assert not Reader(page([system()], [], False, tmp_path)).all("audio")


def test_a_relative_recording_is_found_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert link("clips/a.wav", Path("reports/today")) == "../../clips/a.wav"
    assert link("clips/a.wav", Path()) == "clips/a.wav"
    assert link("a:b.wav", Path()) == "a%3Ab.wav"  # else "a" would be read as a protocol


def test_published_figures_are_marked_as_such():
    read = Reader(page([system()], [], True, Path()))
    rows = [e for e in read.all("tr") if e.get("class") == "published"]
    assert any("SALMONN-7B" in e["text"] and "LibriSpeech test-clean; independent" in e["text"] for e in rows)
    assert not any(e["text"].strip().startswith("ours") for e in rows)
    assert "published" not in {e.get("class") for e in Reader(page([system()], [], False, Path())).elements}


def test_every_picture_and_every_column_has_a_name():
    read = Reader(page([system("a"), system("b")], [comparison("a", "b")], True, Path()))
    assert all(e["text"].strip() for e in read.all("svg") if e.get("role") == "img")
    assert all(e.get("role") == "img" or e.get("aria-hidden") == "true" for e in read.all("svg"))
    assert all(e["scope"] in ("col", "row") for e in read.all("th"))
    assert "lang" in read.all("html")[0]


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.0, 1.0], [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        ([23.0, 31.0], [22, 24, 26, 28, 30, 32]),
        ([0.021, 0.1027], [0.02, 0.04, 0.06, 0.08, 0.1, 0.12]),
        ([-1.0, 3.0], [-1, 0, 1, 2, 3]),
        ([math.nan, math.inf], [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
    ],
)
def test_scales_have_round_ends(values, ticks):
    assert list(Axis.around(values).ticks) == pytest.approx(ticks)


def test_scales_hold_all_values():
    draw = random.Random(0)
    for _ in range(500):
        values = [draw.gauss(0, 10.0 ** draw.randint(-4, 4)) + draw.choice([0, 50]) for _ in range(draw.randint(1, 5))]
        axis = Axis.around(values)
        assert 3 <= len(axis.ticks) <= 6
        assert all(-1e-6 <= axis.at(value) <= 100 + 1e-6 for value in values)
    assert Axis.around([0.0]).at(0.0) == 0 and Axis.around([5.0, 5.0]).at(5.0) < 100


def test_marks_stand_where_their_figures_are():
    ours = Scores("ours", {"asr": TaskScores(40, [figure(value=0.5, low=0.0, high=1.0)], [], 0)}, "basic", 7)
    plot = interval_plot([ours], "asr", "wer", published=False)
    assert plot.ticks == [(0, "0"), (20, "20"), (40, "40"), (60, "60"), (80, "80"), (100, "100 %")]
    assert (plot.marks[0].x, plot.marks[0].whisker) == (50, (0, 100))
    both = interval_plot([ours], "asr", "wer", published=True)
    assert len(both.marks) > 1 and both.marks[0].x == 50
    assert all(mark.origin and mark.whisker is None for mark in both.marks[1:])


def test_a_figure_that_is_not_finite_has_no_mark():
    none = Figure("wer", math.inf, math.nan, math.nan, 1, "wer", "fraction", True)
    scores = [Scores("ours", {"asr": TaskScores(1, [none], [], 0)}, "basic", 7)]
    (mark,) = interval_plot(scores, "asr", "wer", published=False).marks
    assert (mark.x, mark.whisker, mark.value) == (None, None, "n/a")
    assert "n/a" in page(scores, [], False, Path())


def test_histograms_count_every_row_once():
    bars = histogram([0.0, 0.0, 0.049, 0.15, 1.0, 1.5, math.inf, math.nan], "fraction")
    counts = {bar.title.split(":")[0]: int(bar.title.split()[-2]) for bar in bars}
    assert {edges: n for edges, n in counts.items() if n} == {
        "0 to 5 %": 3,
        "15 to 20 %": 1,
        "95 to 100 %": 1,
        "over 100 %": 2,
    }
    assert [max(b.height for b in bars), bars[-1].height] == [100, pytest.approx(66.67)]
    assert bars[-1].x + bars[-1].width == pytest.approx(100, abs=0.1)


def test_histograms_of_points_go_to_a_hundred():
    bars = histogram([-2.0, 3.0, 55.0, 100.0], "points")
    assert len(bars) == 20
    assert [i for i, bar in enumerate(bars) if bar.height] == [0, 11, 19]


def test_rows_that_are_only_right_or_wrong_have_no_histogram():
    titles = [e["text"] for e in Reader(page([system("a")], [], False, Path())).all("figcaption")]
    assert titles == ["Rows of a by wer"]


def test_numbers_sort_as_javascript_reads_them():
    assert [sort_key(v) for v in (0.5, math.inf, math.nan)] == ["0.5", "Infinity", "-Infinity"]


def test_a_page_of_usual_size_is_small():
    rng = random.Random(0)
    words = [rng.choice(["one", "two", "three", "four"]) for _ in range(20)]
    items = [Item(f"row-{i}", "asr", "Transcribe.", " ".join(words), " ".join(words[i:]), i / 20) for i in range(20)]
    each = {"wer": [rng.random() for _ in range(2000)]}
    tasks = {name: TaskScores(2000, [figure()], [], 0, items, each=each) for name in ("asr", "ii/asr", "cot/asr")}
    assert len(page([Scores("ours", tasks, "basic", 7)], [], True, Path()).encode()) < 100_000


def test_what_is_invisible_can_be_seen():
    text = page([system(word="a\x1b[2J\x00\x9b\u202eb\u2028", text="the\u202e cat")], [], False, Path())
    assert r"a\x1b[2J\x00\x9b\u202eb\u2028" in text and not STEERING.search(text.replace("\n", "").replace("\t", ""))
    assert "&lt;script&gt;" in page([system(word=HOSTILE)], [], False, Path())  # once, and not twice


def test_a_recording_whose_name_is_not_utf8_is_linked():
    assert link("a\udcff.wav", Path()) == "a%FF.wav"
