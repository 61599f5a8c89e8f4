"""Conversations as a model's own chat template takes them.

This module works without torch and transformers, so that the preflight can use it.

A template without a system role (Gemma's first, Mistral's) gets the system message at the head of the first
user turn. The rule is the same in training, in evaluation and in `infer`, so that a model is always asked
the way it was taught.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from tunesmith.errors import BadRequest

Message = dict[str, str]  # {"role": "system" | "user" | "assistant", "content": text}
Lesson = tuple[list[Message], Message]
"""What the model is asked, and an answer of the assistant that it is to learn."""
Render = Callable[[list[Message]], str]

_MARK = "tunesmith-system-mark"
# Marks the answer, for masks; renders no text
_GENERATION = re.compile(r"\{%-?\s*(end)?generation\s*-?%\}")


def conversation(
    system: str, row: Mapping[str, Any], *, system_role: bool = True
) -> tuple[list[Message], list[Message]]:
    """Prompt messages and completion messages of a row.

    A row has `prompt` and `response`, and may have `history` and `system`.

    `system`: the dataset's system message, unless the row has its own; an empty one is left out.
    `system_role`: whether the template has one (`takes_system_role`); if not, the system message is put
    before the first user turn.
    """
    return question(system, row, system_role=system_role), [{"role": "assistant", "content": row["response"]}]


def question(system: str, row: Mapping[str, Any], *, system_role: bool = True) -> list[Message]:
    """The messages up to and including the prompt: what a model is asked."""
    row_system = row.get("system")
    system = system if row_system is None else row_system
    history = [{"role": turn["role"], "content": turn["content"]} for turn in row.get("history") or ()]
    messages = [*history, {"role": "user", "content": row["prompt"]}]
    if not system:
        return messages
    if system_role:
        return [{"role": "system", "content": system}, *messages]
    first = next(index for index, message in enumerate(messages) if message["role"] == "user")
    messages[first] = {"role": "user", "content": f"{system}\n\n{messages[first]['content']}"}
    return messages


def lessons(system: str, row: Mapping[str, Any], *, system_role: bool = True) -> list[Lesson]:
    """Every answer that a row teaches, each with what comes before it: those of its history that are
    `learnt`, then the row's own.
    """
    messages = question(system, row, system_role=system_role)
    history = row.get("history") or ()
    first = len(messages) - 1 - len(history)
    taught = [
        (messages[: first + number], messages[first + number])
        for number, turn in enumerate(history)
        if turn.get("learnt")
    ]
    return [*taught, (messages, {"role": "assistant", "content": row["response"]})]


def row_tokens(tokenizer: Any, asked: Sequence[Message], answer: Message) -> tuple[list[int], int]:
    """Tokens of a question with its answer, and where the answer begins. `tokenizer`: transformers'.

    They are the tokens that the model is asked with, then the answer and the end of its turn. Most templates
    render a conversation in just that way. Where one puts something before an answer that it does not ask
    with (an empty thought, say), or a token reaches over the border, the answer and its end are put behind
    the question's own tokens.
    """
    question_tokens = _tokens(tokenizer, asked, add_generation_prompt=True)
    whole = _tokens(tokenizer, [*asked, answer])
    question_text = _text(tokenizer, asked, add_generation_prompt=True)
    shown = _text(tokenizer, [*asked, answer])
    follows = shown.removeprefix(question_text).lstrip().startswith(answer["content"].strip())
    if follows and shown.startswith(question_text) and whole[: len(question_tokens)] == question_tokens:
        return whole, len(question_tokens)
    ending = answer_and_end(
        shown, answer["content"], _text(tokenizer, [*asked, {**answer, "content": _MARK}])
    )
    if not ending:  # the template changes the answer itself
        return whole, answer_start(question_tokens, whole)
    added = tokenizer(ending, add_special_tokens=False)["input_ids"]
    return [*question_tokens, *added], len(question_tokens)


def answer_and_end(shown: str, answer: str, marked: str) -> str:
    """The end of a rendered conversation from its last answer on; empty if the answer is not in it as it is.

    `marked`: the same conversation with _MARK as its answer.
    """
    _, mark, end = marked.rpartition(_MARK)
    before = shown.removesuffix(end)
    if not mark or len(before) + len(end) != len(shown):
        return ""
    kept = next((text for text in (answer, answer.strip()) if text and before.endswith(text)), "")
    return f"{kept}{end}" if kept else ""


def _tokens(tokenizer: Any, messages: Sequence[Message], **options: Any) -> list[int]:
    encoded = tokenizer.apply_chat_template(list(messages), tokenize=True, return_dict=True, **options)
    return list(encoded["input_ids"])


def _text(tokenizer: Any, messages: Sequence[Message], **options: Any) -> str:
    return str(tokenizer.apply_chat_template(list(messages), tokenize=False, **options))


def takes_system_role(render: Render) -> bool:
    """Whether a template renders a system message: some raise, some drop it."""
    try:
        text = render([{"role": "system", "content": _MARK}, {"role": "user", "content": "?"}])
    except Exception:  # noqa: BLE001 a template raises whatever it likes
        return False
    return _MARK in text


def template_renderer(template: str, special_tokens: Mapping[str, str]) -> Render:
    """Renders messages with a chat template, up to where the answer begins, as transformers does.

    `special_tokens`: `bos_token`, `eos_token`, … of the tokenizer. Raises BadRequest if the template is not
    valid Jinja.
    """
    import jinja2
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        raise jinja2.exceptions.TemplateError(message)

    def to_json(value: Any, **options: Any) -> str:
        return json.dumps(value, **({"ensure_ascii": False} | options))

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    environment.filters["tojson"] = to_json
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().astimezone().strftime(form)
    try:
        compiled = environment.from_string(_GENERATION.sub("", template))
    except jinja2.exceptions.TemplateSyntaxError as error:
        raise BadRequest(
            f"the base model's chat template cannot be read: {error.message} (line {error.lineno})",
            reason="ChatTemplateInvalid",
            remedy="choose another revision of the model, or repair its chat template",
        ) from error

    def render(messages: Sequence[Message]) -> str:
        return compiled.render(
            messages=messages, add_generation_prompt=True, tools=None, documents=None, **special_tokens
        )

    return render


def answer_start(question_tokens: Sequence[int], row_tokens: Sequence[int]) -> int:
    """The index of the answer's first token in a whole row: where the row differs from the question alone.

    trl prepares its rows likewise. A template may render a question differently when an answer follows.
    """
    shared = 0
    for question_token, row_token in zip(question_tokens, row_tokens, strict=False):
        if question_token != row_token:
            break
        shared += 1
    return shared
