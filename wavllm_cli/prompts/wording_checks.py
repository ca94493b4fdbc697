"""What is wrong with a wording that a model wrote, by rules: its form, its slots, what it asks for, and repetition.

What a wording asks for is looked up in word lists, which are English; wordings in other languages pass these checks.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from math import ceil

from wavllm_cli.prompts.pools import SLOTS
from wavllm_cli.text.languages import LANGUAGES
from wavllm_cli.text.normalize import APOSTROPHES, UNSPACED, basic

EMPTY = "empty"
LINE_BREAK = "more than one line"
SEPARATOR = "contains ';'"  # which separates the instructions of a combined prompt
TOO_LONG = "too long"
SLOT = "wrong slot"
SLOT_NOT_LAST = "slot not at the end"
QUESTION = "a question"
NAMES_LANGUAGE = "names a language"
FORMAT = "asks for a form that the targets lack"
TURNED = "turns the question round"
FOREIGN = "words of another task"
LACKING = "no word of its task"
NEAR_DUPLICATE = "near-duplicate"

MAX_WORDS, MAX_CHARACTERS = 60, 400  # characters count where words are not separated by spaces
MAX_ROLE_WORDS, MAX_ROLE_CHARACTERS = 13, 90
MAX_JACCARD = 0.75
SHORT = 3  # words; the words of so short a text say little about its likeness to another

NUMBERING = re.compile(r"^(?:\d{1,2}[.)]|[-*•])\s+")
QUOTES = ('""', "''", "“”", "‘’", "„“", "«»", "「」")
PLACEHOLDER = re.compile(r"\{[^{}]*\}|[{}]|[\[<][\w ]+[\]>]")

# "without punctuation" asks for none: a word of a list that one of these precedes in its sentence does not count.
NEGATION = re.compile(
    r"(?:n't|\b(?:no|not|nor|neither|never|nothing|without|omit\w*|skip\w*|avoid\w*|ignor\w*|disregard\w*|regardless"
    r"|leav(?:e|ing)|forget\w*|exclud\w*|drop\w*|remov\w*|strip\w*|free of|instead of|rather than|independent\w*))\b"
    r"(?:[^\w.?!]+\w+){0,4}[^\w.?!]*$"
)


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(patterns)})\b")


LANGUAGE_NAMES = _any(*map(str.lower, LANGUAGES.values()))

# --- forms that the targets do not have ---

LAYOUT = (
    r"json|xml|html|yaml|csv|latex|markdown|(?:bullet|bulleted|numbered)[ -](?:points?|list)|bullets"
    r"|time[ -]?stamp\w*|time[ -]?codes?|upper[ -]?case|all caps|capital letters|capitali[sz]\w*"
    r"|speaker (?:labels?|names?|tags?|turns?)|label\w*(?: the| each| every)? speakers?(?!')|diari[sz]ed?"
    r"|headings?|headers?|bold|italics?|paragraphs?|(?:in|as) an? table|tabular"
)
ANY_LAYOUT = _any(LAYOUT)
REASONS = (
    r"explain\w*|explanations?|justif\w*|elaborate|(?:your|the) reason(?:s|ing)?|reasons|rationale|confidence"
    r"|probabilit\w*|percentages?|scores?|on a scale|intensity|step by step|in detail|full sentences?"
    r"|complete sentences?"
)
FORMATS = {
    "asr": _any(
        LAYOUT,
        r"punctuat\w*(?!-free| (?:omitted|removed|left out|stripped))|commas|full stops|quotation marks",
        r"(?:title|sentence) case|(?:digits|numerals|figures)(?! spelled)",
    ),
    "st": _any(LAYOUT, r"transliterat\w*|romani[sz]\w*|side by side|alongside|explanations?|footnotes?"),
    "sv": _any(LAYOUT, REASONS),
    "er": _any(LAYOUT, REASONS, r"rank\w*|two words|a sentence"),
    "sqa": _any(LAYOUT, REASONS, r"in your own words|true or false|yes or no"),
}

# --- words that a task needs, and words of other tasks ---

TRANSCRIPTION = r"transcri\w*"
TRANSLATION = r"translat\w*"
SUMMARY = r"summar\w*|gist|key ?words?|(?:key|main) (?:points?|ideas?)|paraphras\w*|topic"
EMOTION = r"emotion\w*|moods?|feelings?|sentiment"
SAME_SPEAKER = r"same (?:speaker|person|voice)|(?:one|single) (?:speaker|person)"
PROFILE = (
    r"how many|(?<!person )who is (?:speaking|talking)|genders?|male or female|accent|age|background (?:noise|music)"
)
ANSWER = r"(?:answer|reply to|respond to)(?: \w+)?(?: \w+)? (?:question|query|request)|(?:reply|respond) to"
AUDIO = r"audio|clips?|recordings?|sounds?|speech|voices?|speakers?|spoken|listen\w*|hear\w*"
WRITTEN = r"texts?|writ\w*|wrote|transcri\w*|words"
ASIDE = (
    r"ignor\w*|disregard\w*|regardless|without|aside|independent\w*|nothing|forget\w*|no|not|leav\w*|apart|skip\w*"
    r"|separate|unrelated|to one side|never|don't|doesn't|out|zero"
)
START = r"first\w*|begin\w*|start\w*|initial\w*"
MIDDLE = r"then|next|second\w*|after\w*|subsequent\w*"
END = r"last\w*|final\w*|end|conclu\w*|finish"

# By task, or task and role.
REQUIRED = {
    "asr": _any(
        TRANSCRIPTION,
        r"said|says?|saying|writ\w*|text|words?|wording|verbatim|utter\w*|hear|speech|caption\w*|type|dictat\w*|asr",
    ),
    "sv": _any(
        r"same|one|1|single|sole|only|just|alone|lone|solo|identical|unique|never|no other|no one|nobody",
        r"no (?:second|further|change)|unchang\w*|constant|consistent|uniform\w*|remains?|stays?",
    ),
    "er": _any(EMOTION, r"feels?|affect\w*|state of mind|happy|sad|angry|neutral|tone"),
    "sqqa": _any(
        r"answer\w*|repl(?:y|ies)|respon\w*|questions?|query|ask\w*|request\w*|instruct\w*|command\w*|solv\w*|solution"
        r"|help|serve|satisf\w*|want\w*|suppl(?:y|ies)|provide|fulfil\w*|deal|talk back|learn"
    ),
    "ii text": re.compile(rf"(?=.*\b(?:{AUDIO}|heard)\b)(?=.*\b(?:{ASIDE}|setting)\b)"),
    "cot given": _any(AUDIO),
    "cot text": _any(WRITTEN, AUDIO),
    "cot summarise": _any(
        r"at most|no more than|not exceed\w*|within|up to|or (?:fewer|less)|max(?:imum)?|limit\w*|below"
    ),
    "cot translate-summary": _any(r"summ\w*|abstract|digest|brief\w*|short\w*|condensed|gist|synopsis|essence|recap"),
}
FORBIDDEN = {
    "asr": _any(TRANSLATION, SUMMARY, EMOTION, SAME_SPEAKER, PROFILE, ANSWER),
    "st": _any(TRANSCRIPTION, SUMMARY, EMOTION, SAME_SPEAKER, PROFILE, ANSWER),
    "sv": _any(TRANSCRIPTION, TRANSLATION, SUMMARY, EMOTION, PROFILE, ANSWER),
    "er": _any(TRANSCRIPTION, TRANSLATION, SUMMARY, SAME_SPEAKER, PROFILE, ANSWER),
    "sqa": _any(TRANSCRIPTION, TRANSLATION, SUMMARY, EMOTION, SAME_SPEAKER, PROFILE),
    "sqqa": _any(
        TRANSCRIPTION, TRANSLATION, SUMMARY, EMOTION, SAME_SPEAKER, PROFILE, r"verbatim|word for word|repeat\w*"
    ),
    "sft": _any(TRANSCRIPTION, TRANSLATION, SUMMARY, AUDIO),
    "ii first": _any(AUDIO, MIDDLE, END),
    "ii next": _any(AUDIO, START, END),
    "ii last": _any(AUDIO, START, MIDDLE),
    "cot first": _any(AUDIO, MIDDLE, END),
    "cot given": _any(START),
    "cot text": _any(START),
    "cot translate": _any(SUMMARY),
}

# --- sv: "yes" must mean one speaker ---

_PEOPLE = r"(?:speakers?|people|persons?|voices?|talkers?|individuals?)"
SEVERAL = re.compile(rf"\b(?:two|2|three|several|multiple|many|both|a pair of)(?: \w+)? {_PEOPLE}\b")
OTHERS = re.compile(
    r"\bdifferent\b(?! (?:parts|sections|segments|moments|halves|clips|utterances|sentences|points|times))"
    rf"|\b(?:distinct|various|other|another|second|additional|new|further)(?: \w+)? {_PEOPLE}\b"
    rf"|\b(?:chang|switch)\w* (?:of|in|between)(?: \w+)? {_PEOPLE}\b"
    rf"|\b{_PEOPLE} (?:ever )?(?:chang|switch|differ|var)\w*"
    r"|\bmore than (?:one|1|a)\b|\b(?:some|any)(?:one|body) else\b"
)
_SAME = r"\b(?:same|one|single|only|alone)\b"
YES_IS_SAME = re.compile(rf"\byes\b(?:(?!\bno\b)[^.?!])*{_SAME}|{_SAME}(?:(?!\bno\b)[^.?!,])*\byes\b")
NO_IS_SAME = re.compile(
    rf"\bno (?:if|when|where|for|means)\b(?:(?!\b(?:yes|not|more|different|changes?)\b|n't)[^.?!])*{_SAME}"
)


def tidy(text: str, role: str | None = None) -> str:
    """Without numbering and enclosing quotation marks; a role's words also without the punctuation that ends them."""
    text = re.sub(r"[ \t]+", " ", NUMBERING.sub("", text.strip()))
    if len(text) > 1 and text[0] + text[-1] in QUOTES and text[-1] not in text[1:-1]:
        text = text[1:-1].strip()
    return text.rstrip(" ,.:!…") if role else text


def find_fault(text: str, task: str, language: str = "en", role: str | None = None) -> str | None:
    """The first rule that a wording breaks, as one of this module's constants; None where it keeps them all."""
    return _form_fault(text, task, role) or (_content_fault(text, task, role) if language == "en" else None)


def _form_fault(text: str, task: str, role: str | None) -> str | None:
    words, characters = (MAX_ROLE_WORDS, MAX_ROLE_CHARACTERS) if role else (MAX_WORDS, MAX_CHARACTERS)
    slot = SLOTS.get(role or task)
    if not basic(text):
        return EMPTY
    if len(text.splitlines()) > 1:
        return LINE_BREAK
    if ";" in text:
        return SEPARATOR
    if len(text.split()) > words or len(text) > characters:
        return TOO_LONG
    if PLACEHOLDER.findall(text) != ([slot] if slot else []):
        return SLOT
    if task == "sqa" and not text.endswith("{prompt}"):  # the last of the choices ends where the prompt ends
        return SLOT_NOT_LAST
    return QUESTION if role and re.search("[?？]", text) else None


def _content_fault(text: str, task: str, role: str | None) -> str | None:
    purpose = f"{task} {role}" if role else task
    text = PLACEHOLDER.sub("", text.lower().translate(APOSTROPHES))
    if (task == "st" or role in SLOTS) and LANGUAGE_NAMES.search(text):
        return NAMES_LANGUAGE
    if _asks(FORMATS.get(task, ANY_LAYOUT), text):
        return FORMAT
    if task == "sv" and _is_turned(text):
        return TURNED
    if purpose in FORBIDDEN and _asks(FORBIDDEN[purpose], text):
        return FOREIGN
    if purpose in REQUIRED and not REQUIRED[purpose].search(text):
        return LACKING
    return None


def _asks(words: re.Pattern[str], text: str) -> bool:
    return any(not NEGATION.search(text[: match.start()]) for match in words.finditer(text))


def _is_turned(text: str) -> bool:
    """Whether "yes" means several speakers, or may."""
    if NO_IS_SAME.search(text):
        return True
    turned = _asks(OTHERS, text) or (_asks(SEVERAL, text) and not re.search(r"\b(?:same|identical)\b", text))
    return turned and not YES_IS_SAME.search(SEVERAL.sub("", OTHERS.sub("", text)))


class Known:
    """Wordings that a new one must differ from."""

    def __init__(self, wordings: Iterable[str] = ()):
        self._by_size = defaultdict[int, list[frozenset[str]]](list)
        for wording in wordings:
            self.add(wording)

    def add(self, wording: str) -> None:
        features = _features(wording)
        self._by_size[len(features)].append(features)

    def has_like(self, wording: str) -> bool:
        """Whether there is one whose features and the new one's have a Jaccard index above `MAX_JACCARD`."""
        new = _features(wording)
        sizes = range(ceil(MAX_JACCARD * len(new)), int(len(new) / MAX_JACCARD) + 1)  # all others share too little
        return any(
            len(new & old) > MAX_JACCARD * len(new | old) for size in sizes for old in self._by_size.get(size, ())
        )


def _features(text: str) -> frozenset[str]:
    """The words of a text, or its letters by threes where words say little.

    Texts on either side of `SHORT` cannot be alike by their words: 3 of 4 is no more than `MAX_JACCARD`.
    """
    text = basic(text)
    words = text.split()
    if len(words) > SHORT and not UNSPACED.search(text):
        return frozenset(words)
    return frozenset(text[i : i + 3] for i in range(max(1, len(text) - 2)))
