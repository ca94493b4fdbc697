"""Rows that ask for several things at once, composed from existing rows without a model.

ii: independent instructions about one clip, some of them telling the model to ignore the audio, joined by connectives.
cot: a chain about one clip in which each step builds on the answer before it.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from math import comb
from random import Random
from typing import Literal

from wavllm_cli import console
from wavllm_cli.data.manifest import Part, Utterance
from wavllm_cli.errors import UsageError
from wavllm_cli.prompts.pools import POOL_TASKS, Split, fill, language_name, load_pool, load_roles, split_pool

Kind = Literal["ii", "cot"]
Combination = tuple[Utterance, ...]

MAX_PARTS = 4
MAX_TEXT_PARTS = 2

# What stands before each part's answer in the combined target.
LEAD_INS = {
    "asr": "The transcription is: ",
    "st": "The {language} translation is: ",
    "sv": "The answer about the speaker is: ",
    "er": "The emotion of the speaker is: ",
    "sqa": "The answer to the question about the audio is: ",
    "sft": "The answer to the text instruction is: ",
}
BETWEEN_ANSWERS = "\n"

# The chains that existing rows can fill: tasks in order. A translation works on the transcript, not on the sound.
CHAINS = (("asr", "st"), ("asr", "sqa"))


def compose(rows: Iterable[Utterance], kind: Kind, n: int, seed: int, split: Split = "seen") -> list[Utterance]:
    """Compose multi-task rows; every clip gets one before any gets two, and no combination occurs twice.

    Args:
        rows: the rows of one or more manifests, whose audio paths start at the same folder. Those that share `audio`
            and `start` are about one clip; sft rows without audio are text instructions. Rows without a target take
            no part, nor do sqqa rows, which have no words to be asked in.
        kind: "ii" or "cot".
        n: rows wanted; where fewer combinations exist all of them are returned, with a warning.
        seed: the same rows, in any order, and the same seed give the same result.
        split: which wordings of the pools to use.

    Raises:
        UsageError: an unknown kind, n below 1, or nothing can be composed; the message says which rows are missing.
    """
    if kind not in ("ii", "cot"):
        raise UsageError(f"unknown kind of multi-task rows '{kind}': use ii or cot.")
    if n < 1:
        raise UsageError(f"{n} rows were asked for; ask for at least 1.")
    clips, texts = _by_clip(rows)
    rng = Random(seed)
    rng.shuffle(clips)
    streams = [_independent(clip, texts, rng) if kind == "ii" else _chains(clip, rng) for clip in clips]
    build = _build_ii if kind == "ii" else _build_cot
    composed = [build(combination, seed, split) for combination in islice(_round_robin(streams), n)]
    if not composed:
        raise UsageError(_what_is_missing(kind))
    if len(composed) < n:
        console.warn(f"{n} {kind} rows were asked for, but these manifests hold only {len(composed)} combinations.")
    return composed


def _by_clip(rows: Iterable[Utterance]) -> tuple[list[list[Utterance]], list[Utterance]]:
    """Sort usable rows into clips and text instructions, in an order that does not depend on theirs.

    A question asked twice about a clip (one row under two wordings, a manifest given twice) is kept once.
    """
    clips: dict[tuple[str, float], dict[tuple[str | None, ...], Utterance]] = {}
    texts: dict[str, Utterance] = {}
    for row in sorted(rows, key=lambda r: (r.id, r.task, r.prompt)):
        if not row.target or row.task not in LEAD_INS or not (row.prompt.strip() or row.task in POOL_TASKS):
            continue
        if row.audio is None:
            if row.task == "sft":
                texts.setdefault(row.prompt, row)
            continue
        question = None if row.task in POOL_TASKS else row.prompt
        clip = clips.setdefault((str(row.audio), row.start), {})
        clip.setdefault((row.task, row.target_language, question), row)
    return [list(clips[key].values()) for key in sorted(clips)], list(texts.values())


def _independent(clip: Sequence[Utterance], texts: Sequence[Utterance], rng: Random) -> Iterator[Combination]:
    """Every set of 2 to `MAX_PARTS` instructions with at least one about the clip, once, in random order."""
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
        if (about_clip, about_text) in used:
            continue
        used.add((about_clip, about_text))
        left[shape] -= 1
        if not left[shape]:
            del left[shape]
        parts = [clip[i] for i in about_clip] + [texts[i] for i in about_text]
        rng.shuffle(parts)
        yield tuple(parts)


def _chains(clip: Sequence[Utterance], rng: Random) -> Iterator[Combination]:
    """Every chain of two steps that the clip's rows can fill, in random order."""
    found = [(a, b) for first, then in CHAINS for a in clip if a.task == first for b in clip if b.task == then]
    rng.shuffle(found)
    yield from found


def _round_robin(streams: Sequence[Iterator[Combination]]) -> Iterator[Combination]:
    while streams:
        alive = []
        for stream in streams:
            combination = next(stream, None)
            if combination is not None:
                yield combination
                alive.append(stream)
        streams = alive


def _build_ii(combination: Combination, seed: int, split: Split) -> Utterance:
    new_id = _new_id("ii", combination, seed)
    rng = Random(f"{seed} {new_id}")
    roles = {role: split_pool(words, split) for role, words in load_roles("ii").items()}
    middle = rng.sample(roles["next"], len(combination) - 2)
    connectives = [rng.choice(roles["first"]), *middle, rng.choice(roles["last"])]
    clauses, parts = [], []
    for row, connective in zip(combination, connectives, strict=True):
        wording = _wording(row, rng, split)
        clauses.append([connective, *([rng.choice(roles["text"])] if row.audio is None else []), wording])
        parts.append(Part(task=row.task, prompt=wording, target=row.target))
    return _assemble(new_id, "ii", combination, clauses, parts)


def _build_cot(combination: Combination, seed: int, split: Split) -> Utterance:
    new_id = _new_id("cot", combination, seed)
    rng = Random(f"{seed} {new_id}")
    roles = {role: split_pool(words, split) for role, words in load_roles("cot").items()}
    clauses, parts = [], []
    for i, row in enumerate(combination):
        on_text = row.task == "st"
        wording = fill(rng.choice(roles["translate"]), row) if on_text else _wording(row, rng, split)
        clauses.append([rng.choice(roles["first" if i == 0 else "text" if on_text else "given"]), wording])
        parts.append(Part(task=row.task, prompt=wording, target=row.target))
    return _assemble(new_id, "cot", combination, clauses, parts)


def _wording(row: Utterance, rng: Random, split: Split) -> str:
    if row.task not in POOL_TASKS:
        return row.prompt
    return fill(rng.choice(split_pool(load_pool(row.task), split)), row)


def _assemble(
    new_id: str, kind: Kind, combination: Combination, clauses: Sequence[Sequence[str]], parts: list[Part]
) -> Utterance:
    """Join clauses into the prompt and answers into the target; what describes the clip comes from its first row."""
    about_clip = [row for row in combination if row.audio is not None]
    answers = []
    for row in combination:
        lead_in = LEAD_INS[row.task]
        if row.task == "st":
            lead_in = lead_in.replace("{language}", language_name(row.target_language, row.id))
        answers.append(lead_in + (row.target or ""))
    return about_clip[0].model_copy(
        update={
            "id": new_id,
            "task": kind,
            "prompt": "; ".join(", ".join(clause).rstrip(" .;:") for clause in clauses),
            "target": BETWEEN_ANSWERS.join(answers),
            "transcript": next((row.transcript for row in about_clip if row.transcript), None),
            "target_language": next((row.target_language for row in about_clip if row.target_language), None),
            "choices": None,
            "parts": parts,
        }
    )


def _new_id(kind: Kind, combination: Combination, seed: int) -> str:
    """The clip's id, the kind, and a digest of what the row is made of."""
    parts = "\0".join([str(seed), *(f"{row.task}\0{row.id}\0{row.prompt}" for row in combination)])
    base = next(row.id for row in combination if row.audio is not None)
    return f"{base}-{kind}-{blake2b(parts.encode(), digest_size=6).hexdigest()}"


def _what_is_missing(kind: Kind) -> str:
    if kind == "ii":
        return (
            "No ii row can be composed: it takes two instructions with targets about one clip (rows with the same "
            "audio and start; tasks asr, st, sv, er, sqa), or one such row and a text instruction (sft, without audio)."
        )
    chains = " or ".join(" and ".join(chain) for chain in CHAINS)
    return f"No cot row can be composed: it takes rows with targets about one clip (same audio and start): {chains}."
