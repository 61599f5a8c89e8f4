"""What a run will roughly need, in lines for people."""

from collections.abc import Iterable

from tunesmith.cost import estimate, limits, training_use
from tunesmith.cost_text import estimate_lines, over, training_line
from tunesmith.request import Spec
from tunesmith_jobs.base import BaseFacts
from tunesmith_jobs.estimate import in_words, store_bytes, training_bytes


def needs(spec: Spec, facts: BaseFacts | None) -> Iterable[str]:
    """Calls and their price beside the budget, training, memory and storage; warnings for what may not
    fit.
    """
    found = estimate(spec)
    if found is not None:
        beside = limits(spec, found)
        yield from estimate_lines(spec, found, beside)
        yield from over(beside)
    use = training_use(spec)
    if use is not None:
        yield f"estimate: {training_line(use)}"
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
