import pytest

from wavllm_cli.data.skipped import SKIPPED, list_skipped, skipped_earlier, skipped_row
from wavllm_cli.errors import UsageError


def test_a_command_replaces_its_own_rows_and_leaves_those_of_others(tmp_path):
    ours, theirs = skipped_row("toy", "train", "a", "no-audio", "gone"), skipped_row("toy", "dev", "b", "form", "odd")
    assert skipped_earlier(tmp_path) == [] and list_skipped(tmp_path, [], lambda row: True, []) is None
    assert not (tmp_path / SKIPPED).exists()
    assert list_skipped(tmp_path, [], lambda row: True, [ours, theirs]) == tmp_path / SKIPPED
    earlier = skipped_earlier(tmp_path)
    assert earlier == [ours, theirs]
    assert list_skipped(tmp_path, earlier, lambda row: row["split"] == "train", []) is None
    assert skipped_earlier(tmp_path) == [theirs]


@pytest.mark.parametrize("content", ["{", "[]", '{"split": "train"}'])
def test_another_file_of_the_name_is_no_list(tmp_path, content):
    (tmp_path / SKIPPED).write_text(content)
    with pytest.raises(UsageError, match=r"skipped\.jsonl is not a list of skipped items"):
        skipped_earlier(tmp_path)
