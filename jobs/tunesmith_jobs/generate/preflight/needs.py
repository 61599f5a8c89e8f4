"""What a run will roughly need, in lines for people."""

from collections.abc import Iterable

from tunesmith.request import Spec
from tunesmith_jobs.base import BaseFacts
from tunesmith_jobs.estimate import TeacherUse, in_words, store_bytes, training_bytes
from tunesmith_jobs.teacher.prices import find_price


def needs(spec: Spec, facts: BaseFacts | None, use: TeacherUse) -> Iterable[str]:
    """Calls and their price, memory and storage, and warnings for a budget that the estimate passes."""
    if use.calls:
        usd = _usd(spec, use)
        price = f", about {usd:.2f} USD" if usd is not None else ", at a price that is not known here"
        yield (
            f"estimate: teacher {spec.data.teacher.model}: about {use.calls} calls, "
            f"{use.input_tokens:,} tokens asked and {use.output_tokens:,} answered{price}"
        )
        yield from _over_budget(spec, use)
    if facts is not None:
        gpu = spec.training.device != "cpu"
        memory = training_bytes(facts, spec.training, gpu=gpu)
        stored = store_bytes(facts, spec.data, spec.training, spec.merge.dtype)
        yield (
            f"estimate: training {facts.parameters / 1e6:,.0f} million parameters takes about "
            f"{in_words(memory.total)} of {'GPU ' if gpu else ''}memory "
            f"({in_words(memory.least)} at the least); "
            f"the store about {in_words(stored)}"
        )
        if not facts.license.name:
            yield f"note: {facts.uri} does not say under which license it is"


def _over_budget(spec: Spec, use: TeacherUse) -> Iterable[str]:
    """Limits of the budget that the estimate passes: not an error, since it is an estimate."""
    budget = spec.data.budget
    tokens = use.input_tokens + use.output_tokens
    usd = _usd(spec, use)
    if 0 < budget.max_tokens < tokens:
        yield (
            f"warning: the estimate of {tokens:,} tokens is over spec.data.budget.maxTokens, "
            f"{budget.max_tokens:,}"
        )
    if usd is not None and 0 < budget.max_usd < usd:
        yield f"warning: the estimate of {usd:.2f} USD is over spec.data.budget.maxUSD, {budget.max_usd:.2f}"


def _usd(spec: Spec, use: TeacherUse) -> float | None:
    price = find_price(spec.data.teacher.model, spec.data.budget)
    if price is None:
        return None
    return use.input_tokens * price.input + use.output_tokens * price.output
