"""What all reports say: the tables that are made of results."""

import math
from dataclasses import replace

from results import ABOUT, bleu, difference, figure, results, system, task

from wavllm_cli.scoring.judge import Agreement
from wavllm_cli.scoring.published import Published
from wavllm_cli.scoring.report.table import Ids
from wavllm_cli.scoring.report.tables import facts, meaning, method, signatures
from wavllm_cli.scoring.scores import Failure, Judging, Robustness
from wavllm_cli.scoring.significance import Comparison

ASR = "speech recognition (asr)"


def cells(found, title):
    """The rows of a table, all cells as text, and its notes."""
    (table,) = [table for table in found.tables if table.title == title]
    return [[str(cell) for cell in row] for row in table.rows], list(table.notes)


def test_tasks_and_metrics_are_named_in_words_and_are_those_of_any_system():
    a = system("a", asr=task(figure()), sqqa=task())
    b = system("b", st=task(bleu(20)), asr=task(figure(value=0.07), figure("cer")))
    found = results(a, b)
    assert found.tasks == ["asr", "sqqa", "st"]
    assert cells(found, "Scores")[0] == [
        [ASR, "word error rate ↓", "a", "5.00 %", "4.00 … 6.00", "40"],
        [ASR, "word error rate ↓", "b", "7.00 %", "6.00 … 8.00", "40"],
        [ASR, "character error rate ↓", "b", "5.00 %", "4.00 … 6.00", "40"],
        ["speech translation (st)", "BLEU ↑", "b", "20.00", "18.50 … 21.50", "40"],
    ]


def test_only_what_beats_all_others_significantly_is_marked():
    a, b = system("a", asr=task(figure(value=0.04))), system("b", asr=task(figure()))
    assert [row[3].best for row in results(a, b).tables[0].rows] == [False, False]
    assert [row[3].best for row in results(a, b, best=[("asr", "wer", "a")]).tables[0].rows] == [True, False]
    assert "Bold" in method(results(a, b)) and "Bold" not in method(results(a))


def test_fewer_than_twenty_rows_are_marked_as_few():
    rows, (note,) = cells(results(system(asr=task(figure(n=19), figure("cer", n=20)))), "Scores")
    assert [row[-1] for row in rows] == ["19 (few)", "20"] and note.startswith("few: fewer than 20 rows")
    assert cells(results(system(asr=task(figure(n=20)))), "Scores")[1] == []


def test_rows_without_a_score_are_counted_for_each_system_that_has_some():
    a, b, c = (system(name, asr=task(not_scored=n)) for name, n in (("a", 2), ("b", 0), ("c", 3)))
    assert cells(results(a, b, c), "Scores") == ([], [f"{ASR}: rows without a score: a 2, c 3."])
    assert results(b).tables == []


def test_published_figures_are_named_for_any_normaliser_and_else_why_there_are_none():
    paper = Published(
        system="other", task="asr", corpus="toy", metric="wer", value=0.02, unit="fraction", source="paper", cited="x"
    )
    ours = system(asr=task(figure("wer/none"), figure("wer/lower"), figure("cer")))
    rows, (note,) = cells(results(ours, published={"asr": [paper]}), "Published figures of the same test set")
    assert rows == [[ASR, "word error rate ↓", "other", "2.00 %", "toy; paper, x"]]
    assert "paper: the paper that presents the system" in note
    assert '"corpus" and "split"' in cells(results(ours, published={}), "Published figures of the same test set")[1][0]
    assert [table.title for table in results(ours).tables] == ["Scores"]


def test_failures_of_one_kind_stand_together_and_those_never_found_are_named_below():
    a = system("a", asr=task(failures=[Failure("wrong_form", [], 40), Failure("echo", ["x"], 40)]))
    b = system("b", asr=task(failures=[Failure("wrong_form", [], 40), Failure("echo", list("xy"), 24, "worst: x")]))
    rows, notes = cells(results(a, b), "Failures")
    assert rows == [
        [ASR, "echo", "a", "1 of 40", "2.50 %", "x"],
        [ASR, "echo", "b", "2 of 24", "8.33 %", "worst: x"],
    ]
    assert notes == ["Looked for and found in no row: wrong form."]
    assert results(b).tables[0].rows[0][-1] == Ids(["x", "y"], "worst: x")


def test_given_answers_begin_with_the_right_ones():
    confusion = {"happy": {"unanswered": 2, "sad": 1}, "sad": {"angry": 1, "happy": 1}}
    (table,) = results(system(er=task(confusion=confusion))).tables
    assert table.matrix and "those of ours" in table.title
    assert [column.name for column in table.columns] == ["", "happy", "sad", "unanswered", "angry"]
    assert table.rows == [["happy", 0, 1, 2, 0], ["sad", 1, 0, 0, 1]]


def test_wordings():
    spread = Robustness("accuracy", 20, 4, 0.7, 0.9, 0.45, 0.45, "fraction")
    rows, _ = cells(results(system(er=task(robustness=spread))), "The same items under several wordings")
    assert rows == [
        ["emotion recognition (er)", "accuracy", "ours", "20", "4", "70.00 %", "90.00 %", "45.00 %", "45.00 %"]
    ]


def test_judges():
    known, unknown = Agreement(9, 7 / 9, 0.4, ["a"], 1), Agreement(0, None, None, [], 40)
    judgings = [
        Judging("first", {}, {"x": "refused"}, {"rules": known}, True, 0.25),
        Judging("second", {}, {}, {"rules": known, "first": unknown}, True, None),
    ]
    assert cells(results(system(judging=judgings)), "Judges of instruction following")[0] == [
        ["first", "rules", "ours", "9", "77.78 %", "0.40", "1", "$0.2500"],
        ["second", "rules", "ours", "9", "77.78 %", "0.40", "0", "?"],
        ["second", "first", "ours", "0", "–", "–", "0", "?"],
    ]


def test_a_comparison():
    differences = [
        difference(),
        difference(task="st", metric="bleu", unit="points", value=1.5, low=math.nan, high=math.nan, p=math.nan),
    ]
    rows, (note,) = cells(
        results(system("a"), system("b"), comparisons=[Comparison("a", "b", differences)]), "b against a"
    )
    assert rows == [
        [ASR, "word error rate ↓", "6.00 %", "5.00 %", "-1.00", "-2.00 … 0.00", "< 0.001", "0.030", "9 / 28 / 3"],
        ["speech translation (st)", "BLEU ↓", "0.06", "0.05", "+1.50", "–", "n/a", "0.030", "9 / 28 / 3"],
    ]
    assert "b minus a" in note


def test_what_was_scored_is_said_and_what_is_not_known_too():
    assert dict(facts(ABOUT)) == {
        "Test set": "toy test",
        "Hours": "1.00",
        "Rows": "40",
        "Model": "tiny",
        "Date": "2026-02-03",
        "Command": "wavllm score a.jsonl",
    }
    assert dict(facts(replace(ABOUT, unknown=3)))["Hours"] == "1.00; 3 of 20 recordings of unknown duration"
    assert dict(facts(replace(ABOUT, unknown=20, seconds=0)))["Hours"] == "unknown"
    assert dict(facts(replace(ABOUT, recordings=0, seconds=0)))["Hours"] == "none: text alone"


def test_the_first_figure_is_explained_in_a_sentence():
    said = meaning(results(system(asr=task(figure(), figure("cer")))))
    assert said.startswith("In speech recognition (asr), ours has 5.00 % word error rate: words that are ")
    assert said.count(".") == 4 and "words that are wrong, missing or too many" in said
    assert meaning(results(system(asr=task()))) == ""


def test_seeds_and_normalisers_are_named_once():
    same = [system(name, asr=task(figure())) for name in "ab"]
    assert method(results(*same)).startswith(
        "95 % intervals from 1000 bootstrap resamples (seed 7); normaliser: basic."
    )
    other = system("c", normalizer="whisper", seed=8, asr=task(figure()))
    assert "(seed 7, 8); normaliser: basic, whisper." in method(results(*same, other))


def test_every_signature_is_named_once():
    ours = system("ours", asr=task(figure(), figure("cer")), ii_asr=task(figure("cer"), figure()))
    assert signatures(results(ours, system("b", st=task(bleu(20))))) == ["wer|signed", "cer|signed", "bleu|signed"]
