"""A manifest: the answers' order, what one bad row costs, what an interrupted run leaves and its continuation uses."""

import json
from dataclasses import replace

import numpy as np
import pytest
from fake_system import FakeSystem

from wavllm_cli.data.audio import write_wav
from wavllm_cli.data.audio_paths import audio_paths, relocated
from wavllm_cli.data.batch import clips_of
from wavllm_cli.data.manifest import read_manifest, write_manifest
from wavllm_cli.data.schema import Hypothesis, Utterance
from wavllm_cli.errors import WavLLMError
from wavllm_cli.inference import run as runs
from wavllm_cli.prompts.command import attach
from wavllm_cli.scoring.inputs import read_systems
from wavllm_cli.systems.base import Failure, SystemFailed

LENGTHS = [6400 + (i * 5 % 7) * 8000 for i in range(7)]  # of the clips, in samples


@pytest.fixture(scope="module")
def answering(tmp_path_factory):
    """Folder with a manifest of clips of unequal length, and a text row between them."""
    folder = tmp_path_factory.mktemp("manifest")
    noise = np.random.default_rng(0)
    rows = []
    for i, samples in enumerate(LENGTHS):
        write_wav(folder / f"{i}.wav", noise.normal(0, 0.1, samples))
        row = {"audio": f"{i}.wav", "task": "asr", "prompt": "hello", "target": "x", "duration": samples / 16_000}
        rows.append(Utterance(id=f"clip{i}", **row))
    rows.insert(3, Utterance(id="text", audio=None, task="sft", prompt="say something"))
    write_manifest(folder / "manifest.jsonl", rows)
    return folder


@pytest.fixture
def output(tmp_path):
    return tmp_path / "hypotheses.jsonl"


@pytest.fixture
def system():
    return FakeSystem()


@pytest.fixture
def answer(system, answering, output):
    """Function: answer a manifest -> report."""

    def call(manifest="manifest.jsonl", to=output, **options):
        return runs.answer_manifest(system, clips_of(answering / manifest), to, 3, **options)

    return call


@pytest.fixture
def stop(system):
    """Function: raise an error at the n-th batch from now on, once."""

    def arrange(at, error=KeyboardInterrupt):
        at += len(system.asked)

        def fault(ids):
            if len(system.asked) == at:
                raise error

        system.fault = fault

    return arrange


def test_answers_come_in_the_manifest_order(answer, answering, output):
    report = answer()
    rows = read_manifest(output, Hypothesis)
    assert [row.id for row in rows] == [row.id for row in read_manifest(answering / "manifest.jsonl")]
    assert [row.text.split(": ")[1] for row in rows] == list(map(str, [*LENGTHS[:3], 0, *LENGTHS[3:]]))
    assert (report.answered, report.earlier, report.asked_again, report.skipped) == (8, 0, 0, [])
    assert json.loads(json.dumps(report.data()))["answered"] == 8
    assert [entry.name for entry in output.parent.iterdir()] == [output.name]
    assert {row.system for row in rows} == {"fake"}


WORLD = {
    "pieces": {
        "audio": [{"audio": "0.wav", "channel": 0}, {"audio": "1.wav", "start": 0.25, "duration": 0.5}], "gap": 0.25,
        "turns": [
            {"start": 0.0, "duration": 0.4, "speaker": "A", "text": "Hello."},
            {"start": 0.65, "duration": 0.5, "speaker": "B", "channel": 0, "text": "Who is it?"},
        ],
    },
    "channel": {"audio": "1.wav", "channel": 0, "start": 0.5, "duration": 0.5, "speech_text": "Hello there."},
    "text": {"audio": None, "task": "sft", "prompt": "Say hello."},
    "own": {"audio": "2.wav", "group": "another talk", "extra": {"snr": 3, "votes": ["a", "b"]}, "room": "kitchen"},
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".parquet"])
def test_all_that_rows_carry_goes_from_preparation_to_scores(answer, answering, tmp_path, suffix):
    usual = {"task": "asr", "prompt": "", "target": "t", "references": ["u", "v"], "group": "talk"}
    rows = [Utterance(**{"id": name, **usual, **fields}) for name, fields in WORLD.items()]
    write_manifest(tmp_path / "prepared" / f"m{suffix}", relocated(rows, answering / "m", tmp_path / "prepared" / "m"))
    attach(tmp_path / "prepared" / f"m{suffix}", tmp_path / f"m{suffix}", "seen", 1, [], None)
    report = answer(tmp_path / f"m{suffix}", to=tmp_path / "answers" / f"h{suffix}")
    assert report.audio_seconds == pytest.approx(0.4 + 0.25 + 0.5 + 0.5 + 1.9, abs=0.01)
    (system,) = read_systems([str(tmp_path / "answers" / f"h{suffix}")])
    there = [clip.paths for clip in clips_of(tmp_path / "answers" / f"h{suffix}")]
    for row, paths, then in zip(system.rows, there, rows, strict=True):
        same = {"prompt": then.prompt, "audio": then.audio}
        kept = row.model_copy(update=same).model_dump(include=set(Utterance.model_fields))
        assert kept == then.model_dump() and bool(row.prompt)
        assert [path.name for path in paths] == [piece.audio for piece in then.pieces]
        assert all(path.samefile(answering / path.name) for path in paths)
        assert [piece.model_copy(update={"audio": ""}) for piece in row.pieces] == [
            piece.model_copy(update={"audio": ""}) for piece in then.pieces
        ]
    assert system.rows[3].extra == {"snr": 3, "votes": ["a", "b"], "room": "kitchen"}


def test_answers_find_their_audio_wherever_they_are_written(answer, answering, tmp_path):
    answer(to=tmp_path / "elsewhere" / "h.jsonl")
    rows = read_manifest(tmp_path / "elsewhere" / "h.jsonl", Hypothesis)
    found = audio_paths(rows, tmp_path / "elsewhere" / "h.jsonl")
    for asked, paths in zip(clips_of(answering / "manifest.jsonl"), found, strict=True):
        assert all(path.samefile(there) for path, there in zip(paths, asked.paths, strict=True))
    answer(to=answering / "h.jsonl")
    beside = [row.audio for row in read_manifest(answering / "h.jsonl", Hypothesis)]
    assert beside == [row.audio for row in read_manifest(answering / "manifest.jsonl")]
    (answering / "h.jsonl").unlink()


def test_the_longest_clips_come_first(answer, system):
    answer()
    assert system.asked == [["clip1", "clip4"], ["clip6", "clip2", "clip5"], ["text", "clip0", "clip3"]]


# --- continuing ---


def test_a_stopped_run_keeps_its_answers_even_after_half_a_line(answer, output, stop):
    answer()
    whole = output.read_text()
    output.unlink()
    stop(at=3)
    with pytest.raises(KeyboardInterrupt):
        answer()
    with output.with_name("hypotheses.jsonl.partial").open("a") as file:
        file.write('{"run": "clip')
    report = answer()
    assert (report.answered, report.earlier) == (3, 5)
    assert output.read_text() == whole
    assert [entry.name for entry in output.parent.iterdir()] == [output.name]


def test_a_stop_before_the_first_answer_leaves_nothing(answer, output, stop):
    stop(at=1)
    with pytest.raises(KeyboardInterrupt):
        answer()
    assert list(output.parent.iterdir()) == []


@pytest.mark.parametrize("change", ["model", "decoding"])
def test_answers_of_another_run_are_asked_again(answer, system, output, stop, capsys, change):
    stop(at=3)
    with pytest.raises(KeyboardInterrupt):
        answer()
    if change == "model":
        system.content = "another"
    else:
        system.settings["max_new_tokens"] = 3
    report = answer()
    assert (report.answered, report.earlier, report.asked_again) == (8, 0, 5)
    why = "another model" if change == "model" else "max new tokens 6, now 3"
    assert f"5 earlier answers are not used, given by another run ({why}" in capsys.readouterr().err
    mixed = output.read_text()
    output.unlink()
    answer()
    assert output.read_text() == mixed


def test_what_long_clips_depend_on_counts_where_there_are_any(answer, system, output, stop, capsys, monkeypatch):
    longest = max(LENGTHS) / 16_000
    stop(2)
    with pytest.raises(KeyboardInterrupt):
        answer()
    monkeypatch.setattr(system, "settings_about", lambda seconds: {"windows": 30} if seconds > longest else {})
    stop(2)
    with pytest.raises(KeyboardInterrupt):
        answer()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(system, "settings_about", lambda seconds: {"windows": 30} if seconds == longest else {})
    answer()
    assert "given by another run (windows none, now 30): asking again" in capsys.readouterr().err


def test_only_rows_that_have_changed_are_asked_again(answer, answering, output, stop, capsys):
    rows = read_manifest(answering / "manifest.jsonl")
    write_manifest(answering / "changing.jsonl", rows)
    stop(at=3)
    with pytest.raises(KeyboardInterrupt):
        answer("changing.jsonl")
    changes = {"clip1": {"prompt": "say it backwards"}, "clip5": {"target": "y"}, "clip0": {"target": "z"}}
    rows = [row.model_copy(update=changes.get(row.id, {})) for row in rows]
    write_manifest(answering / "changing.jsonl", rows)
    report = answer("changing.jsonl")
    assert (report.answered, report.earlier, report.asked_again) == (5, 3, 2)
    assert "2 earlier answers are not used, about rows or audio that have changed" in capsys.readouterr().err
    continued = output.read_text()
    fields = set(Utterance.model_fields) - {"audio"}  # whose path starts from another folder
    asked = [row.model_dump(include=fields) for row in read_manifest(output, Hypothesis)]
    assert asked == [row.model_dump(include=fields) for row in rows]
    output.unlink()
    answer("changing.jsonl")
    assert output.read_text() == continued


# --- rows that cannot be answered ---


def test_bad_clips_are_named_and_the_rest_is_answered(answer, answering, capsys):
    rows = list(read_manifest(answering / "manifest.jsonl"))
    (answering / "no.wav").write_text("not audio")
    write_wav(answering / "quiet.wav", np.zeros(8000))
    rows += [
        rows[0].model_copy(update={"id": name, "audio": f"{name}.wav", "duration": None})
        for name in ("gone", "no", "quiet")
    ]
    write_manifest(answering / "bad.jsonl", rows)
    report = answer("bad.jsonl", missing={"gone": "There is no audio file."})
    assert report.skipped[0] == "gone: There is no audio file."
    assert [sentence.split(":")[0] for sentence in report.skipped] == ["gone", "no"]
    assert report.answered == len(rows) - 2
    assert "quiet: silent clip" in capsys.readouterr().err


@pytest.mark.parametrize("error", [ValueError("array is too big"), MemoryError(), OverflowError(), KeyError("x")])
def test_any_error_of_reading_is_its_own_rows(answer, monkeypatch, error):
    from wavllm_cli.data.batch import Clip

    read = Clip.read

    def failing(self):
        if self.row.id == "clip2":
            raise error
        return read(self)

    monkeypatch.setattr(Clip, "read", failing)
    report = answer()
    assert report.answered == 7
    (sentence,) = report.skipped
    assert sentence.startswith("clip2: it ")


def test_a_batch_that_does_not_fit_is_halved(answer, system, output):
    answer()
    whole = output.read_text()
    system.asked.clear()

    def fault(ids):
        if len(ids) > 1:
            raise MemoryError

    system.fault = fault
    report = answer()
    assert (report.answered, report.skipped, output.read_text()) == (8, [], whole)
    assert system.asked[:3] == [["clip1", "clip4"], ["clip1"], ["clip4"]]


def test_a_row_that_the_system_cannot_answer_is_skipped(answer, system, monkeypatch):
    monkeypatch.setattr(system, "problem", lambda item: "it is too long" if item.id == "clip2" else None)
    report = answer()
    assert (report.answered, report.skipped) == (7, ["clip2: it is too long."])


def test_a_failure_is_its_rows_own(answer, system, monkeypatch):
    whole = system.answer

    def failing(items, inputs):
        answers = {item.id: row for item, row in zip(items, whole(items, inputs), strict=True)}
        return [*(answers | {"clip5": Failure("no.")} if "clip5" in answers else answers).values()]

    monkeypatch.setattr(system, "answer", failing)
    report = answer()
    assert (report.answered, report.skipped) == (7, ["clip5: no."])


def test_a_system_that_fails_ends_the_run_and_loses_nothing(answer, output, stop):
    stop(at=2, error=SystemFailed("Device cpu has failed: unspecified launch failure."))
    with pytest.raises(WavLLMError, match=r"Device cpu has failed: unspecified launch failure. The same command cont"):
        answer()
    assert len(output.with_name("hypotheses.jsonl.partial").read_text().splitlines()) == 3
    report = answer()
    assert (report.earlier, report.answered) == (2, 6)


def test_a_full_disk_ends_the_run_and_loses_nothing(answer, output, monkeypatch):
    from wavllm_cli.inference import partial

    def full(path, text):
        raise WavLLMError(f"{path} cannot be written: the disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(partial, "append_text", full)
        with pytest.raises(WavLLMError, match=r"the disk is full\. 2 answers are kept; the same command continues"):
            answer()
    assert (answer().earlier, output.exists()) == (2, True)


def test_the_same_words_are_not_repeated_for_ever(answer, system, capsys):
    def fault(ids):
        raise RuntimeError("broken")

    system.fault = fault
    with pytest.raises(WavLLMError, match=r"No utterance of 8 could be answered; the first: clip1: it cannot be"):
        answer()
    shown = capsys.readouterr().err.splitlines()
    assert len(shown) == 4
    assert shown[3] == "warning: more of them are not shown: it cannot be answered: broken."


def test_nothing_answered_leaves_nothing(answer, answering, output):
    write_manifest(answering / "gone.jsonl", [Utterance(id="a", audio="gone.wav", task="asr", prompt="x")])
    with pytest.raises(WavLLMError, match=r"No utterance of 1 could be answered; the first: a: "):
        answer("gone.jsonl")
    assert list(output.parent.iterdir()) == []


def test_results_ahead_come_in_order_and_bring_their_errors():
    assert list(runs.ahead(lambda n: n * n, range(5))) == [0, 1, 4, 9, 16]
    assert list(runs.ahead(str, [])) == []
    results = runs.ahead(lambda n: 1 // n, [1, 0])
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_report_says_what_was_kept_cut_and_skipped(capsys):
    warnings = {"cut at 6 tokens": list("abcde"), "a window was silent": ["a"]}
    report = runs.Report("h.jsonl", "m", 5, 3, 2, warnings, ["x: broken."], 60.0, 30.0)
    report.show()
    assert capsys.readouterr().err.splitlines() == [
        "8 answers (3 earlier, 2 asked again), 1 skipped → h.jsonl (60 s of audio in 30 s, 2.0 × real time)",
        "5 answers, cut at 6 tokens: a, b, c and 2 more.",
        "1 answer, a window was silent: a.",
        "error: 1 utterances could not be answered; the first: x: broken.",
    ]
    assert report.data()["cut"] == list("abcde")
    replace(report, warnings={f"cut at 6 tokens in 0:0{n}-0:30": ["a"] for n in range(6)} | warnings).show()
    lines = capsys.readouterr().err.splitlines()
    assert lines[1] == "5 answers, cut at 6 tokens: a, b, c and 2 more." and len(lines) == 6
    assert lines[4] == 'More warnings (5) are in the file, under "warnings".'
    replace(report, warnings={}, skipped=[], earlier=0, asked_again=0).show()
    assert capsys.readouterr().err == "5 answers → h.jsonl (60 s of audio in 30 s, 2.0 × real time)\n"
