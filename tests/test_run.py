"""A manifest: the answers' order, what one bad row costs, what an interrupted run leaves and its continuation uses."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from wavllm_cli.data.audio import write_wav
from wavllm_cli.data.batch import clips_of
from wavllm_cli.data.manifest import audio_paths, read_manifest, write_manifest
from wavllm_cli.data.schema import Hypothesis, Utterance
from wavllm_cli.errors import AudioError, WavLLMError
from wavllm_cli.inference import run as runs
from wavllm_cli.inference.engine import Generated
from wavllm_cli.inference.fingerprint import Fingerprint, settings_of
from wavllm_cli.prompts.command import attach
from wavllm_cli.recipe import Batch
from wavllm_cli.scoring.inputs import read_systems

LIMITS = Batch(max_seconds=20, max_utterances=3)


@pytest.fixture
def output(tmp_path):
    return tmp_path / "hypotheses.jsonl"


@pytest.fixture
def answer(engine, answering, output):
    """Function: answer a manifest -> report; `model` stands for the content of the model's files."""

    def call(manifest="manifest.jsonl", limits=LIMITS, model="a model", to=output, **options):
        run = Fingerprint(model, settings_of(engine.generation, engine.decoding.seed))
        return runs.answer_manifest(engine, clips_of(answering / manifest), to, limits, run, **options)

    return call


@pytest.fixture
def quick(engine, monkeypatch):
    """Answers without the network, where it does not matter how they are found. Goes before `stop` and `failing`."""

    def generate(self, inputs, ids):
        return [Generated(f"{i} in {self.decoding.max_new_tokens}") for i in ids]

    monkeypatch.setattr(type(engine), "generate", generate)


@pytest.fixture
def stop(engine, monkeypatch):
    """Function: raise an error at the n-th batch, once."""
    original = type(engine).generate

    def arrange(at, error=KeyboardInterrupt):
        calls = []

        def generate(self, inputs, ids):
            calls.append(ids)
            if len(calls) == at:
                raise error
            return original(self, inputs, ids)

        monkeypatch.setattr(type(engine), "generate", generate)
        return calls

    return arrange


def test_answers_come_in_the_manifest_order_and_equal_those_one_by_one(answer, engine, answering, output):
    from wavllm_cli.data.audio import read_audio

    report = answer()
    rows = read_manifest(output, Hypothesis)
    assert [row.id for row in rows] == [row.id for row in read_manifest(answering / "manifest.jsonl")]
    assert (report.answered, report.earlier, report.asked_again, report.skipped) == (8, 0, 0, [])
    assert json.loads(json.dumps(report.data()))["answered"] == 8
    assert [entry.name for entry in output.parent.iterdir()] == [output.name]
    for row in rows:
        samples = read_audio(answering / f"{row.id[4:]}.wav") if row.audio else None
        assert row.text == engine.answer(samples, row.prompt).text
    assert all(row.system == str(answering / "model") for row in rows)


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".parquet"])
def test_columns_of_ones_own_are_carried_from_prompts_to_scores(quick, answer, answering, tmp_path, suffix):
    rows = [json.loads(row.json_line()) for row in read_manifest(answering / "manifest.jsonl")]
    own = tmp_path / "own.jsonl"
    own.write_text(
        "".join(
            json.dumps({**row, "snr": i, "audio": row["audio"] and str(answering / row["audio"])}) + "\n"
            for i, row in enumerate(rows)
        )
    )
    attach(own, tmp_path / f"m{suffix}", "seen", 1, [], None)
    answer(tmp_path / f"m{suffix}", to=tmp_path / f"h{suffix}")
    (system,) = read_systems([str(tmp_path / f"h{suffix}")])
    assert [row.extra for row in system.rows] == [{"snr": i} for i in range(len(rows))]


def test_answers_find_their_audio_wherever_they_are_written(quick, answer, answering, tmp_path):
    answer(to=tmp_path / "elsewhere" / "h.jsonl")
    rows = read_manifest(tmp_path / "elsewhere" / "h.jsonl", Hypothesis)
    found = audio_paths(rows, tmp_path / "elsewhere" / "h.jsonl")
    for asked, path in zip(clips_of(answering / "manifest.jsonl"), found, strict=True):
        assert path is asked.path is None or path.samefile(asked.path)
    answer(to=answering / "h.jsonl")
    beside = [row.audio for row in read_manifest(answering / "h.jsonl", Hypothesis)]
    assert beside == [row.audio for row in read_manifest(answering / "manifest.jsonl")]
    (answering / "h.jsonl").unlink()


def test_the_longest_clips_come_first(quick, answer, stop):
    calls = stop(at=0)
    answer()
    assert calls == [["clip1", "clip4"], ["clip6", "clip2", "clip5"], ["text", "clip0", "clip3"]]


def test_logprobs_of_a_manifest_end_with_eos(answer, engine, output, decoding, monkeypatch):
    """Rows of a batch end at different tokens; what pads them is left out."""
    decoding(logprobs=True, max_new_tokens=10)
    report = answer()
    before = {row.id: row for row in read_manifest(output, Hypothesis)}
    assert report.answered == 8 and all(len(row.logprobs) == len(row.token_ids) for row in before.values())
    often = Counter(token for row in before.values() for token in row.token_ids).most_common(1)[0][0]
    monkeypatch.setattr(engine.model.generation_config, "eos_token_id", often)
    answer()
    lengths = set()
    for row in read_manifest(output, Hypothesis):
        ids = before[row.id].token_ids
        end = ids.index(often) + 1 if often in ids else len(ids)
        assert row.token_ids == ids[:end]
        np.testing.assert_allclose(row.logprobs, before[row.id].logprobs[:end], rtol=1e-4, atol=1e-5)
        lengths.add(end)
    assert len(lengths) > 1


def test_sampling_follows_the_seed_and_not_the_batches(answer, decoding, tmp_path):
    texts = []
    for seed, size in ((1, 3), (1, 8), (2, 3)):
        decoding(temperature=1.5, seed=seed)
        answer(to=tmp_path / "sampled.jsonl", limits=Batch(max_seconds=100, max_utterances=size))
        texts.append([row.text for row in read_manifest(tmp_path / "sampled.jsonl", Hypothesis)])
    assert texts[0] == texts[1] != texts[2]


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


def test_a_stop_before_the_first_answer_leaves_nothing(quick, answer, output, stop):
    stop(at=1)
    with pytest.raises(KeyboardInterrupt):
        answer()
    assert list(output.parent.iterdir()) == []


@pytest.mark.parametrize("change", ["model", "decoding"])
def test_answers_of_another_run_are_asked_again(quick, answer, output, decoding, stop, capsys, change):
    stop(at=3)
    with pytest.raises(KeyboardInterrupt):
        answer()
    decoding(max_new_tokens=3 if change == "decoding" else 6)
    report = answer(model="another" if change == "model" else "a model")
    assert (report.answered, report.earlier, report.asked_again) == (8, 0, 5)
    why = "another model" if change == "model" else "max new tokens 6, now 3"
    assert f"5 earlier answers are not used, given by another run ({why}" in capsys.readouterr().err
    mixed = output.read_text()
    output.unlink()
    answer()
    assert output.read_text() == mixed


def test_only_rows_that_have_changed_are_asked_again(quick, answer, answering, output, stop, capsys):
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


def test_bad_clips_are_named_and_the_rest_is_answered(quick, answer, answering, capsys):
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
def test_any_error_of_reading_is_its_own_rows(quick, answer, monkeypatch, error):
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


@pytest.fixture
def failing(engine, monkeypatch):
    """Function: let every batch fail in which a row is, or that is larger than `most`; returns the batches tried."""
    original = type(engine).generate
    monkeypatch.setattr(runs, "release_memory", lambda: None)  # a second each, of a process with so many modules

    def arrange(error, row=None, most=100):
        tried = []

        def generate(self, inputs, ids):
            tried.append(list(ids))
            if row in ids or len(ids) > most:
                raise error
            return original(self, inputs, ids)

        monkeypatch.setattr(type(engine), "generate", generate)
        return tried

    return arrange


MEMORY = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 320 bytes.")


def test_a_batch_that_does_not_fit_is_halved(answer, output, failing):
    answer()
    whole = read_manifest(output, Hypothesis)
    tried = failing(MEMORY, most=1)
    report = answer()
    assert (report.answered, report.skipped) == (8, [])
    assert [row.text for row in read_manifest(output, Hypothesis)] == [row.text for row in whole]
    assert tried[:3] == [["clip1", "clip4"], ["clip1"], ["clip4"]]


def test_what_will_not_fit_is_not_tried(quick, answer, failing, monkeypatch):
    """Two clips together never, and one of 3.4 s not even alone: memory and its need are counted in seconds."""
    from wavllm_cli.inference.engine import Engine
    from wavllm_cli.model import limits

    monkeypatch.setattr(Engine, "fits", lambda self, samples, clips: samples * clips <= 16_000 * 3)
    monkeypatch.setattr(limits, "available_memory", lambda _: 2**28)
    tried = failing(MEMORY, most=100)
    report = answer()
    assert report.answered == 7
    (sentence,) = report.skipped
    assert sentence.startswith("clip4: the clip is 3.4 s long; with this model and 0.2 GiB of free memory the longest")
    assert ["clip1"] in tried and ["clip4"] not in tried


def test_a_row_beyond_the_models_positions_is_skipped(quick, answer, answering):
    rows = list(read_manifest(answering / "manifest.jsonl"))
    rows[2] = rows[2].model_copy(update={"prompt": "word " * 500})
    write_manifest(answering / "wordy.jsonl", rows)
    report = answer("wordy.jsonl")
    assert report.answered == 7
    assert report.skipped[0].startswith("clip2: ") and report.skipped[0].endswith("of audio with this instruction.")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MEMORY, "clip5: it does not fit into the memory of cpu, even alone."),
        (RuntimeError("shape '[1]' is invalid"), "clip5: it cannot be answered: shape '[1]' is invalid."),
        (AudioError("too short."), "clip5: too short."),
    ],
    ids=["memory", "library", "ours"],
)
def test_a_row_that_fails_alone_is_skipped_by_its_id(quick, answer, failing, error, sentence):
    failing(error, row="clip5")
    report = answer()
    assert (report.answered, report.skipped) == (7, [sentence])


def test_a_device_that_fails_ends_the_run_and_loses_nothing(quick, answer, output, stop):
    import torch

    stop(at=2, error=torch.AcceleratorError("CUDA error: unspecified launch failure"))
    with pytest.raises(WavLLMError, match=r"Device cpu has failed: CUDA error: .* The same command continues"):
        answer()
    assert len(output.with_name("hypotheses.jsonl.partial").read_text().splitlines()) == 3
    report = answer()
    assert (report.earlier, report.answered) == (2, 6)


def test_a_full_disk_ends_the_run_and_loses_nothing(quick, answer, output, monkeypatch):
    from wavllm_cli.inference import partial

    def full(path, text):
        raise WavLLMError(f"{path} cannot be written: the disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(partial, "append_text", full)
        with pytest.raises(WavLLMError, match=r"the disk is full\. 2 answers are kept; the same command continues"):
            answer()
    assert (answer().earlier, output.exists()) == (2, True)


def test_logits_that_are_no_numbers_are_no_answer(quick, answer, engine, monkeypatch):
    original = type(engine).generate

    def generate(self, inputs, ids):
        return [None if i == "text" else row for i, row in zip(ids, original(self, inputs, ids), strict=True)]

    monkeypatch.setattr(type(engine), "generate", generate)
    report = answer()
    assert report.answered == 7
    assert report.skipped == ["text: the network's output is not a number (NaN or infinite)."]


def test_the_same_words_are_not_repeated_for_ever(quick, answer, failing, capsys):
    failing(RuntimeError("broken"), most=0)
    with pytest.raises(WavLLMError, match=r"No utterance of 8 could be answered; the first: clip1: it cannot be"):
        answer()
    shown = capsys.readouterr().err.splitlines()
    assert len(shown) == 4
    assert shown[3] == "warning: more of them are not shown: it cannot be answered: broken."


def test_nothing_answered_leaves_nothing(quick, answer, answering, output):
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
    report = runs.Report("h.jsonl", "m", 5, 3, 2, list("abcde"), ["x: broken."], 60.0, 30.0)
    report.show()
    assert capsys.readouterr().err.splitlines() == [
        "8 answers (3 earlier, 2 asked again), 1 skipped → h.jsonl (60 s of audio in 30 s, 2.0 × real time)",
        "5 answers were cut at the greatest number of new tokens: a, b, c and 2 more.",
        "error: 1 utterances could not be answered; the first: x: broken.",
    ]
    replace(report, cut=[], skipped=[], earlier=0, asked_again=0).show()
    assert capsys.readouterr().err == "5 answers → h.jsonl (60 s of audio in 30 s, 2.0 × real time)\n"
