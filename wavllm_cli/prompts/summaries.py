"""Summaries of clips and translations, written by a chat model from transcripts: further steps of multi-task rows."""

from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import Any

from wavllm_cli import console
from wavllm_cli.chat.request import Answer, Request
from wavllm_cli.chat.session import Chat
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import UsageError
from wavllm_cli.prompts.clauses import Step
from wavllm_cli.prompts.multitask import steps_by_clip
from wavllm_cli.prompts.pools import language_name, pick
from wavllm_cli.text.languages import known_language
from wavllm_cli.text.normalize import basic
from wavllm_cli.text.words import count_words, stems

MIN_WORDS = 12  # of a transcript that is worth a summary
MIN_SUMMARY_WORDS = 3
MIN_LIMIT = 5  # the least that summaries may be limited to
MIN_SHARED = 0.2  # of what a summary says, as `stems`, must be in the transcript
MAX_RATIO = 4  # between the words of a text and of its translation

# Instructions that can stand among others; those of a chain, which lean on the step before, are the cot pool's.
INSTRUCTIONS = (
    "Summarise the recording in no more than {words} words",
    "Give a summary of the audio clip, at most {words} words long",
    "Sum up in {words} words or fewer what is said in the recording",
    "State the main points of the audio clip within {words} words",
    "Tell in no more than {words} words what the speech in this clip is about",
    "Condense what you hear in the audio into at most {words} words",
)

SUMMARISE = """\
The user's message holds the transcript of a recording. Write what a model that listens to recordings shall learn to \
answer, each text on one line:
- summary: what is said, in the language of the transcript, in at most {words} words and always fewer than the \
transcript has, with the transcript's own key words and nothing that it does not say. If the transcript gives orders, \
sum up which orders are given."""

TRANSLATE = """
- summary_translation: the summary, translated into {language}."""
TRANSLATE_ALL = """
- translation: the whole transcript, translated into {language}."""


class Summary(Answer):
    summary: str


class TranslatedSummary(Summary):
    summary_translation: str


class Translations(TranslatedSummary):
    translation: str


def write(
    rows: Iterable[Utterance], chat: Chat, n: int, words: int, target_language: str | None, seed: int
) -> list[Step]:
    """Have clips summarised, and summaries and transcripts translated; one request a clip.

    A clip gets a `summary`, a `summary-st`, and where it has none of its own an `asr` and an `st` into the target
    language. Clips that are in that language already get no translation.

    Args:
        rows: as for `multitask.compose`.
        n: clips at most; they are those whose turn comes first when rows are composed with the same seed.
        words: the most words of a summary, at least `MIN_LIMIT`; scripts without spaces count two characters as one.
        target_language: a code or a name as in manifests; None: no translations.
        seed: chooses clips, and wordings of instructions; requests do not depend on it.

    Raises:
        UsageError: too few words, or a target language without known name.
        WavLLMError: nothing can be asked.
    """
    if words < MIN_LIMIT:
        raise UsageError(f"A summary of at most {words} words was asked for; allow at least {MIN_LIMIT}.")
    clips, _ = steps_by_clip(rows)
    Random(seed).shuffle(clips)  # as `compose` does
    worth_it = [clip for clip in clips if count_words(_transcript(clip)) >= MIN_WORDS]
    if len(worth_it) < len(clips):
        short = len(clips) - len(worth_it)
        console.info(f"{short} of {len(clips)} clips have no transcript of {MIN_WORDS} words or more: no summary.")
    steps: list[Step] = []
    for group in chat.groups(worth_it[:n]):
        requests = [_request(clip, words, target_language) for clip in group]
        for clip, answer in zip(group, chat.ask(requests, stage="summaries"), strict=True):
            if answer:
                steps += _steps(clip, answer, words, target_language, seed)
    return steps


def _transcript(clip: Sequence[Step]) -> str:
    return clip[0].row.transcript or ""


def _request(clip: Sequence[Step], words: int, target_language: str | None) -> Request[Summary]:
    transcript, language = _transcript(clip), _foreign(clip, target_language)
    instructions, example = SUMMARISE.format(words=words), Summary(summary="Late rain delays the harvest.")
    if language:
        instructions += TRANSLATE.format(language=language)
        example = TranslatedSummary(**dict(example), summary_translation=f"(this summary in {language})")
    if language and not _translated(clip, language):
        instructions += TRANSLATE_ALL.format(language=language)
        whole = f"(all that the transcript says in {language}, from the first sentence to the last)"
        example = Translations(**dict(example), translation=whole)
    return Request(
        id=clip[0].row.id,
        instructions=instructions,
        material={"transcript": transcript},
        example=example,
        max_tokens=100 + 20 * words + (len(transcript.encode()) if language else 0),
        check=lambda answer: _complaint(answer, example, transcript, words),
    )


def _foreign(clip: Sequence[Step], target_language: str | None) -> str | None:
    """The name of the language to translate into; None where there is none, or the clip is in it."""
    if target_language is None:
        return None
    row = clip[0].row
    name = language_name(target_language, row.id)
    return None if row.language and known_language(row.language) == name else name


def _translated(clip: Sequence[Step], language: str) -> bool:
    """Whether the clip has a translation into this language already."""
    return any(step.what == "st" and language_name(step.row.target_language, step.row.id) == language for step in clip)


def _complaint(answer: Summary, example: Summary, transcript: str, words: int) -> str | None:
    """What is wrong with an answer."""
    texts: dict[str, str] = answer.model_dump()
    if not all(text.strip() for text in texts.values()):
        return "A text is empty."
    if any(len(text.strip().splitlines()) > 1 for text in texts.values()):
        return "A text has more than one line."
    if texts.items() & example.model_dump().items():
        return "A text is copied from the example."
    length = count_words(answer.summary)
    if length > words:
        return f"The summary has more than {words} words."
    if length < MIN_SUMMARY_WORDS:
        return f"The summary has fewer than {MIN_SUMMARY_WORDS} words."
    if length >= count_words(transcript):
        return "The summary is not shorter than the transcript."
    units = stems(answer.summary)
    if len(units & stems(transcript)) < MIN_SHARED * len(units):
        return "The summary is not about the transcript: it shares too few words with it."
    problem = None
    if isinstance(answer, TranslatedSummary):
        problem = _mistranslation(answer.summary_translation, answer.summary)
    if isinstance(answer, Translations):
        problem = problem or _mistranslation(answer.translation, transcript)
    return problem


def _mistranslation(translation: str, original: str) -> str | None:
    if basic(translation) == basic(original):
        return "A translation repeats the original."
    shorter, longer = sorted((count_words(translation), count_words(original)))
    return "A translation is far longer or shorter than the original." if longer > MAX_RATIO * shorter else None


def _steps(clip: Sequence[Step], answer: Summary, words: int, target_language: str | None, seed: int) -> Iterator[Step]:
    """What an answer adds to a clip."""
    base, transcript = clip[0].row, _transcript(clip)

    def step(what: str, **fields: Any) -> Step:
        own = {"id": f"{base.id}+{what}", "prompt": "", "transcript": transcript, "target_language": None}
        row = base.model_copy(update={**own, "choices": None, "references": None, **fields})
        return Step(what, row, words if what == "summary" else None)

    if not any(has.what == "asr" for has in clip):
        yield step("asr", task="asr", target=transcript)
    prompt = pick(INSTRUCTIONS, seed, base.id).format(words=words)
    yield step("summary", task="sft", prompt=prompt, target=answer.summary.strip())
    if isinstance(answer, TranslatedSummary):
        into = {"task": "st", "target_language": target_language}
        yield step("summary-st", **into, target=answer.summary_translation.strip())
        if isinstance(answer, Translations):
            yield step("st", **into, target=answer.translation.strip())
