import gzip
import json
from collections import Counter

import pytest

from wavllm_cli.corpora.gigaword import detokenised
from wavllm_cli.corpora.prepare import prepare
from wavllm_cli.corpora.splits import Names
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.errors import UsageError

PAIRS = [
    ("japan 's nikkei -lrb- index -rrb- fell , they do n't say why .", "japan 's index falls"),
    ("u.s. stocks rose #.# percent .", "stocks up"),
    ("the UNK of peru spoke .", "peru speaks"),
    ("the president of peru spoke .", "<unk> speaks"),
    ("", "an empty line"),
    ("one\u2028sentence\x0bin\x85one line .", "one line"),
    ("the sun sets .", ""),
    ("caf\u00e9s and e\u0301clairs are unkind to the unk .", "a `` sweet '' life"),
]


def lines(texts):
    return "".join(f"{text}\n" for text in texts).encode()


@pytest.fixture
def root(tmp_path):
    """sumdata/ as its owner ships it; the training set is packed, and a Mac has been there."""
    root = tmp_path / "sumdata"
    for folder in ("train", "Giga", "DUC2003"):
        (root / folder).mkdir(parents=True)
    sentences, headlines = (lines(texts) for texts in zip(*PAIRS, strict=True))
    (root / "train/train.article.txt.gz").write_bytes(gzip.compress(sentences))
    (root / "train/train.title.txt.gz").write_bytes(gzip.compress(headlines))
    (root / "train/valid.article.filter.txt").write_bytes(lines(["a filtered sentence ."]))
    (root / "train/valid.title.filter.txt").write_bytes(lines(["filtered"]))
    (root / "train/valid.article.txt").write_bytes(lines(["another sentence ."]))
    (root / "train/valid.title.txt").write_bytes(lines(["another"]))
    (root / "train/._train.article.txt").write_bytes(b"\0\5\26\7")
    (root / "Giga/input.txt").write_bytes(lines(["the test of gigaword ."]))
    (root / "Giga/task1_ref0.txt").write_bytes(lines(["the test"]))
    (root / "DUC2003/input.txt").write_bytes(lines(["iraq accepts in 1998 .", "all are masked ."]))
    for number, texts in enumerate((["iraq accepts", "##"], ["iraq gives in", "<unk>"], ["iraq # accepts", "UNK"],
                                    ["iraq accepts", "#"])):  # fmt: skip
        (root / f"DUC2003/task1_ref{number}.txt").write_bytes(lines(texts))
    return root


def test_sentences_wait_for_a_voice_and_headlines_sum_them_up(root, tmp_path):
    out = tmp_path / "out"
    summary = prepare("gigaword", root, out)
    assert {path.name for path in out.iterdir()} == {
        *(f"{split}.jsonl" for split in ("train", "valid", "Giga", "DUC2003")), "skipped.jsonl"
    }  # fmt: skip
    first, second, third = read_manifest(out / "train.jsonl")
    assert (first.id, first.task, first.split) == ("gigaword-train-0000001", "summ", "train") and first.awaits_speech
    assert first.speech_text == first.transcript == "japan's nikkei index fell, they don't say why."
    assert first.target == "japan's index falls"
    assert second.id == "gigaword-train-0000006" and second.target == "one line"
    assert third.speech_text == "caf\u00e9s and \u00e9clairs are unkind to the unk."
    assert third.target == 'a "sweet" life'
    (valid,) = read_manifest(out / "valid.jsonl")
    assert valid.target == "filtered"
    (duc,) = read_manifest(out / "DUC2003.jsonl")
    assert (duc.target, duc.references, duc.speech_text) == ("iraq accepts", ["iraq gives in"], "iraq accepts in 1998.")
    assert summary.reasons == {"masked": 4, "no-text": 2} and not summary.faults


def test_what_comes_behind_the_pairs_that_are_wanted_is_not_looked_at(root, tmp_path):
    summary = prepare("gigaword", root, tmp_path / "out", splits=Names(("train",)), pairs=1)
    assert [row.id for row in read_manifest(tmp_path / "out/train.jsonl")] == ["gigaword-train-0000001"]
    assert not summary.reasons and [m.listed for m in summary.manifests] == [1]
    with pytest.raises(UsageError, match="There is no split test"):
        prepare("gigaword", root, tmp_path / "out", splits=Names(("test",)))


def test_other_forms_of_the_same(tmp_path):
    import pyarrow
    from pyarrow.parquet import write_table

    sentences, headlines = zip(*PAIRS, strict=True)
    (tmp_path / "unilm/org_data").mkdir(parents=True)
    (tmp_path / "unilm/org_data/dev.src.txt").write_bytes(lines(sentences))
    (tmp_path / "unilm/org_data/dev.tgt.txt").write_bytes(lines(headlines))
    (tmp_path / "hub/data").mkdir(parents=True)
    for shard in range(2):
        half = {"document": sentences[shard::2], "summary": headlines[shard::2]}
        write_table(pyarrow.table(half), tmp_path / f"hub/data/train-0000{shard}-of-00002.parquet")
    objects = [{"document": sentence, "summary": headline} for sentence, headline in PAIRS]
    (tmp_path / "json").mkdir()
    broken = '{"document": "x"}\n{"document"\n'
    (tmp_path / "json/test.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in objects) + broken)
    (tmp_path / "json/validation.json").write_text(json.dumps(objects))
    found = {}
    for name, split in (("unilm", "dev"), ("hub", "train"), ("json", "test"), ("json", "validation")):
        summary = prepare("gigaword", tmp_path / name, tmp_path / "out", splits=Names((split,)))
        found[split] = Counter(row.speech_text for row in read_manifest(tmp_path / f"out/{split}.jsonl"))
        assert len(summary.faults) == (2 if split == "test" else 0)
    assert found["dev"] == found["train"] == found["test"] == found["validation"] and len(found["dev"]) == 3


def test_files_that_do_not_belong_together(root, tmp_path):
    (root / "Giga/task1_ref0.txt").write_bytes(lines(["the test", "and more"]))
    with pytest.raises(UsageError, match=r"different numbers of lines: .*input\.txt 1, .*task1_ref0\.txt 2"):
        prepare("gigaword", root, tmp_path / "out", splits=Names(("Giga",)))
    (root / "copy").mkdir()
    for name in ("input.txt", "task1_ref0.txt"):
        (root / f"copy/{name}").write_bytes(b"x\n")
    (root / "copy").rename(root / "train/Giga")
    with pytest.raises(UsageError, match="The split Giga is there twice, and not the same"):
        prepare("gigaword", root, tmp_path / "out")
    (root / "train/valid.title.filter.txt").unlink()
    with pytest.raises(UsageError, match=r"valid\.title\.filter\.txt does not exist"):
        prepare("gigaword", root / "train", tmp_path / "out", splits=Names(("valid",)))


def test_roots_that_are_not_gigaword(root, tmp_path):
    (tmp_path / "empty").mkdir()
    for given, says in (
        (tmp_path / "empty", r"is not Gigaword: there is no train\.article\.txt"),
        (root / "Giga/input.txt", "is a file"),
        (root / "gone", "There is no folder"),
    ):
        with pytest.raises(UsageError, match=says):
            prepare("gigaword", given, tmp_path / "out")
    prepare("gigaword", tmp_path, tmp_path / "train")  # whose manifests have names as tables have them
    prepare("gigaword", tmp_path, tmp_path / "train")
    prepare("gigaword", root / "Giga", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["Giga.jsonl"]


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (
            "workers ' unions , it 's said : `` we wo n't pay $ 5 ! ''",
            "workers' unions, it's said: \"we won't pay $5!\"",
        ),
        ("a 3 % rise ; no -- more ?", "a 3% rise; no -- more?"),
        ("-LRB- ap -RRB- the -lsb- sic -rsb- end", "ap the sic end"),
        ("'s -lrb- ", "'s"),
    ],
)
def test_tokens_become_text(tokens, text):
    assert detokenised(tokens) == text
