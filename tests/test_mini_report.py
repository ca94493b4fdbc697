"""The report of the miniature, from scores that are made by hand."""

import json
import re

import pytest
from mini_exam import write_tests
from results import difference, figure, results, system, task

from wavllm_cli.errors import WavLLMError
from wavllm_cli.mini import plan
from wavllm_cli.mini.figures import Scores
from wavllm_cli.mini.report import write
from wavllm_cli.mini.request import Request
from wavllm_cli.mini.steps import Journal
from wavllm_cli.scoring.report.scores_json import as_dict
from wavllm_cli.scoring.significance import Comparison

SEEDS = (1, 2, 3)
MOODS = {"happy": {"happy": 7, "sad": 1}, "sad": {"happy": 2, "sad": 6}}


def rate(name, value, **more):
    return figure(name, value, lower_is_better=False, **more)


class Made:
    """Scores of every test of `mini_exam`, which single tests change before they write the report."""

    def __init__(self, folder):
        self.request = Request(folder / "data", folder / "out", seeds=SEEDS)
        write_tests(self.request.data)
        self.titles = {one.name: one.title for one in plan.systems(self.request)}
        self.journal = Journal(self.request.out / "log.jsonl")
        for name in ("scores", "stage1", "prompt-1/stage2"):
            (self.request.out / name).mkdir(parents=True)

    def score(self, test, tasks, comparisons=()):
        """`tasks` makes those of a system by its name; {} for one that was not asked."""
        titles = self.titles | {"right": plan.RIGHT}
        systems = [system(title, **found) for name, title in titles.items() if (found := tasks(name))]
        content = as_dict(results(*systems, comparisons=comparisons))
        (self.request.out / "scores" / f"{test}.json").write_text(json.dumps(content))

    def report(self):
        """The Markdown, once the page is written too."""
        page = write(self.request, self.journal)
        return page.with_suffix(".md").read_text(), page.read_text()


@pytest.fixture
def made(tmp_path):
    return Made(tmp_path)


def section(text, title):
    return re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)[1]


def cells(text, beginning):
    (line,) = [line for line in text.splitlines() if line.startswith(beginning)]
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_the_headline_is_of_the_first_seed_and_says_what_is_reached(made):
    made.score("er", lambda name: {"er": task(rate("accuracy", {"prompt-1": 0.75, "right": 1}.get(name, 0.5)))})
    made.score("world", lambda name: {"asr": task(figure(value=0.05, half=0.01))})
    text, _ = made.report()
    synthetic = section(text, "Synthetic voices")
    moods = ["emotion of four", "er", "accuracy ↑", "75.00 %", "74.00 … 76.00", "40", "≥ 60.00 %", "yes", "100.00 %"]
    assert cells(synthetic, "| emotion") == moods
    closed = ["5.00 %", "4.00 … 6.00", "40", "≤ 4.00 %", "no", "5.00 %"]
    assert cells(synthetic, "| transcription of the closed")[3:] == closed
    assert cells(synthetic, "| questions with three choices")[3] == "not measured"
    assert cells(section(text, "Real recordings"), "| transcription of read speech")[3] == "not measured"


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        (0.05, 1.02, "the answers come from the audio"),
        (0.97, 0.98, "this does not show that it listens"),
        (0.05, 0.40, "this does not show that it listens"),
    ],
)
def test_wrong_audio_shows_listening_only_where_right_audio_does_better(made, right, wrong, said):
    made.score("world", lambda name: {"asr": task(figure(value=right, half=0.02))})
    made.score("wrong-audio", lambda name: {"asr": task(figure(value=wrong, half=0.02))})
    assert said in section(made.report()[0], "Wrong audio")


def test_from_stage_1_to_stage_2_with_interval_p_and_all_seeds(made):
    rates = {"stage1": 0.5, "prompt-1": 0.9, "prompt-2": 0.8, "prompt-3": 0.7}
    gain = difference(task="ii", metric="ifr", value=0.4, low=0.35, high=0.45, p=0.0001, lower_is_better=False)
    compared = [Comparison("stage 1", made.titles["prompt-1"], [gain])]
    made.score("ii", lambda name: name in rates and {"ii": task(rate("ifr", rates[name]))}, compared)
    row = cells(section(made.report()[0], "From stage 1 to stage 2"), "| independent instructions |")
    assert row[2:] == ["50.00 %", "90.00 %", "+40.00", "35.00 … 45.00", r"\< 0.001", "80.00 % (70.00 … 90.00)"]


def test_a_prompt_adapter_that_does_nothing_is_said_to_do_nothing(made):
    """Instructions are better in two of three seeds, words of the closed world in all (fewer errors)."""
    off, on = {1: 0.80, 2: 0.80, 3: 0.80}, {1: 0.82, 2: 0.78, 3: 0.84}

    def instructions(name):
        kind, _, seed = name.partition("-")
        value = {"plain": off, "prompt": on}.get(kind, {}).get(int(seed or 0))
        return {} if value is None else {"ii": task(rate("ifr", value))}

    made.score("ii", instructions)
    made.score("world", lambda name: {"asr": task(figure(value=0.04 if "prompt" in name else 0.06))})
    part = section(made.report()[0], "Prompt adapter on and off")
    row = cells(part, "| independent instructions |")
    assert row[2:] == ["80.00 % → 82.00 %", "80.00 % → 78.00 %", "80.00 % → 84.00 %", "+1.33", "2 of 3"]
    assert cells(part, "| closed world |")[5:] == ["-2.00", "3 of 3"]
    assert "1 of 2 figures are better in every seed, 0 worse in every seed, 1 neither" in part
    assert "no effect is to be seen" in part


def test_the_deaf_control_stands_beside_the_one_that_hears(made):
    made.score("er", lambda name: {"er": task(rate("accuracy", 0.3 if name == "deaf" else 0.7, n=9))})
    part = section(made.report()[0], "Without the acoustic encoder")
    assert cells(part, "| emotions")[2:] == ["70.00 %", "69.00 … 71.00", "30.00 %", "29.00 … 31.00", "9 (few)"]


def test_the_page_has_matrices_curves_and_links_and_loads_nothing(made):
    made.score("er", lambda name: {"er": task(rate("accuracy", 0.7), confusion=MOODS)})
    for folder in ("stage1", "prompt-1/stage2"):
        lines = [{"step": i, "loss": 5.0 / i, "validation_loss": 4.0 / i} for i in range(1, 301)]
        (made.request.out / folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    _, page = made.report()
    assert "What was taken for what" in page and page.count("<polyline") == 3
    points = re.search(r'<polyline class="line0" points="([^"]*)"', page)[1].split()
    assert len(points) == 100 and all(0 <= float(n) <= 100 for point in points for n in point.split(","))
    assert 'href="scores/er.html"' in page
    assert not re.search(r'(src|href)="(?!scores/)', page) and "<script" not in page


def test_what_was_done_and_of_what_is_told(made, tmp_path):
    source = {"name": "read & said", "licence": ["CC BY 4.0", "see LICENSE"], "sha256": {"a.jsonl": "5c1e" * 16}}
    absent = {"name": "FSDD", "used": False, "why": "--fsdd was not given"}
    (made.request.data / "sources.json").write_text(json.dumps({"sources": [source, absent]}))
    step = plan.Step("ask", "answers", plan.Command(("infer", "<b>.jsonl")), (), ())
    made.journal.add(step, "interrupted", 0.0)
    made.journal.add(step, "done", 0.0)
    text, page = made.report()
    assert cells(section(text, "Sources"), "| FSDD") == ["FSDD", "--fsdd was not given", "used: False"]
    assert "CC BY 4.0; see LICENSE" in text and "5c1e5c1e5c1e…" in text
    assert section(text, "What was done").count("\n| ask |") == 1
    assert "&lt;b&gt;.jsonl" in page and "<b>.jsonl" not in page
    assert "cores of" in text.split("## ")[0]


def test_what_is_not_scored_is_left_out_and_said(made, capsys):
    made.score("er", lambda name: {"er": task(rate("accuracy", 0.7))})
    made.report()
    assert "The report is without world, world-content, wrong-audio, st" in capsys.readouterr().err


def test_what_is_no_file_of_scores_is_named(tmp_path):
    path = tmp_path / "er.json"
    for content in ("[]", "{}", "{", '{"systems": [1]}'):
        path.write_text(content)
        with pytest.raises(WavLLMError, match=r"er\.json is no file of scores"):
            Scores.read(path)
