"""`wavllm prep table`: tables as people and other toolkits have them, with what goes wrong in them."""

import json

import pytest
import soundfile

from wavllm_cli.corpora.importers.columns import Mapped
from wavllm_cli.corpora.prepare import prepare
from wavllm_cli.corpora.splits import Shares
from wavllm_cli.data.audio_paths import resolve_audio
from wavllm_cli.data.manifest import read_manifest
from wavllm_cli.errors import UsageError, WavLLMError
from wavllm_cli.prompts.pools import load_pool, split_pool

ALL = Shares(100, 0, 0)


@pytest.fixture
def folder(tmp_path, noise):
    """clips/a.wav … of one and two seconds, c with two channels."""
    (tmp_path / "clips").mkdir()
    for name, seconds, channels in (("a", 1, None), ("b", 2, None), ("c", 2, 2)):
        soundfile.write(tmp_path / "clips" / f"{name}.wav", noise(seconds, channels=channels), 16_000)
    return tmp_path


@pytest.fixture
def table(folder):
    """Function: rows (by id) and skipped items that come of a file with this content."""

    def run(content, name="table.csv", **options):
        path = folder / name
        path.write_text(content if isinstance(content, str) else "".join(f"{json.dumps(row)}\n" for row in content))
        summary = prepare("table", path, folder / "out", **({"split": ALL} | options))
        rows = [row for m in summary.manifests for row in read_manifest(m.path)]
        return {row.id: row for row in rows}, [one for draft in summary.drafts for one in draft.skipped]

    return run


def reasons(skipped):
    return [(one.reason, one.detail) for one in skipped]


def test_a_spreadsheet_becomes_a_manifest_that_trains(table, folder):
    rows, skipped = table(
        "\ufeffDatei;File;Text;Speaker;Age\r\n"
        '1;clips/a.wav;"Says ""a""; and more";ann;30\r\n'
        "2;clips/b.wav;  Cafe\u0301  two ;bob;\r\n",
        language="German",
    )
    assert not skipped and list(rows) == ["clips/a", "clips/b"]
    a, b = rows.values()
    assert (a.target, a.transcript, a.task) == ('Says "a"; and more', 'Says "a"; and more', "asr")
    assert (a.duration, a.language, a.speaker, a.corpus, a.split) == (1.0, "de", "ann", "table", "train")
    assert a.extra == {"Datei": "1", "Age": "30"} and b.extra == {"Datei": "2"} and b.target == "Café two"
    assert a.prompt in split_pool(load_pool("asr"), "seen")
    assert resolve_audio(a, folder / "out" / "train.jsonl").samefile(folder / "clips" / "a.wav")


def test_the_same_command_gives_the_same_bytes(table, folder):
    content = "audio,text,speaker\n" + "".join(f"clips/{name}.wav,x {name},{name}\n" for name in "abc")
    table(content, split=Shares(34, 33, 33))
    first = {path.name: path.read_bytes() for path in (folder / "out").iterdir()}
    assert sorted(first) == ["dev.jsonl", "test.jsonl", "train.jsonl"]
    table(content, split=Shares(34, 33, 33))
    assert first == {path.name: path.read_bytes() for path in (folder / "out").iterdir()}


def test_segments_and_channels(table):
    rows, skipped = table(
        "id,audio,start,end,channel,text\n"
        "s1,clips/b.wav,0.5,1.5,,one\n"
        "s2,clips/b.wav,00:00:01.5,00:00:02.5,,two\n"
        "s3,clips/b.wav,3,4,,beyond\n"
        "s4,clips/b.wav,1.5,1.5,,nothing\n"
        "s5,clips/c.wav,,,B,three\n"
        "s6,clips/a.wav,,,1,no such channel\n"
        "s7,clips/a.wav,soon,,,four\n"
        "s8,clips/b.wav,1500,1800,,in milliseconds\n"
    )
    assert {name: (row.start, row.duration, row.channel) for name, row in rows.items()} == {
        "s1": (0.5, 1.0, None),
        "s2": (1.5, 0.5, None),
        "s5": (0.0, 2.0, 1),
    }
    assert [one.reason for one in skipped] == ["cut", "outside", "outside", "outside", "form", "outside"]
    told = " ".join(one.detail for one in skipped)
    for text in (
        "0.500 s over the end",
        "starts at 3 s",
        "goes from 1.5 to 1.5",
        "no channel 1",
        "'soon' is not a time",
    ):
        assert text in told
    assert "say so by --map COLUMN=start:ms" in told


def test_times_in_milliseconds_by_name_and_by_hand(table, capsys):
    rows, _ = table("audio,text,begin,end_ms\nclips/b.wav,x,500,1500\n", map=(Mapped.parse("begin=start:ms"),))
    assert [(row.id, row.start, row.duration) for row in rows.values()] == [("clips/b-0000500-0001500", 0.5, 1.0)]
    assert "begin → start (ms), end_ms → end (ms)" in capsys.readouterr().err


def test_a_duration_alone_is_the_files(table):
    rows, skipped = table("audio,text,duration\nclips/a.wav,x,1.01\nclips/b.wav,y,0.5\n")
    assert [row.duration for row in rows.values()] == [1.0, 2.0]
    assert reasons(skipped) == [("length", "is said to be 0.5 s long; all of it is taken, 2.000 s as decoded")]


def test_where_audio_is_looked_for(table, folder, capsys):
    windows, url = "C:\\data\\clips\\a.wav", (folder / "clips" / "b.wav").as_uri()
    rows, skipped = table(
        [{"audio": name, "text": "x"} for name in (windows, url, "https://x.org/c.wav", "gone.wav", "elsewhere/c.wav")],
        "table.jsonl",
    )
    assert len(rows) == 3 and "not where they say" in capsys.readouterr().err
    assert [one.reason for one in skipped] == ["no-audio", "no-audio"]
    assert "is an address" in skipped[0].detail and "gone.wav" in skipped[1].detail


def test_audio_by_id_alone_and_in_another_folder(table, folder):
    rows, skipped = table("a|Says, a.\nb|Says b.\n", columns="id,text", audio_root=folder / "clips")
    assert not skipped and [row.audio.endswith(f"/{name}.wav") for name, row in rows.items()] == [True, True]


def test_names_that_two_files_could_be_are_not_guessed(table, folder, noise):
    (folder / "other").mkdir()
    soundfile.write(folder / "other" / "a.wav", noise(), 16_000)
    rows, skipped = table("audio,text\nx/y/a.wav,one\nb.wav,two\n")
    assert [row.target for row in rows.values()] == ["two"] and [one.reason for one in skipped] == ["no-audio"]


def test_ids_that_occur_twice(table):
    rows, skipped = table(
        "id,audio,text\n7,clips/a.wav,one\n7,clips/b.wav,two\n7,clips/a.wav,one\n7,clips/c.wav,three\n"
    )
    assert {name: row.target for name, row in rows.items()} == {"7": "one", "7-2": "two", "7-3": "three"}
    assert [one.reason for one in skipped] == ["renamed", "duplicate", "renamed"]


def test_nemo(table):
    rows, skipped = table(
        [
            {"audio_filepath": "clips/a.wav", "duration": 1.0, "text": "two zero two"},
            {"audio_filepath": "clips/b.wav", "offset": 0.5, "duration": 1.0, "text": "one", "lang": "de"},
            {"audio_filepath": "clips/b.wav", "duration": 2, "text": "Eins", "taskname": "ast", "source_lang": "en",
             "target_lang": "de", "answer": "Eins"},
            {"audio_filepath": "clips/a.wav", "duration": 1.0, "text": ""},
            {"audio_filepath": "clips/a.wav", "text": "x", "taskname": "dance"},
        ],
        "nemo.json",
    )  # fmt: skip
    assert [(row.id, row.task, row.start, row.language) for row in rows.values()] == [
        ("clips/a", "asr", 0.0, None),
        ("clips/b-0000500-0001500", "asr", 0.5, "de"),
        ("clips/b", "st", 0.0, "en"),
    ]
    assert "German" in rows["clips/b"].prompt
    assert [one.reason for one in skipped] == ["no-text", "form"] and "unknown task 'dance'" in skipped[1].detail


def test_llama_factory(table):
    content = [
        {"messages": [{"role": "user", "content": "<audio>Who?"}, {"role": "assistant", "content": "Ann.\nShe is."}],
         "audios": ["clips/a.wav"]},
        {"messages": [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}]},
        {"messages": [{"role": "user", "content": "<audio><audio>Same?"}, {"role": "assistant", "content": "Yes"},
                      {"role": "user", "content": "Sure?"}, {"role": "assistant", "content": "Yes."}],
         "audios": ["clips/a.wav", "clips/b.wav"]},
        {"messages": [{"role": "user", "content": "<audio>Open"}], "audios": ["clips/c.wav"]},
    ]  # fmt: skip
    rows, skipped = table(json.dumps(content), "mllm.json")
    first, text, both, unanswered = rows.values()
    assert (first.task, first.prompt, first.target) == ("sqa", "Who?", "Ann.\nShe is.")
    assert (text.task, text.audio, text.prompt) == ("sft", None, "2 + 2?")
    assert [piece.duration for piece in both.pieces] == [1.0, 2.0] and both.duration == 3.5
    assert unanswered.target is None
    assert [one.reason for one in skipped] == ["joined", "later-turns"]


def test_rows_of_several_instructions_bring_their_parts(table):
    parts = [{"task": "asr", "prompt": "Write.", "target": "x"}, {"task": "sft", "prompt": "Say.", "target": "y"}]
    row = {"id": "a", "audio": "a.wav", "task": "ii", "prompt": "Write, and say.", "target": "x. y", "parts": parts}
    (found,) = table(f"{json.dumps(row)}\n")[0].values()
    assert (found.task, found.extra) == ("ii", None)
    assert [part.model_dump(exclude_none=True) for part in found.parts] == parts


@pytest.mark.parametrize("task, extra, target", [
    ("er", {}, "happy"),
    ("st", {"target_language": "fr"}, "bonjour"),
    ("asr", {}, "good day"),
])  # fmt: skip
def test_a_task_takes_the_column_that_answers_it(table, task, extra, target):
    content = "audio,sentence,emotion,translation\nclips/a.wav,good day,happy,bonjour\n"
    (row,) = table(content, task=task, **extra)[0].values()
    assert (row.target, row.transcript, row.task) == (target, "good day", task)
    others = {"emotion": "happy", "translation": "bonjour"}
    assert row.extra == {key: value for key, value in others.items() if value != target}


def test_rows_of_ours_in_an_array_stay_what_they_are(table):
    ours = {"id": "a", "audio": "clips/a.wav", "task": "asr", "prompt": "Write.", "target": "one", "transcript": "One."}
    rows, _ = table(json.dumps([ours, ours | {"id": "b", "task": "sqa", "prompt": "Who?", "target": "Ann"}]), "a.json")
    assert [(row.task, row.prompt, row.target, row.transcript, row.extra) for row in rows.values()] == [
        ("asr", "Write.", "one", "One.", None),
        ("sqa", "Who?", "Ann", "One.", None),
    ]


def test_questions_with_choices(table):
    rows, _ = table("audio,question,options,answer\nclips/a.wav,\"Which? A. one; B. two\",\"['one', 'two']\",B\n")
    (row,) = rows.values()
    assert (row.task, row.choices, row.target) == ("sqa", ["one", "two"], "B")


def test_two_questions_about_a_clip_and_no_answer(table):
    content = "audio,question,answer,text\nclips/a.wav,Loud?,yes,x\nclips/a.wav,Clear?,yes,x\nclips/a.wav,Long?,,x\n"
    rows, skipped = table(content, task="sqa")
    assert not skipped and {name: (row.prompt, row.target) for name, row in rows.items()} == {
        "clips/a": ("Loud?", "yes"),
        "clips/a-2": ("Clear?", "yes"),
        "clips/a-3": ("Long?", None),
    }
    assert {row.transcript for row in rows.values()} == {"x"}


def test_cells_that_lack_something(table):
    rows, skipped = table("audio,text,channel\n,x,\nclips/a.wav,,\nclips/c.wav,y,left\nclips/c.wav,z,1.0\n")
    assert [row.channel for row in rows.values()] == [1]
    assert [one.reason for one in skipped] == ["no-audio", "no-text", "form"]


def test_manifests_of_an_earlier_command_are_pointed_out(table, capsys):
    content = "audio,text\n" + "".join(f"clips/{name}.wav,{name}\n" for name in "abc")
    table(content, split=Shares(34, 33, 33))
    assert "earlier" not in capsys.readouterr().err
    table(content)
    assert "holds dev.jsonl, test.jsonl of an earlier command too" in capsys.readouterr().err


def test_a_prompt_of_the_users_own(table):
    rows, _ = table("audio,text\nclips/a.wav,x\n", prompt="Write it down.")
    assert [row.prompt for row in rows.values()] == ["Write it down."]


def test_json_in_all_shapes(table):
    row = {"audio": "clips/a.wav", "text": "x"}
    for content in (json.dumps([row], indent=1), json.dumps({"info": 1, "data": [row]}, indent=1), json.dumps(row)):
        assert list(table(content, "table.json")[0]) == ["clips/a"]
    rows, skipped = table(f'{json.dumps(row)}\n{{"audio": \n\n[1]\n', "table.jsonl")
    assert len(rows) == 1 and [one.item.rpartition(", ")[2] for one in skipped] == ["line 2", "line 4"]


@pytest.mark.parametrize("content, options, says", [
    ("x,y\n1,2\n", {}, r"hold the audio .x, y.: say --map COLUMN=audio"),
    ("audio,y\na.wav,2\n", {}, r"hold the text .audio, y."),
    ("audio,text\na.wav,2\n", {"map": (Mapped.parse("z=id"),)}, "no column 'z'"),
    ("audio,text\na.wav,2\n", {"task": "asrr"}, "did you mean asr"),
    ("[1, 2", {}, "is no JSON"),
    ('{"a": 1,\n "b": 2}', {}, "is no table"),
    ("PAR1....", {}, "wavllm prep hf"),
    ("", {}, r"has no row that can be used\.$"),
    ("audio,text\n", {}, r"has no row that can be used\.$"),
    ("audio,text\na.wav\n", {}, "has no row that can be used: .*line 2: 1 field where the header has 2"),
])  # fmt: skip
def test_wrong_use(table, content, options, says):
    with pytest.raises(UsageError, match=says):
        table(content, **options)


def test_nothing_there(table, tmp_path):
    with pytest.raises(WavLLMError, match=r"no usable clip; skipped: 1; the first: .*table\.csv, line 2"):
        table("audio,text\ngone.wav,2\n")
    with pytest.raises(UsageError, match="does not exist"):
        prepare("table", tmp_path / "gone.csv", tmp_path / "out")


def test_the_command(folder, wavllm):
    (folder / "t.csv").write_text("nr,audio,text,from\n1,clips/b.wav,x,500\n2,gone.wav,y,0\n")
    args = ("--map", "nr=id", "--map", "from=start:ms", "--split", "0/0/100", "--json")
    code, out, err = wavllm("prep", "table", folder / "t.csv", "--out", folder / "out", *args)
    assert code == 1 and json.loads(out)["reasons"] == {"no-audio": 1} and "nr → id" in err
    (row,) = read_manifest(folder / "out" / "test.jsonl")
    assert (row.id, row.start, row.duration) == ("1", 0.5, 1.5)
