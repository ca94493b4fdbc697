"""The tokenizer that is trained for a language model of one's own."""

import pytest

from wavllm_cli.model.build import train_tokenizer

ANSWERS = ["seven two nine", "The train leaves at noon.\nseven two", "Der Zug fährt um zwölf.\n\nB"]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer([*ANSWERS * 20, *"abcdefghijklmnopqrstuvwxyz"], 500)


def test_a_word_is_the_same_token_wherever_it_stands_in_an_answer(tokenizer):
    """A further answer begins on a line of its own; what is copied there is what is copied inside a sentence."""
    (token,) = tokenizer.tokenize("seven")
    assert tokenizer.tokenize("nine seven")[-1] == tokenizer.tokenize("nine\nseven")[-1] == token


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_comes_back_as_it_was_also_after_the_tokenizer_was_saved(tokenizer, answer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    again = type(tokenizer).from_pretrained(tmp_path)
    for one in (tokenizer, again):
        assert one.decode(one(answer)["input_ids"]).strip() == answer
