import json
from collections import Counter
from shutil import copytree

import pytest
import soundfile

from wavllm_cli.corpora.iemocap import Classes
from wavllm_cli.corpora.prepare import prepare
from wavllm_cli.data.audio_paths import resolve_audio
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.errors import UsageError

HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
VOTES = "C-E2:\tNeutral;\t()\nC-E4:\tAnger; Sadness;\t(a bit; of both)\nC-F1:\tOther;\t()\nA-E3:\tval 3; act 2;\t()\n"


def judged(*turns):
    """An EmoEvaluation file: a summary a turn, its raters below."""
    summaries = [f"[6.2901 - 8.2357]\t{name}\t{code}\t[2.5000, 3.0000, 1.5000]" for name, code in turns]
    return HEADER + "".join(f"{summary}\n{VOTES}\n" for summary in summaries)


@pytest.fixture
def root(tmp_path, noise):
    """IEMOCAP_full_release/ with two sessions and what is odd in the owner's files."""
    root = tmp_path / "IEMOCAP_full_release"

    def dialogue(session, name, turns, said=b"", wavs=None):
        folder = root / f"Session{session}"
        for part in ("dialog/EmoEvaluation/Categorical", "dialog/transcriptions", f"sentences/wav/{name}"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / f"dialog/EmoEvaluation/{name}.txt").write_text(judged(*turns), newline="\r\n")
        (folder / f"dialog/EmoEvaluation/._{name}.txt").write_bytes(b"\0\5\26\7\xff")
        (folder / f"dialog/EmoEvaluation/Categorical/{name}_e2_cat.txt").write_text(f"{name}_F000 :Neutral state; ()\n")
        (folder / f"dialog/transcriptions/{name}.txt").write_bytes(said)
        for turn in wavs or [turn for turn, _ in turns]:
            soundfile.write(folder / f"sentences/wav/{name}/{turn}.wav", noise(0.25), 16_000)

    dialogue(
        1,
        "Ses01F_impro01",
        [(f"Ses01F_impro01_{turn}", code) for turn, code in
         (("F000", "neu"), ("M000", "exc"), ("F001", "hap"), ("M001", "xxx"), ("F002", "fru"), ("M002", "ang"))],
        b"Ses01F_impro01_F000 [006.2901-008.2357]: [LAUGHTER] Well--  you know...\r\n"
        b"Ses01F_impro01_MXX0 [007.0000-007.5000]: Hm.\r\nM: no turn\r\n\r\n"
        + b"Ses01F_impro01_M000 [007.2901-009.2357]: Caf\xe9\x85?\r\nSes01F_impro01_F001 [8.0-9.0]: [BREATHING]\r\n",
        [*(f"Ses01F_impro01_{turn}" for turn in ("F000", "M000", "F001", "M001", "F002")), "Ses01F_impro01_F009"],
    )  # fmt: skip
    dialogue(1, "Ses01M_script01_1b", [("Ses01M_script01_1b_F000", "sad"), ("Ses01M_script01_1b_M000", "sad")])
    for n in range(4):
        dialogue(5, f"Ses05M_script01_{n}", [(f"Ses05M_script01_{n}_M000", "neu")])
    odd = root / "Session5/dialog/EmoEvaluation/Ses05M_script01_3.txt"
    odd.write_text(odd.read_text() + "[1.0 - 2.0]\tSes05M_script01_3_M001\tjoy\t[1, 1, 1]\n[broken\n")
    (root / "Session5/dialog/EmoEvaluation/Ses05M_script02.txt").mkdir()
    (root / "Documentation").mkdir()
    return root


def skipped_in(out):
    rows = [json.loads(line) for line in (out / "skipped.jsonl").read_text().splitlines()]
    return {row["item"].rsplit("/", 1)[-1]: row["reason"] for row in rows}


def test_a_manifest_a_session_in_the_four_usual_classes(root, tmp_path):
    out = tmp_path / "out"
    summary = prepare("iemocap", root, out)
    first, fifth = (read_manifest(out / f"Session{n}.jsonl") for n in (1, 5))
    assert [(row.id.removeprefix("iemocap-Ses01"), row.target, row.speaker) for row in first] == [
        ("F_impro01_F000", "neutral", "Ses01F"),
        ("F_impro01_M000", "happy", "Ses01M"),
        ("F_impro01_F001", "happy", "Ses01F"),
        ("M_script01_1b_F000", "sad", "Ses01F"),  # who wears the markers is not who speaks
        ("M_script01_1b_M000", "sad", "Ses01M"),
    ]
    neutral, excited, happy, *_ = first
    assert neutral.choices == ["neutral", "happy", "sad", "angry"] and neutral.task == "er"
    # U+0085 ends no line.
    assert [row.transcript for row in first[:4]] == [
        "Well-- you know...",
        "Caf\xe9 ?",
        None,
        None,
    ]
    assert (neutral.references, excited.references, happy.references) == (None, ["excited"], None)
    assert excited.extra == {
        "label": "exc", "valence": 2.5, "activation": 3.0, "dominance": 1.5,
        "votes": ["C-E2: Neutral", "C-E4: Anger; Sadness", "C-F1: Other"],
    }  # fmt: skip
    assert (neutral.group, neutral.split, neutral.duration) == ("Ses01F_impro01", "Session1", 0.25)
    audio = resolve_audio(fifth[0], out / "Session5.jsonl")
    assert audio == root / "Session5/sentences/wav/Ses05M_script01_0/Ses05M_script01_0_M000.wav"
    assert skipped_in(out) == {
        "Ses01F_impro01_M001": "no-majority",
        "Ses01F_impro01_F002": "other-class",
        "Ses01F_impro01_M002": "no-audio",
        "Ses01F_impro01_MXX0": "no-label",
        "Ses01F_impro01_F009": "no-label",
        "Ses01F_impro01.txt, line 3": "form",
        "Ses05M_script01_3.txt, line 9": "form",
        "Ses05M_script01_3.txt, line 10": "form",
        "Ses05M_script02.txt": "unreadable",
    }
    assert len(summary.faults) == 4


def test_classes_are_the_owners_codes(root, tmp_path):
    prepare("iemocap", root, tmp_path, classes=Classes.parse("ang + fru, sad, exc"))
    rows = read_manifest(tmp_path / "Session1.jsonl")
    assert [(row.target, row.references) for row in rows] == [
        ("excited", None), ("angry", ["frustrated"]), ("sad", None), ("sad", None)
    ]  # fmt: skip
    assert rows[0].choices == ["angry", "sad", "excited"] and str(Classes.parse("neu, hap+exc")) == "neu,hap+exc"
    for text, says in (("neu,joy", "no emotion 'joy'"), ("neu,hap+neu", "twice"), ("", "no emotion ''")):
        with pytest.raises(UsageError, match=says):
            Classes.parse(text)


def test_a_fold_tests_on_one_session_and_validates_on_dialogues_of_the_others(root, tmp_path):
    for name, seed in (("a", 0), ("b", 0)):
        prepare("iemocap", root, tmp_path / name, fold=1, seed=seed)
        assert {path.name for path in (tmp_path / name).glob("s*.jsonl")} == {"skipped.jsonl"}
    train, dev, test = (list(read_manifest(tmp_path / f"a/{split}.jsonl")) for split in ("train", "dev", "test"))
    assert {row.speaker[:5] for row in test} == {"Ses01"} and {row.speaker[:5] for row in train + dev} == {"Ses05"}
    assert Counter(row.split for row in train + dev + test) == {"train": 3, "dev": 1, "test": 5}
    assert not {row.group for row in train} & {row.group for row in dev}
    assert (tmp_path / "a/dev.jsonl").read_bytes() == (tmp_path / "b/dev.jsonl").read_bytes()
    with pytest.raises(UsageError, match="--fold 3 needs Session3 and others to train on: there is Session1, Session5"):
        prepare("iemocap", root, tmp_path / "c", fold=3)


def test_roots_that_are_and_are_not_iemocap(root, tmp_path):
    prepare("iemocap", root, tmp_path / "a")
    prepare("iemocap", tmp_path, tmp_path / "b")
    prepare("iemocap", root / "Session5", tmp_path / "c")
    for name in ("a", "b", "c"):
        assert (tmp_path / name / "Session5.jsonl").read_bytes() == (tmp_path / "a/Session5.jsonl").read_bytes()
    with pytest.raises(UsageError, match="--fold 5 needs"):
        prepare("iemocap", root / "Session5", tmp_path / "c", fold=5)
    for given, says in (
        (root / "Documentation", "is not IEMOCAP: there is no Session1/dialog/ … in it"),
        (root / "Session1/dialog", "Session1 instead"),
        (root / "gone", "There is no folder"),
        (root / "Session5/dialog/EmoEvaluation/Ses05M_script01_0.txt", "is a file"),
    ):
        with pytest.raises(UsageError, match=says):
            prepare("iemocap", given, tmp_path / "out")


def test_a_second_copy_is_no_second_turn(root, tmp_path):
    copytree(root / "Session5", tmp_path / "IEMOCAP/Session5")
    prepare("iemocap", tmp_path, tmp_path / "out")
    assert len(read_manifest(tmp_path / "out/Session5.jsonl")) == 4
    turns = {item: reason for item, reason in skipped_in(tmp_path / "out").items() if item.endswith("_M000")}
    assert turns == dict.fromkeys((f"Ses05M_script01_{n}_M000" for n in range(4)), "duplicate")
