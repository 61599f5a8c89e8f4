"""Requests that wait for each other in a ring, so that none of them can ever go on.

Pure.
"""

from collections.abc import Iterator, Mapping

from tunesmith.stages import ORDER
from tunesmith_controller.decide.model import Other

_Step = tuple[str, str]  # the name of a request, and the stage of it that is waited for


def message(waits: _Step, name: str, others: Mapping[str, Other], path: str) -> str:
    """What to tell of the ring in which a request waits for another; empty if there is none.

    `waits`: the request that waits, with the stage that it takes over from `name`; `path`: the field by which
    it does.
    """
    chain = _chain(waits, (name, waits[1]), others)
    if not chain:
        return ""
    ring = ", which waits for ".join([*chain, waits[0]])
    return (
        f"{path}: a ring of requests, none of which can go on: this one waits for {ring}. "
        "What to do: take the name of another request out of one of them"
    )


def _chain(end: _Step, first: _Step, others: Mapping[str, Other]) -> list[str]:
    """The requests by which the first step waits for the end, its own first; empty if it does not."""
    chains = [(first, [first[0]])]
    seen = {first}
    for step, names in chains:
        for read in _reads(step, others):
            if read[0] == end[0] and ORDER.index(read[1]) >= ORDER.index(end[1]):
                return names
            if read not in seen:
                seen.add(read)
                chains.append((read, [*names, read[0]]))
    return []


def _reads(step: _Step, others: Mapping[str, Other]) -> Iterator[_Step]:
    """What a request waits for before this stage of it is done; all that it names, if it has not begun."""
    name, stage = step
    other = others.get(name)
    if other is None or stage in other.finished:
        return
    for read in other.reads:
        if not other.run or ORDER.index(read[1]) <= ORDER.index(stage):
            yield read
