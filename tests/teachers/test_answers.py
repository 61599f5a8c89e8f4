"""Bodies of answers: the text apart from thoughts, why it ended, and what it cost."""

import json

import pytest

from tunesmith_jobs.teacher.openai_answer import ErrorBody, read_answer, separate

PAIR = '{"pairs": [{"prompt": "p", "response": "r"}]}'
DRAFT = 'Draft: {"pairs": []}. Better: {x}.'

TEXTS = {  # a text -> what is left of it, and whether its thoughts do not end
    "no thoughts": (PAIR, PAIR, False),
    "DeepSeek, Qwen": (f"<think>\n{DRAFT}\n</think>\n\n{PAIR}", PAIR, False),
    "no thoughts, though it could": (f"<think>\n\n</think>\n\n{PAIR}", PAIR, False),
    "the mark at the end only": (f"{DRAFT}\n</think>\n{PAIR}", PAIR, False),
    "twice": (f"<think>a</think><think>b</think>{PAIR}", PAIR, False),
    "Gemini": (f"<thought>{DRAFT}</thought>{PAIR}", PAIR, False),
    "Magistral": (f"[THINK]{DRAFT}[/THINK]{PAIR}", PAIR, False),
    "Kimi": (f"◁think▷{DRAFT}◁/think▷{PAIR}", PAIR, False),
    "gpt-oss": (
        f"<|channel|>analysis<|message|>{DRAFT}<|end|><|start|>assistant<|channel|>final<|message|>{PAIR}<|return|>",
        PAIR,
        False,
    ),
    "thoughts without an end": (f"<think>{DRAFT}", "", True),
    "a pair about marks": ('{"prompt": "What is </think>?", "response": "r"}', None, False),
    "marks in the middle": ("Write <think>, then </think>.", None, False),
}


@pytest.mark.parametrize(("text", "left", "open_ended"), TEXTS.values(), ids=TEXTS)
def test_thoughts_are_no_data(text, left, open_ended):
    content, thoughts, ends = separate(text)
    assert (content, ends) == (text if left is None else left, open_ended)
    assert bool(thoughts.strip()) == (DRAFT in text or "twice" in text or ">a<" in text)


def body(message, finish="stop", **usage):
    choice = {"finish_reason": finish, "message": message}
    return json.dumps({"choices": [choice], "usage": {"prompt_tokens": 10, "completion_tokens": 5} | usage})


BODIES = {  # message, finish, usage -> content, finish, output tokens, thought tokens
    "a text": (({"content": "hi"}, "stop"), {}, ("hi", "stop", 5, 0)),
    "parts": (
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "stop"),
        {},
        ("ab", "stop", 5, 0),
    ),
    "Mistral's thoughts": (
        (
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "abcdef"}]},
                    {"type": "text", "text": "b"},
                ]
            },
            "stop",
        ),
        {},
        ("b", "stop", 5, 2),
    ),
    "a member of thoughts": (
        ({"content": "hi", "reasoning_content": "abcdef"}, "stop"),
        {},
        ("hi", "stop", 5, 2),
    ),
    "thoughts counted": (
        ({"content": "hi"}, "stop"),
        {"completion_tokens": 40, "completion_tokens_details": {"reasoning_tokens": 30}},
        ("hi", "stop", 40, 30),
    ),
    "thoughts in the total only": (({"content": "hi"}, "stop"), {"total_tokens": 45}, ("hi", "stop", 35, 30)),
    "no content": (({"content": None}, "length"), {}, ("", "length", 5, 0)),
    "cut, by another name": (({"content": "hi"}, "MAX_TOKENS"), {}, ("hi", "length", 5, 0)),
    "withheld, by another name": (({"content": ""}, "SAFETY"), {}, ("", "content_filter", 5, 0)),
    "thoughts without an end": (({"content": "<think>abcdef"}, "stop"), {}, ("", "length", 5, 2)),
    "half a character": (({"content": "a\ud83d"}, "stop"), {}, ("a\ufffd", "stop", 5, 0)),
    "a whole one": (({"content": "a\ud83d\ude00"}, "stop"), {}, ("a\U0001f600", "stop", 5, 0)),
    "no usage": (
        ({"content": "abcdef"}, "stop"),
        {"prompt_tokens": 0, "completion_tokens": 0},
        ("abcdef", "stop", 2, 0),
    ),
}


@pytest.mark.parametrize(("said", "usage", "read"), BODIES.values(), ids=BODIES)
def test_a_body_is_read(said, usage, read):
    answer = read_answer(body(*said, **usage))
    assert (answer.content, answer.finish_reason, answer.output_tokens, answer.thought_tokens) == read


ERRORS = {
    "a router's": ({"error": {"message": "Provider returned error", "code": 502}}, 502),
    "a text": ({"error": "busy"}, 0),
    "of the choice": ({"choices": [{"error": {"message": "x", "code": "429"}}]}, 429),
}


@pytest.mark.parametrize(("said", "status"), ERRORS.values(), ids=ERRORS)
def test_an_error_under_status_200_is_one(said, status):
    with pytest.raises(ErrorBody) as error:
        read_answer(json.dumps(said))
    assert error.value.status == status
