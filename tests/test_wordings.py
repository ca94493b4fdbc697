"""The grammar of instructions that the miniature trains on: many, in form, and none that tests keep back."""

import pytest

from wavllm_cli.mini.wordings import drawn_from
from wavllm_cli.prompts.pools import by_role, load_pool, load_roles, split_pool
from wavllm_cli.prompts.wording_checks import Known, find_fault

TASKS = ("asr", "st", "er")
ROLES = ("first", "next", "last", "text")


@pytest.fixture(scope="module")
def pools():
    split, pools = drawn_from("train")
    assert split == "all"
    return pools


def test_dev_and_test_are_asked_as_the_package_asks():
    assert drawn_from("dev") == drawn_from("test") == ("seen", None)


@pytest.mark.parametrize("task", TASKS)
def test_train_has_hundreds_of_wordings_for_a_task_and_half_of_its_rows_have_a_shipped_one(pools, task):
    shipped = set(split_pool(load_pool(task), "seen"))
    assert shipped < set(pools[task])
    assert len(set(pools[task])) > 10 * len(shipped)
    assert sum(wording in shipped for wording in pools[task]) / len(pools[task]) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("task", TASKS)
def test_wordings_of_the_grammar_keep_the_rules_that_those_of_a_chat_model_keep(pools, task):
    assert [(w, fault) for w in pools[task] if (fault := find_fault(w, task))] == []


@pytest.mark.parametrize("role", ROLES)
def test_connectives_are_many_and_in_form(pools, role):
    connectives = by_role(pools["ii"])[role]
    assert len(set(connectives)) > 10 * len(split_pool(load_roles("ii")[role], "seen"))
    assert [(words, fault) for words in connectives if (fault := find_fault(words, "ii", role))] == []


def test_no_wording_that_is_kept_back_for_tests_is_trained_on_nor_one_like_it(pools):
    for task in ("asr", "st", "er", "sv", "sqqa"):
        kept_back = Known(split_pool(load_pool(task), "unseen"))
        seen = set(split_pool(load_pool(task), "seen"))
        assert [wording for wording in pools.get(task, ()) if wording not in seen and kept_back.has_like(wording)] == []
    for kind in ("ii", "cot"):
        for role, wordings in by_role(pools[kind]).items():
            assert set(wordings).isdisjoint(split_pool(load_roles(kind)[role], "unseen"))


def test_what_the_grammar_does_not_speak_of_is_asked_in_the_shipped_wordings_for_training(pools):
    assert list(pools["sv"]) == list(split_pool(load_pool("sv"), "seen"))
    assert by_role(pools["cot"])["translate"] == tuple(split_pool(load_roles("cot")["translate"], "seen"))
