"""A few paid answers, for an estimate, a preview or a plan.

`python -m tunesmith_jobs.generate.trial --request FILE --store URL [--rows N] [--most N]`

They are the answers to the first calls that the run makes in any case: the plan, the system message, the
first rows. The run's journal keeps them, so they are not paid for again. Standard output holds them as JSON.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from tunesmith.cost import Seen
from tunesmith.errors import ExitCode, TryAgain, TunesmithError
from tunesmith.plain_text import json_text
from tunesmith.request import Spec
from tunesmith.resolve import Snapshot
from tunesmith_jobs.answer_format.bounded import answer_check
from tunesmith_jobs.attempt import new_attempt
from tunesmith_jobs.documents.read import documents_in
from tunesmith_jobs.failures import complain, explained
from tunesmith_jobs.generate.calling import caller_of
from tunesmith_jobs.generate.dataset import Dataset
from tunesmith_jobs.generate.patience import Patience
from tunesmith_jobs.generate.strategies import fill
from tunesmith_jobs.given_secrets import strip_secrets
from tunesmith_jobs.stage_arguments import read_request
from tunesmith_jobs.storage import Store, open_store
from tunesmith_jobs.teacher.calls import Answer, Call
from tunesmith_jobs.teacher.endpoint import Endpoint, Outgrown, RateLimits
from tunesmith_jobs.teacher.kinds import endpoint_of

MOST_PAID = 5
ROWS = 3  # with the plan and the system message these are five calls


class Enough(TryAgain):
    """As many answers as may be are paid for."""


class FewAnswers:
    """An endpoint that gives at most `most` answers that are paid for. Use within one event loop."""

    def __init__(self, endpoint: Endpoint, most: int) -> None:
        self.url = endpoint.url
        self.paid = 0
        self._endpoint = endpoint
        self._left = most
        self.sized = endpoint.sized
        self.remember = endpoint.remember
        self.read_answer = endpoint.read_answer
        self.check = endpoint.check

    async def __aenter__(self) -> Self:
        await self._endpoint.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._endpoint.__aexit__(*error)

    async def send(self, call: Call) -> tuple[Answer, RateLimits]:
        """As the endpoint does. Raises Enough for what would be one answer too many."""
        if not self._left:
            raise Enough(
                f"{self.paid} answers were paid for, and none is whole",
                reason="TeacherUnusable",
                remedy="raise data.maxTokens, lower data.teacher.reasoningEffort, or name another "
                "data.teacher.model",
            )
        self._left -= 1
        paid = False
        try:
            answered = await self._endpoint.send(call)
            paid = True
            return answered
        except Outgrown:
            paid = True
            raise
        finally:
            self.paid += paid
            self._left += not paid  # a refusal costs nothing


@dataclass
class Trial:
    """The answers to the first calls of a run, and what they gave."""

    dataset: Dataset
    seen: list[Seen] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """All of it as JSON."""
        plan = self.dataset.plan
        return {
            "answers": [asdict(answer) for answer in self.seen],
            "systemMessage": self.dataset.system_message,
            "plan": plan.model_dump(mode="json", by_alias=True, exclude_defaults=True) if plan else None,
            "rows": [row.to_json() for row in self.dataset.rows],
            "rejected": [rejected.to_json() for rejected in self.dataset.rejected],
        }


async def ask_few(
    snapshot: Snapshot, store: Store, patience: Patience, *, rows: int = ROWS, most: int = MOST_PAID
) -> Trial:
    """The first `rows` rows of a run, and the answers for them, at most `most` of them paid for now.

    Raises TunesmithError if there is no answer at all.
    """
    data, teacher = snapshot.spec.data, snapshot.spec.data.teacher
    endpoint = FewAnswers(endpoint_of(teacher, patience.request), most)
    trial = Trial(Dataset(data.near_duplicates, data.semantic_duplicates))
    passages = documents_in(data.documents).passages if data.documents else ()
    async with caller_of(
        data, endpoint, store, snapshot.run, new_attempt("estimate"), patience, say=_say
    ) as caller:

        async def ask(call: Call) -> Answer:
            answer = await caller.ask(call)
            if call.shape != "text" or not call.sample:  # further answers to a prompt are texts, too
                trial.seen.append(
                    Seen(call.shape, answer.input_tokens, answer.output_tokens, round(answer.seconds, 3))
                )
            return answer

        try:
            with answer_check(snapshot.spec.evaluation.format) as form:
                few = _few_rows(snapshot.spec, rows)
                work = fill(ask, few, trial.dataset, _nobody, form, passages=passages)
                await caller.run(work)
        except TunesmithError:
            if not trial.seen:
                raise
        finally:
            await caller.drain()
    return trial


def _few_rows(spec: Spec, rows: int) -> Spec:
    """The spec with as few rows as are asked for. No call says how many there are to be."""
    few = min(rows * spec.data.pairs_per_call, spec.data.examples)
    return spec.model_copy(update={"data": spec.data.model_copy(update={"examples": few})})


def _nobody(rows: int) -> None:
    """Nobody hears how many rows are accepted."""


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Ask, and print the answers' figures; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tunesmith_jobs.generate.trial")
    parser.add_argument("--request", required=True, metavar="FILE")
    parser.add_argument("--store", required=True, metavar="URL")
    parser.add_argument("--rows", type=int, default=ROWS, metavar="N")
    parser.add_argument("--most", type=int, default=MOST_PAID, metavar="N")
    arguments = parser.parse_args(argv)
    strip_secrets()
    try:
        snapshot = read_request(arguments.request, "generate")
        asking = ask_few(
            snapshot,
            open_store(arguments.store),
            Patience.from_environment(),
            rows=arguments.rows,
            most=arguments.most,
        )
        trial = asyncio.run(asking)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last resort: known errors have classes
        known, text = explained("estimate", error)
        complain(text)
        return known.exit_code
    print(json_text(trial.document()))
    return ExitCode.DONE


if __name__ == "__main__":
    sys.exit(main())
