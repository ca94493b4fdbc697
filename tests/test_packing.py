import numpy as np

from wavllm_cli.data.packing import Limits, pack

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
