"""The errors a user can meet. Only `cli` turns them into a line on stderr and an exit code.

A message is one sentence (or one per problem): what is wrong, where (file, line, id), what was expected, what to do.
"""


def reason(error: BaseException) -> str:
    """A library's error in one line, to be the end of a sentence of ours."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


class WavLLMError(Exception):
    """The work failed although it was asked for correctly (a corrupt file, a full disk)."""

    exit_code = 1


class UsageError(WavLLMError):
    """The request itself is wrong: an unknown key, a missing file, a stage that does not exist."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe does not describe an experiment; the message lists every problem found."""


class ManifestError(UsageError):
    """A manifest or hypotheses file cannot be read; the message names file and line."""


class AudioError(WavLLMError):
    """One clip cannot be used. Batch jobs catch this, skip the clip and count it."""
