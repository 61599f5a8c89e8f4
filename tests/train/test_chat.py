"""Conversations, and templates rendered without transformers as transformers renders them."""

import pytest

from tests.tiny import CHATML
from tunesmith.errors import BadRequest
from tunesmith_jobs.chat import answer_start, conversation, takes_system_role, template_renderer

SYSTEM, USER, ANSWER = (
    {"role": role, "content": text} for role, text in (("system", "S"), ("user", "p"), ("assistant", "r"))
)
ROW = {"prompt": "p", "response": "r"}
HISTORY = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
FOLDED = {"role": "user", "content": "S\n\np"}

CASES = {  # system message, row, does the template have a system role -> prompt messages
    "system and prompt": ("S", ROW, True, [SYSTEM, USER]),
    "no system message": ("", ROW, True, [USER]),
    "folded into the first user turn": ("S", ROW, False, [FOLDED]),
    "history between system message and prompt": (
        "S",
        ROW | {"history": HISTORY},
        True,
        [SYSTEM, *HISTORY, USER],
    ),
    "folded into the first turn of a history": (
        "S",
        ROW | {"history": HISTORY},
        False,
        [{"role": "user", "content": "S\n\na"}, HISTORY[1], USER],
    ),
    "the row's own system message goes before": ("other", ROW | {"system": "S"}, True, [SYSTEM, USER]),
    "the row's own empty one takes it away": ("S", ROW | {"system": ""}, True, [USER]),
}


@pytest.mark.parametrize(("system", "row", "role", "expected"), CASES.values(), ids=CASES)
def test_conversation(system, row, role, expected) -> None:
    assert conversation(system, row, system_role=role) == (expected, [ANSWER])


LLAMA2 = (
    "{% if messages[0]['role'] == 'system' %}"
    "{% set rest = messages[1:] %}{% set s = messages[0]['content'] %}"
    "{% else %}{% set rest = messages %}{% set s = false %}{% endif %}"
    "{% for m in rest %}{% if loop.index0 == 0 and s %}"
    "{{ bos_token + '[INST] <<SYS>>\\n' + s + '\\n<</SYS>>\\n\\n' + m['content'] + ' [/INST]' }}{% else %}"
    "{{ m['content'] }}{% endif %}{% endfor %}"
)
TEMPLATES = {
    "ChatML": CHATML,
    "Llama 2": LLAMA2,
    "JSON, loop controls and generation marks": "{% for m in messages %}"
    "{% if loop.last %}{% break %}{% endif %}{% endfor %}"
    "{% generation %}{{ messages | tojson }}{% endgeneration %}",
}


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_templates_are_rendered_as_transformers_renders_them(template: str, model) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.chat_template = template
    messages = [{"role": "system", "content": "sé\n"}, {"role": "user", "content": "<b> & 中"}]
    render = template_renderer(template, {"bos_token": tokenizer.bos_token, "eos_token": tokenizer.eos_token})
    assert render(messages) == tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=True
    )
    assert takes_system_role(render)


DEAF = {
    "a template that raises": "{{ raise_exception('system role not supported') }}",
    "a template that drops it": "{{ messages[-1]['content'] }}",
}


@pytest.mark.parametrize("template", DEAF.values(), ids=DEAF)
def test_templates_without_a_system_role(template: str) -> None:
    assert not takes_system_role(template_renderer(template, {}))


def test_a_broken_template_is_refused() -> None:
    with pytest.raises(BadRequest, match=r"cannot be read: .* \(line 1\)"):
        template_renderer("{% if %}", {})


def test_a_template_reaches_nothing_outside() -> None:
    with pytest.raises(Exception, match="unsafe"):
        template_renderer("{{ messages.__class__.__mro__ }}", {})([])


STARTS = {  # tokens of the question, tokens of the whole row -> where the answer begins
    "the row begins with the question": ([1, 2], [1, 2, 3, 4], 2),
    "the template ends a question otherwise once it is answered": ([1, 2, 9], [1, 2, 3, 4], 2),
    "nothing is answered": ([1, 2], [1, 2], 2),
    "the row is shorter": ([1, 2, 3], [1, 2], 2),
    "nothing is shared": ([5], [1, 2], 0),
}


@pytest.mark.parametrize(("question", "row", "start"), STARTS.values(), ids=STARTS)
def test_the_answer_begins_where_a_row_parts_from_its_question(question, row, start: int) -> None:
    assert answer_start(question, row) == start
