"""Sentences of open English for the miniature: out of a text file, or WordNet's glosses."""

import pytest

from wavllm_cli.errors import UsageError
from wavllm_cli.mini.open_english import files_of, of_a_length, read


def test_sentences_of_a_text_file_are_plain_distinct_and_in_an_order_of_their_own(tmp_path):
    path = tmp_path / "sentences.txt"
    path.write_text("The cat doesn't sleep, today.\nthe cat doesn't sleep today\nToo short.\nIt is 5 o'clock now.\n")
    assert read(path) == ["the cat doesn't sleep today"]
    several = [f"this is sentence {name} of mine" for name in ("one", "two", "three", "four")]
    assert of_a_length(several) == of_a_length(reversed(several)) and set(of_a_length(several)) == set(several)


def test_usage_examples_of_wordnet(tmp_path):
    line = '00001740 03 n 01 entity 0 000 | that which is; "an entity of its own kind"; "it is"\n'
    other = b'00001741 03 n 01 x 0 000 | caf\xe9; "we met at the caf\xe9"\n'
    (tmp_path / "data.noun").write_bytes(line.encode() + other)
    assert read(tmp_path) == ["an entity of its own kind"]
    assert files_of(tmp_path) == [tmp_path / "data.noun"]


@pytest.mark.parametrize("content", [None, "", "Short.\n"])
def test_what_holds_no_sentences_is_refused(content, tmp_path):
    path = tmp_path / "sentences.txt"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError):
        read(path)
    with pytest.raises(UsageError, match="none of WordNet's files"):
        read(tmp_path)
