"""What `wavllm infer` does: one clip to stdout, or a manifest to a hypotheses file."""

from collections.abc import Sequence
from pathlib import Path

from wavllm_cli import console
from wavllm_cli.data.audio import read_audio
from wavllm_cli.data.batch import AWAITS_SPEECH, Clip, clips_of
from wavllm_cli.data.files import owned, require_output, require_space, shown
from wavllm_cli.data.manifest import MANIFEST_SUFFIXES, parquet_rows, read_lines, validated
from wavllm_cli.data.schema import Hypothesis
from wavllm_cli.errors import ManifestError, UsageError, WavLLMError
from wavllm_cli.inference.one import Reply, answer_clip
from wavllm_cli.inference.partial import partial_of
from wavllm_cli.inference.run import Report, answer_manifest
from wavllm_cli.systems.base import Options
from wavllm_cli.systems.registry import system_class

OUTPUT_SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")
ANSWER_BYTES = 300  # of an answer on the disk, roughly
NAMED = 3  # ids in a message about many


def infer(
    source: Path,
    instruction: str,
    channel: int | None,
    output: Path | None,
    audio_root: Path | None,
    batch_size: int,
    system: str,
    options: Options,
) -> Reply | Report:
    """Answer about a file or a manifest; input and output are checked before the model is loaded.

    Args:
        channel: of a file; None takes the mean of all.
        batch_size: most utterances at once.
        system: its name in `systems.registry`.

    Raises:
        UsageError: source, output, model or option are wrong.
        WavLLMError: nothing could be answered, or another process writes the output.
    """
    is_manifest = source.name.endswith(MANIFEST_SUFFIXES)
    if is_manifest and output is None:
        raise UsageError(f"{source} is a manifest: say where the answers go with --output FILE.jsonl.")
    if is_manifest and instruction:
        raise UsageError(f"{source} is a manifest and brings its own instructions: leave out {instruction!r}.")
    if is_manifest and channel is not None:
        raise UsageError(f'{source} is a manifest, whose rows name their "channel" themselves: leave out --channel.')
    if output is not None:
        require_output(output, [source], OUTPUT_SUFFIXES)
        require_hypotheses(output)
        if not is_manifest:
            _require_utf8(source)
    if not is_manifest:
        samples = read_audio(source, channel=channel)
        return answer_clip(system_class(system).open(options), source, channel, samples, instruction, output)
    assert output is not None
    require_output(partial_of(output))
    clips = clips_of(source, audio_root)
    missing = missing_audio(clips)
    require_space(output, _bytes_needed(clips))
    by = system_class(system).open(options)
    with owned(output):
        return answer_manifest(by, clips, output, batch_size, missing)


# --- before the work ---


def missing_audio(clips: Sequence[Clip]) -> dict[str, str]:
    """Rows whose audio is not there or may not be looked at: their ids, and a sentence on each; one warning for all.

    Raises:
        WavLLMError: nothing else is left.
    """
    missing: dict[str, str] = {}
    for clip in clips:
        if clip.row.awaits_speech:
            missing[clip.row.id] = AWAITS_SPEECH
        elif found := clip.unreadable():
            missing[clip.row.id] = f"audio file {shown(found[0])} {found[1]}."
    if missing:
        first = next(iter(missing.items()))
        if len(missing) == len(clips):
            raise WavLLMError(f"No utterance of {len(clips)} could be answered; the first: {': '.join(first)}")
        names = ", ".join(list(missing)[:NAMED]) + (", …" if len(missing) > NAMED else "")
        count = f"{len(missing)} of {len(clips)} utterances are without their audio"
        console.warn(f"{count} ({names}); the first: {first[1]}")
    return missing


def _require_utf8(source: Path) -> None:
    """A hypotheses file can name no other clip."""
    try:
        str(source).encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"The name of {shown(source)} is not UTF-8, no hypotheses file can hold it: rename it."
        ) from None


def require_hypotheses(output: Path) -> None:
    """A file of that name is replaced if it holds hypotheses; anything else may be all that a user has of it."""
    if not output.is_file() or output.stat().st_size == 0:
        return
    try:
        if output.suffix == ".parquet":
            first = next((validated(fields, Hypothesis) for _, fields in parquet_rows(output)), None)
        else:
            first = next(read_lines(output, Hypothesis), None)
    except ManifestError:
        first = None
    if not isinstance(first, Hypothesis):
        raise UsageError(
            f"{output} exists and holds no hypotheses: it would be lost. Move it, or choose another --output."
        )


def _bytes_needed(clips: Sequence[Clip]) -> int:
    """On the disk, for the answers and for those of an interrupted run; roughly."""
    return 2 * sum(len(clip.row.json_line()) + ANSWER_BYTES for clip in clips)
