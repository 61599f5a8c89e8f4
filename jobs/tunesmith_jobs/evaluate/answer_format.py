"""From what the two models said to figures. Pure.

A row's loss is kept as nats and tokens, not as their quotient, so that the loss of a split is that of all its tokens.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jsonschema
import referencing

from tunesmith.errors import BadRequest, Problem
from tunesmith.settings import Format
from tunesmith_jobs.evaluate.bootstrap import Gain, gain

Judge = Callable[[str], str]  # what is wrong with an answer's form; empty if nothing is


@dataclass(frozen=True)
class RowLoss:
    """Loss on the response of one row: `nats` over `tokens` (the end-of-turn token among them)."""

    nats: float
    tokens: int


@dataclass(frozen=True)
class Comparison:
    """One figure of both models over the same rows. For shares `base` and `merged` are between 0 and 1; for loss, nats per token."""

    base: float
    merged: float
    gain: Gain


def is_exact(answer: str, expected: str) -> bool:
    """Whether an answer is the expected one, but for blanks around it."""
    return answer.strip() == expected.strip()


def format_judge(wanted: Format | None) -> Judge | None:
    """What tells whether an answer has the wanted form; None if none is wanted. Raises BadRequest for a schema that is none."""
    if wanted is None:
        return None
    if wanted.regex is not None:
        pattern = re.compile(wanted.regex)
        return lambda answer: (
            "" if pattern.fullmatch(answer.strip()) else "does not match the regular expression"
        )
    schema = wanted.json_schema or {}
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        problem = Problem("spec.evaluation.format.jsonSchema", f"is no JSON Schema: {error.message}")
        raise BadRequest("the answers' format can't be checked", problems=[problem]) from error
    # An empty registry: a `$ref` to the network stays unresolved instead of being fetched.
    validator = jsonschema.Draft202012Validator(schema, registry=referencing.Registry())

    def judge(answer: str) -> str:
        try:
            value = json.loads(answer)
        except ValueError as error:
            return f"no JSON: {error}"
        try:
            wrong = next(validator.iter_errors(value), None)
        except referencing.exceptions.Unresolvable as error:
            problem = Problem("spec.evaluation.format.jsonSchema", f"points at what is not in it: {error}")
            raise BadRequest("the answers' format can't be checked", problems=[problem]) from error
        return f"{wrong.json_path}: {wrong.message}" if wrong else ""

    return judge


def compare_losses(base: Sequence[RowLoss], merged: Sequence[RowLoss], *, seed: int) -> Comparison | None:
    """Loss over all response tokens of a split, with the gain (how far it fell). None without rows or tokens."""
    pairs = [(old, new) for old, new in zip(base, merged, strict=True) if old.tokens > 0]
    found = gain([old.nats - new.nats for old, new in pairs], [old.tokens for old, _ in pairs], seed=seed)
    if found is None:
        return None
    tokens = sum(old.tokens for old, _ in pairs)
    return Comparison(
        sum(old.nats for old, _ in pairs) / tokens, sum(new.nats for _, new in pairs) / tokens, found
    )


def compare_shares(base: Sequence[bool], merged: Sequence[bool], *, seed: int) -> Comparison | None:
    """Share of rows for which something is true, with the gain. None without rows."""
    found = gain([float(new) - float(old) for old, new in zip(base, merged, strict=True)], seed=seed)
    if found is None:
        return None
    return Comparison(sum(base) / len(base), sum(merged) / len(merged), found)


def metrics(comparisons: dict[str, Comparison | None]) -> dict[str, float]:
    """The figures by the names that the gate and `status` know: `lossBase`, `lossMerged`, `lossGain`, `lossGainLow`, …

    Without rows a figure is left out; with one row its interval is, since one row can't show a spread.
    """
    found: dict[str, float] = {}
    for name, comparison in comparisons.items():
        if comparison is None:
            continue
        found |= {
            f"{name}Base": comparison.base,
            f"{name}Merged": comparison.merged,
            f"{name}Gain": comparison.gain.value,
        }
        if comparison.gain.low is not None and comparison.gain.high is not None:
            found |= {f"{name}GainLow": comparison.gain.low, f"{name}GainHigh": comparison.gain.high}
    return found
