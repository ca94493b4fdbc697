"""`wavllm prep check --fix`: the clean copy has nothing left to find, and all that went is listed."""

import json

from faulty import Corpus, clean_corpus, plant, sentence

from wavllm_cli.data.manifest import read_manifest


def test_the_clean_copy_is_clean(wavllm, tmp_path):
    clean = clean_corpus(tmp_path)
    planted, before = plant(clean), len(clean.lines["train"])
    out = tmp_path / "clean"
    options = ("--longest", 2, "--json")
    first = wavllm("prep", "check", *clean.manifests, *options, "--fix", out)
    assert first[0] == 1, first[2]
    rows = {row.id: row for name in ("train", "test") for row in read_manifest(out / f"{name}.jsonl")}
    skipped = [json.loads(line) for line in (out / "skipped.jsonl").read_text().splitlines()]
    reasons = {row["item"]: row["reason"] for row in skipped}
    assert len(skipped) + len(read_manifest(out / "train.jsonl")) == before
    assert {*reasons.values()} == {*planted} - {"wrong-case", "wrong-duration"}
    assert rows["shouted"].target == "three loud words"
    assert (rows["too much"].duration, rows["too little"].duration) == (0.5, 0.5)
    assert reasons["known voice"] == "shared-speaker" and "talk in test" in rows and "talk in train" not in rows
    assert json.loads(first[1])["fixed"]["dropped"] == {
        reason: list(reasons.values()).count(reason) for reason in reasons.values()
    } | {"duplicate-id": 1}
    code, said, err = wavllm("prep", "check", out / "train.jsonl", out / "test.jsonl", *options)
    assert code == 0, said + err


def test_nothing_is_written_where_nothing_would_be_left(wavllm, tmp_path):
    corpus = Corpus(tmp_path)
    corpus.add("a", speaker="one")
    corpus.add("b", "test", speaker="one")
    code, said, err = wavllm("prep", "check", *corpus.manifests, "--fix", tmp_path / "out")
    assert (
        code == 1
        and "shared-speaker" in said
        and "1 of 1 rows go for shared-speaker; leave that out by --skip shared-speaker" in err
    )
    assert not (tmp_path / "out").exists()


def test_the_manifests_themselves_are_safe(wavllm, tmp_path):
    corpus = Corpus(tmp_path)
    corpus.add("a")
    corpus.add("b", "test")
    code, _, err = wavllm("prep", "check", *corpus.manifests, "--fix", tmp_path)
    assert code == 2 and "--fix writes into another folder" in err
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "train.jsonl"
    other.write_text(corpus.manifests[0].read_text())
    code, _, err = wavllm("prep", "check", corpus.manifests[0], other, "--fix", tmp_path / "out")
    assert code == 2 and "Two manifests are called train.jsonl" in err


def test_a_corpus_in_capitals_becomes_lower_case(wavllm, tmp_path):
    corpus = Corpus(tmp_path)
    for number in range(3):
        corpus.add(f"row{number}", target=sentence(number).upper(), transcript=sentence(number).upper())
    corpus.add("test", "test")
    assert wavllm("prep", "check", *corpus.manifests, "--fix", tmp_path / "out")[0] == 1
    rows = read_manifest(tmp_path / "out" / "train.jsonl")
    assert [row.target for row in rows] == [row.transcript for row in rows] == [sentence(n) for n in range(3)]
    assert not (tmp_path / "out" / "skipped.jsonl").exists()


def test_what_is_skipped_is_left_as_it_is(wavllm, tmp_path):
    corpus = Corpus(tmp_path)
    corpus.add("loud", target="THREE LOUD WORDS", duration=0.9)
    corpus.add("other", "test", target="")
    options = ("--skip", "wrong-case", "--skip", "wrong-duration", "--skip", "no-target", "--fix", tmp_path / "out")
    assert wavllm("prep", "check", *corpus.manifests, *options)[0] == 0
    (row,) = read_manifest(tmp_path / "out" / "train.jsonl")
    assert (row.target, row.duration) == ("THREE LOUD WORDS", 0.9)
