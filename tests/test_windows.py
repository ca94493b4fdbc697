import pytest

from wavllm_cli.model.windows import windows


@pytest.mark.parametrize("frames", [101, 150, 160, 161, 180, 1_000, 12_345])
def test_windows_cover_a_clip_once_with_context_on_both_sides(frames):
    cut = list(windows(frames, most=100, context=10))
    assert [frame for w in cut for frame in range(w.first, w.last)] == list(range(frames))
    assert all(w.end - w.start == 100 for w in cut)
    assert all(w.first - w.start >= 10 or w.start == 0 for w in cut)
    assert all(w.end - w.last >= 10 or w.end == frames for w in cut)
    assert len(cut) <= -(-frames // 80) + 1
