"""Runs the checks side by side, gathers what they found, and says what the run will need."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tunesmith.errors import BadData, BadRequest, Gone, Problem, Refused, TryAgain, TunesmithError
from tunesmith.manifest import Pin
from tunesmith.request import Spec
from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.base import BaseFacts
from tunesmith_jobs.estimate import TeacherUse, in_words, store_bytes, teacher_use, training_bytes
from tunesmith_jobs.other_run import newest
from tunesmith_jobs.preflight.model import look_at_base
from tunesmith_jobs.storage import open_store
from tunesmith_jobs.trackers import check_trackers_if_this_trains

# Which exit code counts where several things are wrong: what needs the reader's hand goes before what may pass.
_WORST_FIRST: tuple[type[TunesmithError], ...] = (BadRequest, Refused, BadData, Gone, TryAgain)


@dataclass(frozen=True)
class _Base:
    pin: Pin | None
    facts: BaseFacts | None
    errors: list[TunesmithError]


def preflight(attempt: Attempt) -> BaseFacts | None:
    """Check the whole request; returns what the base model is.

    Raises one error with everything that is wrong: 78 if anything is, else 77, 65, 66, 75.
    """
    with ThreadPoolExecutor() as pool:
        base = pool.submit(lambda: _Base(*look_at_base(attempt.spec, os.environ.get("HF_TOKEN") or None)))
        others = [
            pool.submit(_found, check, attempt)
            for check in (_store, _teacher, _data, _output, _format, _trackers)
        ]
        looked = base.result()
        errors = [error for check in others for error in check.result()] + looked.errors
    errors += _found(lambda attempt: _adapter(attempt, looked.pin), attempt)
    use = teacher_use(attempt.spec.task, attempt.spec.data)
    errors += _budget(attempt.spec, use)
    if errors:
        raise combined(errors)
    for line in needs(attempt.spec, looked.facts, use):
        attempt.say(line)
    return looked.facts


def combined(errors: Iterable[TunesmithError]) -> TunesmithError:
    """One error with the problems of all, of the class that weighs most. A single error stays as it is."""
    distinct = list({str(error): error for error in errors}.values())
    if len(distinct) == 1:
        return distinct[0]
    kind = next(
        (kind for kind in _WORST_FIRST if any(isinstance(error, kind) for error in distinct)), TunesmithError
    )
    problems = [
        problem
        for error in distinct
        for problem in (error.problems or (Problem("", error.message, remedy=error.remedy),))
    ]
    return kind(
        f"the request cannot run: {len(problems)} problems, found before anything was spent",
        reason="PreflightFailed",
        problems=problems,
    )


def needs(spec: Spec, facts: BaseFacts | None, use: TeacherUse) -> Iterable[str]:
    """What the run will roughly need, in lines for people."""
    if use.calls:
        usd = _usd(spec, use)
        price = f", about {usd:.2f} USD" if usd is not None else ", at a price that is not known here"
        yield (
            f"estimate: teacher {spec.data.teacher.model}: about {use.calls} calls, {use.input_tokens:,} tokens asked and "
            f"{use.output_tokens:,} answered{price}"
        )
        yield from _over(spec, use)
    if facts is not None:
        gpu = spec.training.device != "cpu"
        memory = training_bytes(facts, spec.training, gpu=gpu)
        stored = store_bytes(facts, spec.data, spec.training, spec.merge.dtype)
        yield (
            f"estimate: training {facts.parameters / 1e6:,.0f} million parameters takes about {in_words(memory.total)} of "
            f"{'GPU ' if gpu else ''}memory ({in_words(memory.least)} at the least); the store about {in_words(stored)}"
        )
        if not facts.license.name:
            yield f"note: {facts.uri} does not say under which license it is"


def _found(check: Callable[[Attempt], Iterable[TunesmithError]], attempt: Attempt) -> list[TunesmithError]:
    try:
        return list(check(attempt))
    except TunesmithError as error:
        return [error]


def _store(attempt: Attempt) -> Iterable[TunesmithError]:
    attempt.store.probe()
    return ()


def _teacher(attempt: Attempt) -> Iterable[TunesmithError]:
    if attempt.spec.data.source is not None or attempt.spec.data.from_ is not None:
        return ()
    from tunesmith_jobs.generate.teacher import check_teacher

    return check_teacher(attempt.spec)


def _data(attempt: Attempt) -> Iterable[TunesmithError]:
    data = attempt.spec.data
    if data.source is not None:
        from tunesmith_jobs.generate.own_data import check_source

        if problems := check_source(attempt):
            yield BadData(f"{data.source.uri} cannot be used as it is", reason="BadRows", problems=problems)
    if data.from_ is not None:
        newest(attempt, data.from_.run or data.from_.request, "generate", "spec.data.from")


def _adapter(attempt: Attempt, pin: Pin | None) -> Iterable[TunesmithError]:
    """The adapter to start from must have been trained on this very base model."""
    reference = attempt.spec.training.from_
    if reference is None:
        return
    run = reference.run or reference.request
    trained, _ = newest(attempt, run, "train", "spec.training.from")
    other = trained.pins.get("base")
    if pin is not None and other is not None and other.revision != pin.revision:
        why = f"the adapter of run {run} was trained on {other.uri} at {other.revision[:12]}, which is not {pin.uri} at {pin.revision[:12]}"
        same = (
            f"{other.uri.partition('@')[0]}@{other.revision}" if other.uri.startswith("hf://") else other.uri
        )
        problem = Problem(
            "spec.training.from", why, run, f"set spec.model.base to {same}, or start from another run"
        )
        yield BadRequest(
            "the adapter to start from is for another model",
            reason="AdapterForOtherModel",
            problems=[problem],
        )


def _output(attempt: Attempt) -> Iterable[TunesmithError]:
    if attempt.spec.output:
        open_store(attempt.spec.output).probe()
    return ()


def _format(attempt: Attempt) -> Iterable[TunesmithError]:
    answer = attempt.spec.evaluation.format
    if answer is None or answer.json_schema is None:
        return
    try:
        import jsonschema
    except ImportError:  # not in every image; evaluate checks again
        return
    try:
        jsonschema.Draft202012Validator.check_schema(answer.json_schema)
    except jsonschema.SchemaError as error:
        path = ".".join(["spec.evaluation.format.jsonSchema", *map(str, error.absolute_path)])
        problem = Problem(path, f"is no valid JSON Schema: {error.message}")
        yield BadRequest(
            "the format of the answers cannot be checked", reason="BadSchema", problems=[problem]
        )


def _trackers(attempt: Attempt) -> Iterable[TunesmithError]:
    check_trackers_if_this_trains(attempt.spec.training.report_to)
    return ()


def _usd(spec: Spec, use: TeacherUse) -> float | None:
    from tunesmith_jobs.generate.budget import find_price

    price = find_price(spec.data.teacher.model, spec.data.budget)
    return price.input * use.input_tokens + price.output * use.output_tokens if price else None


def _over(spec: Spec, use: TeacherUse) -> Iterable[str]:
    """Limits of the budget that the estimate passes: no error, since it is a guess."""
    budget, tokens, usd = spec.data.budget, use.input_tokens + use.output_tokens, _usd(spec, use)
    if 0 < budget.max_tokens < tokens:
        yield f"warning: the estimate of {tokens:,} tokens is over spec.data.budget.maxTokens, {budget.max_tokens:,}"
    if usd is not None and 0 < budget.max_usd < usd:
        yield f"warning: the estimate of {usd:.2f} USD is over spec.data.budget.maxUSD, {budget.max_usd:.2f}"


def _budget(spec: Spec, use: TeacherUse) -> Iterable[TunesmithError]:
    """A budget that can never be enough, or that cannot be kept since nobody knows the price."""
    from tunesmith_jobs.generate.budget import Ledger

    if not use.calls:
        return
    teacher, limit = spec.data.teacher, spec.data.budget.max_requests
    try:
        Ledger(spec.data.budget, frozenset({teacher.model, teacher.system_message_model or teacher.model}))
    except BadRequest as error:
        yield error
    if 0 < limit < use.calls:
        why = f"{spec.data.examples} examples take at least {use.calls} requests"
        problem = Problem(
            "spec.data.budget.maxRequests",
            why,
            limit,
            "raise it, or ask for fewer examples, or set pairsPerCall",
        )
        yield BadRequest("the budget cannot be enough", reason="BudgetTooSmall", problems=[problem])
