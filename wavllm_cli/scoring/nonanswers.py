"""Text that answers nothing: refusals, echoes of the instruction, announcements, placeholders and chatter."""

import re

from wavllm_cli.text.words import common, content, share_in, stems, words

REFUSED_WITHIN = 200  # characters


def any_of(*patterns: str, ignore_case: bool = True) -> re.Pattern[str]:
    """One pattern for all of these."""
    return re.compile("|".join(patterns), re.IGNORECASE if ignore_case else 0)


_POLITE = any_of(
    r"sure|certainly|of course|okay|ok|alright|great|absolutely|no problem|got it|happy to help\b.*",
    r"(?:please )?let me know\b.*|i hope\b.*|feel free\b.*|is there anything\b.*|hope (?:this|that) helps\b.*",
    r"thanks?(?: you)?|you're welcome",
    r"(?:here|these) (?:is|are|'s|you go)\b[^:]{0,80}\b(?:answers?|responses?|results?|output|tasks?)\b[^:]{0,80}",
)
_CHATTER = re.compile(rf"(?:{_POLITE.pattern})[\s!.,:)😊🙂👍]*", re.IGNORECASE)
# Of text in lower case, which is three times as fast as to ignore case.
_REFUSAL = any_of(
    r"\bi(?:'?m| am) (?:sorry|afraid)\b|\bi apologi[sz]e\b|\bunfortunately\b",
    r"\bas an? (?:\S+ )?(?:ai|language model|text-based)\b",
    r"\b(?:cannot|can't|can not|unable to|not able to|don't have the ability to|couldn't|could not|won't)"
    r" (?:directly |actually |really )?(?:hear|listen|access|process|transcribe|translate|determine|play|provide|help"
    r"|answer|identify|tell|say|be sure|understand|complete|do|summari[sz]e|make out|assist|open|detect|comply)\b",
    r"\bno (?:audio|recording|sound|clip|file|speech)\b[^.]{0,40}"
    r"\b(?:attached|provided|received|uploaded|available|was|is|found|given|detected)\b",
    r"\b(?:please|could you|can you) (?:please )?(?:provide|share|upload|re-?upload|send|attach|give me|paste)\b",
    r"\bi (?:do not|don't) (?:have access|see any|hear any|know|have any|understand)\b",
    r"\bif you (?:can |could )?(?:share|provide|send|paste|upload|give|describe)\b",
    r"\b(?:difficult|hard) to (?:say|tell)\b",
    r"\b(?:not |im)possible to (?:tell|say|determine|know)\b|\bcan(?:not|'t) be determined\b",
    r"\b(?:no|not a) (?:way|means) of hearing\b|\bhave no access\b|\bnothing (?:that )?i c(?:an|ould)\b",
    ignore_case=False,
)
_ANNOUNCEMENT = re.compile(
    r"(?:i will|i'll|i am going to|i'm going to|let me|let's|next,? i|now,? i|i can|i would|i'd be happy to)\b.{0,30}"
    r"\b(?:summar|transl|transcri|answer|continu|writ|giv|provid|identif|determin|do|tell|list|condens|follow|help)",
    re.IGNORECASE,
)
_PLACEHOLDER = any_of(r"[\[<{][^\]>}]{2,60}[\]>}]", r"\.{3,}|…+|_{3,}|-+", r"\b(?:n/?a|tbd|todo)\b")
_SLOT = any_of(r"\[(?:your |the |insert )*(?:answer|summary|translation|transcript\w*|text|name|insert)\b[^\]]*\]")
_OUTRIGHT = re.compile(r"\W*(?:yes|no)\b|.*[.?!]\s(?:yes|no)\W*$", re.IGNORECASE)
_CONNECTIVES = words(
    "first firstly second secondly third thirdly next then after that finally lastly last also additionally moreover "
    "furthermore subsequently step task and all begin start"
)


def nothing_said(text: str, prompt: str = "", transcript: str = "") -> str | None:
    """Why a piece of an answer is no answer: "refusal", "echo", "announcement", "placeholder" or "chatter"; else None.

    Args:
        text: a sentence or a few.
        prompt: the instruction, to know an echo by.
        transcript: what is said in the clip: a transcription of "I'm sorry, I can't hear you" is no refusal.
    """
    said = words(text)
    if not said or _CHATTER.fullmatch(text.strip()):
        return "chatter"
    if is_echo(text, prompt):
        return "echo"
    if transcript and share_in(said, words(transcript)) > 0.7:
        return None
    if refuses(text):
        return "refusal"
    if _ANNOUNCEMENT.match(text.strip()):
        return "announcement"
    rest = _PLACEHOLDER.sub(" ", text)
    if _SLOT.search(text) or (rest != text and len(words(rest)) < max(2, 0.5 * len(said))):
        return "placeholder"
    return None


def refuses(text: str) -> bool:
    """Whether a text begins with declining to answer."""
    return _REFUSAL.search(text[:REFUSED_WITHIN].lower()) is not None


def is_echo(text: str, prompt: str) -> bool:
    """Whether a text hands an instruction back instead of answering it: most of its words, and none that carry more."""
    if not prompt or _OUTRIGHT.match(text):
        return False
    said = [word for word in words(text) if word not in _CONNECTIVES]
    asked = words(prompt)
    if len(said) < 3 or common(said, asked) < max(0.8 * len(said), 0.6 * len(asked)):
        return False
    return not content(text) - content(prompt) - stems(" ".join(_CONNECTIVES))


def loops(text: str) -> bool:
    """Whether a text is stuck: of its last 40 words, or of all if they are at least 12, few are different ones."""
    if len(set(text.split()[-40:])) > 10:  # as nearly every text, and told without looking at its characters
        return False
    tail = words(text)[-40:]
    return len(tail) >= 12 and len(set(tail)) <= len(tail) // 4
