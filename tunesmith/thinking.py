"""Which models think before they answer, by their names, and how much that may take. Pure.

What is guessed here, the stage learns from the first answers in any case: it is only learnt sooner, and is in
the estimate.
"""

import re
from collections.abc import Mapping

from tunesmith.settings import Effort, Teacher

_OPENAIS = re.compile(r"(^|/)(o[1-9]([-.]|$)|gpt-[5-9](?!.*chat))", re.IGNORECASE)
_OTHERS = re.compile(
    r"gpt-oss|reasoner|thinking|(^|[-/])r1([-.:]|$)|qwq|qwen3|magistral|gemini-(2\.5|[3-9])|grok-(3-mini|[4-9])"
    r"|kimi-k2|glm-(4\.[5-9]|[5-9])|minimax-m|claude-(opus|sonnet|haiku|fable)-[5-9]|deepseek-(flash|v4)",
    re.IGNORECASE,
)
# Tokens of thoughts before one answer, at the least and at the most: assumed, between what users report of
# short tasks and the room that the stage makes. The measure of `tunesmith estimate --ask` takes their
# place.
_TOKENS: Mapping[Effort, tuple[int, int]] = {
    "": (50, 2048),
    "none": (0, 0),
    "minimal": (0, 256),
    "low": (20, 1024),
    "medium": (50, 2048),
    "high": (200, 8192),
    "xhigh": (400, 16_384),
}


def is_openais(model: str) -> bool:
    """Whether it is one of OpenAI's models that think."""
    return _OPENAIS.search(model) is not None


def thinks(model: str) -> bool:
    """Whether a model of this name thinks."""
    return is_openais(model) or _OTHERS.search(model) is not None


def thought_tokens(model: str, teacher: Teacher) -> tuple[int, int]:
    """Tokens of thoughts before an answer of a model, at the least and at the most."""
    if not thinks(model) or _switched_off(teacher):
        return 0, 0
    return _TOKENS[teacher.reasoning_effort]


def _switched_off(teacher: Teacher) -> bool:
    """Whether the body says that the model shall not think, as vLLM and SGLang, DeepSeek and Qwen take it."""
    template = teacher.body.get("chat_template_kwargs")
    told = (
        [template.get(name) for name in ("enable_thinking", "thinking")] if isinstance(template, dict) else []
    )
    thinking = teacher.body.get("thinking")
    disabled = isinstance(thinking, dict) and thinking.get("type") == "disabled"
    return disabled or False in told or teacher.body.get("enable_thinking") is False
