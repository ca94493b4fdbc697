from random import Random

import pytest
from rapidfuzz.distance import LCSseq

from wavllm_cli.data.schema import Part, Utterance
from wavllm_cli.errors import UsageError
from wavllm_cli.mini import spelled as module
from wavllm_cli.mini.spelled import HEAVIEST, Noise, is_in_words, spelled
from wavllm_cli.mini.world import Scene, scenes
from wavllm_cli.model.conversation import SPEECH_CLOSE, SPEECH_OPEN


def heard(scene: Scene, **fields) -> Utterance:
    """A row about the clip of a scene."""
    known = {"task": "st", "prompt": "Translate.", "target": scene.german, "transcript": scene.text, "language": "en"}
    about = {"id": scene.text.replace(" ", "-"), "audio": "a.wav", "duration": 2.0, "split": "train", "corpus": "mini"}
    return Utterance(**{**known, **about, **fields})


@pytest.fixture(scope="module")
def rows():
    return [heard(scene) for scene in scenes("train", 300, seed=3)]


def slot(row: Utterance) -> str:
    """What stands in place of the clip."""
    return row.prompt.removeprefix(f"{SPEECH_OPEN} ").partition(SPEECH_CLOSE)[0]


def test_a_row_of_text_stands_for_a_row_about_a_clip(rows):
    text = spelled(rows[0], seed=1)
    assert (text.audio, text.duration, text.task, text.transcript) == (None, None, "sft", None)
    assert (text.target, text.split, text.corpus, text.language) == (rows[0].target, "train", "mini", "en")
    assert text.prompt.startswith("<SPEECH> ") and text.prompt.endswith(" </SPEECH> Translate.")
    assert text.id == f"{rows[0].id}-spelled-1" != spelled(rows[0], seed=2).id


def test_how_it_sounds():
    """Pieces drawn out and apart, with blanks within and between words, one of them misheard."""
    row = Utterance(id="door", audio=None, task="asr", prompt="", target="x", transcript="open the yellow door two two")
    assert [slot(spelled(row, seed)) for seed in (3, 113, 132)] == [
        "open the yellow door two - two",
        "open - - the yel-lo lo low door - two - - - two",
        "op en n n - dh the e ye e l l l-low low door tw two - two",
    ]


def test_what_is_dropped_is_less_than_half_of_a_word():
    row = Utterance(id="door", audio=None, task="asr", prompt="", target="x", transcript="yellow")
    heard = {slot(spelled(row, seed, Noise(cut=1, dropped=1))) for seed in range(20)}
    assert 3 < min(map(len, heard)) < 6 and all(set(word) <= set("yellow") for word in heard)


def test_the_same_row_and_seed_give_the_same_noise(rows):
    assert spelled(rows[0], 1) == spelled(rows[0], 1)
    assert [spelled(row, 1).prompt for row in rows] != [spelled(row, 2).prompt for row in rows]


def test_rows_differ_in_their_noise_and_some_have_none(rows):
    noise = [len(slot(spelled(row, 1))) / len(row.transcript) for row in rows]
    clean = sum(slot(spelled(row, 1)) == row.transcript for row in rows) / len(rows)
    assert 0.12 < clean < 0.3
    assert max(noise) > 2 and sorted(noise)[len(noise) // 2] < 1.7


def test_what_is_said_twice_is_heard_twice():
    """As with CTC there is a blank between, whatever the noise; what is drawn out has none."""
    for seed in range(30):
        row = Utterance(id="twos", audio=None, task="asr", prompt="", target="x", transcript="two two two")
        frames = slot(spelled(row, seed)).split(" ")
        assert sum(a == "-" != b for a, b in zip(["-", *frames], frames, strict=False)) >= 3


@pytest.mark.parametrize("word", ["two", "six", "bananas", "umbrella", "a"])
def test_more_than_half_of_a_word_is_heard(word):
    rng = Random(1)
    for _ in range(200):
        text = module._spelled_word(word, HEAVIEST, rng)
        assert 2 * LCSseq.similarity(word, text) > len(word), text


def test_a_mood_stands_in_blanks_or_before_the_words(rows):
    moods = [row.model_copy(update={"task": "er", "target": "sad"}) for row in rows]
    among = rows[0].model_copy(
        update={"task": "ii", "parts": [Part(task="st", prompt=""), Part(task="er", prompt="", target="angry")]}
    )
    for row, with_mood in zip(rows, moods, strict=True):
        without, felt = slot(spelled(row, 1)).split(" "), slot(spelled(with_mood, 1)).split(" ")
        changed = [old for old, new in zip(without, felt, strict=True) if new == "sad"] if "-" in without else felt[:1]
        assert felt.count("sad") == len(changed) > 0 and set(changed) <= {"-", "sad"}
    assert "angry" in slot(spelled(among, 1)).split(" ")
    assert slot(spelled(moods[0], 1, Noise())) == f"sad {rows[0].transcript}"


def test_only_what_follows_from_the_words_can_be_spelled(rows):
    both = rows[0].model_copy(
        update={"task": "ii", "parts": [Part(task="sv", prompt="Who?"), Part(task="st", prompt="")]}
    )
    silent = rows[0].model_copy(update={"transcript": None})
    for row in (both, silent):
        assert not is_in_words(row)
        with pytest.raises(UsageError, match=f"^Row {row.id} cannot be spelled out: .*'sv'"):
            spelled(row, 1)
    assert is_in_words(rows[0])
