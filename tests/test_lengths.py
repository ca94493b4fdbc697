import numpy as np
import pytest

from wavllm_cli.corpora import CUT, NO_AUDIO, NO_TEXT, OUTSIDE, UNREADABLE, Adjusted, Skipped
from wavllm_cli.corpora.lengths import AHEAD, Segment, measured, segment
from wavllm_cli.data.audio import write_wav


def test_items_keep_their_order_and_faults_their_place(tmp_path):
    for name, seconds in (("a", 1), ("b", 2)):
        write_wav(tmp_path / f"{name}.wav", np.zeros(16_000 * seconds))
    (tmp_path / "c.wav").write_bytes(b"no audio")
    items = [(tmp_path / f"{name}.wav", name) for name in "aabcd" * AHEAD]
    found = list(measured(items))
    assert [item for item, _ in found] == [item for _, item in items]
    assert [info.duration for _, info in found[:3]] == [1, 1, 2]
    assert [info.reason for _, info in found[3:5]] == [UNREADABLE, NO_AUDIO]


def test_what_is_known_to_lack_a_file_keeps_its_place(tmp_path):
    write_wav(tmp_path / "a.wav", np.zeros(160))
    lost = Skipped("lost", NO_TEXT, "no sentence")
    assert [info for _, info in measured([(tmp_path / "a.wav", 1), (lost, 2), (tmp_path / "a.wav", 3)])][1] is lost


def test_files_are_not_read_long_before_their_turn(tmp_path):
    write_wav(tmp_path / "a.wav", np.zeros(160))
    asked = iter(range(10 * AHEAD))
    next(measured((tmp_path / "a.wav", number) for number in asked))
    assert next(asked) <= 2 * AHEAD


def test_a_segment_within_its_file_is_as_listed():
    assert segment("s", 1.25, 3.5, 10) == Segment(1.25, 2.25)


def test_a_segment_over_the_end_is_cut_and_told():
    cut = segment("s", 8, 11, 10)
    assert (cut.start, cut.duration) == (8, 2)
    assert isinstance(cut.adjusted, Adjusted) and cut.adjusted.reason == CUT


def test_rounding_at_the_end_is_no_fault():
    assert segment("s", 8, 10.01, 10) == Segment(8, 2)


@pytest.mark.parametrize("start, end", [(10, 12), (5, 5), (6, 5), (-1, 2)])
def test_what_is_not_in_the_file_is_skipped(start, end):
    found = segment("s", start, end, 10)
    assert isinstance(found, Skipped) and found.reason == OUTSIDE
