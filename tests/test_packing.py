import numpy as np

from wavllm_cli.data.packing import Limits, pack, pack_tokens

LIMITS = Limits(max_seconds=40, max_utterances=8)


def test_pack_keeps_everything_once_and_batches_alike_lengths():
    generator = np.random.default_rng(1)
    seconds = generator.uniform(0, 30, 500).tolist()
    batches = pack(seconds, LIMITS)
    assert sorted(i for batch in batches for i in batch) == list(range(500))
    flat = [seconds[i] for batch in batches for i in batch]
    assert flat == sorted(flat)


def test_an_utterance_beyond_the_limit_is_alone():
    assert pack([100.0, 90.0, 1.0], LIMITS) == [[2], [1], [0]]


def test_tokens_are_a_limit_beside_the_others_and_text_is_no_audio():
    generator = np.random.default_rng(1)
    tokens, seconds = generator.integers(5, 400, 500), generator.uniform(0, 30, 500) * (generator.random(500) < 0.7)
    batches = pack_tokens(tokens.tolist(), seconds.tolist(), Limits(300, 12, 900))
    assert [tokens[i] for batch in batches for i in batch] == sorted(tokens)
    assert sorted(i for batch in batches for i in batch) == list(range(500))
    full = set()
    for batch in batches:
        padded = len(batch) * max(tokens[batch])
        heard = np.count_nonzero(seconds[batch]) * max(seconds[batch])
        assert len(batch) <= 12 and padded <= 900 and heard <= 300
        full |= {name for name, is_full in (("rows", len(batch) == 12), ("tokens", padded > 800)) if is_full}
    assert full == {"rows", "tokens"}
    assert any(len(batch) * max(seconds[batch]) > 300 for batch in batches)


def test_a_row_beyond_a_limit_is_alone():
    limits = Limits(max_seconds=40, max_utterances=8, max_tokens=100)
    assert pack_tokens([300, 10, 200, 20], [0.0, 50.0, 0.0, 1.0], limits) == [[1], [3], [2], [0]]
