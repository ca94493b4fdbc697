"""Rows that ask for several things at once, composed from rows that ask for one; a chat model may add summaries.

ii: independent instructions about one clip, some of them telling the model to ignore the audio, joined by connectives.
cot: a chain about one clip in which each step builds on the answers before it.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import islice, product
from math import comb
from random import Random

from wavllm_cli import console
from wavllm_cli.data.clips import clip_key, clip_order, transcripts
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import UsageError
from wavllm_cli.prompts.clauses import Combination, Kind, Step, Wordings, build
from wavllm_cli.prompts.pools import Split
from wavllm_cli.tasks.cot import CHAINS
from wavllm_cli.tasks.registry import MULTI, SINGLE, TASKS, UNPROMPTED

MAX_PARTS = 4
MAX_TEXT_PARTS = 2


def compose(
    rows: Iterable[Utterance],
    kind: Kind,
    n: int,
    seed: int,
    split: Split = "seen",
    pools: Mapping[str, Sequence[str]] | None = None,
    written: Iterable[Step] = (),
) -> list[Utterance]:
    """Compose multi-task rows; every clip gets one before any gets two, and no combination occurs twice.

    Args:
        rows: the rows of one or more manifests, whose audio paths start at the same folder. What rows about one clip
            are `data.clips` says; sft rows without audio are text instructions. Rows without a target take no part,
            nor do sqqa rows, which have no words to be asked in.
        kind: "ii" or "cot".
        n: rows wanted; where fewer combinations exist all of them are returned, with a warning.
        seed: the same rows, in any order, and the same seed give the same result.
        split: which wordings of the pools to use.
        pools: task -> wordings to use instead of those that ship with the package, role by role for ii and cot.
        written: what `summaries.write` has added. Clips with a summary come first, and so do their chains with it.

    Raises:
        UsageError: an unknown kind, n below 1, or nothing can be composed; the message says which rows are missing.
    """
    if kind not in MULTI:
        raise UsageError(f"unknown kind of multi-task rows '{kind}': use {' or '.join(MULTI)}.")
    if n < 1:
        raise UsageError(f"{n} rows were asked for; ask for at least 1.")
    clips, texts = steps_by_clip(rows, written)
    rng = Random(seed)
    rng.shuffle(clips)
    clips.sort(key=_without_summary)
    streams = [_independent(clip, texts, rng) if kind == "ii" else _chains(clip, rng) for clip in clips]
    wordings = Wordings.load(kind, split, pools or {})
    composed = [build(kind, combination, wordings, seed) for combination in islice(_round_robin(streams), n)]
    if not composed:
        raise UsageError(_what_is_missing(kind))
    if len(composed) < n:
        console.warn(f"{n} {kind} rows were asked for, but these manifests hold only {len(composed)} combinations.")
    return composed


def steps_by_clip(rows: Iterable[Utterance], written: Iterable[Step] = ()) -> tuple[list[list[Step]], list[Step]]:
    """Sort usable rows into clips and text instructions, in an order that does not depend on theirs.

    A question asked twice about a clip (one row under two wordings, a manifest given twice) is kept once. All rows
    about a clip have its transcript.
    """
    rows = list(rows)
    said = transcripts(rows)
    clips: dict[Hashable, dict[tuple[str | None, ...], Step]] = {}
    texts: dict[str, Step] = {}
    for step in [*_usable(rows), *written]:
        row = step.row
        if row.audio is None:
            texts.setdefault(row.prompt, step)
            continue
        question, key = None if row.task in UNPROMPTED else row.prompt, clip_key(row)
        known = step._replace(row=row.model_copy(update={"transcript": said.get(key)}))
        clips.setdefault(key, {}).setdefault((step.what, row.target_language, question), known)
    found = [list(clip.values()) for clip in clips.values()]
    return sorted(found, key=lambda clip: clip_order(clip[0].row)), list(texts.values())


def _usable(rows: Iterable[Utterance]) -> Iterator[Step]:
    for row in sorted(rows, key=lambda r: (r.id, r.task, r.prompt)):
        task = TASKS[row.task]
        if row.target and task.steps and (row.prompt.strip() or not task.has_own_prompt):
            if row.audio is not None:
                yield Step(row.task if task.needs_audio else "about-clip", row)
            elif not task.needs_audio and not row.awaits_speech:
                yield Step(row.task, row)


def _without_summary(steps: Iterable[Step]) -> bool:
    return all(step.what != "summary" for step in steps)


def _independent(clip: Sequence[Step], texts: Sequence[Step], rng: Random) -> Iterator[Combination]:
    """Every set of 2 to `MAX_PARTS` instructions with at least one about the clip, once, in random order.

    The first one has the clip's summary in it, if there is one.
    """
    clip = [step for step in clip if step.what != "summary-st"]
    left = {
        (c, t): comb(len(clip), c) * comb(len(texts), t)
        for c in range(1, MAX_PARTS + 1)
        for t in range(min(MAX_TEXT_PARTS, MAX_PARTS - c) + 1)
        if c + t >= 2 and c <= len(clip) and t <= len(texts)
    }
    used: set[tuple[tuple[int, ...], tuple[int, ...]]] = set()
    while left:
        size = rng.choice(sorted({c + t for c, t in left}))
        shape = rng.choice([s for s in left if sum(s) == size])
        about_clip, about_text = (
            tuple(sorted(rng.sample(range(len(x)), k))) for x, k in zip((clip, texts), shape, strict=True)
        )
        missed = not used and _without_summary(clip[i] for i in about_clip) and not _without_summary(clip)
        if missed or (about_clip, about_text) in used:
            continue
        used.add((about_clip, about_text))
        left[shape] -= 1
        if not left[shape]:
            del left[shape]
        parts = [clip[i] for i in about_clip] + [texts[i] for i in about_text]
        rng.shuffle(parts)
        yield tuple(parts)


def _chains(clip: Sequence[Step], rng: Random) -> Iterator[Combination]:
    """Every chain that the clip's steps can fill, in random order, those with a summary first."""
    found = [steps for chain in CHAINS for steps in product(*([s for s in clip if s.what == w] for w in chain))]
    rng.shuffle(found)
    yield from sorted(found, key=_without_summary)


def _round_robin(streams: Sequence[Iterator[Combination]]) -> Iterator[Combination]:
    while streams:
        alive = []
        for stream in streams:
            combination = next(stream, None)
            if combination is not None:
                yield combination
                alive.append(stream)
        streams = alive


def _what_is_missing(kind: Kind) -> str:
    same = "about one clip (same audio, channel, start and duration)"
    if kind == "ii":
        *most, last = (code for code, task in SINGLE.items() if task.steps and task.needs_audio)
        return (
            f"No ii row can be composed: it takes two instructions with targets {same} of {', '.join(most)} or "
            f"{last}, or one such row and a text instruction (sft, without audio)."
        )
    *most, last = dict.fromkeys(second for _, second, *_ in CHAINS if second in SINGLE)
    return (
        f"No cot row can be composed: it takes rows with targets {same}: asr, and one of {', '.join(most)} and "
        f"{last}, or a summary by a chat model."
    )
