import json
from pathlib import Path

import pytest
import soundfile

from wavllm_cli.corpora.gaokao import COLUMNS, LETTERS, _choices
from wavllm_cli.corpora.prepare import prepare
from wavllm_cli.corpora.tables import rows
from wavllm_cli.data.audio_paths import resolve_audio
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.errors import UsageError, WavLLMError

HEADER = "id\taudio\tn_frames\tprompt\ttgt_text\twith_speech\n"
WHY = "Why? A. It's \u201clate\u201d; B. \"No\u00a0bus; C. He\u00ads ill."
PROMPTS = {  # what a row asks, and its answer
    "short_conv_1": (WHY, "A"),
    "short_conv_2": ("Where\uff1f A. In the U.S.A. B. At customs(\u6d77\u5173).(\u540c\u4e8b) C. At home", "C"),
    "short_conv_3": (WHY, "B"),  # over another recording: no duplicate
    "short_conv_4": (WHY, "A"),
    "short_conv_5": ("Why? A. Yes; B. No.", "A"),
    "short_conv_6": (WHY, "D"),
    "short_conv_7": (WHY, "A"),
}
TABLE = Path(__file__).parents[2] / "shared/data/wavllm_examples/gaokao.tsv"


@pytest.fixture
def root(tmp_path, noise):
    """The owner's table; recordings apart: one is not there, one is damaged, one was left behind by macOS."""
    lines = [f"{i}\tgaokao_audio/{i}.wav\t111111\t{prompt}\t{key}\tTrue\n" for i, (prompt, key) in PROMPTS.items()]
    lines += [lines[0], "short_conv_8\tx.wav\n"]
    (tmp_path / "gaokao" / "wavs").mkdir(parents=True)
    (tmp_path / "gaokao" / "gaokao.tsv").write_text(HEADER + "".join(lines), encoding="utf-8")
    for i in (1, 2, 3):
        soundfile.write(tmp_path / f"gaokao/wavs/short_conv_{i}.wav", noise(i / 4, 44_100), 44_100)
    (tmp_path / "gaokao/wavs/short_conv_4.wav").write_bytes(b"RIFF")
    (tmp_path / "gaokao/wavs/._short_conv_1.wav").write_bytes(b"\0\5\26\7")
    return tmp_path / "gaokao"


def test_questions_have_three_choices_and_what_is_no_question_is_listed(root, tmp_path):
    out = tmp_path / "out"
    summary = prepare("gaokao", root, out)
    first, second, third = read_manifest(out / "test.jsonl")
    assert (first.id, first.task, first.prompt, first.target) == ("gaokao-short_conv_1", "sqa", WHY, "A")
    assert first.choices == third.choices == ["It's \u201clate\u201d", '"No\u00a0bus', "He\u00ads ill"]
    assert second.choices == ["In the U.S.A.", "At customs(\u6d77\u5173).(\u540c\u4e8b)", "At home"]
    assert [row.duration for row in (first, second, third)] == [0.25, 0.5, 0.75]  # never the table's n_frames
    assert resolve_audio(third, out / "test.jsonl") == root / "wavs/short_conv_3.wav"
    assert (first.corpus, first.split, first.language) == ("gaokao", "test", "en")
    skipped = [json.loads(line) for line in (out / "skipped.jsonl").read_text().splitlines()]
    assert {(row["item"], row["reason"]) for row in skipped} == {
        ("short_conv_4", "unreadable"),
        ("short_conv_5", "form"),
        ("short_conv_6", "form"),
        ("short_conv_7", "no-audio"),
        ("short_conv_1", "duplicate"),
        (f"{root / 'gaokao.tsv'}, line 10", "form"),
    }
    assert len(skipped) == 6 and summary.manifests[0].listed == 9


def test_the_root_may_be_the_table_or_a_folder_above(root, tmp_path):
    for name, given in (("a", root / "gaokao.tsv"), ("b", root), ("c", tmp_path)):
        prepare("gaokao", given, tmp_path / "out" / name)
    bytes_of = [(tmp_path / "out" / name / "test.jsonl").read_bytes() for name in "abc"]
    assert bytes_of[0] == bytes_of[1] == bytes_of[2]


def test_not_gaokao(root, tmp_path):
    for given, says in ((root / "wavs", "has no gaokao.tsv"), (root / "gone", "There is no folder")):
        with pytest.raises(UsageError, match=says):
            prepare("gaokao", given, tmp_path / "out")
    with pytest.raises(UsageError, match="there is no column id, audio"):
        prepare("gaokao", root / "wavs/short_conv_4.wav", tmp_path / "out")
    (root / "copy-of-gaokao.tsv").write_text(HEADER)
    with pytest.raises(UsageError, match="has 2 tables"):
        prepare("gaokao", root, tmp_path / "out")
    (tmp_path / "alone").mkdir()
    (root / "gaokao.tsv").rename(tmp_path / "alone/gaokao.tsv")
    with pytest.raises(WavLLMError, match="no recording"):
        prepare("gaokao", tmp_path / "alone", tmp_path / "out")


@pytest.mark.skipif(not TABLE.exists(), reason="the original project's table is not there")
def test_every_row_of_the_real_table_has_three_choices():
    table = list(rows(TABLE, COLUMNS))
    letters = [row["tgt_text"] for row in table]
    assert [letters.count(letter) for letter in LETTERS] == [642, 685, 673]
    assert {len(_choices(row["prompt"])) for row in table} == {3}
    assert all(map(all, (_choices(row["prompt"]) for row in table)))
