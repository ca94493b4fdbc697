"""VoxCeleb1: pairs of utterances, of one speaker or of two, joined while they are read. No audio is written."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, repeat
from pathlib import Path
from random import Random
from typing import Annotated, Any

from wavllm_cli import console
from wavllm_cli.corpora import NO_AUDIO, About, Draft, LeftOut, Seed, Skipped
from wavllm_cli.corpora.folders import audio_name
from wavllm_cli.corpora.lengths import measured
from wavllm_cli.corpora.pairs import Pair, Spoken, balanced
from wavllm_cli.corpora.splits import DEV, TEST, TRAIN, Names
from wavllm_cli.corpora.voxceleb_files import LISTS, META, SOURCE, Tree, Trials, read_tree
from wavllm_cli.data.files import shown
from wavllm_cli.data.pieces import Piece
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import UsageError

ABOUT = About(
    title="VoxCeleb1: celebrities in interviews; pairs of utterances, of one speaker or of two.",
    licence="CC BY 4.0, by request form",
    size="1,251 speakers: dev 1,211 (148,642 utterances, 340 hours), test 40 (4,874); 37,611 cleaned trials",
    tasks=("sv",),
    source=SOURCE,
    layout="wav/idNNNNN/VIDEO/NNNNN.wav, or dev/wav/ and test/wav/, or voxceleb1_wav/NAME/VIDEO_NNNNNNN.wav; "
    "vox1_meta.csv; veri_test2.txt and other trial lists",
    root="Folder with the audio, vox1_meta.csv and the trial lists.",
    example="wavllm prep voxceleb1 /data/VoxCeleb1 --dev 40 --out data/voxceleb1",
    out="data/voxceleb1",
)
O_LIST = Names(("O",))


@dataclass(frozen=True)
class Options:
    trials: Annotated[Names, "Trial lists that become tests, commas between them: O, E, H, or names of files."] = O_LIST
    pairs: Annotated[int | None, "Training pairs, of dev speakers; 0: none. Without it a file is used twice."] = None
    dev: Annotated[int, "How many of the dev speakers are held out for validation."] = 0
    gap: Annotated[float, "Seconds of silence between the two utterances."] = 0.0
    seed: Seed = 0


LEVEL = -26.0  # dBFS of both utterances, or loudness would tell: ITU-T's level of speech
LONGEST_GAP = 60.0  # seconds


def manifests(root: Path, out: Path, options: Options) -> Iterator[Draft]:
    """Validating and training pairs, then each trial list in its order."""
    if not 0 <= options.gap <= LONGEST_GAP:
        raise UsageError(f"--gap {options.gap:g}: silence between two utterances is from 0 to {LONGEST_GAP:g} seconds.")
    tree = read_tree(root)
    lists = _lists(tree, options)
    speakers = set() if options.pairs == 0 else _training_speakers(tree)
    _refuse_overlap(tree, lists, speakers)
    joined = Joined(tree, out, options.gap)
    drafts = chain(_pairs(joined, speakers, options), (_tested(joined, trials) for trials in lists))
    for draft, skipped in zip(drafts, chain([tree.skipped], repeat([])), strict=False):
        yield replace(draft, rows=chain(skipped, draft.rows), total=(draft.total or 0) + len(skipped))


def _lists(tree: Tree, options: Options) -> list[Trials]:
    """The trial lists that are asked for.

    Raises:
        UsageError: one is not there. Where there are training pairs to be made, O need not be.
    """
    lists = []
    for name in options.trials.names:
        cleaned = LISTS.get(name, (name,))[0]
        if trials := tree.trials(name):
            if name in LISTS and trials.path.name != cleaned:
                console.warn(f"{shown(trials.path)} is taken as list {name}: the owner's cleaned one is {cleaned}.")
            if name in ("E", "H"):
                console.warn(f"List {name} asks about dev speakers: it says nothing of models that have heard them.")
            lists.append(trials)
        elif name == "O" and options.pairs != 0:
            console.warn(f"No test is made. {tree.lacks(cleaned)}")
        else:
            raise UsageError(tree.lacks(cleaned))
    return lists


def _training_speakers(tree: Tree) -> set[str]:
    """Those whose utterances are there and who are not in the test.

    Raises:
        UsageError: that is not known of one.
    """
    trials = tree.trials("O")
    tested = {speaker for speaker, name in tree.sets.items() if name == TEST}
    if trials:
        tested |= tree.speakers(trials)
    others = {speaker for speaker, _, _ in tree.utterances} - tested
    if not trials and (unknown := sorted(others - tree.sets.keys())):
        raise UsageError(f"Whether {unknown[0]} belongs to dev or to test is not known. {tree.lacks(META)}")
    if not others:
        console.warn(f"There is no dev speaker below {shown(tree.root)}: no training pairs are made.")
    return others


def _refuse_overlap(tree: Tree, lists: Iterable[Trials], speakers: set[str]) -> None:
    """
    Raises:
        UsageError: a test would be about speakers of the training pairs.
    """
    for trials in lists:
        if both := tree.speakers(trials) & speakers:
            raise UsageError(
                f"{shown(trials.path)} asks about {len(both)} speakers of whom training pairs are made, so that it "
                "would measure nothing. For models that never heard VoxCeleb1's dev set make the list alone: --pairs 0."
            )


# --- rows ---


@dataclass
class Joined:
    """Makes rows of two utterances that are joined while they are read, the same way for both answers."""

    tree: Tree
    out: Path
    gap: float
    pieces: dict[Path, Piece] = field(default_factory=dict)
    unheard: dict[Path, Skipped] = field(default_factory=dict)

    def measure(self, utterances: Iterable[Spoken], what: str) -> None:
        """Find out how long they are, and which cannot be heard; each file is opened once."""
        paths = sorted({one.path for one in utterances} - self.pieces.keys() - self.unheard.keys())
        for path, info in console.track(measured((path, path) for path in paths), what, len(paths)):
            if isinstance(info, Skipped):
                self.unheard[path] = info
            else:
                name = audio_name(path, self.out)
                self.pieces[path] = Piece(audio=name, duration=info.duration, level=LEVEL)

    def row(self, name: str, split: str, both: Pair, same: bool) -> Utterance:
        pieces = tuple(self.pieces[one.path] for one in both)
        people = [self.tree.people.get(one.speaker, {}) for one in both]
        facts: dict[str, Any] = {
            name.lower(): [person.get(name) for person in people] for name in ("Gender", "Nationality")
        }
        return Utterance(
            id=f"voxceleb1-{name}",
            audio=pieces,
            gap=self.gap or None,
            duration=round(sum(piece.duration or 0 for piece in pieces) + self.gap, 6),
            task="sv",
            prompt="Is there only one speaker in the audio clip?",
            target="yes" if same else "no",
            speaker=tuple(one.speaker for one in both),
            corpus="voxceleb1",
            split=split,
            extra=facts if any(people) else None,
        )


def _pairs(joined: Joined, speakers: set[str], options: Options) -> Iterator[Draft]:
    """Training pairs, and those of the speakers that are held out.

    Raises:
        UsageError: more are to be held out than there are.
    """
    if not speakers:
        return
    if options.dev >= len(speakers):
        raise UsageError(f"{options.dev} of {len(speakers)} dev speakers cannot be held out: ask for fewer.")
    held_out = set(Random(f"voxceleb1 {options.seed}").sample(sorted(speakers), options.dev))
    if not joined.tree.people:
        lacks = joined.tree.lacks(META)
        console.warn(f"Two speakers of a pair may differ in gender, which then gives the answer away. {lacks}")
    if held_out:
        yield _paired(joined, DEV, held_out, None, options.seed)
    yield _paired(joined, TRAIN, speakers - held_out, options.pairs, options.seed)


def _paired(joined: Joined, split: str, speakers: set[str], count: int | None, seed: int) -> Draft:
    mine = [one for one in joined.tree.utterances.values() if one.speaker in speakers]
    joined.measure(mine, f"{split}: lengths")
    skipped = [joined.unheard[one.path] for one in mine if one.path in joined.unheard]
    usable = [one for one in mine if one.path in joined.pieces]
    if joined.tree.people:
        foreign = sorted({one.speaker for one in usable if one.gender is None})
        skipped += [LeftOut(speaker, "no-gender", f"is not in {META}") for speaker in foreign]
        usable = [one for one in usable if one.gender is not None]
    pairs = balanced(usable, count, seed)
    if count is None:
        paired = set(chain.from_iterable(pairs))
        skipped += [LeftOut(shown(one.path), "no-pair", "no partner is left") for one in usable if one not in paired]
    if not pairs:
        console.warn(f"{split}: no pairs, for which there must be two speakers of one gender who both speak twice.")
    made = (
        joined.row(f"{split}-{number:06d}", split, pair, pair[0].speaker == pair[1].speaker)
        for number, pair in enumerate(pairs, 1)
    )
    return Draft(split, chain(skipped, made), len(skipped) + len(pairs))


def _tested(joined: Joined, trials: Trials) -> Draft:
    texts = {text for line in trials.lines if not isinstance(line, Skipped) for text in line[1:]}
    heard = {text: one for text in texts if (one := joined.tree.find(text))}
    joined.measure(heard.values(), f"{trials.name}: lengths")
    split = TEST if trials.name == "O" else f"{TEST}-{trials.name}"
    return Draft(split, _tried(joined, trials, heard), len(trials.lines))


def _tried(joined: Joined, trials: Trials, heard: Mapping[str, Spoken]) -> Iterator[Utterance | Skipped]:
    """The trials in the order of the list; those that cannot be heard are skipped."""
    for number, line in enumerate(trials.lines, 1):
        if isinstance(line, Skipped):
            yield line
            continue
        same, *names = line
        if lacking := [name for name in names if name not in heard]:
            yield Skipped(" ".join(names), NO_AUDIO, f"no {lacking[0]}")
            continue
        first, second = (heard[name] for name in names)
        if problem := joined.unheard.get(first.path) or joined.unheard.get(second.path):
            yield Skipped(" ".join(names), problem.reason, problem.detail)
        else:
            yield joined.row(f"{trials.name}-{number:06d}", TEST, (first, second), same)
