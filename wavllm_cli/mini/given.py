"""What a user brings to the miniature: recordings, digits, sentences. What is said in test is in no train row."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from wavllm_cli.data.schema import Utterance
from wavllm_cli.mini import open_english, real
from wavllm_cli.mini.casting import SPLITS
from wavllm_cli.mini.fsdd import Recording
from wavllm_cli.mini.real_digits import recordings
from wavllm_cli.mini.vocabulary import split_of


@dataclass(frozen=True)
class Given:
    """Attributes:
    sets: folders of manifests of real recordings.
    fsdd: the archive or folder of digits.
    digits: its recordings.
    written: where sentences of open English are.
    """

    sets: Sequence[real.Recordings] = ()
    fsdd: Path | None = None
    digits: Sequence[Recording] = ()
    written: Path | None = None
    sentences: Sequence[str] = field(default=(), repr=False)

    @classmethod
    def read(cls, folders: Sequence[Path], fsdd: Path | None, written: Path | None) -> "Given":
        """All of it.

        Raises:
            UsageError: something is not there, or not what it should be.
            ManifestError: a manifest is wrong.
        """
        return cls(
            real.find(folders),
            fsdd,
            recordings(fsdd) if fsdd else (),
            written,
            open_english.read(written) if written else (),
        )

    def read_speech(self, split: str, accented: bool = False) -> list[Utterance]:
        """Transcribed recordings of a split; see `real.read_speech`."""
        said = real.read_speech(self.sets, split, accented)
        later = SPLITS[SPLITS.index(split) + 1 :]  # train gives way to dev and test, dev to test
        return [row for row in said if not any(row.target in self._read_in[other] for other in later)]

    def open_sentences(self, split: str) -> list[str]:
        """Sentences that are to be spoken: those that are written, else what is read in the real recordings."""
        if not self.written:
            return open_english.of_a_length(row.target or "" for row in self.read_speech(split))
        others = [self._read_in[other] for other in SPLITS if other != split]
        return [one for one in self.sentences if split_of(one) == split and not any(one in said for said in others)]

    @cached_property
    def _read_in(self) -> dict[str, frozenset[str]]:
        """What is said in the real recordings of each split."""
        rows = {
            split: [row for accented in (False, True) for row in real.read_speech(self.sets, split, accented)]
            for split in SPLITS
        }
        return {split: frozenset(row.target or "" for row in some) for split, some in rows.items()}
