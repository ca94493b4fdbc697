"""Inference: one clip or a manifest, resumable, never stopped by one bad clip."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from wavllm_cli.data.audio import write_wav
from wavllm_cli.data.batch import clips_of
from wavllm_cli.data.manifest import Hypothesis, Utterance, read_manifest, write_manifest
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.recipe import Batch

LIMITS = Batch(max_seconds=20, max_utterances=3)


@pytest.fixture(scope="module")
def folder(tiny_model, tiny_processor, tmp_path_factory):
    """A checkpoint, and a manifest of clips of unequal length with text rows between them."""
    folder = tmp_path_factory.mktemp("inference")
    tiny_model().save_pretrained(folder / "model")
    tiny_processor.save_pretrained(folder / "model")
    noise = np.random.default_rng(0)
    rows = []
    for i in range(7):
        seconds = 0.4 + (i * 5 % 7) * 0.5
        write_wav(folder / f"{i}.wav", noise.normal(0, 0.1, int(16_000 * seconds)))
        rows.append(
            Utterance(id=f"clip{i}", audio=f"{i}.wav", task="asr", prompt="hello", target="x", duration=seconds)
        )
    rows.insert(3, Utterance(id="text", audio=None, task="sft", prompt="say something"))
    write_manifest(folder / "manifest.jsonl", rows)
    return folder


@pytest.fixture(scope="module")
def engine(folder):
    from wavllm_cli.inference.engine import Decoding, Engine

    return Engine(str(folder / "model"), device="cpu", decoding=Decoding(max_new_tokens=6, temperature=0))


@pytest.fixture
def output(folder, tmp_path):
    return tmp_path / "hypotheses.jsonl"


def test_answers_come_in_the_manifest_order_and_equal_those_one_by_one(engine, folder, output):
    from wavllm_cli.data.audio import read_audio

    report = engine.run(clips_of(folder / "manifest.jsonl"), output, LIMITS)
    rows = read_manifest(output, Hypothesis)
    assert [row.id for row in rows] == [row.id for row in read_manifest(folder / "manifest.jsonl")]
    assert (report.answered, report.earlier, report.skipped) == (8, 0, [])
    assert not output.with_name("hypotheses.jsonl.partial").exists()
    for row in rows:
        samples = read_audio(folder / f"{row.id[4:]}.wav") if row.audio else None
        assert row.text == engine.answer(samples, row.prompt).text
    assert all(row.system == str(folder / "model") for row in rows)


@pytest.fixture
def decoding(engine, monkeypatch):
    """Function: change the engine's decoding for one test."""

    def change(**options):
        monkeypatch.setattr(engine, "decoding", replace(engine.decoding, **options))

    return change


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}, {"temperature": 0.7, "seed": 5}], ids=str)
def test_logprobs_are_those_of_the_bare_network(engine, decoding, options):
    """A forward pass over prompt and answer gives the same, whatever way the answer was found."""
    import torch

    decoding(logprobs=True, **options)
    samples = np.random.default_rng(1).normal(0, 0.1, 20_000).astype(np.float32)
    answer = engine.answer(samples, "hello")
    assert len(answer.logprobs) == len(answer.token_ids) == 6
    assert answer.text == engine.processor.decode(answer.token_ids, skip_special_tokens=True).strip()
    inputs = engine.processor(text="hello", audio=samples)
    new = torch.tensor([answer.token_ids])
    inputs["input_ids"] = torch.cat([inputs["input_ids"], new], dim=1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    with torch.no_grad():
        expected = engine.model(**inputs).logits[0, -7:-1].log_softmax(-1).gather(1, new.T)[:, 0]
    torch.testing.assert_close(torch.tensor(answer.logprobs), expected, rtol=1e-4, atol=1e-5)


def test_logprobs_of_a_manifest_end_with_eos(engine, folder, output, decoding, monkeypatch):
    """Rows of a batch end at different tokens; what pads them is left out."""
    decoding(logprobs=True, max_new_tokens=20)
    report = engine.run(clips_of(folder / "manifest.jsonl"), output, LIMITS)
    before = {row.id: row for row in read_manifest(output, Hypothesis)}
    assert report.answered == 8 and all(len(row.logprobs) == len(row.token_ids) for row in before.values())
    often = Counter(token for row in before.values() for token in row.token_ids).most_common(1)[0][0]
    monkeypatch.setattr(engine.model.generation_config, "eos_token_id", often)
    output.unlink()
    engine.run(clips_of(folder / "manifest.jsonl"), output, LIMITS)
    lengths = set()
    for row in read_manifest(output, Hypothesis):
        ids = before[row.id].token_ids
        end = ids.index(often) + 1 if often in ids else len(ids)
        assert row.token_ids == ids[:end]
        np.testing.assert_allclose(row.logprobs, before[row.id].logprobs[:end], rtol=1e-4, atol=1e-5)
        lengths.add(end)
    assert len(lengths) > 1


def test_a_partial_file_without_logprobs_is_not_continued_with_them(engine, folder, output, decoding):
    row = read_manifest(folder / "manifest.jsonl")[0]
    begun = Hypothesis(**row.model_dump(), text="x", system=str(folder / "model"))
    output.with_name("hypotheses.jsonl.partial").write_text(begun.json_line() + "\n")
    decoding(logprobs=True)
    with pytest.raises(UsageError, match="was begun without --logprobs"):
        engine.run(clips_of(folder / "manifest.jsonl"), output, LIMITS)


def test_a_token_that_the_model_does_not_know_is_a_sentence(engine, monkeypatch):
    monkeypatch.setattr(engine.processor.tokenizer, "encode", lambda *_, **__: [5, 9000])
    with pytest.raises(UsageError, match=r"needs token 9000, but the model .* embeds \d+: its tokenizer was made for"):
        engine.answer(None, "hello")


def test_a_stopped_run_keeps_its_answers_even_after_half_a_line(engine, folder, output, monkeypatch):
    engine.run(clips_of(folder / "manifest.jsonl"), output, LIMITS)
    whole = output.read_text()
    original, calls = type(engine)._generate, []

    def stop(self, inputs, seed):
        calls.append(seed)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(self, inputs, seed)

    output.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(type(engine), "_generate", stop)
        with pytest.raises(KeyboardInterrupt):
            engine.run(clips_of(folder / "manifest.jsonl"), output, LIMITS)
    partial = output.with_name("hypotheses.jsonl.partial")
    finished = len(partial.read_text().splitlines())
    with partial.open("a") as file:
        file.write('{"id": "clip')
    report = engine.run(clips_of(folder / "manifest.jsonl"), output, LIMITS)
    assert report.earlier == finished > 0
    assert output.read_text() == whole


def test_bad_clips_are_named_and_the_rest_is_answered(engine, folder, output, capsys):
    rows = list(read_manifest(folder / "manifest.jsonl"))
    (folder / "no.wav").write_text("not audio")
    write_wav(folder / "quiet.wav", np.zeros(8000))
    rows += [
        rows[0].model_copy(update={"id": name, "audio": f"{name}.wav", "duration": None})
        for name in ("gone", "no", "quiet")
    ]
    write_manifest(folder / "bad.jsonl", rows)
    report = engine.run(clips_of(folder / "bad.jsonl"), output, LIMITS)
    assert sorted(sentence.split(":")[0] for sentence in report.skipped) == ["gone", "no"]
    assert report.answered == len(rows) - 2
    assert "quiet: silent clip" in capsys.readouterr().err


def test_nothing_answered_is_an_error(engine, folder, output):
    write_manifest(folder / "gone.jsonl", [Utterance(id="a", audio="gone.wav", task="asr", prompt="x")])
    with pytest.raises(WavLLMError, match=r"No utterance .* could be answered; the first: a: "):
        engine.run(clips_of(folder / "gone.jsonl"), output, LIMITS)
    assert not output.exists()


def test_answers_of_another_model_are_not_mixed_in(engine, folder, output):
    row = read_manifest(folder / "manifest.jsonl")[0]
    partial = output.with_name("hypotheses.jsonl.partial")
    partial.write_text(Hypothesis(**row.model_dump(), text="x", system="other").json_line() + "\n")
    with pytest.raises(UsageError, match="another model or manifest"):
        engine.run(clips_of(folder / "manifest.jsonl"), output, LIMITS)


def test_sampling_follows_the_seed(engine, folder, tmp_path):
    from wavllm_cli.inference.engine import Decoding

    texts = []
    for i, seed in enumerate((1, 1, 2)):
        engine.decoding = Decoding(max_new_tokens=6, temperature=1.5, seed=seed)
        engine.run(clips_of(folder / "manifest.jsonl"), tmp_path / f"{i}.jsonl", LIMITS)
        texts.append([row.text for row in read_manifest(tmp_path / f"{i}.jsonl", Hypothesis)])
    engine.decoding = Decoding(max_new_tokens=6, temperature=0)
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no config.json"), ("{", "not valid JSON"), ('{"model_type": "llama"}', "holds a 'llama' model")],
)
def test_folders_that_hold_no_wavllm(tmp_path, content, message):
    from wavllm_cli.model.load import load_model

    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(WavLLMError, match=message):
        load_model(str(tmp_path))


def test_a_damaged_checkpoint_is_one_sentence(folder, tmp_path):
    import shutil

    from wavllm_cli.model.load import load_model

    shutil.copytree(folder / "model", tmp_path / "model")
    tensors = tmp_path / "model" / "model.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:2000])
    with pytest.raises(WavLLMError, match="cannot be loaded") as caught:
        load_model(str(tmp_path / "model"))
    assert "\n" not in str(caught.value)


def test_json_of_a_report_is_data(engine, folder, output):
    data = engine.run(clips_of(folder / "manifest.jsonl"), output, LIMITS).data()
    assert json.loads(json.dumps(data))["answered"] == 8
