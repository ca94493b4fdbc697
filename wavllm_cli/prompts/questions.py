"""Spoken question answering from transcripts: a chat model writes questions, rules and a second look check them."""

import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b

from wavllm_cli.chat.request import Answer, Request
from wavllm_cli.chat.session import Chat
from wavllm_cli.data.clips import by_clip, dialogue, facts, transcripts
from wavllm_cli.data.schema import Utterance
from wavllm_cli.errors import UsageError
from wavllm_cli.prompts.metadata_questions import from_metadata
from wavllm_cli.prompts.sqa import Question, bare, can_be_read_back, lettered, to_rows
from wavllm_cli.text.normalize import UNSPACED, basic

CHOICES = 3
MAX_QUESTION = 200  # characters
MAX_ANSWER = 100  # characters of a choice or a free answer

WRITE, VERIFY = "questions", "answerability"  # the stages, as the user sees them

INSTRUCTIONS = f"""\
You write a listening test. You get the transcript of a recording; those who take the test hear the recording, which
is all they have, and read your questions.
Write at most {{per_clip}} multiple-choice questions and at most {{free}} free questions.
- Each asks for something else that is said: who, what, where, when, why, how, how many, what will happen next, what
  the speaker thinks of it.
- The recording alone answers it. Nobody could answer it from general knowledge, or from the question itself.
- "evidence" is copied word for word from the transcript: the shortest run of words that gives the answer.
- "question" speaks of the speaker or the recording, never of a transcript or a text. Do not repeat the answer in it.
- "answer" is short. In a free question it is a few words.
- "wrong" of a multiple-choice question holds {CHOICES - 1} answers that are plausible to somebody who did not listen,
  of the same kind and length as the right one, and clearly wrong according to the transcript. Write no letters or
  numbers in front of them, and no "all of the above".
- Write in the language of the transcript.
A short transcript gives fewer questions. Write none where nothing good can be asked: empty lists are a good answer."""

VERIFY_INSTRUCTIONS = """\
You take a listening test. You get the transcript of a recording and questions about the recording.
- "choices": for each multiple-choice question, in order, the letter of the choice that the transcript supports. Where
  it supports none of them, or more than one, it is the letter of the last choice. Do not use general knowledge.
- "free": for each free question, in order, true if the transcript answers the question and the proposed answer says the
  same, otherwise false."""
UNTOLD = "It cannot be told from the recording"
NAMES = """
The transcript says who speaks: "Speaker 1" is whoever is heard first. Those who listen hear voices and know none of \
these names, so do not use them."""  # where there are several

NO_EVIDENCE = "the evidence is not in the transcript"
TOO_LONG = f"a question of over {MAX_QUESTION} or an answer of over {MAX_ANSWER} characters"
NO_WORDS = "a question without words"
TWICE = "asked twice about one clip"
ABOUT_TEXT = "speaks of a text instead of the recording"
NOT_DISTINCT = f"not {CHOICES} different choices, or an empty answer"
GIVEN_AWAY = "the question holds its answer"
UNREADABLE = "holds what separates lettered choices"
UNANSWERABLE = "not answerable from the recording"
UNHEARD_NAME = "names a speaker as the transcript does, which nobody hears"

_NUMBERED = re.compile(r"\bspeaker \d+\b")
_TEXT = re.compile(r"\b(?:transcript|transcription|text|passage|paragraph|excerpt)s?\b")


class FreeQuestion(Answer):
    evidence: str
    question: str
    answer: str


class MultipleChoice(FreeQuestion):
    wrong: list[str]


class Questions(Answer):
    multiple_choice: list[MultipleChoice]
    free: list[FreeQuestion]


class Verdict(Answer):
    choices: list[str]
    free: list[bool]


EXAMPLE = Questions(
    multiple_choice=[
        MultipleChoice(
            evidence="by the time we got there the gate was shut",
            question="Why did the speaker not see the garden?",
            answer="The gate was shut",
            wrong=["It was raining hard", "The way was too long"],
        ),
        MultipleChoice(
            evidence="ask my sister for the key",
            question="Who has the key?",
            answer="The speaker's sister",
            wrong=["The speaker's neighbour", "The owner's son"],
        ),
        MultipleChoice(
            evidence="we'll come back on Sunday, early",
            question="What will the speaker do next?",
            answer="Return on Sunday",
            wrong=["Visit another place", "Write to the owner"],
        ),
    ],
    free=[
        FreeQuestion(
            evidence="all three of us had walked from the station",
            question="How many people went there?",
            answer="Three",
        )
    ],
)
VERDICT_EXAMPLE = Verdict(choices=["B", "D", "A"], free=[True])


def write(
    rows: Sequence[Utterance], chat: Chat, per_clip: int, free: int, seed: int, verify: bool = True
) -> list[Utterance]:
    """Make sqa rows: about what is said, by the chat model, and about emotion and speakers where rows tell them.

    Args:
        rows: of a manifest. A clip and its transcript are what `data.clips` says.
        chat: is told of every question that fails a check.
        per_clip: most multiple-choice questions of a clip.
        free: most free questions of a clip.
        seed: decides letters, and wordings of the questions about emotion and speakers. Requests do not depend on it.
        verify: let the model answer its questions, too, and keep those where it finds the same answer.

    Returns:
        Rows sorted by id, the same for the same rows in any order.

    Raises:
        UsageError: there is nothing to ask about.
    """
    clips = _clips(rows) if per_clip + free > 0 else []
    questions = from_metadata(rows, seed)
    if not clips and not questions:
        raise UsageError(
            "No question can be made: it takes rows with audio and a transcript (or asr rows with a target), or er "
            "rows with an emotion or sv rows with yes or no as target."
        )
    for group in chat.groups(clips):
        written = _written(group, chat, per_clip, free)
        questions += _verified(written, chat) if verify else written
    return to_rows(questions, seed)


def _clips(rows: Iterable[Utterance]) -> list[Utterance]:
    """The first row by id of each clip that has a transcript, with it and with all that other rows tell of the clip."""
    rows = sorted(rows, key=lambda row: row.id)
    said = transcripts(rows)
    clips = {key: about for key, about in by_clip(rows).items() if key in said}
    return [about[0].model_copy(update=facts(about) | {"transcript": said[key]}) for key, about in clips.items()]


# --- the model writes, rules check ---


def _written(clips: Sequence[Utterance], chat: Chat, per_clip: int, free: int) -> list[Question]:
    """The questions that pass the rules."""
    example = Questions(multiple_choice=EXAMPLE.multiple_choice[:per_clip], free=EXAMPLE.free[:free])
    requests = [
        Request(
            id=clip.id,
            instructions=INSTRUCTIONS.format(per_clip=per_clip, free=free) + (NAMES if dialogue(clip) else ""),
            material={"transcript": _told(clip)},
            example=example,
            max_tokens=100 + 250 * per_clip + 150 * free,
        )
        for clip in clips
    ]
    written: list[Question] = []
    for clip, answer in zip(clips, chat.ask(requests, WRITE), strict=True):
        drafts = [*answer.multiple_choice[:per_clip], *answer.free[:free]] if answer else []
        # The example that stands for an answer in a dry run is about no transcript at all.
        written += _checked(clip, drafts, chat, by_rules=answer is not example)
    return written


def _told(clip: Utterance) -> str | None:
    """What is said in a clip, with who says it where several do."""
    return dialogue(clip) or clip.transcript


def _checked(clip: Utterance, drafts: Sequence[FreeQuestion], chat: Chat, by_rules: bool) -> list[Question]:
    passed: dict[str, Question] = {}
    said = basic(_told(clip) or "")
    for number, draft in enumerate(drafts, 1):
        question = _question(f"{clip.id}-q{number}", clip, draft)
        words = basic(question.text)
        problem = _problem(question, draft, said) or (TWICE if words in passed else None)
        if problem and by_rules:
            chat.reject(question.id, WRITE, problem)
        else:
            passed[words] = question
    return list(passed.values())


def _question(new_id: str, clip: Utterance, draft: FreeQuestion) -> Question:
    if not isinstance(draft, MultipleChoice):
        return Question(new_id, clip, draft.question.strip(), draft.answer.strip())
    wrong = tuple(bare(choice) for choice in draft.wrong[: CHOICES - 1])
    return Question(new_id, clip, draft.question.strip(), bare(draft.answer), wrong)


def _problem(question: Question, draft: FreeQuestion, said: str) -> str | None:
    """Which rule a question breaks; `said` is what the model was told, after `basic`."""
    words, answers = basic(question.text), [basic(text) for text in (question.answer, *question.wrong)]
    evidence = basic(draft.evidence)
    if not evidence or evidence not in said:
        return NO_EVIDENCE
    if len(question.text) > MAX_QUESTION or any(len(a) > MAX_ANSWER for a in (question.answer, *question.wrong)):
        return TOO_LONG
    if not words:
        return NO_WORDS
    if any(word not in said.split() for word in _TEXT.findall(words)):
        return ABOUT_TEXT
    if dialogue(question.clip) and any(map(_NUMBERED.search, (words, *answers))):
        return UNHEARD_NAME
    if len(set(answers) - {""}) < (CHOICES if isinstance(draft, MultipleChoice) else 1):
        return NOT_DISTINCT
    if all(word in (words if UNSPACED.search(word) else words.split()) for word in answers[0].split()):
        return GIVEN_AWAY
    return None if can_be_read_back(question) else UNREADABLE


# --- the model answers what it asked ---


def _verified(questions: Iterable[Question], chat: Chat) -> list[Question]:
    """The questions whose answer the model finds again in the transcript, without being told which choice it is."""
    clips: dict[str, list[Question]] = {}
    for question in questions:
        clips.setdefault(question.clip.id, []).append(question)
    requests = [_verification(about) for about in clips.values()]
    passed: list[Question] = []
    for about, verdict in zip(clips.values(), chat.ask(requests, VERIFY), strict=True):
        if verdict:
            confirmed = _confirmed(about, verdict)
            passed += confirmed
            for question in about:
                if question not in confirmed:
                    chat.reject(question.id, VERIFY, UNANSWERABLE)
    return passed


def _verification(questions: Sequence[Question]) -> Request[Verdict]:
    """All questions about one clip."""
    multiple_choice, free = _by_kind(questions)

    def check(verdict: Verdict) -> str | None:
        if (len(verdict.choices), len(verdict.free)) == (len(multiple_choice), len(free)):
            return None
        return "The lists are not as long as those of the questions."

    return Request(
        id=questions[0].clip.id,
        instructions=VERIFY_INSTRUCTIONS,
        material={
            "transcript": _told(questions[0].clip),
            "multiple_choice": [
                {"question": q.text, "choices": lettered([*_in_fixed_order(q), UNTOLD])} for q in multiple_choice
            ],
            "free": [{"question": q.text, "proposed_answer": q.answer} for q in free],
        },
        example=VERDICT_EXAMPLE,
        max_tokens=50 + 10 * len(questions),
        check=check,
    )


def _confirmed(questions: Sequence[Question], verdict: Verdict) -> list[Question]:
    multiple_choice, free = _by_kind(questions)
    # The example of a dry run need not be as long as the questions.
    chosen = zip(multiple_choice, verdict.choices, strict=False)
    answered = zip(free, verdict.free, strict=False)
    right = [q for q, letter in chosen if lettered(_in_fixed_order(q)).get(letter.strip()[:1].upper()) == q.answer]
    return right + [q for q, yes in answered if yes]


def _by_kind(questions: Sequence[Question]) -> tuple[list[Question], list[Question]]:
    """Multiple-choice questions and free ones."""
    return [q for q in questions if q.wrong], [q for q in questions if not q.wrong]


def _in_fixed_order(question: Question) -> list[str]:
    """The choices in an order that neither the seed nor their being right decides: a new seed asks nothing new."""
    return sorted((question.answer, *question.wrong), key=lambda choice: blake2b(choice.encode()).digest())
