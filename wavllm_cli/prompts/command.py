"""What `wavllm gen-prompts` does: manifests in, a manifest or a pool of wordings out."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from wavllm_cli import console
from wavllm_cli.chat.batch import StillRunning
from wavllm_cli.chat.report import Estimate, Report, Waiting
from wavllm_cli.chat.session import Chat
from wavllm_cli.chat.settings import Settings
from wavllm_cli.data.audio_paths import relocated
from wavllm_cli.data.files import owned, require_output
from wavllm_cli.data.manifest import read_manifest, require_writable, write_manifest
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import UsageError
from wavllm_cli.prompts.clauses import Kind
from wavllm_cli.prompts.multitask import compose
from wavllm_cli.prompts.paraphrases import generate
from wavllm_cli.prompts.pools import Split, read_pools, write_pool
from wavllm_cli.prompts.pools import attach as attach_wordings
from wavllm_cli.prompts.questions import write as write_questions
from wavllm_cli.prompts.summaries import write as write_summaries
from wavllm_cli.tasks.registry import SINGLE, UNPROMPTED

T = TypeVar("T")


@dataclass(frozen=True)
class Written:
    """How many rows were written, and where."""

    rows: int
    out: str
    successful: ClassVar = True

    def show(self) -> None:
        console.info(f"{self.rows} rows → {self.out}")

    def data(self) -> dict[str, Any]:
        return asdict(self)


Result = Written | Waiting | Estimate | Report


def attach(
    manifest: Path, out: Path, split: Split, seed: int, pools: Sequence[str], tasks: Sequence[str] | None
) -> Written:
    """Give rows of a manifest an instruction from the shipped pools, or from the user's where those have the task.

    Without `tasks` these are the tasks whose rows bring none of their own, and those of the user's pools.
    """
    own = read_pools(pools)
    tasks = tasks or [*UNPROMPTED, *(task for task in own if task in SINGLE and task not in UNPROMPTED)]
    _require_output(out, [manifest], pools)
    unused = [task for task in own if task not in tasks]
    if unused:
        console.warn(f"wordings for {', '.join(unused)} are not used: only {', '.join(tasks)} rows are given one.")
    with owned(out):
        return _write(out, attach_wordings(relocated(read_manifest(manifest), manifest, out), seed, split, own, tasks))


def paraphrase(task: str, out: Path, n: int, languages: Sequence[str], seed: int, settings: Settings) -> Result:
    """Fill a pool with wordings by a chat model."""
    if out.suffix != ".jsonl":
        raise UsageError(f"{out} cannot be written: a pool's name ends in .jsonl.")
    require_output(out)
    chat = Chat(settings, out)
    return _ask(chat, lambda: generate(task, n, chat, languages, seed), write_pool)


def questions(
    manifest: Path, out: Path, per_clip: int, free: int, verify: bool, seed: int, settings: Settings
) -> Result:
    """Write questions about a manifest's clips by a chat model."""
    _require_output(out, [manifest])
    chat, rows = Chat(settings, out), _rows([manifest], out)
    return _ask(chat, lambda: write_questions(rows, chat, per_clip, free, seed, verify), write_manifest)


def multi(
    manifests: Sequence[Path],
    out: Path,
    kind: Kind,
    n: int,
    seed: int,
    pools: Sequence[str],
    split: Split,
    words: int,
    target_language: str | None,
    settings: Settings | None,
) -> Result:
    """Compose multi-task rows from the rows of several manifests, and from what a chat model adds to them."""
    _require_output(out, manifests, pools)
    rows, own = _rows(manifests, out), read_pools(pools)
    if settings is None:
        with owned(out):
            return _write(out, compose(rows, kind, n, seed, split, own))
    chat = Chat(settings, out)

    def make() -> list[Utterance]:
        added = write_summaries(rows, chat, n, words, target_language, seed)
        try:
            return [] if settings.dry_run else compose(rows, kind, n, seed, split, own, added)
        except UsageError:
            if not chat.set_aside:
                raise
            return []  # the account says what was missing

    return _ask(chat, make, write_manifest)


def _require_output(out: Path, manifests: Sequence[Path], pools: Sequence[str] = ()) -> None:
    """Find out before the work that a manifest cannot be written there, or would replace what is read."""
    require_writable(out)
    files = (pool if pool.endswith(".jsonl") else pool.partition("=")[2] for pool in pools)
    require_output(out, [*manifests, *map(Path, files)])


def _rows(manifests: Sequence[Path], out: Path) -> list[Utterance]:
    """All rows, their audio paths as seen from the new manifest: rows about one clip have one path there."""
    return [row for manifest in manifests for row in relocated(read_manifest(manifest), manifest, out)]


def _write(out: Path, rows: Iterable[Utterance]) -> Written:
    return Written(write_manifest(out, rows), str(out))


def _ask(chat: Chat, make: Callable[[], list[T]], write: Callable[[Path, list[T]], object]) -> Result:
    """Make rows by asking, write them, and give the account; nothing is written in a dry run or while a batch runs."""
    if chat.settings.dry_run:
        make()
        return chat.estimate()
    with owned(chat.output):
        try:
            rows = make()
        except StillRunning as running:
            return Waiting(str(running))
        if rows:
            write(chat.output, rows)
        report = chat.report(len(rows))
        report.write_set_aside()
        return report
