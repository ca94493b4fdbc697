import json

import pytest

from wavllm_cli.data.audio_paths import resolve_audio
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import ManifestError


def test_released_examples(shared_data):
    examples = shared_data / "wavllm_examples"
    tasks = {path.stem: read_manifest(path)[0].task for path in examples.glob("*.tsv")}
    assert tasks == {
        "asr": "asr", "en2de": "st", "sv": "sv", "emo": "er", "SQA": "sqa", "gaokao": "sqa", "SQQA": "sqqa",
        "II-task": "ii", "CoT-task": "cot", "CoT-task-story": "cot",
    }  # fmt: skip
    (st,) = read_manifest(examples / "en2de.tsv")
    assert (st.language, st.target_language, st.target) == ("en", "de", "Sie wird schon in Ordnung sein.")
    assert st.duration is None  # its n_frames happens to be right; others' are dummies
    assert resolve_audio(st, examples / "en2de.tsv") == examples / "audio" / "st.flac"
    (query,) = read_manifest(examples / "SQQA.tsv")
    assert query.prompt == "" and query.target.endswith("integral .")
    assert len(read_manifest(examples / "gaokao.tsv")) == 2000


def test_tsv_segments_text_rows_and_quotes(tmp_path):
    path = tmp_path / "my-list.tsv"
    path.write_text(
        "id\taudio\tn_frames\tprompt\ttgt_text\twith_speech\tstart_frame\tend_frame\r\n"
        'u1\tx.wav\t111111\tSay "hi" \t"hi"\tTrue\t8000\t40000\r\n'
        "u2\tx.wav\t111111\tWhy?\t\tFalse\t\t\r\n"
    )
    first, second = read_manifest(path, default_task="sqa")
    assert (first.start, first.duration, first.task) == (0.5, 2.0, "sqa")
    assert (first.prompt, first.target) == ('Say "hi" ', '"hi"')
    assert (second.audio, second.target, second.start, second.duration) == (None, None, 0.0, None)


def test_further_columns_are_ours_or_the_users(tmp_path):
    path = tmp_path / "asr.tsv"
    path.write_text(
        "id\taudio\tn_frames\tprompt\tspeaker\tsnr\tcorpus\nu1\tx.wav\t1\tp\tanna\t3\t\nu2\tx.wav\t1\tp\t\t\tc\n"
    )
    first, second = read_manifest(path)
    assert (first.speaker, first.extra, first.corpus) == ("anna", {"snr": "3"}, None)
    assert (second.speaker, second.extra, second.corpus) == (None, None, "c")


def test_every_key_of_ours_may_be_a_column(tmp_path):
    row = {
        "channel": 1, "references": ["u", "v"], "transcript": "w", "language": "en", "target_language": "de",
        "speaker": "s", "choices": ["x", "y"], "parts": [{"task": "asr", "prompt": "p", "target": "t"}], "corpus": "c",
        "split": "dev", "extra": {"snr": 3}, "group": "talk", "speech_text": "w",
        "turns": [{"start": 0.5, "duration": 1, "speaker": "s", "text": "w"}],
    }  # fmt: skip
    usual = {"id", "audio", "gap", "start", "duration", "task", "prompt", "target"}
    assert row.keys() | usual == Utterance.model_fields.keys()
    text = {name: value if isinstance(value, str) else json.dumps(value) for name, value in row.items()}
    path = tmp_path / "II-task.tsv"
    header, values = ["id", "audio", "prompt", "tgt_text", *text], ["a", "x.wav", "p", "t", *text.values()]
    path.write_text("\t".join(header) + "\n" + "\t".join(values) + "\n")
    expected = Utterance(id="a", audio="x.wav", task="ii", prompt="p", target="t", **row)
    assert read_manifest(path) == [expected]
    path.write_text("id\taudio\tprompt\ttgt_text\treferences\na\tx.wav\tp\tt\t[noise]\n")
    assert read_manifest(path)[0].references == ["[noise]"]
    path.write_text('id\taudio\tgap\tprompt\na\t[{"audio": "x.wav"}, {"audio": "y.wav"}]\t0.5\tp\nb\t[{x}].wav\t\tp\n')
    joined, plain = read_manifest(path)
    assert [piece.audio for piece in joined.pieces] == ["x.wav", "y.wav"] and joined.gap == 0.5
    assert plain.audio == "[{x}].wav"


def test_tsv_problems(tmp_path):
    path = tmp_path / "asr.tsv"
    path.write_text("id\taudio\tprompt\nu1\tx.wav\nu2\tx.wav\tp\nu2\tx.wav\tp\n")
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    assert str(caught.value).splitlines() == [
        f"{path}, line 2 (id u1): 2 fields where the header has 3.",
        f"{path}, line 4: id 'u2' is already taken by line 3.",
    ]
    path.write_text("id audio prompt\n")
    with pytest.raises(ManifestError, match=r"line 1: .*\(tab"):
        read_manifest(path)
