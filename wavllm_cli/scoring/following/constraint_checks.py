"""What the ids of IFEval ask of an answer, each as a check whose parameters are those of `kwargs`.

Keywords and phrases are words to be found, not patterns.
"""

import json
import re
from collections.abc import Callable, Sequence

from wavllm_cli.text.language import language_of
from wavllm_cli.text.languages import language_code
from wavllm_cli.text.sentences import sentences

RELATIONS: dict[str, Callable[[int, int], bool]] = {
    "less than": lambda number, limit: number < limit,
    "at least": lambda number, limit: number >= limit,
}

Check = Callable[..., bool]  # (answer, what it is asked for) -> whether it does that


# --- keywords ---


def _occurrences(answer: str, keyword: str) -> int:
    return len(re.findall(re.escape(keyword), answer, re.IGNORECASE))


def _has_keywords(answer: str, keywords: Sequence[str]) -> bool:
    return all(_occurrences(answer, keyword) for keyword in keywords)


def _has_keyword_so_often(answer: str, keyword: str, frequency: int, relation: str) -> bool:
    return RELATIONS[relation](_occurrences(answer, keyword), frequency)


def _lacks_words(answer: str, forbidden_words: Sequence[str]) -> bool:
    return not any(re.search(rf"\b{re.escape(word)}\b", answer, re.IGNORECASE) for word in forbidden_words)


def _has_letter_so_often(answer: str, letter: str, let_frequency: int, let_relation: str) -> bool:
    return RELATIONS[let_relation](answer.lower().count(letter.strip().lower()), let_frequency)


# --- length ---


def _has_sentences(answer: str, num_sentences: int, relation: str) -> bool:
    return RELATIONS[relation](len(sentences(answer)), num_sentences)


def _has_words(answer: str, num_words: int, relation: str) -> bool:
    return RELATIONS[relation](len(re.findall(r"\w+", answer)), num_words)


def _has_paragraphs(answer: str, num_paragraphs: int) -> bool:
    """Paragraphs are set apart by the divider ***."""
    return _number_of_parts(re.split(r"\s?\*\*\*\s?", answer)) == num_paragraphs


def _has_paragraphs_or_lines(answer: str, num_paragraphs: int) -> bool:
    return _number_of_parts(re.split(r"\s*\*\*\*\s*|\n+", answer.strip())) == num_paragraphs


def _number_of_parts(parts: Sequence[str]) -> int | None:
    """Parts with something in them; the first and the last may have nothing, else there is no number."""
    if not all(part.strip() for part in parts[1:-1]):
        return None
    return sum(bool(part.strip()) for part in parts)


def _begins_paragraph_with(answer: str, num_paragraphs: int, nth_paragraph: int, first_word: str) -> bool:
    """Here paragraphs are set apart by a blank line."""
    paragraphs = answer.split("\n\n")
    number = sum(bool(paragraph.strip()) for paragraph in paragraphs)
    if number != num_paragraphs or not 1 <= nth_paragraph <= number or not paragraphs[nth_paragraph - 1].strip():
        return False
    word = paragraphs[nth_paragraph - 1].split()[0].lstrip("'\"")
    return re.split(r"[.,?!'\"]", word)[0].lower() == first_word.lower()


# --- content and form ---


def _has_placeholders(answer: str, num_placeholders: int) -> bool:
    return len(re.findall(r"\[.*?\]", answer)) >= num_placeholders


def _has_postscript(answer: str, postscript_marker: str) -> bool:
    letters = re.findall(r"\w", postscript_marker)
    dots = r"\.\s?".join(map(re.escape, letters)) + (r"\." if postscript_marker.strip().endswith(".") else "")
    return re.search(dots, answer, re.IGNORECASE) is not None


def _has_bullets(answer: str, num_bullets: int) -> bool:
    return len(re.findall(r"^\s*(?:\*[^*]|-).*$", answer, re.MULTILINE)) == num_bullets


def _has_bullets_or_numbers(answer: str, num_bullets: int) -> bool:
    """Dots and digits begin an item too, and line breaks may be written as a backslash and an n."""
    lines = answer.replace("\\n", "\n")
    return len(re.findall(r"^\s*(?:\*[^*]|[-•\d]).*$", lines, re.MULTILINE)) == num_bullets


def _is_yes_no_or_maybe(answer: str) -> bool:
    return any(f"My answer is {word}." in answer for word in ("yes", "no", "maybe"))


def _has_highlights(answer: str, num_highlights: int) -> bool:
    found = [*re.findall(r"\*([^\n*]*)\*", answer), *re.findall(r"\*\*([^\n*]*)\*\*", answer)]
    return sum(bool(text.strip()) for text in found) >= num_highlights


def _has_sections(answer: str, section_spliter: str, num_sections: int) -> bool:
    return len(re.findall(rf"{re.escape(section_spliter.strip())}\s?\d+", answer)) >= num_sections


def _is_json(answer: str) -> bool:
    """In a code fence or without."""
    inside = re.sub(r"^```(?:json)?|```$", "", answer.strip(), flags=re.IGNORECASE)
    try:
        json.loads(inside)
    except (ValueError, RecursionError):
        return False
    return True


def _has_title(answer: str) -> bool:
    """<<A title>>."""
    return any(title.strip("<>").strip() for title in re.findall(r"<<[^\n]+>>", answer))


def _is_two_answers(answer: str) -> bool:
    parts = answer.split("******")
    said = [part.strip() for part in parts if part.strip()]
    return _number_of_parts(parts) == 2 and said[0] != said[1]


def _repeats(answer: str, prompt_to_repeat: str) -> bool:
    return answer.strip().lower().startswith(prompt_to_repeat.strip().lower())


def _repeats_perhaps_quoted(answer: str, prompt_to_repeat: str) -> bool:
    return _repeats(answer.strip().strip("\"'"), prompt_to_repeat)


def _ends_with(answer: str, end_phrase: str) -> bool:
    return answer.strip().strip('"').lower().endswith(end_phrase.strip().lower())


def _is_quoted(answer: str) -> bool:
    answer = answer.strip()
    return len(answer) > 1 and answer[0] == answer[-1] == '"'


def _has_no_comma(answer: str) -> bool:
    return "," not in answer


# --- language and case ---


def _is_in_language(answer: str, language: str) -> bool:
    said = language_of(answer, among_all=True)
    return said is None or said == language_code(language)


def _is_upper(answer: str) -> bool:
    return answer.isupper()


def _is_lower(answer: str) -> bool:
    return answer.islower()


def _is_upper_english(answer: str) -> bool:
    return answer.isupper() and _is_in_language(answer.lower(), "en")


def _is_lower_english(answer: str) -> bool:
    return answer.islower() and _is_in_language(answer, "en")


def _has_capital_words(answer: str, capital_frequency: int, capital_relation: str) -> bool:
    from nltk.tokenize import NLTKWordTokenizer

    return RELATIONS[capital_relation](sum(map(str.isupper, NLTKWordTokenizer().tokenize(answer))), capital_frequency)


CHECKS: dict[str, Check] = {
    "keywords:existence": _has_keywords,
    "keywords:frequency": _has_keyword_so_often,
    "keywords:forbidden_words": _lacks_words,
    "keywords:letter_frequency": _has_letter_so_often,
    "language:response_language": _is_in_language,
    "length_constraints:number_sentences": _has_sentences,
    "length_constraints:number_paragraphs": _has_paragraphs,
    "length_constraints:number_words": _has_words,
    "length_constraints:nth_paragraph_first_word": _begins_paragraph_with,
    "detectable_content:number_placeholders": _has_placeholders,
    "detectable_content:postscript": _has_postscript,
    "detectable_format:number_bullet_lists": _has_bullets,
    "detectable_format:constrained_response": _is_yes_no_or_maybe,
    "detectable_format:number_highlighted_sections": _has_highlights,
    "detectable_format:multiple_sections": _has_sections,
    "detectable_format:json_format": _is_json,
    "detectable_format:title": _has_title,
    "combination:two_responses": _is_two_answers,
    "combination:repeat_prompt": _repeats,
    "startend:end_checker": _ends_with,
    "startend:quotation": _is_quoted,
    "change_case:capital_word_frequency": _has_capital_words,
    "change_case:english_capital": _is_upper_english,
    "change_case:english_lowercase": _is_lower_english,
    "punctuation:no_comma": _has_no_comma,
}
# Where Speech-IFEval takes more for an answer of the form that was asked for.
WIDER: dict[str, Check] = {
    "length_constraints:number_paragraphs": _has_paragraphs_or_lines,
    "detectable_format:number_bullet_lists": _has_bullets_or_numbers,
    "combination:repeat_prompt": _repeats_perhaps_quoted,
    "change_case:english_capital": _is_upper,
    "change_case:english_lowercase": _is_lower,
}
