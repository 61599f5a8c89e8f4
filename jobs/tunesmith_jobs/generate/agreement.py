"""Whether answers that were written apart come to the same end (`data.agreement`). Pure.

Self-consistency (Wang et al. 2022): where a task has one right answer, wrong ones differ from each other.
"""

import json
import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal

from tunesmith_jobs.generate.dedupe import normalised

_BOXED = re.compile(r"\\boxed\s*\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}")
_SAYS = re.compile(
    r"(?:final answer|answer|result|solution|antwort|ergebnis|lösung|réponse|résultat|respuesta|resultado"
    r"|resposta|risposta|risultato|antwoord|odpowiedź|odpověď|cevap|ответ|答案|答え|解答|정답|답)"
    r"(?:\s+(?:is|ist|est|es|é|è|to|je))?\s*(?:\*\*)?\s*[:：=]\s*(?:\*\*)?\s*(.+)",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?")
_LONG = (
    60  # characters, from which a text without a marked answer is known by the one number in its last line
)


def final_answer(text: str) -> str:
    """What an answer comes to, in a form that can be compared.

    JSON as a value; else what stands in \\boxed{}, or behind the last `Answer:` (in many languages); else, of
    a longer text, the only number in its last line; else the whole text.
    """
    text = unicodedata.normalize("NFKC", text).strip()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        pass
    else:
        if isinstance(value, dict | list):
            return json.dumps(value, sort_keys=True, ensure_ascii=False)
    for pattern in (_BOXED, _SAYS):
        if found := pattern.findall(text):
            return _plain(found[-1])
    last = text.splitlines()[-1] if text else ""
    numbers = _NUMBER.findall(last)
    if len(numbers) == 1 and len(text) > _LONG:
        return _plain(numbers[0])
    return _plain(text)


def agreed(response: str, others: Sequence[str]) -> bool:
    """Whether more than half of all answers, the response among them, come to what the response comes to."""
    own = final_answer(response)
    same = 1 + sum(final_answer(other) == own for other in others)
    return 2 * same > 1 + len(others)


def _plain(text: str) -> str:
    text = text.strip().strip("*_`$\"'.。!！ ").strip()
    number = text.replace(",", "")
    if re.fullmatch(r"[-+]?\d+(?:\.\d+)?", number):
        return f"{Decimal(number).normalize():f}"
    return normalised(text)
