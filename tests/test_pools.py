import json
import random
import re
from itertools import combinations

import pytest

from wavllm_cli.data.manifest import read_manifest, write_manifest
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import UsageError
from wavllm_cli.prompts import command, pools
from wavllm_cli.prompts.pools import (
    language_name,
    load_pool,
    load_roles,
    read_pools,
    split_pool,
)
from wavllm_cli.tasks.answers.choice import parse_choices
from wavllm_cli.tasks.registry import SINGLE, UNPROMPTED, WORDINGS
from wavllm_cli.text.normalize import basic

KINDS = ("ii", "cot")
FRAMED = ("sqa", "sft")
QUESTION = "What will the man do next? A. Start to take exercise; B. Do as he always does; C. Change his working time."


def attach(*given, **options):
    return list(pools.attach(*given, **options))


def row(i, task="asr", **more):
    return Utterance(id=str(i), audio="a.wav", task=task, prompt=more.pop("prompt", "old"), target="x", **more)


def jsonl(path, *rows):
    path.write_text("".join(json.dumps(fields) + "\n" for fields in rows))
    return str(path)


@pytest.mark.parametrize("name", [*SINGLE, *KINDS])
def test_a_pool_has_thirty_distinct_wordings(name):
    wordings = [basic(wording) for wording in load_pool(name)]
    assert len(set(wordings)) == len(wordings) >= 30


@pytest.mark.parametrize("task", SINGLE)
def test_wordings_are_diverse(task):
    pool = load_pool(task)
    words = [set(basic(wording).split()) for wording in pool]
    near = [(a, b) for a, b in combinations(words, 2) if len(a & b) > 0.75 * len(a | b)]
    assert near == []
    lengths = sorted(len(basic(wording).split()) for wording in pool)
    assert lengths[0] <= 4
    assert lengths[-1] >= 14
    assert 0.2 < sum("?" in wording for wording in pool) / len(pool) < 0.8


@pytest.mark.parametrize("task", SINGLE)
def test_no_wording_holds_the_separator_of_a_combined_prompt(task):
    assert not [wording for wording in load_pool(task) if ";" in wording]


@pytest.mark.parametrize("task", SINGLE)
def test_translations_and_frames_have_their_slot_once_and_others_none(task):
    slots = {"st": ["{language}"], "sqa": ["{prompt}"], "sft": ["{prompt}"]}.get(task, [])
    assert all(re.findall("{.*?}", wording) == slots for wording in load_pool(task))


@pytest.mark.parametrize("frame", load_pool("sqa"))
def test_the_choices_can_be_read_out_of_a_framed_question(frame):
    assert parse_choices(frame.replace("{prompt}", QUESTION)) == parse_choices(QUESTION) != []


def test_connectives_have_the_roles_that_composition_draws():
    assert load_roles("ii").keys() == {"first", "next", "last", "text"}
    cot = load_roles("cot")
    assert cot.keys() == {"first", "given", "text", "translate", "summarise", "translate-summary"}
    assert min(map(len, cot.values())) >= 10
    assert all(wording.count("{language}") == 1 for wording in [*cot["translate"], *cot["translate-summary"]])
    upper_limit = re.compile(r"\b(no more than|at most|within) {words} words|\bin {words} words or fewer")
    assert all(upper_limit.search(wording) for wording in cot["summarise"])
    # two connectives stand in the middle of four parts, also when only the unseen ones are used
    assert len(split_pool(load_roles("ii")["next"], "unseen")) >= 2


def test_seen_and_unseen_divide_a_pool_at_four_fifths():
    pool = [str(i) for i in range(10)]
    assert split_pool(pool, "seen") == pool[:8]
    assert split_pool(pool, "unseen") == pool[8:]
    assert split_pool(pool, "all") == pool
    with pytest.raises(UsageError, match="unknown split of wordings 'test'"):
        split_pool(pool, "test")
    with pytest.raises(UsageError, match="none that are 'seen'"):
        split_pool(["only one"], "seen")


def test_a_rows_wording_depends_on_its_id_and_the_seed_alone():
    rows = [row(i) for i in range(300)]
    shuffled = random.Random(0).sample(rows, len(rows))
    first = {r.id: r.prompt for r in attach(rows, seed=1)}
    assert {r.id: r.prompt for r in attach(shuffled, seed=1)} == first
    assert {r.id: r.prompt for r in attach(rows[:5], seed=1)}.items() <= first.items()
    assert {r.id: r.prompt for r in attach(rows, seed=2)} != first


def test_every_wording_of_the_split_is_used_and_none_of_the_other():
    rows = [row(i) for i in range(2000)]
    for split in ("seen", "unseen", "all"):
        assert {r.prompt for r in attach(rows, 1, split)} == set(split_pool(load_pool("asr"), split))


def test_a_translation_names_its_language():
    rows = attach([row(i, "st", target_language=["de", "zh-CN", "Klingon"][i % 3]) for i in range(60)], seed=0)
    assert all(["German", "Chinese", "Klingon"][i % 3] in r.prompt for i, r in enumerate(rows))
    with pytest.raises(UsageError, match="Row '7' is a translation without target_language"):
        attach([row(7, "st")], seed=0)
    with pytest.raises(UsageError, match="Row '7' has the target_language 'xx'"):
        language_name("xx", "7")


@pytest.mark.parametrize("task", ["sqa", "sqqa", "sft", "ii", "cot"])
def test_rows_with_an_instruction_of_their_own_keep_it(task):
    rows = [row(1, task, prompt="" if task == "sqqa" else "Why?")]
    assert attach(rows, seed=0) == rows


def test_nothing_but_the_prompt_changes():
    before = [row(i, task, language="en", target_language="de") for i, task in enumerate(UNPROMPTED)]
    after = attach(before, seed=0)
    assert [r.model_copy(update={"prompt": "old"}) for r in after] == before
    assert all(r.prompt != "old" for r in after)


def test_a_spoken_question_is_given_an_instruction_when_asked_for():
    rows = attach([row(i, "sqqa", prompt="") for i in range(500)], 0, "all", tasks=["sqqa"])
    assert {r.prompt for r in rows} == set(load_pool("sqqa"))
    assert attach(rows, 0, "all", tasks=["sqqa"]) == rows


@pytest.mark.parametrize("task", FRAMED)
def test_a_frame_goes_around_the_rows_own_prompt(task):
    prompt = 'What does {language} {prompt} print? Say {"a": 1}\nfor {0}'
    rows = attach([row(i, task, prompt=prompt) for i in range(500)], 0, "all", tasks=[task])
    assert {r.prompt for r in rows} == {frame.replace("{prompt}", prompt) for frame in load_pool(task)}


@pytest.mark.parametrize("task", FRAMED)
def test_a_framed_prompt_is_not_framed_again(task):
    before = [row(i, task, prompt=QUESTION) for i in range(500)]
    first = attach(before, 0, tasks=[task])
    assert attach(first, 0, tasks=[task]) == first
    assert attach(first, 1, "unseen", tasks=[task]) == attach(before, 1, "unseen", tasks=[task]) != first


def test_only_the_tasks_asked_for_change():
    before = [row(i, task, target_language="de") for i, task in enumerate([*SINGLE, *KINDS])]
    after = attach(before, seed=0, pools={"sqa": ["Frame: {prompt}", "Or: {prompt}"]}, tasks=["sv", "sqa"])
    assert {r.task for r, old in zip(after, before, strict=True) if r != old} == {"sv", "sqa"}


@pytest.mark.parametrize("task", [*KINDS, "tts"])
def test_tasks_without_wordings_of_their_own_are_refused(task):
    with pytest.raises(UsageError, match=f"'{task}' rows cannot be given a wording: choose among asr, st, sv, er, sqa"):
        attach([row(1)], seed=0, tasks=["asr", task])


def test_pools_are_read_from_text_and_json_lines(tmp_path):
    text, connectives = tmp_path / "mine.txt", tmp_path / "ii.txt"
    text.write_text("# mine\nSay it.\n\n  Write it.  \n", encoding="utf-8-sig")
    connectives.write_text("first: One\nlast: And: two\n")
    rows = jsonl(
        tmp_path / "a=b.jsonl",
        {"task": "st", "text": "Bitte ins {language} übersetzen.", "language": "de", "by": "a user"},
        {"task": "asr", "text": " Write it. "},
        {"task": "asr", "text": 'As JSON: {"text": …}'},
        {"task": "sqa", "text": "{prompt} – which?"},
        {"task": "cot", "role": "summarise", "text": "in {words} words or fewer"},
    )
    assert read_pools([f"asr={text}", rows, f"ii={connectives}"]) == {
        "asr": ("Say it.", "Write it.", 'As JSON: {"text": …}'),
        "st": ("Bitte ins {language} übersetzen.",),
        "sqa": ("{prompt} – which?",),
        "cot": ("summarise: in {words} words or fewer",),
        "ii": ("first: One", "last: And: two"),
    }
    assert read_pools([]) == {}


@pytest.mark.parametrize("task", [*SINGLE, *KINDS])
def test_shipped_pools_would_pass_as_the_users(task):
    assert read_pools([f"{task}={WORDINGS / task}.txt"]) == {task: load_pool(task)}


def test_the_users_pool_may_be_named_by_an_alias(tmp_path):
    (tmp_path / "mine.txt").write_text("How does she feel?\n")
    assert read_pools([f"emo={tmp_path}/mine.txt"]) == {"er": ("How does she feel?",)}


def test_the_users_pool_stands_in_for_the_shipped_one_and_is_split_like_it():
    pool = [f"Wording {i}." for i in range(10)]
    rows = [row(i, task) for i, task in enumerate(["asr", "sv"] * 500)]
    for split in ("seen", "unseen"):
        given = attach(rows, 0, split, pools={"asr": pool})
        assert {r.prompt for r in given if r.task == "asr"} == set(split_pool(pool, split))
        assert {r.prompt for r in given if r.task == "sv"} == set(split_pool(load_pool("sv"), split))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"task": "tts", "text": "a"}', "key \"task\" should be 'asr', .* or 'cot', not 'tts'"),
        ('{"task": "emo", "text": "a"}', r"or 'cot' \(did you mean 'er'\?\), not 'emo'"),
        ('{"text": "a"}', 'key "task" is missing'),
        ('{"task": "asr"}', 'key "text" is missing'),
        ('{"task": "asr", "text": 3}', 'key "text" should be a valid string, not 3'),
        ('{"task": "asr", "text": " "}', 'key "text" is empty: write the wording there'),
        ('{"task": "asr", "text": "a"', r"not valid JSON \(EOF .* at character 27\)"),
        ('["asr"]', r"a row should be an object, not \['asr'\]"),
        ('{"task": "st", "text": "a"}', "for st must hold {language} once and no other slot, not none"),
        ('{"task": "st", "text": "{language} {prompt}"}', "for st must hold .*, not {language} and {prompt}"),
        ('{"task": "sqa", "text": "a"}', "for sqa must hold {prompt} once and no other slot, not none"),
        ('{"task": "sft", "text": "{prompt} {prompt}"}', "for sft must hold {prompt} once"),
        ('{"task": "sqqa", "text": "{prompt}"}', "for sqqa must hold no slot, not {prompt}"),
        ('{"task": "asr", "text": "in {language}"}', "for asr must hold no slot, not {language}"),
        ('{"task": "cot", "text": "a", "role": "summarise"}', "for summarise must hold {words} once"),
        ('{"task": "cot", "text": "a", "role": "end"}', "for cot must be one of first, given, text, translate, summ"),
        ('{"task": "ii", "text": "a"}', "for ii must be one of first, next, last, text"),
        ('{"task": "asr", "text": "a", "role": "first"}', "for asr has no role: leave the key out"),
    ],
)
def test_a_wrong_wording_is_named_by_file_and_line(tmp_path, line, message):
    file = tmp_path / "mine.jsonl"
    file.write_text('{"task": "asr", "text": "Right."}\n\n' + line + "\n")
    with pytest.raises(UsageError, match=rf"mine\.jsonl, line 3: .*{message}.*\.$"):
        read_pools([str(file)])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("st={}/mine.txt", r"mine\.txt, line 2: a wording for st must hold {language}"),
        ("tts={}/mine.txt", r"mine\.txt, line 2: key \"task\" should be 'asr'"),
        ("cot={}/mine.txt", r"mine\.txt, line 2: the role of a wording for cot must be one of first"),
        ("asr={}/empty.txt", r"empty\.txt is empty: it needs one wording a line"),
        ("{}/empty.jsonl", r"empty\.jsonl is empty"),
        ("asr={}/latin1.txt", r"latin1\.txt, line 1: the text is not UTF-8"),
        ("asr={}/none.txt", r"none\.txt does not exist"),
        ("{}/mine.txt", "does not tell what its wordings are for: write TASK=FILE.txt or FILE.jsonl"),
        ("asr=", "'asr=' does not tell"),
    ],
)
def test_a_wrong_source_is_named(tmp_path, source, message):
    (tmp_path / "mine.txt").write_text("# mine\nSay it.\n")
    (tmp_path / "empty.txt").write_text("# nothing\n")
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "latin1.txt").write_bytes("für".encode("latin-1"))
    with pytest.raises(UsageError, match=message):
        read_pools([source.format(tmp_path)])


def test_the_command_attaches_the_users_pools_and_says_which_it_does_not_use(tmp_path, capsys):
    manifest, out = tmp_path / "m.jsonl", tmp_path / "out.jsonl"
    write_manifest(manifest, [row(1), row(2, "sqa", prompt=QUESTION)])
    source = jsonl(tmp_path / "p.jsonl", {"task": "asr", "text": "Mine."}, {"task": "sqa", "text": "Ours: {prompt}"})
    command.attach(manifest, out, "all", 0, [source], ["asr"])
    assert [r.prompt for r in read_manifest(out)] == ["Mine.", QUESTION]
    assert "wordings for sqa are not used: only asr rows are given one" in capsys.readouterr().err
    command.attach(manifest, out, "all", 0, [source], None)
    assert [r.prompt for r in read_manifest(out)] == ["Mine.", f"Ours: {QUESTION}"]
    assert capsys.readouterr().err == ""


def test_every_shipped_pool_is_used():
    assert {path.stem for path in WORDINGS.iterdir()} == {*SINGLE, *KINDS}


def test_a_line_of_a_pool_that_is_ambiguous_or_bottomless_is_named(tmp_path):
    pool = tmp_path / "p.jsonl"
    for line, said in (
        ('{"task": "asr", "text": "a", "text": "b"}', r'p\.jsonl, line 1: key "text" occurs twice in an object'),
        ("[" * 3000, r"p\.jsonl, line 1: nested more than 200 levels deep"),
    ):
        pool.write_text(line + "\n")
        with pytest.raises(UsageError, match=said):
            read_pools([str(pool)])
