"""Answers that go round in circles."""

import pytest
import torch

from wavllm_cli.systems.chat_llm import Chat, ChatLLM
from wavllm_cli.systems.decoding import Decoding
from wavllm_cli.systems.loops import LONGEST, TAIL, Loops
from wavllm_cli.systems.pretrained import Pretrained

EOS, PAD = 2, 0


@pytest.mark.parametrize(
    ("new", "kept"),
    [
        ([7] * TAIL, 1),
        ([*range(10, 10 + LONGEST)] * 3, LONGEST),
        ([*range(200), *([5, 6, 7] * LONGEST)], 203),
        ([*range(200), *([6, 7, 8, 199] * LONGEST)], 203),
        ([7] * (TAIL - 1), None),
        ([*range(10, 11 + LONGEST)] * 4, None),
        ([*range(10, 10 + TAIL)], None),
        ([5, EOS] + [PAD] * TAIL, None),
    ],
)
def test_three_times_the_same_is_a_circle(new, kept):
    rows = torch.tensor([[*range(50), *new], [*range(50), *range(300, 300 + len(new))]])
    loops = Loops(50, [EOS, PAD])
    loops(rows, None)
    assert loops.kept == ({} if kept is None else {0: kept})


def test_an_answer_says_once_what_it_repeats(tiny_llm):
    source = Pretrained("language model", str(tiny_llm()), trust=False)
    llm = ChatLLM(source, "cpu", torch.float32, Decoding(max_new_tokens=300, logprobs=True))
    nine = torch.eye(llm.model.config.vocab_size)[9]
    llm.model.lm_head.forward = lambda hidden: nine.expand(*hidden.shape[:-1], -1)
    (answer,) = llm.answers([Chat("a", "hello")])
    assert answer.token_ids == [9] and len(answer.logprobs) == 1
    assert answer.warnings == ["cut at 1 tokens, which it only repeats"]
