"""The registry and `prepare`, on a corpus made for the test."""

import sys
import types

import pytest

from wavllm_cli.corpora import CORPORA, Corpus, Draft, Skipped, prepare
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import UsageError, WavLLMError


def row(name, **fields):
    return Utterance(id=name, audio=None, task="sft", prompt="p", target="t", **fields)


@pytest.fixture
def toy(monkeypatch):
    """Register corpus "toy"; the function sets its drafts."""
    module = types.ModuleType("toy")
    monkeypatch.setitem(sys.modules, "wavllm_cli.corpora.toy", module)
    monkeypatch.setitem(CORPORA, "toy", Corpus("A toy.", "toy", "data/toy", has_root=False))

    def drafts(**rows):
        module.manifests = lambda out: (Draft(f"{name}.jsonl", iter(r), len(r)) for name, r in rows.items())

    return drafts


def test_every_corpus_has_its_module_and_a_description():
    for corpus in CORPORA.values():
        __import__(f"wavllm_cli.corpora.{corpus.module}")
        assert corpus.description.endswith(".")


def test_clips_that_cannot_be_used_are_counted_and_named(toy, tmp_path, capsys):
    bad = [Skipped(f"bad{i}", "no flac") for i in range(7)]
    toy(train=[bad[0], row("a", duration=1800.0), *bad[1:], row("b", duration=1800.0)], dev=bad[:1])
    summary = prepare("toy", out=tmp_path)
    (train,) = summary.manifests
    assert (train.utterances, train.hours, train.skipped) == (2, 1.0, 7)
    assert [r.id for r in read_manifest(tmp_path / "train.jsonl")] == ["a", "b"]
    assert not (tmp_path / "dev.jsonl").exists()
    warning = capsys.readouterr().err
    assert "train.jsonl: 7 clips skipped: bad0 (no flac)" in warning and "and 2 more" in warning
    assert summary.data()["manifests"][0]["path"] == str(tmp_path / "train.jsonl")
    summary.show()
    shown = capsys.readouterr()
    assert "train.jsonl" in shown.out and str(tmp_path) in shown.err


def test_nothing_left_is_an_error(toy, tmp_path):
    toy(train=[Skipped("a", "empty")])
    with pytest.raises(WavLLMError, match="no usable clip: 1 were skipped"):
        prepare("toy", out=tmp_path)


def test_an_interrupted_run_leaves_the_old_manifest(toy, tmp_path):
    toy(train=[row("old")])
    prepare("toy", out=tmp_path)

    def interrupted():
        yield row("new")
        raise KeyboardInterrupt

    sys.modules["wavllm_cli.corpora.toy"].manifests = lambda out: [Draft("train.jsonl", interrupted(), 2)]
    with pytest.raises(KeyboardInterrupt):
        prepare("toy", out=tmp_path)
    assert [r.id for r in read_manifest(tmp_path / "train.jsonl")] == ["old"]
    assert [p.name for p in tmp_path.iterdir()] == ["train.jsonl"]


def test_wrong_use(tmp_path):
    with pytest.raises(UsageError, match="did you mean librispeech"):
        prepare("libripseech", tmp_path, tmp_path)
    with pytest.raises(UsageError, match="needs the path"):
        prepare("fsdd", out=tmp_path)
    with pytest.raises(UsageError, match="takes no path"):
        prepare("spoken-digits", tmp_path, tmp_path)
