from threading import Barrier, current_thread

import numpy as np
import pytest

from wavllm_cli.corpora import CUT, NO_AUDIO, NO_TEXT, OUTSIDE, UNREADABLE, Adjusted, Skipped
from wavllm_cli.corpora.lengths import MOST, READERS, Segment, measured, readers, segment
from wavllm_cli.data.audio import AudioInfo, write_wav
from wavllm_cli.data.parallel import AHEAD


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
    (tmp_path / "b.wav").write_bytes((tmp_path / "a.wav").read_bytes())
    asked = iter(range(100_000))
    found = measured((tmp_path / f"{'ab'[number % 2]}.wav", number) for number in asked)
    next(found)
    assert next(asked) <= 2 * AHEAD * READERS
    for _ in range(2000):
        next(found)
    assert next(asked) <= 2000 + 2 * AHEAD * READERS * MOST


def test_few_files_are_read_at_a_time_and_the_segments_of_one_once(tmp_path):
    paths, read, together = [tmp_path / name for name in "abcd"], [], Barrier(4, timeout=10)

    def reading(path):
        read.append(path)
        together.wait()
        return AudioInfo(16_000, 1, 1.0)

    found = list(measured([(path, number) for path in paths for number in range(5)], reading))
    assert sorted(read) == paths and [item for item, _ in found] == 4 * [*range(5)]


def test_as_many_threads_read_as_are_asked_for(tmp_path):
    names = set()

    def reading(path):
        names.add(current_thread().name)
        return AudioInfo(16_000, 1, 1.0)

    with readers(1):
        assert len(list(measured(((tmp_path / str(n), n) for n in range(100)), reading))) == 100
    assert len(names) == 1


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
