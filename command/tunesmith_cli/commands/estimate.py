"""`estimate`: what a request will take, before anything is paid."""

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.errors import ExitCode
from tunesmith_cli.commands.options import AsJson, AsOutput, Files, Output, Sets, Store
from tunesmith_cli.commands.stored_runs import open_runs
from tunesmith_cli.commands.terminal import say, say_json

if TYPE_CHECKING:
    from tunesmith.cost import Estimate, Limit, Range, Seen
    from tunesmith.resolve import Snapshot


def estimate(
    context: typer.Context,
    files: Files,
    *,
    sets: Sets = [],  # noqa: B006 - typer takes a list as the default of a repeatable option
    ask: Annotated[
        bool,
        typer.Option(
            "--ask",
            help="Measure with at most 5 paid answers. The run keeps them, and does not pay for them again.",
        ),
    ] = False,
    store: Store = "",
    as_json: AsJson = False,
    output: AsOutput = Output.TEXT,
) -> int:
    """Say what requests will take before anything is paid: the teacher's calls, tokens, dollars and minutes,
    and the steps of training, each from low to high, with the budget beside it.

    The low end is needed if every answer is short and usable; long answers, thoughts, and a quarter of
    rejected rows make the high end.
    """
    from tunesmith_cli.local.request_files import local_snapshot, read_requests
    from tunesmith_cli.local.trial import ask_teacher

    members = []
    for request in read_requests(files, sets):
        snapshot = local_snapshot(request, os.environ)
        seen = ask_teacher(snapshot, open_runs(context, store)).seen if ask else ()
        document = {"name": snapshot.name, "run": snapshot.run, "source": request.source}
        members.append(document | estimate_members(snapshot, seen))
        if not as_json and output is Output.TEXT:
            _print_text(snapshot, seen)
    if as_json or output is Output.JSON:
        say_json({"format": 1, "requests": members})
    return ExitCode.DONE


def estimate_members(snapshot: "Snapshot", seen: "tuple[Seen, ...]" = ()) -> dict[str, Any]:
    """`estimate` and `training` of a document, each null where nothing is known or paid."""
    from tunesmith import cost

    spec = snapshot.spec
    found, use = cost.estimate(spec, seen), cost.training_use(spec, seen)
    return {
        "estimate": found and _estimate(snapshot, found, cost.limits(spec, found)),
        "training": use and {"rows": use.rows, "steps": use.steps, "tokens": _span(use.tokens)},
    }


def _estimate(snapshot: "Snapshot", found: "Estimate", beside: "list[Limit]") -> dict[str, Any]:
    return {
        "model": snapshot.spec.data.teacher.model,
        "calls": _span(found.calls),
        "inputTokens": _span(found.input_tokens),
        "outputTokens": _span(found.output_tokens),
        "usd": found.usd and _span(found.usd, 4),
        "minutes": _span(found.minutes, 2),
        "answersSeen": found.seen,
        "limits": [
            {
                "field": limit.field,
                "limit": limit.limit,
                "least": round(limit.least, 4),
                "most": round(limit.most, 4),
                "verdict": limit.verdict,
            }
            for limit in beside
        ],
    }


def _span(span: "Range", digits: int = 0) -> dict[str, float]:
    return {"low": round(span.low, digits), "high": round(span.high, digits)}


def _print_text(snapshot: "Snapshot", seen: "tuple[Seen, ...]") -> None:
    from tunesmith import cost, cost_text

    spec = snapshot.spec
    found = cost.estimate(spec, seen)
    if found is None:
        say(f"{snapshot.name}: no teacher is asked, so nothing is paid")
    else:
        basis = f"from {found.seen} answers" if found.seen else "before any answer"
        say(f"{snapshot.name}: estimate for teacher {spec.data.teacher.model}, {basis}")
        say(cost_text.estimate_table(spec, found, cost.limits(spec, found)))
    use = cost.training_use(spec, seen)
    say(cost_text.training_line(use) if use else "training: not known before the rows are read")
