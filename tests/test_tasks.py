import math

import numpy as np
import pytest

from wavllm_cli.data.schema import Hypothesis, Part
from wavllm_cli.errors import UsageError
from wavllm_cli.scoring.measure import Measure, share
from wavllm_cli.scoring.metrics import bertscore, bleu, wer
from wavllm_cli.scoring.metrics.metric import Judged, Labels, Texts
from wavllm_cli.scoring.metrics.registry import metrics_of
from wavllm_cli.scoring.tasks import Options, measure
from wavllm_cli.text.normalize import NORMALIZERS, get_normalizer

QUESTION = "Where is she? A. here; B. there."
ONE_SPEAKER = "Is there only one speaker?"


def row(name, task, target, text, prompt="", **more):
    return Hypothesis(id=str(name), audio="a.wav", task=task, prompt=prompt, target=target, text=text, **more)


def groups(rows, **options):
    return {group.name: group for group in measure(rows, Options(**options))}


def measures(group):
    return {measure.metric: measure for measure in group.measures}


def ids(rows):
    return [row.id for row in rows]


# --- which rows are scored together ---


def test_groups_stand_in_the_order_of_tasks_with_each_tasks_own_metrics():
    rows = [
        row("sft", "sft", "Wellington", "Wellington"),
        row("sqqa", "sqqa", "by bus", "by bus"),
        row("free", "sqa", "by bus", "by bus", "How does she go?"),
        row("choice", "sqa", "B", "B", QUESTION),
        row("er", "er", "sad", "sad"),
        row("sv", "sv", "yes", "yes", ONE_SPEAKER),
        row("st", "st", "Guten Tag", "Guten Tag"),
        row("asr", "asr", "good day", "good day"),
    ]
    rouge = ["rouge1", "rouge2", "rougeL"]
    assert {name: [m.metric for m in group.measures] for name, group in groups(rows).items()} == {
        "asr": ["wer", "cer"],
        "st": ["bleu", "chrf", "ter"],
        "sv": ["accuracy", "balanced_accuracy"],
        "er": ["accuracy", "balanced_accuracy", "macro_f1"],
        "sqa": ["accuracy"],
        "sqa/free": rouge,
        "sqqa": rouge,
        "sft": [*rouge, "exact"],
    }
    assert list(groups(rows)) == ["asr", "st", "sv", "er", "sqa", "sqa/free", "sqqa", "sft"]


def test_a_question_has_choices_in_its_prompt_or_beside_it_or_else_a_letter_as_its_answer():
    rows = [
        row("prompt", "sqa", "A", "here", QUESTION),
        row("beside", "sqa", "there", "B", "Where?", choices=["here", "there"]),
        row("letter", "sqa", "C", "The answer is C.", "Where?"),
        row("wrong letter", "sqa", "C", "The answer is D.", "Where?"),
        row("free", "sqa", "by the lake", "at the lake", "Where?"),
    ]
    found = groups(rows)
    assert (ids(found["sqa"].scored), ids(found["sqa/free"].scored)) == (ids(rows[:4]), ["free"])
    assert (found["sqa"].answers, found["sqa"].keys) == (["A", "B", "C", "D"], ["A", "B", "C", "C"])
    assert measures(found["sqa"])["accuracy"].value == 3 / 4


def test_the_prompt_decides_what_yes_means_and_a_corpus_may_name_emotions_of_its_own():
    two = "Are there two speakers?"
    rows = [
        row(1, "sv", "yes", "There is one speaker", ONE_SPEAKER),
        row(2, "sv", "yes", "There is one speaker", two),
        row(3, "er", "bored", "She sounds bored."),
        row(4, "er", "sad", "She sounds bored."),
        row(5, "er", "sad", "rather whimsical", choices=["sad", "whimsical"]),
    ]
    found = groups(rows)
    assert found["sv"].answers == ["yes", "no"]
    assert found["er"].answers == ["bored", "unanswered", "whimsical"]


def test_rows_whose_reference_is_no_class_are_not_scored():
    rows = [
        row(1, "sv", "yes", "yes", ONE_SPEAKER),
        row(2, "sv", None, "yes", ONE_SPEAKER),
        row(3, "sv", "who knows", "no", ONE_SPEAKER),
        row(4, "sqa", "E", "A", QUESTION),
    ]
    found = groups(rows)
    assert (ids(found["sv"].rows), ids(found["sv"].scored)) == (["1", "2", "3"], ["1"])
    assert (ids(found["sqa"].rows), found["sqa"].scored, found["sqa"].measures) == (["4"], [], [])


def test_translations_are_split_by_target_language_if_there_are_several():
    german = [row(i, "st", "Guten Tag", "Guten Tag", target_language=code) for i, code in enumerate(["de", "German"])]
    chinese = row("zh", "st", "我们今天去北京", "我们今天去上海", target_language="zh-CN")
    unknown = row("?", "st", "Bonjour", "Bonjour")
    assert list(groups(german)) == ["st"]
    found = groups([*german, chinese, unknown])
    assert {name: ids(group.rows) for name, group in found.items()} == {
        "st/unknown": ["?"],
        "st/de": ["0", "1"],
        "st/zh": ["zh"],
    }
    alone = groups([chinese])["st"].measures[0]
    assert (
        found["st/zh"].measures[0].value == alone.value == bleu.bleu([chinese.target], [chinese.text], "zh").value > 0
    )
    assert "|tok:zh|" in alone.signature and "|tok:13a|" in found["st/de"].measures[0].signature


def test_the_language_of_the_clip_decides_how_answers_to_questions_are_split_into_words():
    rows = [row(i, "sqqa", "in Genf", "in Genf", language=code) for i, code in enumerate(["de", "de"])]
    assert "|tok:wavllm-" in groups(rows)["sqqa"].measures[0].signature
    mixed = [*rows, row("en", "sqqa", "in Geneva", "in Geneva", language="en")]
    assert "|tok:rouge-score|" in groups(mixed)["sqqa"].measures[0].signature  # all are ASCII


# --- what has nothing in it ---


def test_an_empty_reference_is_silence_to_transcribe_and_elsewhere_no_reference():
    silent = [row("said", "asr", "", "thank you"), row("quiet", "asr", " ", ""), row("none", "asr", None, "x")]
    asr = groups([*silent, row("a", "asr", "a b", "a b")])["asr"]
    assert ids(asr.scored) == ["said", "quiet", "a"]
    assert measures(asr)["wer"].value == 2 / 2
    np.testing.assert_array_equal(measures(asr)["wer"].rows, [math.inf, 0, 0])
    for task in ("st", "sqa", "sqqa", "sft", "sv", "er"):
        (group,) = groups([row(1, task, "", "x"), row(2, task, " ", "x"), row(3, task, None, "x")]).values()
        assert (len(group.rows), group.scored, group.measures) == (3, [], [])


def test_an_empty_answer_is_fully_wrong_in_every_metric():
    parts = [Part(task="asr", prompt="Transcribe.", target="a b"), Part(task="sv", prompt=ONE_SPEAKER, target="yes")]
    rows = [
        *(row(task, task, "Guten Tag", " ") for task in ("asr", "st", "sqqa", "sft")),
        row("free", "sqa", "by bus", "", "How?"),
        row("choice", "sqa", "A", "", QUESTION),
        row("sv", "sv", "no", "", ONE_SPEAKER),
        row("er", "er", "neutral", ""),
        *(row(task, task, None, "", parts=parts) for task in ("ii", "cot")),
    ]
    found = [m for group in measure(rows, Options()) for m in group.measures]
    known = {code for kind in (Texts, Labels, Judged) for code in metrics_of(kind)}
    assert {m.metric for m in found} == known - {"bertscore"}
    for m in found:
        worst = 0.0 if not m.lower_is_better else 1.0 if m.unit == "fraction" else 100.0
        assert m.value == worst, m.metric


# --- multi-task rows ---

PARTS = [
    Part(task="asr", prompt="Transcribe the clip.", target="the bus left at ten"),
    Part(task="sqa", prompt="When did it leave? A. at nine; B. at ten.", target="B"),
    Part(task="sft", prompt="Name the capital of New Zealand.", target="Wellington"),
]


def multi(name, text, parts=PARTS, task="ii", **more):
    return row(name, task, None, text, "; ".join(part.prompt for part in parts or ()), parts=parts, **more)


def test_parts_become_rows_of_their_own():
    found = groups([multi("r", "The bus left at ten.\nB. at ten\nWellington")])
    assert list(found) == ["ii", "ii/asr", "ii/sqa", "ii/sft"]
    (asr,), (sqa,), (sft,) = (found[f"ii/{task}"].scored for task in ("asr", "sqa", "sft"))
    assert (asr.id, asr.task, asr.prompt, asr.target) == ("r#1", "asr", "Transcribe the clip.", "the bus left at ten")
    assert (sqa.id, sft.id) == ("r#2", "r#3")
    assert asr.audio == "a.wav" and asr.parts is None
    assert measures(found["ii/asr"])["wer"].value == 0
    assert (found["ii/sqa"].answers, found["ii/sqa"].keys) == (["B"], ["B"])
    assert measures(found["ii/sft"])["exact"].value == 1
    assert [m.value for m in found["ii"].measures] == [1, 1]


def test_a_part_without_an_answer_is_an_empty_text_and_fully_wrong():
    found = groups([multi("r", "The bus left at ten.")])
    assert (found["ii/sqa"].scored[0].text, found["ii/sft"].scored[0].text) == ("", "")
    assert found["ii/sqa"].answers == ["unanswered"]
    assert [m.value for name in ("ii/sqa", "ii/sft") for m in found[name].measures] == [0] * 5
    assert {m.metric: m.value for m in found["ii"].measures} == {"ifr": 0, "instructions": 1 / 3}


def test_multi_task_rows_without_parts_are_not_scored():
    found = groups([multi("none", "B", None), multi("empty", "B", []), multi("r", "B")])
    assert (ids(found["ii"].rows), ids(found["ii"].scored)) == (["none", "empty", "r"], ["r"])
    assert len(found["ii"].verdicts) == 1
    (alone,) = groups([multi("none", "B", None)]).values()
    assert (alone.scored, alone.measures, alone.verdicts) == ([], [], [])


def test_ii_and_cot_rows_are_apart_and_so_are_the_parts_of_many_rows():
    found = groups([multi(1, "B"), multi(2, "B"), multi(3, "B", task="cot"), row(4, "asr", "a", "a")])
    assert list(found) == ["asr", "ii", "ii/asr", "ii/sqa", "ii/sft", "cot", "cot/asr", "cot/sqa", "cot/sft"]
    assert ids(found["ii/sqa"].rows) == ["1#2", "2#2"]
    assert ids(found["cot/sqa"].rows) == ["3#2"]


def test_what_the_row_says_of_one_part_is_not_taken_for_another():
    parts = [
        Part(task="sqa", prompt="When did it leave?", target="B"),
        Part(task="sqa", prompt="Where was it going?", target="to the harbour"),
        Part(task="er", prompt="What is the emotion?", target="neutral"),
    ]
    found = groups([multi("r", "B\nto the harbour\nneutral, at ten", parts, choices=["at nine", "at ten"])])
    assert ids(found["ii/sqa"].scored) == ["r#1"] and found["ii/sqa"].scored[0].choices == ["at nine", "at ten"]
    assert ids(found["ii/sqa/free"].scored) == ["r#2"]
    assert found["ii/er"].answers == ["neutral"]


def test_the_instruction_tells_the_target_language_where_a_row_is_translated_twice():
    parts = [
        Part(task="st", prompt="Translate it into German.", target="Der Bus fuhr um zehn Uhr ab."),
        Part(task="st", prompt="Translate it into Chinese.", target="公交车十点开走了。"),
        Part(task="st", prompt="Translate it.", target="Der Bus war fort."),
    ]
    found = groups([multi("r", "", parts, target_language="de")])
    assert (ids(found["ii/st/de"].rows), ids(found["ii/st/zh"].rows)) == (["r#1", "r#3"], ["r#2"])
    assert "|tok:zh|" in found["ii/st/zh"].measures[0].signature


# --- what is measured ---


def test_the_metrics_that_were_asked_for_are_measured_on_every_task_that_they_can_measure():
    rows = [
        row(1, "asr", "a b", "a c"),
        row(2, "st", "a b", "a c"),
        row(3, "sqa", "a b", "a c", "Why?"),
        row(4, "sft", "a b", "a b"),
        row(5, "sv", "yes", "yes", ONE_SPEAKER),
        multi(6, "The bus left at ten."),
    ]
    found = groups(rows, metrics=("exact", "wer"))
    named = {name: [m.metric for m in group.measures] for name, group in found.items()}
    texts = ["asr", "st", "sqa/free", "sft", "ii/asr", "ii/sft"]
    assert named == {name: ["wer", "exact"] if name in texts else [] for name in found}
    assert set(found) == {*texts, "sv", "ii", "ii/sqa"}
    assert measures(found["st"])["wer"].value == wer.word_error_rate(["a b"], ["a c"], get_normalizer("basic")).value
    only = groups(rows, metrics=("accuracy", "ifr"))
    assert {name: [m.metric for m in g.measures] for name, g in only.items() if g.measures} == {
        "sv": ["accuracy"],
        "ii": ["ifr"],
        "ii/sqa": ["accuracy"],
    }


def test_the_normaliser_that_was_asked_for_is_used_and_signed():
    rows = [row(1, "asr", "a b", "A, B")]
    assert groups(rows)["asr"].measures[0].value == 0
    strict = groups(rows, normalizer="none")["asr"].measures[0]
    assert (strict.metric, strict.value) == ("wer", 1)
    assert "|norm:none|" in strict.signature


def test_all_normalisers_stand_side_by_side_under_their_own_names():
    found = groups([row(1, "asr", "Mr. Smith", "mister smith")], normalizer="all")["asr"].measures
    assert [m.metric for m in found] == [f"{rate}/{name}" for rate in ("wer", "cer") for name in NORMALIZERS]
    assert all(f"|norm:{m.metric.split('/')[1]}|" in m.signature for m in found)
    assert {m.metric: m.value for m in found}["wer/whisper-english"] == 0 < found[0].value


def test_bertscore_is_measured_where_an_encoder_is_named_but_not_for_transcriptions(monkeypatch):
    calls = []

    def fake(references, hypotheses, model, language, rescale):
        calls.append((references, hypotheses, model, language, rescale))
        return Measure("bertscore", np.ones((len(references), 2)), share, "fake")

    monkeypatch.setattr(bertscore, "bert_score", fake)
    rows = [row(1, "asr", "a", "b"), row(2, "st", "c", "d", target_language="German"), row(3, "sv", "yes", "yes")]
    assert not any(m.metric == "bertscore" for group in measure(rows, Options()) for m in group.measures)
    found = groups(rows, bertscore="tiny@2", rescale=True)
    assert [name for name, group in found.items() if "bertscore" in measures(group)] == ["st"]
    assert calls == [([["c"]], ["d"], "tiny@2", "de", True)]
    groups(rows, bertscore="tiny@2", metrics=("bertscore",))
    assert [call[0] for call in calls[1:]] == [[["a"]], [["c"]]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": ("wer", "blue")}, r"unknown metric 'blue': did you mean 'bleu'\? There are wer, cer, "),
        ({"metrics": ("bertscore",)}, "needs an encoder.*--bertscore roberta-large"),
        ({"rescale": True}, "--rescale belongs with --bertscore"),
        ({"normalizer": "basics"}, "unknown normaliser 'basics': did you mean 'basic'"),
    ],
)
def test_options_that_cannot_be_met_are_refused_with_the_cure(options, message):
    with pytest.raises(UsageError, match=message):
        Options(**options)


def test_no_rows_are_no_groups():
    assert measure([], Options()) == []


# --- further right answers ---


def test_an_answer_is_right_by_any_reference_and_error_rates_take_the_target():
    def row(number, task, target, references, text, **more):
        fields = {"id": f"{task}{number}", "audio": "x.wav", "task": task, "prompt": "p", "text": text}
        return Hypothesis(**fields, target=target, references=references, **more)

    rows = [
        row(1, "er", "happy", ["excited"], "excited"),
        row(2, "er", "sad", None, "excited"),
        row(3, "er", "unclear whatever", ["angry"], "angry"),
        row(1, "sqa", "A", ["B"], "B", choices=["x", "y", "z"]),
        row(1, "sft", "a b", ["c d"], "c d"),
        row(1, "asr", "a b", ["c d"], "c d"),
    ]
    found = {group.name: group for group in measure(rows, Options())}
    er = found["er"]
    assert (er.keys, er.answers) == (["happy", "sad", "angry"], ["happy", "excited", "angry"])
    assert er.measures[0].value == 2 / 3 and "answer:emotion|refs:var" in er.measures[0].signature
    assert found["sqa"].measures[0].value == 1
    assert [m.value for m in found["sft"].measures] == [1, 1, 1, 1]
    assert found["asr"].measures[0].value == 1 and "refs" not in found["asr"].measures[0].signature


def test_a_part_has_its_own_further_answers():
    part = Part(task="er", prompt="Name the emotion.", target="happy", references=["excited"])
    other = Part(task="asr", prompt="Transcribe.", target="hello there")
    row = Hypothesis(
        id="a", audio="x.wav", task="ii", prompt="Name the emotion; then transcribe.", target=None,
        parts=[part, other], text="excited\nhello there",
    )  # fmt: skip
    found = {group.name: group for group in measure([row], Options())}
    assert found["ii/er"].measures[0].value == 1 and found["ii/asr"].measures[0].value == 0


def test_where_spaces_set_no_words_apart_characters_lead_and_the_script_says_how_words_are_cut():
    rows = [row(1, "asr", "今天天气很好", "今天天气真好"), row(2, "st", "今天天气很好", "今天天气真好")]
    found = groups(rows)
    assert [m.metric for m in found["asr"].measures] == ["cer", "wer"]
    assert "|tok:zh|" in found["st"].measures[0].signature
