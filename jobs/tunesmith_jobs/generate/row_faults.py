"""What makes a row of a teacher no example: it declines, speaks of itself or of the dataset, or is no text.

Pure. What the task itself says is no fault: a support desk may have to decline.
"""

import re
import unicodedata
from collections.abc import Iterable

from tunesmith_jobs.generate.boilerplate import declines, speaks_of_its_writer
from tunesmith_jobs.generate.dedupe import normalised

Fault = tuple[str, str]
"""The reason for which a row is rejected: one of a few words, for counting, and a sentence."""

_LANGUAGES = re.compile(
    r"translat|language|bilingual|übersetz|sprache|tradu|langue|lengua|idioma|lingua|vertaal|taal|tłumacz|język"
    r"|перев|язык|翻译|翻譯|语言|語言|外语|翻訳|言語|번역|언어|çevir|dil\b|ترجم|अनुवाद",
    re.IGNORECASE,
)
_ABOUT_DATASET = re.compile(
    r"\b(this|the|our|your) (fine-?tuning|training) (data(set)?|example|pair|sample)s?\b"
    r"|\b(write|generate|create|here is) (a|another|one|the next)"
    r" (training|prompt[-/ ]response|prompt and response) "
    r"|#?\bthe (given|rewritten|original) prompt\b|\brewritten (prompt|pair)\b|\bthe new pair\b"
    r"|\bexample number \d+|</?(task|prompts?|responses?)>|\bdifficulty: ",
    re.IGNORECASE,
)


def row_fault(prompt: str, response: str, task: str) -> Fault | None:
    """What makes a row no example; None if it is one.

    `task`: what the request asks for, with the plan's own words about prompts and responses.
    """
    for name, text in (("prompt", prompt), ("response", response)):
        if sign := _no_text(text):
            return "notText", f"the {name} has {sign}"
    if words := speaks_of_its_writer(response, task):
        return "boilerplate", f"the response speaks of its writer: {words}"
    if words := declines(response, task):
        return "boilerplate", f"the response declines: {words}"
    if (match := _ABOUT_DATASET.search(prompt)) and not _ABOUT_DATASET.search(task):
        return "aboutDataset", f"the prompt speaks of the dataset: {match[0].strip()[:60]}"
    return None


def speaks_of_languages(task: str) -> bool:
    """Whether a task is about languages, so that its responses may be in any."""
    return bool(_LANGUAGES.search(task))


def copied(prompt: str, seeds: Iterable[str]) -> bool:
    """Whether a prompt is one of the examples that the request gives."""
    return normalised(prompt) in map(normalised, seeds)


def _no_text(text: str) -> str:
    """What a text has that no text has; empty if it is one."""
    if "\ufffd" in text:
        return "a character that could not be read (U+FFFD)"
    odd = next((char for char in text if unicodedata.category(char) == "Cc" and char not in "\n\t\r"), "")
    return f"a control character (U+{ord(odd):04X})" if odd else ""
