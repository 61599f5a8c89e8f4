"""What an endpoint wants is learnt from its refusals: in few steps, and never without end."""

import json

import pytest

from tunesmith.request import Spec
from tunesmith_jobs.generate import prompts
from tunesmith_jobs.generate.dataset_plan import DatasetPlan, cell_at
from tunesmith_jobs.teacher.openai_answer import read_answer
from tunesmith_jobs.teacher.openai_dialect import FIRST_ROOM, LEAST_TOKENS, MOST_ROOM, Dialect
from tunesmith_jobs.teacher.openai_faults import Fault
from tunesmith_jobs.teacher.openai_habits import MOST_LEARNT, Habits, as_named

SPEC = Spec.model_validate({"task": "the task", "model": {"base": "b"}})
PLAN = DatasetPlan(prompts="short", responses="right", topics=("a", "b"))
CALL = prompts.cell_call(SPEC, PLAN, cell_at(PLAN, 42, 0))
TEXT = prompts.system_message_call(SPEC, 0)
ANSWERED = read_answer('{"choices": [{"finish_reason": "stop", "message": {"content": "{}"}}]}')
THINKING = Dialect(tokens="max_completion_tokens", temperature=False, room=FIRST_ROOM)

STEPS = {  # dialect, what the refusal says -> the next dialect
    "no JSON schema": (Dialect(), "response_format json_schema is unknown", Dialect(level="json_object")),
    "no JSON mode": (Dialect(level="json_object"), "response_format", Dialect(level="tags")),
    "a model that thinks": (
        Dialect(),
        "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
        THINKING,
    ),
    "an older server": (
        Dialect(tokens="max_completion_tokens"),
        "extra field max_completion_tokens",
        Dialect(),
    ),
    "no limit at all": (
        Dialect(tokens="max_completion_tokens"),
        "max_tokens and max_completion_tokens are unknown",
        Dialect(),
    ),
    "no temperature": (Dialect(), "'temperature' does not support 0.7", Dialect(temperature=False)),
    "no system role": (Dialect(), "System role not supported", Dialect(system="user")),
    "it does not say": (Dialect(), "bad request", Dialect(level="json_object")),
}


@pytest.mark.parametrize(("dialect", "message", "other"), STEPS.values(), ids=STEPS)
def test_a_refusal_is_a_step(dialect, message, other):
    assert Habits(dialect).another(dialect, CALL, Fault.FORM, message) == other


@pytest.mark.parametrize(
    "message",
    [
        "bad request",
        "'max_tokens' or 'max_completion_tokens' is wrong",
        "response_format, temperature and the system role are wrong",
    ],
)
@pytest.mark.parametrize("fault", [Fault.FORM, Fault.TOO_LONG, Fault.CUT])
@pytest.mark.parametrize("call", [CALL, TEXT], ids=["pairs", "text"])
def test_an_endpoint_that_refuses_everything_is_asked_a_bounded_number_of_times(message, fault, call):
    habits, steps = Habits(Dialect()), 0
    while habits.another(habits.dialect, call, fault, message) is not None:
        steps += 1
    assert 0 < steps <= MOST_LEARNT


def test_an_effort_that_is_asked_for_is_sent_and_its_refusal_is_final():
    habits = Habits(Dialect(effort="low"))
    assert habits.dialect.body(CALL)["reasoning_effort"] == "low"
    assert "reasoning_effort" not in Dialect().body(CALL)
    message = "Unsupported parameter: 'reasoning_effort' is not supported with this model."
    assert habits.another(habits.dialect, CALL, Fault.FORM, message) is None


def test_calls_that_were_refused_together_teach_one_thing():
    habits = Habits(Dialect())
    first = habits.another(Dialect(), CALL, Fault.FORM, "System role not supported")
    assert habits.another(Dialect(), CALL, Fault.FORM, "System role not supported") == first


def test_a_refusal_that_names_nothing_is_of_the_call_once_others_were_answered():
    habits = Habits(Dialect())
    habits.answered(Dialect(), CALL, ANSWERED)
    assert habits.another(Dialect(), CALL, Fault.FORM, "I do not like this one") is None
    assert habits.dialect == Dialect()
    assert habits.another(Dialect(), CALL, Fault.FORM, "temperature is unknown") == Dialect(temperature=False)


def refusal(asked, context, taken):
    length = f"This model's maximum context length is {context} tokens"
    return {
        "vLLM": f"{length}. However, you requested {asked} output tokens and your prompt contains at least "
        f"{taken} input tokens",
        "vLLM before 2025": f"{length}. However, you requested {asked + taken} tokens ({taken} in the "
        f"messages, {asked} in the completion).",
        "both names": f"'max_tokens' or 'max_completion_tokens' is too large: {asked}. {length} and your "
        f"request has {taken} input tokens",
        "Mistral": f"Prompt contains {taken} tokens and {asked} draft tokens, too large for model with "
        f"{context} maximum context length",
        "Together": f"`inputs` tokens + `max_new_tokens` must be <= {context}. Given: {taken} `inputs`",
        "no number": "the request exceeds the available context size",
    }


@pytest.mark.parametrize("taken", [100, 700, 3900], ids=["short", "as estimated", "longer than estimated"])
@pytest.mark.parametrize("who", refusal(1, 1, 1))
def test_a_context_is_kept_to_within_few_steps(who, taken):
    context, habits = 4096, Habits(Dialect())
    big = prompts.plan_call(SPEC, 0)
    steps = 0
    while (asked := habits.dialect.allowed(big)) + taken > context:
        steps += 1
        assert habits.another(habits.dialect, big, Fault.TOO_LONG, refusal(asked, context, taken)[who])
    assert steps <= (6 if who == "no number" else 2)
    assert asked >= min(LEAST_TOKENS, context - taken)


MOST = {
    "OpenAI": "max_tokens is too large: ASKED. This model supports at most 16384 completion tokens",
    "Anthropic": "max_tokens: ASKED > 16384, which is the maximum allowed number of output tokens",
    "DeepSeek": "Invalid max_tokens value, the valid range of max_tokens is [1, 16384]",
    "Groq": "`max_tokens` must be less than or equal to `16384`",
}


@pytest.mark.parametrize("message", MOST.values(), ids=MOST)
def test_the_most_that_a_model_writes_is_believed(message):
    habits = Habits(Dialect(room=31_000))
    asked = str(habits.dialect.allowed(CALL))
    other = habits.another(habits.dialect, CALL, Fault.TOO_LONG, message.replace("ASKED", asked))
    assert other is not None
    assert other.most == 16384


def test_thoughts_get_room_in_steps_and_not_without_end():
    habits, rooms = Habits(Dialect()), []
    empty = read_answer('{"choices": [{"finish_reason": "length", "message": {"content": ""}}]}')
    while habits.answered(habits.dialect, CALL, empty):
        rooms.append(habits.dialect.room)
    assert rooms == [4096, 8192, 16384, MOST_ROOM]


def test_calls_that_were_cut_together_make_room_once():
    habits = Habits(Dialect())
    empty = read_answer('{"choices": [{"finish_reason": "length", "message": {"content": ""}}]}')
    assert [habits.answered(Dialect(), CALL, empty) for _ in range(5)] == [True] * 5
    assert habits.dialect.room == FIRST_ROOM


def test_room_is_made_before_anything_is_cut_once_a_model_is_seen_to_think():
    habits = Habits(Dialect())
    usage = {"completion_tokens": 900, "completion_tokens_details": {"reasoning_tokens": 800}}
    choice = {"finish_reason": "stop", "message": {"content": "x"}}
    answer = read_answer(json.dumps({"choices": [choice], "usage": usage}))
    assert not habits.answered(Dialect(), CALL, answer)
    assert habits.dialect.room == 2048
    again = Habits(Dialect())
    again.remember(answer)
    assert again.dialect.room >= 2048, "also from what an earlier attempt was answered"


NAMES = {
    "gpt-4.1": Dialect(),
    "gpt-4o-mini": Dialect(),
    "openai/gpt-5-chat": Dialect(),
    "o4-mini": THINKING,
    "openai/gpt-5": THINKING,
    "gpt-5.1-mini": THINKING,
    "deepseek-reasoner": Dialect(room=FIRST_ROOM),
    "deepseek-r1:8b": Dialect(room=FIRST_ROOM),
    "Qwen/Qwen3-8B": Dialect(room=FIRST_ROOM),
    "gemini-2.5-flash": Dialect(room=FIRST_ROOM),
    "llama-3.3-70b": Dialect(),
    "mistral-small": Dialect(),
}


@pytest.mark.parametrize(("model", "dialect"), NAMES.items(), ids=NAMES)
def test_what_names_tell(model, dialect):
    assert as_named(Dialect(), model) == dialect
