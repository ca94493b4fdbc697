import random
from itertools import combinations

import pytest

from wavllm_cli.data.manifest import Utterance
from wavllm_cli.errors import UsageError
from wavllm_cli.prompts.paraphrases import POOL_TASKS, POOLS, attach, language_name, load_pool, load_roles, split_pool
from wavllm_cli.scoring.normalize import basic

KINDS = ("ii", "cot")


def row(i, task="asr", **more):
    return Utterance(id=str(i), audio="a.wav", task=task, prompt=more.pop("prompt", "old"), target="x", **more)


@pytest.mark.parametrize("name", [*POOL_TASKS, *KINDS])
def test_a_pool_has_thirty_distinct_wordings(name):
    wordings = [basic(wording) for wording in load_pool(name)]
    assert len(set(wordings)) == len(wordings) >= 30


@pytest.mark.parametrize("task", POOL_TASKS)
def test_wordings_are_diverse(task):
    pool = load_pool(task)
    words = [set(basic(wording).split()) for wording in pool]
    near = [(a, b) for a, b in combinations(words, 2) if len(a & b) > 0.75 * len(a | b)]
    assert near == []
    lengths = sorted(len(basic(wording).split()) for wording in pool)
    assert lengths[0] <= 4
    assert lengths[-1] >= 14
    assert 0.2 < sum("?" in wording for wording in pool) / len(pool) < 0.8


@pytest.mark.parametrize("task", POOL_TASKS)
def test_no_wording_holds_the_separator_of_a_combined_prompt(task):
    assert not [wording for wording in load_pool(task) if ";" in wording]


@pytest.mark.parametrize("task", POOL_TASKS)
def test_only_translations_have_a_slot_and_all_of_them(task):
    assert all(("{" in wording) == ("{language}" in wording) == (task == "st") for wording in load_pool(task))


def test_connectives_have_the_roles_that_composition_draws():
    assert load_roles("ii").keys() == {"first", "next", "last", "text"}
    assert load_roles("cot").keys() == {"first", "given", "text", "translate"}
    assert all("{language}" in wording for wording in load_roles("cot")["translate"])
    # two connectives stand in the middle of four parts, also when only the unseen ones are used
    assert len(split_pool(load_roles("ii")["next"], "unseen")) >= 2


def test_seen_and_unseen_divide_a_pool_at_four_fifths():
    pool = [str(i) for i in range(10)]
    assert split_pool(pool, "seen") == pool[:8]
    assert split_pool(pool, "unseen") == pool[8:]
    assert split_pool(pool, "all") == pool
    with pytest.raises(UsageError, match="unknown split of wordings 'test'"):
        split_pool(pool, "test")
    with pytest.raises(UsageError, match="none that are 'seen'"):
        split_pool(["only one"], "seen")


def test_a_rows_wording_depends_on_its_id_and_the_seed_alone():
    rows = [row(i) for i in range(300)]
    shuffled = random.Random(0).sample(rows, len(rows))
    first = {r.id: r.prompt for r in attach(rows, seed=1)}
    assert {r.id: r.prompt for r in attach(shuffled, seed=1)} == first
    assert {r.id: r.prompt for r in attach(rows[:5], seed=1)}.items() <= first.items()
    assert {r.id: r.prompt for r in attach(rows, seed=2)} != first


def test_every_wording_of_the_split_is_used_and_none_of_the_other():
    rows = [row(i) for i in range(2000)]
    for split in ("seen", "unseen", "all"):
        assert {r.prompt for r in attach(rows, 1, split)} == set(split_pool(load_pool("asr"), split))


def test_a_translation_names_its_language():
    rows = attach([row(i, "st", target_language=["de", "zh-CN", "Klingon"][i % 3]) for i in range(60)], seed=0)
    assert all(["German", "Chinese", "Klingon"][i % 3] in r.prompt for i, r in enumerate(rows))
    with pytest.raises(UsageError, match="Row '7' is a translation without target_language"):
        attach([row(7, "st")], seed=0)
    with pytest.raises(UsageError, match="Row '7' has the target_language 'xx'"):
        language_name("xx", "7")


@pytest.mark.parametrize("task", ["sqa", "sqqa", "sft", "ii", "cot"])
def test_rows_with_an_instruction_of_their_own_keep_it(task):
    rows = [row(1, task, prompt="" if task == "sqqa" else "Why?")]
    assert attach(rows, seed=0) == rows


def test_nothing_but_the_prompt_changes():
    before = [row(i, task, language="en", target_language="de") for i, task in enumerate(POOL_TASKS)]
    after = attach(before, seed=0)
    assert [r.model_copy(update={"prompt": "old"}) for r in after] == before
    assert all(r.prompt != "old" for r in after)


def test_pools_from_a_file(tmp_path):
    file = tmp_path / "mine.txt"
    file.write_text("# mine\nSay it.\n\n  Write {it}.  \n")
    assert load_pool(file) == ("Say it.", "Write {it}.")
    assert attach([row(1)], 0, "all", pools={"asr": ["Mine."]})[0].prompt == "Mine."
    with pytest.raises(UsageError, match=r"no pool of wordings 'asr\.txtt'.*asr, cot, er, ii, st, sv"):
        load_pool("asr.txtt")
    (tmp_path / "empty.txt").write_text("# nothing\n")
    with pytest.raises(UsageError, match="is empty"):
        load_pool(tmp_path / "empty.txt")


def test_every_shipped_pool_is_used():
    assert {path.stem for path in POOLS.iterdir()} == {*POOL_TASKS, *KINDS}
