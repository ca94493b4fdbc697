"""VoxCeleb1's files: utterances in each form that the owner has given them, the table of speakers, trial lists."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unicodedata import normalize

from wavllm_cli.corpora import DUPLICATE, FORM, UNREADABLE, LeftOut, Skipped
from wavllm_cli.corpora.folders import listed, not_found, one_of_copies, require_folder, walk
from wavllm_cli.corpora.pairs import Spoken
from wavllm_cli.corpora.tables import place, rows, texts
from wavllm_cli.data.files import shown
from wavllm_cli.errors import UsageError

LISTS = {  # the owner's names of each list, the cleaned one first
    "O": ("veri_test2.txt", "voxceleb1_test_v2.txt", "veri_test.txt"),
    "E": ("list_test_all2.txt", "list_test_all.txt"),
    "H": ("list_test_hard2.txt", "list_test_hard.txt"),
}
META = "vox1_meta.csv"
COLUMNS = ("VoxCeleb1 ID", "VGGFace1 ID", "Gender", "Nationality", "Set")
SOURCE = "https://www.robots.ox.ac.uk/~vgg/data/voxceleb/vox1.html"
PARTS = "vox1_dev_wav_part"
SET_FOLDER = re.compile(r"(?:vox1_)?(dev|test)(?:_wav)?")

Key = tuple[str, str, str]  # speaker, video, number of the utterance in seven digits, whatever the form


@dataclass(frozen=True)
class Trials:
    """A trial list: whether one speaker says both, and the two as the list calls them; or a line that is no trial."""

    name: str
    path: Path
    lines: list[tuple[bool, str, str] | Skipped]


@dataclass
class Tree:
    """What lies below ROOT.

    Args:
        root: the folder.
        people: rows of the owner's table, by speaker.
        ids: speakers, by the names that the oldest form of the corpus has for them.
        texts: lists and tables by their names; of one name several, where a corpus was unpacked twice.
        utterances: all of them.
        sets: dev or test, of each speaker of whom the table or the name of a folder above tells that.
        skipped: what is not used.
    """

    root: Path
    people: dict[str, dict[str, str]] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    texts: dict[str, list[Path]] = field(default_factory=dict)
    utterances: dict[Key, Spoken] = field(default_factory=dict)
    sets: dict[str, str] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)

    def key(self, path: Path) -> Key | None:
        """What an utterance is known by, from the end of its path; None for the file of something else."""
        *_, above, folder, _ = ("", "", *path.parts)
        if re.fullmatch(r"id1\d{4}", above):  # VoxCeleb2 has id0…
            return above, folder, path.stem.zfill(7)
        if oldest := re.fullmatch(r"(.{11})_(\d{7})", path.stem):
            name = normalize("NFC", folder)
            return self.ids.get(name, name), oldest[1], oldest[2]
        return None

    def lacks(self, name: str) -> str:
        """That a list or table is not there, and where to find it."""
        for folder in self.root.resolve().parents[:2]:
            if (folder / name).is_file():
                return f"There is no {name} below {shown(self.root)}, but one in {shown(folder)}: name that folder."
        return f"There is no {name} below {shown(self.root)}: get it from {SOURCE}"

    def find(self, text: str) -> Spoken | None:
        """An utterance by what a trial list calls it."""
        key = self.key(Path(text))
        return self.utterances.get(key) if key else None

    def trials(self, name: str) -> Trials | None:
        """A list by its letter or by the name of its file; None where it is not there."""
        names = LISTS.get(name, (name,))
        path = next((one_of_copies(self.texts[file], file) for file in names if file in self.texts), None)
        if path is None and name not in LISTS and Path(name).is_file():
            path = Path(name)
        if path is None:
            return None
        return Trials(name if name in LISTS else path.stem, path, list(_lines(path)))

    def speakers(self, trials: Trials) -> set[str]:
        """Whom a list asks about."""
        texts = {text for line in trials.lines if not isinstance(line, Skipped) for text in line[1:]}
        return {key[0] for text in texts if (key := self.key(Path(text)))}


def read_tree(root: Path) -> Tree:
    """All that is below a folder.

    Raises:
        UsageError: there is no audio of VoxCeleb1.
    """
    require_folder(root)
    tree = Tree(root)
    files = []
    for path in walk(root, (".wav", ".flac", ".txt", META)):
        if isinstance(path, Skipped):
            tree.skipped.append(path)
        elif path.suffix.lower() in (".wav", ".flac"):
            files.append(path)
        else:
            tree.texts.setdefault(path.name, []).append(path)
    if META in tree.texts:
        _read_people(tree, one_of_copies(tree.texts[META], META))
    for path in files:
        if key := tree.key(path):
            _add(tree, key, path)
    if not tree.utterances:
        unreadable = [one for one in tree.skipped if one.reason == UNREADABLE]
        if any(path.name.startswith(PARTS) for path in listed(root)[0]):
            raise UsageError(
                f"{shown(root)} has VoxCeleb1 in parts: join them by `cat {PARTS}a? > dev.zip`, and unpack it."
            )
        not_found(root, "VoxCeleb1", "wav/id10001/VIDEO/00001.wav, at any depth,", lambda _: False, unreadable)
    return tree


def _read_people(tree: Tree, table: Path) -> None:
    for row in rows(table, COLUMNS):
        if isinstance(row, Skipped):
            tree.skipped.append(row)
        else:
            person = {name: value.strip() for name, value in row.items()}
            tree.people[person["VoxCeleb1 ID"]] = person
            tree.ids[person["VGGFace1 ID"]] = person["VoxCeleb1 ID"]
            tree.sets[person["VoxCeleb1 ID"]] = person["Set"].lower()


def _add(tree: Tree, key: Key, path: Path) -> None:
    speaker, video, _ = key
    if key in tree.utterances:
        tree.skipped.append(LeftOut(shown(path), DUPLICATE, f"is {shown(tree.utterances[key].path)} again"))
        return
    gender = tree.people.get(speaker, {}).get("Gender")
    tree.utterances[key] = Spoken(path, speaker, video, gender)
    for folder in (tree.root.resolve().name, *path.relative_to(tree.root).parts[:-3]):
        if found := SET_FOLDER.fullmatch(folder):
            tree.sets.setdefault(speaker, found[1])


def _lines(path: Path) -> Iterator[tuple[bool, str, str] | Skipped]:
    for number, line in enumerate(texts(path), 1):
        if isinstance(line, Skipped):
            yield line
        elif match := re.fullmatch(r"([01])\s+(\S+)\s+(\S+)\s*", line):
            yield match[1] == "1", match[2], match[3]
        elif line.strip():
            yield Skipped(place(path, number), FORM, "is no trial: 1 or 0, and two utterances")
