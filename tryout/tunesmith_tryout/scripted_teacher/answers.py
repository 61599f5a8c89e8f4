"""Composes the scripted answer to a chat request. Pure: the same request always gets the same answer."""

import hashlib
import json
import random
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from tunesmith_jobs.generate import judge, prompts
from tunesmith_tryout.scripted_teacher import generic, grounded, support

MODEL = "scripted"
FINGERPRINT = "scripted-no-language-model"


def answer(body: Mapping[str, Any]) -> str:
    """The content of the assistant's message."""
    messages = [(message["role"], str(message["content"])) for message in body["messages"]]
    instruction = messages[0][1]
    asked = [text for role, text in messages if role == "user"]
    grammar: ModuleType = support if support.is_support(asked[0] if asked else "") else generic
    if instruction.startswith(prompts.SYSTEM_MESSAGE):
        return str(grammar.SYSTEM_MESSAGE)
    if instruction.startswith(prompts.PLAN):
        return json.dumps(grammar.plan(), ensure_ascii=False)
    if instruction.startswith((prompts.PAIRS, prompts.CHAIN)):
        return _pairs(grammar, body, messages)
    if instruction.startswith((judge.JUDGE, judge.JUDGE_AGAIN)):
        return json.dumps({"reason": "(scripted) every row counts as right", "score": 5})
    return (
        "(scripted) This server knows only the calls of Tunesmith's stage generate; it is no language model."
    )


def completion(body: Mapping[str, Any], content: str) -> dict[str, Any]:
    """A chat completion as OpenAI's API writes it. A token per four characters."""
    asked = sum(len(str(message["content"])) for message in body["messages"]) // 4
    answered = len(content) // 4 + 1
    return {
        "id": "scripted-" + _digest(body).hex()[:16],
        "object": "chat.completion",
        "created": 0,
        "model": MODEL,
        "system_fingerprint": FINGERPRINT,
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": content, "refusal": None},
            }
        ],
        "usage": {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered},
    }


def _pairs(grammar: ModuleType, body: Mapping[str, Any], messages: list[tuple[str, str]]) -> str:
    rng = random.Random(_digest({"messages": messages}))
    about = messages[-1][1]
    count = next((number for number in range(20, 1, -1) if f"Write {number} pairs" in about), 1)
    resting = grounded.pairs(rng, about, count)
    if resting is not None:
        return json.dumps({"pairs": [pair._asdict() for pair in resting]}, ensure_ascii=False)
    pairs = [grammar.pair(rng, about) for _ in range(count)]
    if "response_format" in body:
        return json.dumps(
            {"pairs": [{"prompt": prompt, "response": response} for prompt, response in pairs]},
            ensure_ascii=False,
        )
    return "\n".join(
        f"<prompt>{prompt}</prompt><response>{response}</response>" for prompt, response in pairs
    )


def _digest(value: Mapping[str, Any]) -> bytes:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).digest()
