"""Which rows are about one clip, and what is said in it."""

from random import Random

from wavllm_cli.data.clips import by_clip, clip_key, clip_order, dialogue, transcripts
from wavllm_cli.data.schema import Hypothesis, Utterance
from wavllm_cli.prompts import questions, summaries
from wavllm_cli.prompts.metadata_questions import from_metadata
from wavllm_cli.prompts.multitask import compose, steps_by_clip
from wavllm_cli.scoring.robustness import robustness
from wavllm_cli.scoring.tasks import Options, measure


def row(name, **fields):
    return Utterance(**{"id": name, "audio": "call.wav", "task": "asr", "prompt": "p", "target": "a b"} | fields)


SIDES = [
    row("a0", channel=0, target="hello there"),
    row("a1", channel=1, target="who is this"),
    row("e0", channel=0, task="er", target="happy"),
    row("e1", channel=1, task="er", target="angry"),
]


def test_file_channel_start_and_duration_make_a_clip():
    others = [row("x"), row("x", channel=0), row("x", start=1), row("x", duration=1), row("x", audio="y.wav")]
    assert len({clip_key(other) for other in others}) == 5
    assert len(by_clip([*others, *others, row("t", audio=None)])) == 5
    mixed = Random(1).sample(others, 5)
    assert [others.index(r) for r in sorted(mixed, key=clip_order)] == [0, 3, 1, 2, 4]


def test_both_sides_of_a_call_are_two_clips_everywhere():
    (first, second), _ = steps_by_clip(SIDES)
    assert [[step.row.id for step in clip] for clip in (first, second)] == [["a0", "e0"], ["a1", "e1"]]
    assert {(r.channel, r.parts[1].target) for r in compose(SIDES, "cot", 2, seed=1)} == {(0, "happy"), (1, "angry")}
    assert [(c.channel, c.transcript) for c in questions._clips(SIDES)] == [(0, "hello there"), (1, "who is this")]
    assert [question.clip.channel for question in from_metadata(SIDES, 1)] == [0, 1]
    asked = [Hypothesis(**{**side.model_dump(), "target": "t"}, text="t") for side in SIDES[:2]]
    asked[1] = asked[1].model_copy(update={"prompt": "another wording"})
    (group,) = measure(asked, Options())
    assert robustness(group) is None  # not one clip under two wordings


def test_one_rule_for_the_transcript():
    about = [
        row("a", target="from the target", prompt="Transcribe."),
        row("b", task="er", target="sad", transcript="..."),
        row("c", task="sqa", prompt="why", target=None, transcript="from c"),
        row("d", task="er", target="sad", transcript="from d"),
    ]
    for rows in (about, about[::-1]):
        assert list(transcripts(rows).values()) == ["from c"]
        ((clip, *_),), _ = steps_by_clip(rows)
        assert clip.row.transcript == summaries._transcript([clip]) == questions._clips(rows)[0].transcript == "from c"
        assert compose(rows, "cot", 1, seed=1)[0].transcript == "from c"
    assert list(transcripts(about[:2]).values()) == ["from the target"]
    assert transcripts(about[1:2]) == {}


def test_pieces_make_a_clip():
    pieces = [{"audio": "a.wav", "channel": 0}, {"audio": "b.wav"}]
    clips = [row("x", audio=pieces), row("x", audio=pieces, gap=0.5), row("x", audio=pieces[::-1]), row("x")]
    clips += [row("x", audio=[pieces[0] | {"channel": 1}, pieces[1]])]
    assert len(by_clip(clips)) == 5 and sorted(clips, key=clip_order)[-1] is clips[3]
    assert clip_key(row("x", audio=pieces)) == clip_key(row("y", audio=pieces, gap=0.0))


TURNS = [
    {"start": 2, "duration": 1, "speaker": "B", "text": "who is this "},
    {"start": 0, "duration": 1, "speaker": "A", "text": "hello there"},
]


def test_turns_tell_what_is_said_where_nothing_else_does():
    turns = row("a", task="er", target="sad", turns=TURNS)
    assert list(transcripts([turns]).values()) == ["hello there who is this"]
    assert list(transcripts([turns, row("b", target="hello")]).values()) == ["hello"]


def test_what_any_row_tells_of_a_clip_a_composed_row_keeps():
    about = [row("a"), row("b", task="er", target="sad", turns=TURNS, group="call 1", speaker="A", extra={"n": 1})]
    (made,) = compose(about, "cot", 1, seed=1)
    (asked,) = questions._clips(about)
    for kept in (made, asked):
        assert (kept.turns, kept.group, kept.speaker) == (about[1].turns, "call 1", "A")
    assert made.extra == {"n": 1} and asked.extra is None  # a column of the other row's own
    waiting = row("w", audio=None, task="sft", speech_text="spoken one day")
    assert steps_by_clip([waiting]) == ([], [])


def test_a_dialogue_says_who_speaks_in_the_order_in_which_they_are_heard():
    assert dialogue(row("a", turns=TURNS)) == "Speaker 1: hello there\nSpeaker 2: who is this"
    again = {"start": 5, "duration": 1, "speaker": "A", "text": "me"}
    assert dialogue(row("a", turns=[*TURNS, again, {**again, "text": " "}])).endswith("\nSpeaker 1: me")
    assert dialogue(row("a", turns=TURNS[:1])) is dialogue(row("a")) is None
