"""What makes a row of a teacher no example: it declines, speaks of itself or of the dataset, or is no text.

Pure. Wordings are those that models use in many languages. A wording that the task itself uses is no fault: a
support desk may have to decline.
"""

import re
import unicodedata
from collections.abc import Iterable

from tunesmith_jobs.generate.dedupe import normalised

_SELF = re.compile(
    r"\b(as|i'?m|i am) (just |only )?an? (ai|artificial intelligence|(large )?language model)\b"
    r"|\bals (eine? )?(ki|künstliche intelligenz|sprachmodell)\b"
    r"|\ben tant qu'(ia|intelligence artificielle|(assistant|modèle) )"
    r"|\bcomo (una? |uma? )?(ia|intelig[eê]ncia artificial|modelo de (lenguaje|linguagem))\b"
    r"|\bin quanto (ia|intelligenza artificiale|modello linguistico)\b"
    r"|\bals (een )?(ai|taalmodel|kunstmatige intelligentie)\b"
    r"|\bjako (ai|model językowy|sztuczna inteligencja|jazykový model)\b"
    r"|как (искусственный интеллект|ии\b|языковая модель|ии-)"
    r"|作为(一个|一名)?(ai|人工智能|语言模型|大型语言模型)|身為(一個)?(ai|人工智慧|語言模型)"
    r"|(ai|人工知能|言語モデル)(アシスタント)?として"
    r"|(ai|인공지능|언어 ?모델)(로서|으로서)"
    r"|bir (yapay zeka|dil modeli) olarak|بصفتي (نموذج|ذكاء)|एक (एआई|ai|भाषा मॉडल) के रूप में",
    re.IGNORECASE,
)
_DECLINES = re.compile(
    r"^\W*(i'?m (very |so )?sorry|sorry|i apologi[sz]e|unfortunately)?\W*(but )?\W*"
    r"i('m| am)? ?(can(no|')?t|cannot|won't|will not|unable to|not able to)"
    r" (help|assist|provide|comply|fulfil|fulfill|create|write|generate|do that|engage|continue|discuss)"
    r"|^\W*(es )?tut mir leid\W.{0,30}(kann|darf) .{0,40}nicht (helfen|beantworten|erfüllen|unterstützen)"
    r"|^\W*(je suis )?désolée?\W.{0,30}je ne peux pas (vous |t')?(aider|répondre|fournir|satisfaire)"
    r"|^\W*lo siento\W.{0,20}no puedo (ayudar|proporcionar|responder|cumplir|asistir)"
    r"|^\W*(sinto muito|desculpe)\W.{0,20}não posso (ajudar|fornecer|responder|atender)"
    r"|^\W*mi dispiace\W.{0,20}non posso (aiutar|fornire|rispondere|soddisfare)"
    r"|^\W*(извините|простите|к сожалению)\W.{0,20}я не могу (помочь|ответить|выполнить|предоставить)"
    r"|^\W*(很|非常)?(抱歉|对不起)\W?.{0,6}(我)?(无法|不能)(帮助|提供|回答|协助|满足)"
    r"|^\W*(申し訳|すみません).{0,20}(お手伝い|お答え|提供|対応).{0,6}(できません|いたしかねます)"
    r"|^\W*죄송.{0,20}(도와|제공|답변).{0,10}(없습니다|어렵습니다)",
    re.IGNORECASE | re.DOTALL,
)
# A task that has words like these may want a response that declines.
_DECLINING = re.compile(
    r"declin|refus|reject|apolog|sorry|cannot|can't|not able|ablehn|absag|refuser|rechaz|recus|rifiut|отказ"
    r"|拒绝|拒絕|断る|拒否|거절",
    re.IGNORECASE,
)
_ABOUT_DATASET = re.compile(
    r"\b(this|the|our|your) (fine-?tuning|training) (data(set)?|example|pair|sample)s?\b"
    r"|\b(write|generate|create|here is) (a|another|one|the next)"
    r" (training|prompt[-/ ]response|prompt and response) "
    r"|\bexample number \d+|</?(task|prompts?|responses?)>|\bdifficulty: ",
    re.IGNORECASE,
)


def row_fault(prompt: str, response: str, task: str) -> tuple[str, str] | None:
    """The reason for which a row is rejected, in a word and in a sentence; None if it is an example.

    `task`: what the request asks for, with the plan's own words about prompts and responses.
    """
    for name, text in (("prompt", prompt), ("response", response)):
        if sign := _no_text(text):
            return "notText", f"the {name} has {sign}"
    if (words := _found(_SELF, response)) and not _SELF.search(task):
        return "boilerplate", f"the response speaks of its writer: {words}"
    if (words := _found(_DECLINES, response)) and not _DECLINING.search(task):
        return "boilerplate", f"the response declines: {words}"
    if (words := _found(_ABOUT_DATASET, prompt)) and not _ABOUT_DATASET.search(task):
        return "aboutDataset", f"the prompt speaks of the dataset: {words}"
    return None


def copied(prompt: str, seeds: Iterable[str]) -> bool:
    """Whether a prompt is one of the examples that the request gives."""
    return normalised(prompt) in map(normalised, seeds)


def _found(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text.replace("\u2019", "'"))
    return match[0].strip()[:60] if match else ""


def _no_text(text: str) -> str:
    """What a text has that no text has; empty if it is one."""
    if "\ufffd" in text:
        return "a character that could not be read (U+FFFD)"
    odd = next((char for char in text if unicodedata.category(char) == "Cc" and char not in "\n\t\r"), "")
    return f"a control character (U+{ord(odd):04X})" if odd else ""
