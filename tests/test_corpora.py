"""The registry, the commands that are made from it, and `prepare`, on a corpus made for the test."""

import importlib
import json
import re
from weakref import WeakSet

import pytest

from wavllm_cli.corpora import LeftOut, Skipped, registry
from wavllm_cli.corpora.prepare import prepare
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import UsageError, WavLLMError

TOY = """
from dataclasses import dataclass
from typing import Annotated, Literal

from wavllm_cli.corpora import About, Draft, Seed

ABOUT = About("A toy.", "MIT", "2 rows", ("sft",), "nowhere", "nothing", None, "wavllm prep toy", "data/toy")


@dataclass(frozen=True)
class Options:
    style: Annotated[Literal["plain", "fancy"], "How it looks."] = "plain"
    most: Annotated[int | None, "Rows, at most."] = None
    shade: Annotated[Literal["light", "dark"] | None, "Of it."] = None
    seed: Seed = 0


drafts = {}


def manifests(root, out, options):
    for name, rows in drafts.items():
        split, _, kind = name.partition("_")
        yield Draft(split, iter(rows[: options.most]), len(rows), kind)
"""


def row(name, **fields):
    return Utterance(id=name, audio=None, task="sft", prompt="p", target="t", **fields)


@pytest.fixture
def toy(monkeypatch, tmp_path):
    """A corpus "toy-corpus" in a package of its own; the function sets its drafts."""
    package = tmp_path / "toys"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "helper.py").write_text("raise RuntimeError('not a corpus: nobody imports me')\n")
    (package / "toy_corpus.py").write_text(TOY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "PACKAGES", (*registry.PACKAGES, "toys"))
    module = importlib.reload(importlib.import_module("toys.toy_corpus"))
    importlib.reload(importlib.import_module("toys"))

    def set_drafts(**drafts):
        module.drafts = drafts

    return set_drafts


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def skipped_in(folder):
    rows = [json.loads(line) for line in (folder / "skipped.jsonl").read_text().splitlines()]
    return [(row["split"], row["item"], row["reason"]) for row in rows]


def test_a_module_with_an_about_is_a_corpus_and_its_options_a_command(toy, out, wavllm):
    assert "toy-corpus" in registry.names() and "helper" not in registry.names()
    code, shown, _ = wavllm("prep", "toy-corpus", "--help")
    assert code == 0 and "Licence: MIT" in shown
    for text in ("How it looks.  [default: plain]", "plain|fancy", "--most <int>", "data/toy"):
        assert text in shown
    toy(train=[row("a"), row("b")])
    code, shown, _ = wavllm("prep", "toy-corpus", "--out", out, "--most", "1", "--json")
    assert code == 0 and json.loads(shown)["manifests"][0]["utterances"] == 1
    code, _, err = wavllm("prep", "toy-corpus", "--style", "odd")
    assert code == 2 and "--style" in err


def test_help_begins_with_the_users_own_data(wavllm):
    code, shown, _ = wavllm("prep", "--help")
    places = [
        shown.index(text) for text in ("Your own data", " folder ", " table ", "Corpora", " alpaca ", "Manifests")
    ]
    assert code == 0 and places == sorted(places)


def test_the_list_says_what_to_know_of_every_corpus(wavllm):
    code, shown, _ = wavllm("prep", "--list")
    assert code == 0
    for name in registry.names():
        about = registry.find(name).ABOUT
        block = shown.split(f"{name}\n")[1].split("\n\n")[0]
        assert all(text in block for text in (about.licence, about.size, about.source, about.layout, *about.tasks))
        assert about.title.endswith(".") and f"wavllm prep {name}" in about.example


def test_items_that_cannot_be_used_are_counted_named_and_listed(toy, out, capsys):
    bad = [Skipped(f"bad{i}", "no-audio", "no flac") for i in range(7)]
    long = LeftOut("long", "too-long", "31 s")
    toy(train=[bad[0], row("a", duration=1800.0), *bad[1:], long, row("b", duration=1800.0)], dev=bad[:1])
    summary = prepare("toy-corpus", out=out)
    (train,) = summary.manifests
    assert (train.listed, train.found, train.utterances, train.hours) == (10, 3, 2, 1.0)
    assert [r.id for r in read_manifest(out / "train.jsonl")] == ["a", "b"]
    assert not (out / "dev.jsonl").exists()
    warning = capsys.readouterr().err
    assert "train.jsonl: 7 clips skipped: bad0 (no flac)" in warning and "and 2 more" in warning
    assert skipped_in(out) == [
        *(("train", one.item, "no-audio") for one in bad),
        ("train", "long", "too-long"),
        ("dev", "bad0", "no-audio"),
    ]
    summary.show()
    shown = capsys.readouterr()
    assert re.search(r"train\.jsonl\W+10\W+3\W+3\W+2\W+1\.00", shown.out) and str(out) in shown.err
    assert "not used: no-audio 8, too-long 1 → " in shown.err and "8 items could not be used" in shown.err
    data = summary.data()
    assert data["manifests"][0]["path"] == str(out / "train.jsonl")
    assert data["reasons"] == {"no-audio": 8, "too-long": 1} and len(data["skipped"]) == 8


def test_what_is_left_out_on_purpose_is_no_failure(toy, out, wavllm):
    toy(train=[row("a"), LeftOut("b", "no-majority", "raters disagree")])
    code, _, err = wavllm("prep", "toy-corpus", "--out", out)
    assert code == 0 and "no-majority 1" in err and "error" not in err
    assert skipped_in(out) == [("train", "b", "no-majority")]


def test_the_list_is_about_the_manifests_that_lie_beside_it(toy, out):
    bad = [Skipped("a", "unreadable", "is a folder")]
    toy(train=[row("x"), *bad], dev=[row("y"), *bad])
    prepare("toy-corpus", out=out)
    toy(dev=[row("y")])
    prepare("toy-corpus", out=out)
    assert skipped_in(out) == [("train", "a", "unreadable")]
    (out / "skipped.jsonl").write_text("mine\n")
    with pytest.raises(UsageError, match=r"skipped\.jsonl is not a list of skipped items"):
        prepare("toy-corpus", out=out)


def test_splits_have_several_manifests_each_with_its_list(toy, out):
    toy(train_en=[row("x"), Skipped("a", "form", "odd")], train_de=[row("y"), Skipped("b", "form", "odd")])
    prepare("toy-corpus", out=out)
    toy(train_de=[row("y")])
    prepare("toy-corpus", out=out)
    assert {path.name for path in out.iterdir()} == {"train-en.jsonl", "train-de.jsonl", "skipped.jsonl"}
    assert skipped_in(out) == [("train", "a", "form")]


def test_items_are_counted_at_every_step(toy, out, capsys):
    lost = [LeftOut("a", "not-in-table", ""), *(Skipped(name, name, "") for name in ("no-audio", "unreadable", "form"))]
    toy(train=[*lost, row("x")])
    summary = prepare("toy-corpus", out=out)
    (train,) = summary.data()["manifests"]
    steps = ("listed", "in_table", "found", "readable", "utterances")
    assert [train[step] for step in steps] == [5, 4, 3, 2, 1]
    summary.show()
    assert re.search(r"listed\W+in a table\W+found\W+readable\W+used", capsys.readouterr().out)


def test_nothing_left_is_an_error(toy, out):
    toy(train=[Skipped("a", "unreadable", "empty")])
    with pytest.raises(WavLLMError, match=r"no usable clip; skipped: 1; the first: a \(empty\) → .*skipped\.jsonl"):
        prepare("toy-corpus", out=out)
    (listed,) = map(json.loads, (out / "skipped.jsonl").read_text().splitlines())
    assert (listed["item"], listed["reason"]) == ("a", "unreadable")


def test_an_interrupted_run_leaves_the_old_manifest(toy, out, monkeypatch):
    toy(train=[row("old")])
    prepare("toy-corpus", out=out)

    def interrupted(items, *_):
        yield row("new")
        raise KeyboardInterrupt

    monkeypatch.setattr("wavllm_cli.console.track", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare("toy-corpus", out=out)
    assert [r.id for r in read_manifest(out / "train.jsonl")] == ["old"]
    assert [p.name for p in out.iterdir()] == ["train.jsonl"]


def test_rows_are_written_as_they_come(toy, out, monkeypatch):
    alive = WeakSet()
    most = 0

    def made(items, *_):
        nonlocal most
        for number in range(50):
            one = row(str(number))
            alive.add(one)
            most = max(most, len(alive))
            yield one
            del one

    toy(train=[])
    monkeypatch.setattr("wavllm_cli.console.track", made)
    assert prepare("toy-corpus", out=out).manifests[0].utterances == 50 and most < 5


def test_wrong_use(tmp_path):
    with pytest.raises(UsageError, match="did you mean librispeech"):
        prepare("libripseech", tmp_path, tmp_path)
    with pytest.raises(UsageError, match="needs the path"):
        prepare("fsdd", out=tmp_path)
    with pytest.raises(UsageError, match="takes no path"):
        prepare("spoken-digits", tmp_path, tmp_path)


def test_an_output_that_is_a_file_is_wrong_use_before_anything_is_read(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UsageError, match="out is a file: --out names a folder"):
        prepare("spoken-digits", out=tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"
