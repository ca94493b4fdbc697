"""`wavllm score` from files to files, as a user runs it."""

import hashlib
import io
import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import jiwer
import pytest
from chat_server import ChatServer, Refusal, Status

from wavllm_cli.scoring.judge import INSTRUCTIONS
from wavllm_cli.scoring.metrics.registry import spelled_out as metric_name
from wavllm_cli.tasks.registry import spelled_out as task_name

ASR = {"audio": "clip.wav", "task": "asr", "prompt": "Transcribe the clip."}
PARTS = [
    {"task": "asr", "prompt": "Transcribe the clip.", "target": "the cat sat on the mat"},
    {"task": "sv", "prompt": "Is there only one speaker?", "target": "yes"},
]
MULTI = {"audio": "clip.wav", "prompt": "Transcribe the clip. Is there only one speaker?", "parts": PARTS}

# Every task of a manifest: what is right, what is wrong.
ROWS = [
    {"id": "asr", **ASR, "target": "the cat sat on the mat", "text": "The cat sat on a mat."},
    {"id": "silence", **ASR, "target": "", "duration": 6.0, "text": "hello there"},
    {"id": "st", **ASR, "task": "st", "target": "die Katze schläft", "target_language": "de", "text": "die Katze"},
    {"id": "sv", **ASR, "task": "sv", "prompt": "Is there only one speaker?", "target": "yes", "text": "Yes, one."},
    {"id": "er", **ASR, "task": "er", "prompt": "Name the emotion.", "target": "happy", "text": "She is sad."},
    {"id": "sqa", **ASR, "task": "sqa", "prompt": "Where? A. mat B. tree", "target": "B", "text": "It is (B)."},
    {"id": "free", **ASR, "task": "sqa", "prompt": "Where is it?", "target": "on the mat", "text": "on a mat"},
    {"id": "sqqa", **ASR, "task": "sqqa", "prompt": "", "target": "Paris", "text": "Paris"},
    {"id": "sft", **ASR, "task": "sft", "audio": None, "prompt": "Name a fruit.", "target": "plum", "text": "plum"},
    {"id": "ii", **MULTI, "task": "ii", "text": "The cat sat on the mat.\nYes."},
    {"id": "cot", **MULTI, "task": "cot", "text": "The cat sat on the mat."},
]


def write(path: Path, rows) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def metrics(scores: dict, task: str) -> dict:
    return {name: figure["value"] for name, figure in scores["tasks"][task]["metrics"].items()}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def scored(wavllm, folder):
    """Function: a command line of `wavllm score` -> the content of scores.json in the working directory."""

    def run(*line, code=0):
        returned, _, err = wavllm("score", *line, "-o", "scores.json")
        assert (returned, err) == (code, "→ scores.json, scores.md, scores.html\n")
        return json.loads((folder / "scores.json").read_text())

    return run


@pytest.fixture
def refused(wavllm, folder):
    """Function: a command line, its exit code -> the error; nothing is written, nothing printed."""

    def run(*line, code=2):
        before = sorted(folder.rglob("*"))
        returned, out, err = wavllm("score", *line)
        assert (returned, out) == (code, "")
        assert sorted(folder.rglob("*")) == before
        return err

    return run


# --- one system ---


def test_answers_to_every_task_become_a_table_and_three_files_beside_them(wavllm, folder):
    (folder / "runs").mkdir()
    write(folder / "runs" / "ours.hyp.jsonl", ROWS)
    code, out, err = wavllm("score", "runs/ours.hyp.jsonl")
    assert (code, err) == (0, "→ runs/scores.json, runs/scores.md, runs/scores.html\n")
    scores = json.loads((folder / "runs" / "scores.json").read_text())
    assert metrics(scores, "asr")["wer"] == 3 / 6  # one word wrong and two where nobody speaks, of six
    assert metrics(scores, "sv")["accuracy"] == metrics(scores, "sqa")["accuracy"] == 1
    assert metrics(scores, "er")["accuracy"] == 0
    assert metrics(scores, "sqa/free")["rougeL"] == pytest.approx(2 / 3)
    assert metrics(scores, "sqqa")["rouge1"] == metrics(scores, "sft")["exact"] == 1
    assert metrics(scores, "ii") == {"ifr": 1, "instructions": 1}
    assert metrics(scores, "cot") == {"ifr": 0, "instructions": 1 / 2}
    assert metrics(scores, "cot/sv")["accuracy"] == 0  # what is missing is wrong
    assert scores["tasks"]["asr"]["failures"]["hallucination"]["ids"] == ["silence"]
    markdown = (folder / "runs" / "scores.md").read_text().replace("\\", "")
    for task, result in scores["tasks"].items():
        for metric, figure in result["metrics"].items():
            for said in (task_name(task), metric_name(metric), figure["signature"]):
                assert said in out and said in markdown
            assert figure["low"] <= figure["value"] <= figure["high"]


def test_the_page_is_one_complete_document_that_loads_nothing(scored, folder):
    write(folder / "ours.jsonl", ROWS)
    scored("ours.jsonl")
    open_tags, addresses = [], []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            addresses.extend(value for name, value in attrs if name in ("src", "href") and value)
            if tag not in ("meta", "link", "br", "hr", "img", "input", "source", "wbr"):
                open_tags.append(tag)

        def handle_endtag(self, tag):
            assert open_tags.pop() == tag

    page = (folder / "scores.html").read_text()
    Reader().feed(page)
    assert not open_tags
    assert not [address for address in addresses if "//" in address]


def test_json_on_stdout_is_the_file(wavllm, folder):
    write(folder / "ours.jsonl", ROWS)
    code, out, err = wavllm("score", "ours.jsonl", "--json")
    assert (code, err) == (0, "")
    assert out == (folder / "scores.json").read_text()


def test_figures_that_are_not_finite_are_null(wavllm, folder):
    for name, text in (("a", "well"), ("b", "well then")):
        write(folder / f"{name}.jsonl", [{"id": "1", **ASR, "target": "", "text": text}])
    code, out, _ = wavllm("score", "a.jsonl", "b.jsonl", "--json", "--metric", "wer")
    assert code == 0

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    scores = json.loads(out, parse_constant=refuse)
    assert metrics(scores["systems"][0], "asr") == {"wer": None}


def test_the_same_command_gives_the_same_files(scored, folder):
    """On one day: the reports say when they were made."""
    write(folder / "ours.jsonl", ROWS)
    files = ("scores.json", "scores.md", "scores.html")
    scored("ours.jsonl")
    first = [(folder / name).read_bytes() for name in files]
    scored("ours.jsonl")
    assert [(folder / name).read_bytes() for name in files] == first


def test_another_seed_draws_other_intervals_of_the_same_figures(scored, folder):
    rows = [{"id": str(i), **ASR, "target": "a b c", "text": "a b c"[: i % 6]} for i in range(50)]
    write(folder / "ours.jsonl", rows)
    one, two = (scored("ours.jsonl", "--seed", seed)["tasks"]["asr"]["metrics"]["wer"] for seed in (1, 2))
    assert one["value"] == two["value"]
    assert (one["low"], one["high"]) != (two["low"], two["high"])


# --- other forms of input ---


def test_the_wer_of_other_peoples_json_is_theirs_to_the_last_digit(scored, folder):
    pairs = [
        ("it's a fine day", "its a fine day"),
        ("Well, then", "well then"),
        ("so", ""),
        ("good bye", "good good bye"),
    ]
    references, predictions = zip(*pairs, strict=True)
    samples = [{"reference": r, "prediction": p, "wer": jiwer.wer(r, p)} for r, p in pairs]
    theirs = {"wer": jiwer.wer(list(references), list(predictions)), "sample_wer": samples}
    (folder / "theirs.json").write_text(json.dumps(theirs))
    mapping = ("--map", "target=reference", "--map", "text=prediction")
    scores = scored("theirs.json", *mapping, "--normalizer", "none", "--metric", "wer")
    assert metrics(scores, "asr") == {"wer": theirs["wer"]}
    assert scores["system"] == "theirs"


def test_two_text_files(scored, folder):
    (folder / "hyp.txt").write_text("the cat\n\nbye\n")
    (folder / "ref.txt").write_text("the cat\nwell well\nbye\n")
    scores = scored("hyp.txt", "-r", "ref.txt", "--metric", "wer")
    assert metrics(scores, "asr") == {"wer": 2 / 5}
    assert scores["tasks"]["asr"]["failures"]["empty"]["ids"] == ["2"]


@pytest.mark.parametrize("task", [(), ("--task", "st")])
def test_translations_are_known_by_their_target_language(scored, folder, task):
    (folder / "hyp.txt").write_text("今天下午有大雨。\n", encoding="utf-8")
    (folder / "ref.txt").write_text("今天下午有大雨。\n", encoding="utf-8")
    scores = scored("hyp.txt", "-r", "ref.txt", *task, "--metric", "bleu", "--target-language", "zh")
    (figure,) = scores["tasks"]["st"]["metrics"].values()
    assert figure["value"] == pytest.approx(100)
    assert "tok:zh" in figure["signature"]


def test_a_metric_of_translations_makes_texts_translations(scored, folder):
    (folder / "hyp.txt").write_text("the cat sat on the mat\n")
    (folder / "ref.txt").write_text("the cat sat on a mat\n")
    assert list(scored("hyp.txt", "-r", "ref.txt", "--metric", "chrf")["tasks"]) == ["st"]
    assert list(scored("hyp.txt", "-r", "ref.txt", "--metric", "chrf", "--task", "sft")["tasks"]) == ["sft"]


def test_a_manifest_gives_what_answers_lack(scored, folder):
    write(folder / "manifest.jsonl", [{k: v for k, v in row.items() if k != "text"} for row in ROWS])
    write(folder / "answers.jsonl", [{"id": row["id"], "text": row["text"]} for row in ROWS[::-1]])
    by_manifest = scored("answers.jsonl", "-r", "manifest.jsonl")
    write(folder / "answers.jsonl", ROWS)
    assert scored("answers.jsonl")["tasks"] == by_manifest["tasks"]
    assert [source["file"] for source in by_manifest["read"]] == ["answers.jsonl", "manifest.jsonl"]
    assert by_manifest["read"][1]["sha256"] == hashlib.sha256((folder / "manifest.jsonl").read_bytes()).hexdigest()


def test_standard_input_is_scored_in_the_working_directory(wavllm, folder, monkeypatch):
    text = write(folder / "ours.jsonl", ROWS).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    code, out, err = wavllm("score", "-")
    assert (code, err) == (0, "→ scores.json, scores.md, scores.html\n") and "Scores: stdin" in out
    scores = json.loads((folder / "scores.json").read_text())
    _, out, _ = wavllm("score", "ours.jsonl", "--json")
    assert (scores["system"], scores["tasks"]) == ("stdin", json.loads(out)["tasks"])


# --- recordings ---


def audio_of(page: Path) -> set[str]:
    """What the players of a page play."""
    found = set()

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag in ("audio", "source"):
                found.update(value for name, value in attrs if name == "src")

    Reader().feed(page.read_text())
    return found


@pytest.mark.parametrize("beside", ["answers", "manifest"])
def test_recordings_are_looked_for_beside_the_file_that_names_them(scored, folder, beside):
    for name in ("answers", "manifest", "other"):
        (folder / name).mkdir()
    (folder / beside / "clip.wav").write_bytes(b"RIFF")
    row = ROWS[0]
    write(folder / "manifest" / "m.jsonl", [{k: v for k, v in row.items() if k != "text"}])
    write(folder / "answers" / "a.jsonl", [row])
    write(folder / "other" / "b.jsonl", [{**row, "text": "the dog"}])
    if beside == "answers":
        scored("answers/a.jsonl", "other/b.jsonl")
    else:
        scored("answers/a.jsonl", "other/b.jsonl", "-r", "manifest/m.jsonl")
    assert audio_of(folder / "scores.html") == {f"{beside}/clip.wav"}


# --- several systems ---


def test_systems_are_compared_with_the_first(scored, folder):
    write(folder / "a.jsonl", ROWS)
    write(folder / "b.jsonl", [{**row, "text": row["text"].replace("a mat", "the mat")} for row in ROWS])
    write(folder / "c.jsonl", [{**row, "text": ""} for row in ROWS])
    scores = scored("a.jsonl", "b.jsonl", "c.jsonl")
    assert [s["system"] for s in scores["systems"]] == ["a", "b", "c"]
    assert [(c["a"], c["b"]) for c in scores["comparisons"]] == [("a", "b"), ("a", "c")]
    better, empty = ({(d["task"], d["metric"]): d for d in c["differences"]} for c in scores["comparisons"])
    asr = better["asr", "wer"]
    assert (asr["a"], asr["b"], asr["value"]) == (3 / 6, 2 / 6, pytest.approx(-1 / 6))
    assert (asr["wins"], asr["ties"], asr["losses"]) == (1, 1, 0)
    assert [change["id"] for change in asr["changed"]] == ["asr"]
    assert (empty["sv", "accuracy"]["b"], empty["cot", "ifr"]["value"]) == (0, 0)


def test_a_system_is_measured_by_the_references_of_the_first(scored, folder):
    """Otherwise two systems may differ by what their files say of the same rows."""
    row = {"id": "1", **ASR, "task": "st", "target": "今天下午有大雨。", "text": "今天下午有大雨。"}
    write(folder / "a.jsonl", [{**row, "target_language": "zh"}])
    write(folder / "b.jsonl", [row])
    signatures = [s["tasks"]["st"]["metrics"]["bleu"]["signature"] for s in scored("a.jsonl", "b.jsonl")["systems"]]
    assert "tok:zh" in signatures[0] and signatures[0] == signatures[1]


# --- options ---


def test_all_normalisers_stand_side_by_side(scored, folder):
    write(folder / "ours.jsonl", ROWS[:1])
    found = metrics(scored("ours.jsonl", "--normalizer", "all", "--metric", "wer"), "asr")
    assert found == {
        "wer/none": 3 / 6,  # "The", "a", "mat."
        **{f"wer/{name}": 2 / 6 for name in ["lower"]},
        **{f"wer/{name}": 1 / 6 for name in ("basic", "librispeech", "whisper-english", "whisper-basic")},
    }


def test_published_figures_stand_beside_ours_only_on_demand(wavllm, folder):
    of_split = [{**row, "corpus": "librispeech", "split": "test-clean"} for row in ROWS]
    write(folder / "ours.jsonl", of_split)
    for option in ([], ["--paper"]):
        _, out, _ = wavllm("score", "ours.jsonl", *option)
        reports = [out, *((folder / f"scores.{suffix}").read_text() for suffix in ("md", "html"))]
        assert [("SALMONN" in report, "AudioBench" in report) for report in reports] == [(bool(option),) * 2] * 3
    assert "test-other" not in out
    write(folder / "ours.jsonl", [*of_split[1:], ROWS[0]])  # one row may be of anything
    _, out, _ = wavllm("score", "ours.jsonl", "--paper")
    assert "SALMONN" not in out and "No published figure is known to be of these rows" in out


def test_a_table_for_a_paper(wavllm, folder):
    write(folder / "our_system.jsonl", ROWS)
    code, _, err = wavllm("score", "our_system.jsonl", "--latex", "tables/scores.tex")
    assert (code, err) == (0, "→ scores.json, scores.md, scores.html, tables/scores.tex\n")
    table = (folder / "tables" / "scores.tex").read_text()
    assert r"\begin{tabular}" in table and r"our\_system & " in table


# --- mistakes ---


def test_ids_that_are_missing_or_surplus_are_counted_and_named(refused, folder):
    write(folder / "a.jsonl", ROWS)
    write(folder / "b.jsonl", [*ROWS[2:], {**ROWS[0], "id": "new"}])
    assert refused("a.jsonl", "b.jsonl") == (
        "error: b.jsonl does not fit a.jsonl. Rows without an answer: 2 of 11 (asr, silence). "
        "Answers to no row: 1 of 10 (new).\n"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--metric", "weer"], "unknown metric 'weer': did you mean 'wer'?"),
        (["--normalizer", "whisper"], "whisper-english"),
        (["--metric", "bertscore"], "--bertscore"),
        (["--rescale"], "--rescale belongs with --bertscore"),
        (["--second-judge", "b"], "--second-judge belongs with --judge"),
        (["--judge", "a", "--second-judge", "a"], "Both judges are 'a'"),
        (["--dry-run"], "no --judge"),
        (["-o", "scores.md"], "ends in .json"),
        (["-o", "."], "ends in .json"),
        (["--latex", "scores.md"], "would be written twice"),
        (["--latex", "ours.jsonl"], "would be overwritten"),
    ],
)
def test_wrong_options(refused, folder, options, said):
    write(folder / "ours.jsonl", ROWS)
    assert said in refused("ours.jsonl", *options)


def test_what_is_scored_is_never_overwritten(refused, folder):
    pair = {"rows": [{"target": "a", "text": "b"}]}
    (folder / "scores.json").write_text(json.dumps(pair))
    assert "scores.json holds what is to be scored" in refused("scores.json", "--map", "rows=rows")


def test_files_without_rows(refused, folder):
    (folder / "empty.jsonl").touch()
    assert "empty.jsonl has no rows" in refused("empty.jsonl")


@pytest.mark.parametrize("suffix", ["json", "md", "html"])
def test_an_output_that_cannot_be_written(wavllm, folder, suffix):
    write(folder / "ours.jsonl", ROWS)
    (folder / f"scores.{suffix}" / "in the way").mkdir(parents=True)
    code, out, err = wavllm("score", "ours.jsonl")
    assert (code, out, err) == (2, "", f"error: scores.{suffix} is a folder: the output must be a file.\n")
    assert len(list(folder.glob("scores.*"))) == 1


# --- judges ---


def material_of(body):
    return json.loads(body["messages"][1]["content"])


def careful(body):
    """A judge of answers with a line for each instruction."""
    material = material_of(body)
    lines = [*material["answer"].split("\n"), "", ""]
    verdicts = [
        {"instruction": i, "quote": line, "reason": "so", "followed": bool(line)}
        for i, (line, _) in enumerate(zip(lines, material["instructions"], strict=False), 1)
    ]
    return {"verdicts": verdicts}


def strict(body):
    """A judge that finds nothing followed."""
    reply = careful(body)
    return {"verdicts": [{**verdict, "quote": "", "followed": False} for verdict in reply["verdicts"]]}


@pytest.fixture
def judges(folder, monkeypatch):
    """Start a server of judges: what a model answers -> the server, and the options for it."""
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    monkeypatch.setattr("wavllm_cli.chat.settings.Settings.patience", 0.01)
    servers = []

    def start(answer=careful):
        servers.append(ChatServer(answer))
        return servers[-1], ["--judge", "tiny", "--base-url", servers[-1].url]

    yield start
    for server in servers:
        server.close()


def test_a_judge_stands_beside_the_rules(scored, judges, folder):
    write(folder / "ours.jsonl", ROWS[-2:])
    server, options = judges()
    scores = scored("ours.jsonl", *options)
    assert len(server.requests) == 2  # the rows of several instructions
    rates = {"ifr": 0, "instructions": 1 / 2, "ifr/tiny": 0, "instructions/tiny": 1 / 2}
    assert metrics(scores, "cot") == rates
    assert scores["tasks"]["cot"]["metrics"]["ifr/tiny"]["signature"].startswith("ifr|judge:tiny|")
    (judge,) = scores["judges"]
    assert (judge["judge"], judge["rows"], judge["unusable"]) == ("tiny", 2, {})
    assert judge["agreement"]["rules"]["instructions"] == 4
    assert (judge["agreement"]["rules"]["equal"], judge["agreement"]["rules"]["differing"]) == (1, [])
    assert INSTRUCTIONS.splitlines()[0] in (folder / "scores.html").read_text()


def test_what_the_rules_leave_undecided_is_in_no_rate_and_handed_to_the_judge(scored, judges, folder):
    """Whether they transcribe it is not to be told from the words of a clip without transcript."""
    parts = [{"task": "asr", "prompt": "Transcribe it."}, {"task": "sv", "prompt": "Is there only one speaker?"}]
    row = {"audio": "a.wav", "task": "ii", "prompt": "Do both.", "target": None, "parts": parts}
    write(folder / "ours.jsonl", [row | {"id": "r", "text": "The cat sat.\nYes."}])
    _, options = judges()
    scores = scored("ours.jsonl", *options)
    rates = {"ifr": None, "ifr/tiny": 1, "ifr/rules+tiny": 1}
    assert metrics(scores, "ii") == rates | {name.replace("ifr", "instructions"): v for name, v in rates.items()}
    assert scores["tasks"]["ii"]["metrics"]["ifr"]["counts"] == {"followed": 0, "undecided": 1, "unusable": 0}
    assert scores["tasks"]["ii"]["failures"]["undecided"]["ids"] == ["r"]
    assert scores["judges"][0]["agreement"]["rules"]["instructions"] == 1
    assert "undecided" in (folder / "scores.md").read_text()


def test_two_judges_are_compared_with_the_rules_and_with_each_other(wavllm, judges, folder):
    write(folder / "ours.jsonl", ROWS[-2:])
    _, options = judges(lambda body: careful(body) if body["model"] == "tiny" else strict(body))
    code, out, _ = wavllm("score", "ours.jsonl", *options, "--second-judge", "org/strict")
    assert code == 0 and "org/strict" in out
    scores = json.loads((folder / "scores.json").read_text())
    first, second = scores["judges"]
    assert list(first["agreement"]) == ["rules"] and list(second["agreement"]) == ["rules", "tiny"]
    assert second["agreement"]["tiny"] == second["agreement"]["rules"]  # tiny and the rules agree on everything
    assert (second["agreement"]["tiny"]["equal"], second["agreement"]["tiny"]["differing"]) == (1 / 4, ["ii", "cot"])
    assert metrics(scores, "ii")["ifr/org/strict"] == 0


def test_verdicts_of_no_use_are_counted_and_in_no_rate(scored, judges, folder):
    write(folder / "ours.jsonl", ROWS[-2:])
    only_ii = "The cat sat on the mat.\nYes."
    _, options = judges(lambda body: careful(body) if only_ii in material_of(body)["answer"] else Refusal())
    scores = scored("ours.jsonl", *options)
    (judge,) = scores["judges"]
    assert (judge["rows"], list(judge["unusable"])) == (1, ["cot"])
    assert judge["agreement"]["rules"]["unusable"] == 1
    figure = scores["tasks"]["cot"]["metrics"]["ifr/tiny"]
    assert (figure["counts"]["unusable"], figure["low"]) == (1, figure["high"])
    assert metrics(scores, "ii")["ifr/tiny"] == 1


def test_verdicts_that_are_still_to_be_had_make_the_exit_code_1(wavllm, judges, folder):
    write(folder / "ours.jsonl", ROWS[-2:])
    prices = folder / "prices.yaml"
    prices.write_text("tiny: {input: 1000, output: 1000}\n")
    _, options = judges()
    line = ("score", "ours.jsonl", *options, "--prices", prices, "-o", "new/scores.json")
    code, out, err = wavllm(*line, "--max-usd", "0")
    assert code == 1 and "instruction-following rate (tiny)" in out
    assert "Some answers have no verdict yet" in err
    assert len(json.loads((folder / "new" / "scores.json").read_text())["judges"][0]["unusable"]) == 2
    assert wavllm(*line)[0] == 0


def test_verdicts_have_a_place_before_they_are_paid_for(wavllm, judges, folder):
    write(folder / "ours.jsonl", ROWS[-2:])
    (folder / "prices.yaml").write_text("tiny: {input: 1, output: 1}\n")
    server, options = judges()
    line = ("score", "ours.jsonl", *options, "--prices", "prices.yaml", "-o")
    code, _, err = wavllm(*line, "ours.jsonl/scores.json")
    said = f"error: ours.jsonl/scores.json cannot be the output: {folder}/ours.jsonl is a file, not a folder.\n"
    assert (code, err) == (2, said) and not server.requests
    assert wavllm(*line, "new/scores.json")[0] == 0 and len(server.requests) == 2


def test_the_limit_of_costs_is_shared_by_all_judges_of_all_systems(wavllm, judges, folder):
    write(folder / "a.jsonl", ROWS[-2:])
    write(folder / "b.jsonl", [{**row, "text": row["text"] + "\nWell."} for row in ROWS[-2:]])
    prices = folder / "prices.yaml"
    prices.write_text("tiny: {input: 0, output: 5000}\nother: {input: 0, output: 5000}\n")  # 450 tokens: $ 2.25
    server, options = judges()
    line = ("score", "a.jsonl", "b.jsonl", *options, "--second-judge", "other", "--prices", prices)
    assert wavllm(*line, "--max-usd", "4")[0] == 1 and not server.requests
    assert wavllm(*line, "--max-usd", "20")[0] == 0 and len(server.requests) == 8


def test_a_dry_run_of_judges_prints_an_estimate_and_writes_no_scores(wavllm, judges, folder):
    write(folder / "a.jsonl", ROWS[-2:])
    write(folder / "b.jsonl", [{**row, "text": row["text"] + "\nWell."} for row in ROWS[-2:]])
    server, options = judges()
    before = sorted(folder.iterdir())
    line = ("score", "a.jsonl", "b.jsonl", *options, "--second-judge", "other", "--dry-run")
    code, out, err = wavllm(*line)
    assert code == 0 and out.count("Dry run: ") == 4 and "Nothing was asked." in err
    code, out, _ = wavllm(*line, "--json")
    estimates = json.loads(out)["judges"]
    assert [(e["system"], e["model"], e["stages"]["verdicts"]["requests"]) for e in estimates] == [
        ("a", "tiny", 2), ("b", "tiny", 2), ("a", "other", 2), ("b", "other", 2)
    ]  # fmt: skip
    assert not server.headers and sorted(folder.iterdir()) == before


def test_batches_of_all_judges_and_systems_are_under_way_together(wavllm, judges, folder):
    write(folder / "a.jsonl", ROWS[-2:])
    write(folder / "b.jsonl", [{**row, "text": row["text"] + "\nWell."} for row in ROWS[-2:]])
    server, options = judges()
    server.batch_polls = 1
    line = ("score", "a.jsonl", "b.jsonl", *options, "--second-judge", "other", "--batch", "--no-wait")
    code, out, err = wavllm(*line)
    assert (code, out) == (0, "") and err.count("The same command collects it.") == 4
    assert len(server.batches) == 4 and not (folder / "scores.json").exists()
    code, _, _ = wavllm(*line)
    assert code == 0 and len(server.batches) == 4
    assert [len(s["judges"]) for s in json.loads((folder / "scores.json").read_text())["systems"]] == [2, 2]


def test_a_system_whose_name_is_a_path_is_judged_too(wavllm, judges, folder):
    for name in ("one", "two"):
        (folder / name).mkdir()
        write(folder / name / "hyp.jsonl", [{**row, "text": f"{row['text']}\n{name}"} for row in ROWS[-2:]])
    _, options = judges()
    code, out, err = wavllm("score", "one/hyp.jsonl", "two/hyp.jsonl", *options, "--json")
    assert code == 0, err
    assert [s["system"] for s in json.loads(out)["systems"]] == ["one/hyp", "two/hyp"]


def test_judges_need_rows_of_several_instructions(refused, judges, folder):
    write(folder / "ours.jsonl", ROWS[:3])
    _, options = judges()
    assert "leave out --judge" in refused("ours.jsonl", *options)


def test_a_server_that_fails_ends_in_one_sentence(wavllm, judges, folder):
    write(folder / "ours.jsonl", ROWS)
    _, options = judges(lambda body: Status(401, "no such key"))
    code, out, err = wavllm("score", "ours.jsonl", *options)
    assert (code, out) == (2, "") and "does not accept the key" in err
    assert not (folder / "scores.json").exists()


# --- what is imported ---


def imported(code: str, *argv: str) -> set[str]:
    """The modules that a program has imported when it ends."""
    script = f"import sys\ntry:\n {code}\nfinally:\n print('\\nmodules', *sys.modules)"
    shown = subprocess.run([sys.executable, "-c", script, *argv], capture_output=True, text=True)
    assert not shown.stderr.count("Traceback"), shown.stderr
    return set(shown.stdout.split("\nmodules ")[1].split())


@pytest.mark.parametrize("normalizer", ["basic", "whisper-english"])
def test_word_error_rates_do_without_torch(folder, normalizer):
    write(folder / "ours.jsonl", ROWS[:2])
    line = ("score", "ours.jsonl", "--metric", "wer", "--normalizer", normalizer, "--paper")
    modules = imported("from wavllm_cli.cli import main; main()", *line)
    assert (folder / "scores.html").exists()
    assert "jiwer" in modules and "torch" not in modules
    assert normalizer != "basic" or "transformers" not in modules


def test_an_output_that_cannot_be_is_found_before_the_work(wavllm, tmp_path):
    (tmp_path / "a.txt").write_text("one two\n")
    line = ["score", tmp_path / "a.txt", "-r", tmp_path / "a.txt"]
    under = wavllm(*line, "-o", tmp_path / "a.txt" / "s.json")
    assert under[0] == 2 and "a.txt is a file, not a folder" in under[2]
    (tmp_path / "s.html").mkdir()
    folder = wavllm(*line, "-o", tmp_path / "s.json")
    assert folder[0] == 2 and "s.html is a folder" in folder[2]
    assert wavllm(*line, "--seed", "-1")[0] == 2
    assert not (tmp_path / "s.json").exists()
