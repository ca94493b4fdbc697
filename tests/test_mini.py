"""`wavllm prep mini`: every manifest, splits that share nothing, the same bytes again, real recordings in place."""

import json
import re
from pathlib import Path

import pytest

from wavllm_cli.corpora.prepare import prepare
from wavllm_cli.data.audio import is_silent, read_audio
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.mini import real
from wavllm_cli.mini.casting import SPLITS, timbre
from wavllm_cli.mini.given import Given
from wavllm_cli.mini.mini import ABOUT
from wavllm_cli.speech.piper import Piper

REAL = Path(__file__).parents[2] / "shared" / "data" / "real"
KINDS = ("world", "st", "sqa", "er", "sv", "sqqa", "sft", "ii", "cot")


def made(out):
    with pytest.MonkeyPatch.context() as patch:  # it takes a second a clip
        patch.setattr(Piper, "open", lambda options: (_ for _ in ()).throw(WavLLMError("Piper is away.")))
        return prepare("mini", out=out, scale=0.002, processes=1)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mini")
    made(folder)
    return folder


@pytest.fixture(scope="module")
def rows(out):
    """All rows by split and kind."""
    return {
        split: {p.stem.removeprefix(f"{split}-"): list(read_manifest(p)) for p in sorted(out.glob(f"{split}-*.jsonl"))}
        for split in SPLITS
    }


def test_every_split_has_every_kind_of_rows(rows):
    for split in SPLITS:
        assert set(KINDS) <= rows[split].keys()
        assert {row.split for some in rows[split].values() for row in some} == {split}
    assert {row.task for some in rows["test"].values() for row in some} == set(ABOUT.tasks)
    assert {"text", "words", "choices", "exchanges", "moods", "felt"} == rows["train"].keys() - set(KINDS)
    assert {"text"} == rows["dev"].keys() - set(KINDS)
    assert {"ii-unseen", "ii-four"} == rows["test"].keys() - set(KINDS)
    assert {len(row.parts) for row in rows["test"]["ii-four"]} == {4}


def test_what_is_said_in_one_split_is_said_in_no_other(rows):
    """Sentences, questions asked aloud, instructions, and what a language model reads of them."""
    said = {
        split: {row.transcript for some in rows[split].values() for row in some if row.transcript} for split in SPLITS
    }
    said = {split: some | {row.prompt for row in rows[split]["sft"]} for split, some in said.items()}
    answers = {split: {row.target for row in rows[split]["st"]} for split in SPLITS}
    for one, other in (("train", "dev"), ("train", "test"), ("dev", "test")):
        assert not said[one] & said[other] and not answers[one] & answers[other]
    read = {row.target for kind in ("text", "words") for row in rows["train"][kind]}
    read |= {" ".join(heard_and_asked(row)[0]) or row.prompt for row in rows["train"]["exchanges"]}
    assert not read & (said["test"] | said["dev"] | answers["test"] | answers["dev"])


def test_who_speaks_in_one_split_speaks_in_no_other(rows):
    voices = {split: {s for some in rows[split].values() for row in some for s in row.speakers} for split in SPLITS}
    timbres = {split: {timbre(voice) for voice in voices[split]} for split in SPLITS}
    assert not timbres["train"] & timbres["test"]
    assert not timbres["train"] & timbres["dev"] and not timbres["dev"] & timbres["test"]
    assert all(map(len, timbres.values()))


def test_clips_can_be_heard_and_are_as_long_as_rows_say(out, rows):
    clips = {row.audio: row.duration for row in [*rows["train"]["er"], *rows["test"]["world"], *rows["dev"]["sqqa"]]}
    for audio, seconds in clips.items():
        samples = read_audio(out / audio)
        assert len(samples) / 16_000 == seconds and not is_silent(samples)
    assert {row.extra["sound"] for row in rows["train"]["world"]} <= {"clean", "noisy", "reverberant"}


def test_moods_and_pairs_are_balanced(rows):
    for split in SPLITS:
        moods = [row.target for row in rows[split]["er"]]
        assert {moods.count(mood) for mood in ("neutral", "happy", "sad", "angry")} == {len(moods) // 4}
        answers = [row.target for row in rows[split]["sv"]]
        assert answers.count("Yes") == answers.count("No")
        for row in rows[split]["sv"]:
            assert (row.target == "Yes") == (len(set(row.speakers)) == 1) == (len(set(map(timbre, row.speakers))) == 1)
            assert len({piece.audio for piece in row.pieces}) == 2


def test_answers_are_those_of_the_scene(rows):
    translations = {row.audio: row for row in rows["test"]["st"]}
    for row in rows["test"]["world"]:
        assert row.target == row.target.lower() == row.transcript
        assert translations[row.audio].target_language == "de" and translations[row.audio].target.endswith(
            (".", "!", "?")
        )
    for row in rows["test"]["sqa"]:
        assert len(row.choices) == 3 and row.target in "ABC"
    assert any(row.choices is None for row in rows["train"]["sqa"])
    assert all(row.prompt == "" and row.target for row in rows["test"]["sqqa"])


def test_text_alone_teaches_the_tasks(rows):
    heard = [row for row in rows["train"]["text"] if row.prompt.startswith("<SPEECH>")]
    assert len(heard) > len(rows["train"]["text"]) / 2
    assert {row.audio for row in rows["train"]["text"]} == {None}
    several = [row for row in heard if "\n" in row.target]
    assert len(several) > len(rows["train"]["text"]) / 2
    assert any("-digits-" in row.id for row in several) and any("-scene-" in row.id for row in several)


def test_words_are_copied_as_they_are_spelled(rows):
    for row in rows["train"]["words"]:
        words, _ = heard_and_asked(row)
        assert 2 <= len(words) <= 12 and words == row.target.split()
    assert any("digits" in row.id for row in rows["train"]["words"])


def test_one_of_three_words_is_said(rows):
    asked = [row for row in rows["train"]["choices"] if "-heard-" in row.id]
    for row in asked:
        words, prompt = heard_and_asked(row)
        options = dict(re.findall(r"([ABC])\. ([^;]+?)[;.]?(?= [ABC]\. |$)", prompt))
        assert len(options) == 3 and [letter for letter, word in options.items() if word in words] == [row.target]
    assert len(asked) == len(rows["train"]["choices"]) // 2
    assert {row.target for row in rows["train"]["choices"]} == {"A", "B", "C"}


def test_half_of_the_exchanges_are_heard(rows):
    heard = [row for row in rows["train"]["exchanges"] if row.prompt.startswith("<SPEECH>")]
    assert len(heard) == len(rows["train"]["exchanges"]) // 2
    assert all(row.prompt.endswith("</SPEECH> ") for row in heard)


def test_a_mood_that_is_asked_for_can_be_read(rows):
    names = {"neutral", "happy", "sad", "angry"}
    for row in rows["train"]["moods"]:
        told = {line.removeprefix("The emotion of the speaker is: ") for line in row.target.split("\n")} & names
        assert len(told) == 1 and told == names & set(heard_and_asked(row)[0])
    assert {"\n" in row.target for row in rows["train"]["moods"]} == {True, False}


def test_a_mood_is_said_after_the_words(rows):
    er, felt = rows["train"]["er"], rows["train"]["felt"]
    assert [(row.task, row.target) for row in felt] == [("asr", f"{row.transcript} {row.target}") for row in er]
    assert [row.audio for row in felt] == [row.audio for row in er]


def heard_and_asked(row):
    """The words that are spelled, and the instruction."""
    heard, _, prompt = row.prompt.removeprefix("<SPEECH> ").rpartition(" </SPEECH>")
    return [word for word in heard.split() if word != "-"], prompt  # a blank parts a word from itself


def test_a_second_run_changes_nothing_and_replaces_what_is_lost(out):
    before = {path: path.read_bytes() for path in out.rglob("*.*") if path.is_file()}
    lost = sorted(path for path in before if path.suffix == ".wav")[::10]
    for path in lost:
        path.unlink()
    made(out)
    assert {path: path.read_bytes() for path in out.rglob("*.*") if path.is_file()} == before and len(lost) > 5


def test_sources_are_named_with_licences_and_voices(out):
    about = json.loads((out / "sources.json").read_text())
    assert {one["name"]: one.get("used", True) for one in about["sources"]} == {
        "espeak-ng": True,
        "piper": False,
        "Free Spoken Digit Dataset": False,
        "open English": False,
    }
    assert (
        sum(about["manifests"]["train-world.jsonl"]["voices"].values())
        == about["manifests"]["train-world.jsonl"]["rows"]
    )


@pytest.mark.parametrize("scale", [0.0, -1.0, 1000.0])
def test_a_scale_out_of_range_is_refused(scale, tmp_path):
    with pytest.raises(UsageError, match="--scale must be above 0"):
        prepare("mini", out=tmp_path, scale=scale)


# --- real recordings ---


@pytest.fixture(scope="module")
def given():
    if not REAL.is_dir():
        pytest.skip("there are no real recordings beside the checkout")
    return Given.read([REAL], None, None)


def test_real_recordings_stay_in_their_splits(given):
    read = {split: given.read_speech(split) for split in SPLITS}
    accented = given.read_speech("test", accented=True)
    for split in SPLITS:
        assert read[split] and {row.split for row in read[split]} == {split}
        assert all(Path(row.audio).is_absolute() and row.duration <= real.LONGEST for row in read[split])
    assert {row.corpus for row in accented} == {"speechocean762"}
    assert {row.corpus for row in read["train"]} == {"librispeech", "speechocean762", "speech-commands"}
    assert {row.corpus for row in read["test"]} == {"librispeech"}
    said = {split: {row.target for row in read[split]} for split in SPLITS}
    assert not said["train"] & (said["dev"] | said["test"] | {row.target for row in accented})


def test_what_is_for_evaluation_alone_is_in_test_alone(given):
    assert not real.emotions(given.sets, "train") and not real.emotions(given.sets, "dev")
    emotions = real.emotions(given.sets, "test")
    assert {row.corpus for row in emotions} == {"ravdess"}
    assert {row.target for row in emotions} == {"neutral", "happy", "sad", "angry"}


def test_real_questions_have_three_choices_and_pairs_two_speakers_or_one(given):
    asked = real.questions(given.sets, "test", seed=0)
    assert asked and all(len(row.choices) == 3 and row.target in "ABC" for row in asked)
    pairs = real.paired(given.read_speech("train"), "train", 100, seed=0)
    answers = [row.target for row in pairs]
    assert len(pairs) > 90 and abs(answers.count("Yes") - answers.count("No")) < 5
    assert all((row.target == "Yes") == (len(set(row.speakers)) == 1) for row in pairs)


def test_a_folder_without_manifests_is_refused(tmp_path):
    with pytest.raises(UsageError, match="holds no manifests"):
        real.find([tmp_path])
