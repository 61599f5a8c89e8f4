"""What was learnt of how an endpoint wants to be asked for one model. It learns a bounded number of times."""

import re
from collections.abc import Collection
from dataclasses import replace

from tunesmith.thinking import is_openais, thinks
from tunesmith_jobs.teacher.calls import Answer, Call
from tunesmith_jobs.teacher.openai_dialect import FIRST_ROOM, MOST_ROOM, Dialect
from tunesmith_jobs.teacher.openai_faults import Fault

MOST_LEARNT = 24  # changes of the dialect, after which a refusal is final
_STEP = 1024  # of tokens for thoughts


class Habits:
    """The dialect for one model, and what has been tried. Use within one event loop."""

    def __init__(self, first: Dialect, asked: Collection[str] = ()) -> None:
        """`asked`: members of the body that the request asks for, which are never left out."""
        self.dialect = first
        names = "|".join(map(re.escape, asked)) or "(?!)"
        self._asked = re.compile(rf"(?<![\w.-])(?:{names})(?![\w-])")
        self._tried = {first}
        self._proven: set[str] = set()  # shapes of calls that were answered in the present dialect or before
        self._learnt = 0

    def another(self, used: Dialect, call: Call, fault: Fault, message: str) -> Dialect | None:
        """The dialect to ask in from now on, after a refusal of a call in the dialect `used`.

        None if there is none: then the refusal is of this call, or final (`proven`).
        """
        if self.dialect != used:  # another call has changed it meanwhile
            return self.dialect
        if self._learnt >= MOST_LEARNT or self._names_what_is_asked(used, message):
            return None
        if fault is Fault.CUT:
            self._make_room(max(FIRST_ROOM, 2 * used.room))
            return self.dialect if self.dialect != used else None
        if fault is Fault.TOO_LONG:
            other = used.shorter(call, message)
        elif self.proven(call) and not used.names(call, message):
            other = None
        else:
            other = next((each for each in used.others(call, message) if each not in self._tried), None)
        if other is not None:
            self._change(other)
        return other

    def _names_what_is_asked(self, used: Dialect, message: str) -> bool:
        """Whether the endpoint speaks of what the request asks for, and no other form leaves out."""
        effort = bool(used.effort) and "reasoning_effort" in message
        return effort or self._asked.search(message) is not None

    def proven(self, call: Call) -> bool:
        """Whether a call like this has been answered, so that a refusal is about this one only."""
        return call.shape in self._proven

    def answered(self, used: Dialect, call: Call, answer: Answer) -> bool:
        """Note an answer. Returns whether thoughts have cut it off, and another one has more room."""
        self._proven.add(call.shape)
        if not _thinks(answer):
            return False
        if answer.finish_reason != "length":
            self._make_room(2 * answer.thought_tokens)
            return False
        if self.dialect == used:
            self._make_room(max(FIRST_ROOM, 2 * used.room))
        return self.dialect.allowed(call) > used.allowed(call)

    def remember(self, answer: Answer) -> None:
        """Note an answer of an earlier attempt."""
        if _thinks(answer):
            self._make_room(2 * max(answer.thought_tokens, answer.output_tokens))

    def _make_room(self, tokens: int) -> None:
        room = min(MOST_ROOM, -(-tokens // _STEP) * _STEP)
        if room > self.dialect.room and self._learnt < MOST_LEARNT:
            self._change(replace(self.dialect, room=room))

    def _change(self, other: Dialect) -> None:
        self.dialect = other
        self._tried.add(other)
        self._learnt += 1


def _thinks(answer: Answer) -> bool:
    """Whether a model has thought before it answered, or has come to no answer."""
    return answer.thought_tokens > 0 or (answer.finish_reason == "length" and not answer.content)


def as_named(first: Dialect, model: str) -> Dialect:
    """The dialect to begin with, by what is known of models of this name."""
    if is_openais(model):
        return first.thinking()
    return replace(first, room=FIRST_ROOM) if thinks(model) else first


def cut_by_thoughts(answer: Answer) -> bool:
    """Whether a model's thoughts have cut its answer off."""
    return answer.finish_reason == "length" and _thinks(answer)
