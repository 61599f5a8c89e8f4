"""Which members of a record are prompt, response, conversation and so on, told by their names. Pure.

What a request names counts. Otherwise a record has one of the layouts below, in the order in which they are
looked for; then in any case of letters; then as a guess, if exactly one name can be the prompt and one the
response, and none can be something that belongs to the prompt.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from tunesmith.settings import Fields


@dataclass(frozen=True)
class Columns:
    """Names of a record's members; empty for what it has not.

    `shape`: the layout, in words. `input`: what is put below the prompt.
    """

    shape: str
    messages: str = ""
    prompt: str = ""
    response: str = ""
    input: str = ""
    guessed: bool = False

    @property
    def used(self) -> frozenset[str]:
        """All names."""
        return frozenset({self.messages, self.prompt, self.response, self.input}) - {""}


_CONVERSATIONS = ("messages", "conversations", "conversation")
_LAYOUTS = (
    Columns("prompt and response", prompt="prompt", response="response"),
    Columns("Alpaca", prompt="instruction", input="input", response="output"),
    Columns("Dolly", prompt="instruction", input="context", response="response"),
    Columns("prompt and completion", prompt="prompt", response="completion"),
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Names of prompt and response as people call them in English, and `question` and `answer` in other languages
# in which many write data
_PROMPTS = _words(
    "prompt question query instruction input user human ask request q "
    "frage pregunta pergunta domanda vraag pytanie soru câu_hỏi вопрос запрос "
    "问题 問題 提问 指令 質問 질문 سؤال प्रश्न"
)
_RESPONSES = _words(
    "response answer output completion reply assistant bot target gold a "
    "antwort respuesta réponse reponse resposta risposta antwoord odpowiedź odpowiedz cevap yanıt ответ "
    "回答 答案 输出 回复 応答 答え 답변 대답 جواب उत्तर"
)
_BELONGS_TO_PROMPT = _words("input context passage document background контекст 上下文 输入")
_CANDIDATES = (  # for what is proposed only: a person decides
    ("text", "sentence", "title", "source", "problem", "task", "content"),
    ("label", "labels", "solution", "summary", "translation", "category", "chosen", "class"),
)
_SYSTEMS = ("system", "system_prompt", "system_message", "systemMessage")
_BESIDE = frozenset((*_SYSTEMS, "history", "id"))


def columns_of(record: Mapping[str, Any], fields: Fields) -> Columns | None:
    """The columns of a record. None if no layout fits and nothing can be guessed."""
    conversations = {fields.messages, *_CONVERSATIONS}
    empty = {name for name in conversations & record.keys() if not record[name]}
    columns = _columns(tuple(name for name in record if name not in empty), fields)
    if columns is None or not columns.messages:
        return columns
    messages = record[columns.messages]
    first = messages[0] if isinstance(messages, list) else None
    is_sharegpt = isinstance(first, dict) and "from" in first
    return replace(columns, shape="ShareGPT" if is_sharegpt else "OpenAI messages")


def system_column(record: Mapping[str, Any]) -> str:
    """The member with the row's own system message; empty if there is none, or more than one."""
    found = [name for name in _SYSTEMS if isinstance(record.get(name), str) and record[name].strip()]
    return found[0] if len(found) == 1 else ""


def named(fields: Fields) -> bool:
    """Whether a request names a column of prompt, response or what belongs to the prompt."""
    usual = Fields()
    return (fields.prompt, fields.response, fields.input) != (usual.prompt, usual.response, usual.input)


def proposal(names: Collection[str]) -> dict[str, str]:
    """Columns that may be meant, as options with their values; empty if nothing speaks for any."""
    folded = [(name, _folded(name)) for name in names if _folded(name) not in _BESIDE]
    prompt = (
        _first(folded, _PROMPTS - {"input"}) or _first(folded, {"input"}) or _first(folded, _CANDIDATES[0])
    )
    response = _first(folded, _RESPONSES) or _first(folded, _CANDIDATES[1])
    if not prompt and not response and len(folded) == 2:
        (prompt, _), (response, _) = folded
    if not prompt or not response:
        return {}
    extra = [name for name, fold in folded if fold in _BELONGS_TO_PROMPT and name != prompt]
    return {"prompt": prompt, "response": response} | ({"input": extra[0]} if len(extra) == 1 else {})


@lru_cache(maxsize=256)
def _columns(names: tuple[str, ...], fields: Fields) -> Columns | None:
    if fields.messages in names:
        return Columns("chat", messages=fields.messages)
    if named(fields):
        extra = fields.input if fields.input in names else ""
        found = Columns("prompt and response", prompt=fields.prompt, response=fields.response, input=extra)
        return found if {fields.prompt, fields.response} <= set(names) else None
    for name in _CONVERSATIONS:
        if name in names:
            return Columns("chat", messages=name)
    return _layout({name: name for name in names}) or _in_any_case(names) or _guess(names)


def _layout(by_name: Mapping[str, str], *, guessed: bool = False) -> Columns | None:
    """The first layout that fits. `by_name`: the name in the file, by the name as layouts have it."""
    for layout in _LAYOUTS:
        if layout.prompt in by_name and layout.response in by_name:
            if layout.shape == "Dolly" and layout.input not in by_name:
                continue  # a plain pair under other names: a guess
            return Columns(
                layout.shape,
                prompt=by_name[layout.prompt],
                response=by_name[layout.response],
                input=by_name.get(layout.input, ""),
                guessed=guessed,
            )
    return None


def _in_any_case(names: Collection[str]) -> Columns | None:
    folded = [_folded(name) for name in names]
    if len(set(folded)) < len(folded):
        return None
    by_name = dict(zip(folded, names, strict=True))
    for name in _CONVERSATIONS:
        if name in by_name:
            return Columns("chat", messages=by_name[name], guessed=True)
    return _layout(by_name, guessed=True)


def _guess(names: Collection[str]) -> Columns | None:
    prompts = [name for name in names if _folded(name) in _PROMPTS]
    responses = [name for name in names if _folded(name) in _RESPONSES]
    belonging = [name for name in names if _folded(name) in _BELONGS_TO_PROMPT and name not in prompts]
    if len(prompts) != 1 or len(responses) != 1 or belonging:
        return None
    return Columns("prompt and response", prompt=prompts[0], response=responses[0], guessed=True)


def _first(folded: Collection[tuple[str, str]], wanted: Collection[str]) -> str:
    return next((name for name, fold in folded if fold in wanted), "")


def _folded(name: str) -> str:
    return name.strip().casefold()
