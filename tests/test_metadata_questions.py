import random

import pytest

from wavllm_cli.data.schema import Utterance
from wavllm_cli.prompts import metadata_questions
from wavllm_cli.prompts.metadata_questions import from_metadata
from wavllm_cli.prompts.sqa import can_be_read_back, to_rows
from wavllm_cli.tasks.answers.choice import parse_choices
from wavllm_cli.tasks.answers.emotion import EMOTIONS


def row(i, task, target, **fields):
    return Utterance(id=f"{task}{i:02}", audio=f"{i}.wav", task=task, prompt="", target=target, **fields)


def test_emotions_of_the_manifest_are_the_choices():
    labels = ["sad", "Angry", "bored", "neutral"]
    questions = from_metadata([row(i, "er", labels[i % 4]) for i in range(40)], seed=0)
    assert len(questions) == 40 and questions[0].id == "er00-emotion"
    assert {choice for q in questions for choice in q.wrong} == {"sad", "angry", "bored", "neutral"}
    for i, q in enumerate(questions):
        assert q.answer == labels[i % 4].lower() and len({q.answer, *q.wrong}) == 3
        assert can_be_read_back(q)
    assert {q.text for q in questions} == set(metadata_questions.EMOTION_WORDINGS)
    for made in to_rows(questions, seed=0):
        assert parse_choices(made.prompt) == made.choices and made.target in "ABC" and made.task == "sqa"


@pytest.mark.parametrize("label", ["happiness", "sadness", "anger", "neutral", "fear", "happy"])
def test_common_emotions_join_too_few_but_no_synonym_does(label):
    (question,) = from_metadata([row(0, "er", label)], seed=0)
    assert len({question.answer, *question.wrong}) == 3
    synonyms = next(words for words in EMOTIONS.values() if label in words)
    assert not set(synonyms) & set(question.wrong)


def test_labels_of_another_corpus_are_not_offered():
    rows = [row(i, "er", w, corpus="one") for i, w in enumerate(["joy", "anger", "sorrow"])]
    rows += [row(10 + i, "er", w, corpus="two") for i, w in enumerate(["happy", "angry", "sad"])]
    for question in from_metadata(rows, seed=0):
        one = {"joy", "anger", "sorrow"}
        assert {question.answer, *question.wrong} == (
            one if question.clip.corpus == "one" else {"happy", "angry", "sad"}
        )


def test_sv_rows_tell_how_many_speak():
    rows = [row(0, "sv", "yes"), row(1, "sv", "No."), row(2, "sv", "speaker 7"), row(3, "sv", None)]
    one, several = from_metadata(rows, seed=0)
    assert (one.id, one.answer, one.wrong) == ("sv00-speakers", "One", ("More than one",))
    assert (several.id, several.answer, several.wrong) == ("sv01-speakers", "More than one", ("One",))
    made = to_rows([one], seed=0)[0]
    assert made.prompt.removeprefix(one.text) in (" A. One; B. More than one.", " A. More than one; B. One.")


def test_a_clip_is_asked_about_once_and_rows_without_a_usable_target_are_not():
    rows = [row(0, "er", "sad"), row(0, "er", "sad").model_copy(update={"id": "z"})]
    rows += [row(1, "er", None), row(2, "er", "the speaker is sad"), row(3, "asr", "sad")]
    assert [q.id for q in from_metadata(rows, seed=0)] == ["er00-emotion"]


def test_the_order_of_rows_does_not_matter_and_the_seed_does():
    rows = [row(i, "er", ["sad", "angry", "bored", "calm"][i % 4]) for i in range(20)] + [row(30, "sv", "yes")]
    assert from_metadata(rows, 1) == from_metadata(random.Random(0).sample(rows, len(rows)), 1)
    assert from_metadata(rows, 1) != from_metadata(rows, 2)


def test_a_further_right_answer_is_no_wrong_choice():
    emotions = {"happy": ["angry", "sadness"], "neutral": None}
    rows = [
        Utterance(id=target, audio=f"{target}.wav", task="er", prompt="p", target=target, references=references)
        for target, references in emotions.items()
    ]
    by_id = {question.id: question for question in from_metadata(rows, 1)}
    assert by_id["happy-emotion"].wrong == ("neutral",)
