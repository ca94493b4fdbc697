"""Answers that go round in circles."""

import pytest
import torch

from wavllm_cli.systems.chat_llm import Chat, ChatLLM
from wavllm_cli.systems.decoding import Decoding
from wavllm_cli.systems.loops import LONGEST, TAIL, Loops
from wavllm_cli.systems.pretrained import Pretrained

EOS, PAD = 2, 0


@pytest.mark.parametrize(
    ("new", "repeats"),
    [
        ([7] * TAIL, True),
        ([*range(10, 10 + LONGEST)] * 3, True),
        ([*range(200), *([5, 6, 7] * LONGEST)], True),
        ([7] * (TAIL - 1), False),
        ([*range(10, 11 + LONGEST)] * 4, False),
        ([*range(10, 10 + TAIL)], False),
        ([5, EOS] + [PAD] * TAIL, False),
    ],
)
def test_three_times_the_same_is_a_circle(new, repeats):
    rows = torch.tensor([[*range(50), *new], [*range(50), *range(300, 300 + len(new))]])
    loops = Loops(50, [EOS, PAD])
    loops(rows, None)
    assert loops.ended == ({0: len(new)} if repeats else {})


def test_an_answer_ends_where_it_repeats_itself(tiny_llm):
    source = Pretrained("language model", str(tiny_llm()), trust=False)
    llm = ChatLLM(source, "cpu", torch.float32, Decoding(max_new_tokens=300, logprobs=True))
    nine = torch.eye(llm.model.config.vocab_size)[9]
    llm.model.lm_head.forward = lambda hidden: nine.expand(*hidden.shape[:-1], -1)
    (answer,) = llm.answers([Chat("a", "hello")])
    assert len(answer.token_ids) == len(answer.logprobs) == TAIL
    assert answer.warnings == [f"cut at {TAIL} tokens, where it only repeats itself"]
