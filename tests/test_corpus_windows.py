import pytest

from wavllm_cli.corpora.windows import require_length, windows
from wavllm_cli.data.pieces import Turn
from wavllm_cli.errors import UsageError


def turn(start, end, speaker="A"):
    return Turn(start=start, duration=end - start, speaker=speaker, text=f"{speaker}{start}")


def test_windows_are_filled_and_cut_where_nobody_speaks():
    turns = [turn(0, 4), turn(3, 9, "B"), turn(10, 19), turn(18, 22, "B"), turn(50, 52)]
    first, second, third = windows(reversed(turns), longest=20)
    assert [(w.start, w.end, len(w.turns)) for w in (first, second, third)] == [(0, 9, 2), (10, 22, 2), (50, 52, 1)]
    assert [t.start for t in second.inner_turns] == [0, 8]
    (whole,) = windows(turns, longest=60)
    assert [t.text for t in whole.turns] == ["A0", "B3", "A10", "B18", "A50"]


def test_speech_without_a_pause_is_one_window_however_long():
    assert [w.end - w.start for w in windows([turn(0, 8), turn(7, 30, "B"), turn(31, 32)], longest=20)] == [30, 1]


def test_nothing_said_is_no_window():
    assert list(windows([], longest=20)) == []
    require_length(None)
    with pytest.raises(UsageError):
        require_length(0)
