"""Figures of a dataset: how diverse it is, how many duplicates it had, what leaks, what it cost. Pure."""

import math
import zlib
from collections import Counter
from collections.abc import Sequence

from pydantic import JsonValue

from tunesmith_jobs.generate.caller import CallFigures
from tunesmith_jobs.generate.dataset import Dataset
from tunesmith_jobs.generate.dedupe import normalised, words
from tunesmith_jobs.generate.duplicates import clusters_of
from tunesmith_jobs.generate.leakage import Nearest
from tunesmith_jobs.generate.split import Split

EXAMPLES = 5
REJECTED_EXAMPLES = 3  # for each reason
LONGEST = 1000  # characters of each of their texts
_SHARES = (("min", 0.0), ("p50", 0.5), ("p95", 0.95), ("max", 1.0))


def report(dataset: Dataset, parts: Split, nearest: Sequence[Nearest], *, task: str) -> dict[str, JsonValue]:
    """report.json: all figures with their units in the names, and some rows to look at."""
    rows = dataset.rows
    prompts = [row.prompt for row in rows]
    responses = [row.response for row in rows]
    shown = [rows[key] for key in [*parts.train[:EXAMPLES], *parts.test[:2]]]
    return {
        "task": task,
        "systemMessage": dataset.system_message,
        "rows": {
            "accepted": len(rows),
            "offered": dataset.offered,
            "train": len(parts.train),
            "validation": len(parts.validation),
            "test": len(parts.test),
        },
        "rejected": dict(dataset.reasons()),
        "rejectedExamples": rejected_examples(dataset),
        "duplicates": clusters_of(dataset.dropped, {row.id: row.prompt for row in rows}),
        "split": {
            "clusterSimilarity": parts.threshold,
            "clusters": parts.clusters,
            "templateShingles": len(parts.template),
        },
        "leakage": leakage(dataset, nearest),
        "diversity": {"prompts": diversity(prompts), "responses": diversity(responses)},
        "characters": {
            "prompts": quantiles([len(text) for text in prompts]),
            "responses": quantiles([len(text) for text in responses]),
        },
        "coverage": {axis: coverage(counts) for axis, counts in dataset.coverage.items()},
        "teacher": dict(dataset.figures),
        **({"documents": dataset.passages.figures()} if dataset.passages else {}),
        "examples": [{"id": row.id, "prompt": row.prompt, "response": row.response} for row in shown],
    }


def rejected_examples(dataset: Dataset) -> dict[str, JsonValue]:
    """The first of what was left out, by reason."""
    shown: dict[str, list[JsonValue]] = {}
    for rejected in dataset.rejected:
        examples = shown.setdefault(rejected.reason, [])
        if len(examples) < REJECTED_EXAMPLES:
            members = rejected.to_json().items()
            examples.append({name: _short(value) for name, value in members if name != "reason"})
    return dict(sorted(shown.items()))


def _short(value: JsonValue) -> JsonValue:
    return value[:LONGEST] if isinstance(value, str) else value


def leakage(dataset: Dataset, nearest: Sequence[Nearest]) -> dict[str, JsonValue]:
    """How near the rows of test and validation are to the train rows most like them, 0 to 1.

    By the prompts' similarity (Jaccard, of 3-shingles without the template), and by `overlap`, the share of a
    row's 10-grams that one train row has; `nearest`: the rows for which these are highest.
    """
    by_similarity = sorted(nearest, key=lambda each: (-max(each.similarity, each.overlap), each.row))
    return {
        "rows": len(nearest),
        **_spread([each.similarity for each in nearest]),
        "overlap": _spread([each.overlap for each in nearest]),
        "nearest": [_nearest(dataset, each) for each in by_similarity[:EXAMPLES]],
    }


def _spread(values: Sequence[float]) -> dict[str, JsonValue]:
    ordered = sorted(values)
    return {name: round(quantile(ordered, share), 4) for name, share in _SHARES if name != "min"}


def _nearest(dataset: Dataset, each: Nearest) -> dict[str, JsonValue]:
    other = each.like if each.similarity >= each.overlap else each.copy_of
    shown: dict[str, JsonValue] = {
        "id": dataset.rows[each.row].id,
        "prompt": dataset.rows[each.row].prompt,
        "similarity": round(each.similarity, 4),
        "overlap": round(each.overlap, 4),
    }
    if other is not None:
        shown |= {"trainId": dataset.rows[other].id, "trainPrompt": dataset.rows[other].prompt}
    return shown


def diversity(texts: Sequence[str]) -> dict[str, JsonValue]:
    """How much texts differ.

    distinct-n: different n-grams over all n-grams (Li et al. 2016). compressionRatio: size over zlib's size
    (Shaib et al. 2024), which rises as the texts repeat each other, and depends on their length. unique:
    different texts over all.
    """
    if not texts:
        return {}
    tokenised = [words(normalised(text)) for text in texts]
    data = "\n".join(texts).encode()
    return {
        **{f"distinct{size}": round(_distinct(tokenised, size), 4) for size in (1, 2, 3)},
        "compressionRatio": round(len(data) / len(zlib.compress(data, 9)), 3) if data else 0.0,
        "unique": round(len(set(texts)) / len(texts), 4),
    }


def coverage(counts: Counter[str]) -> dict[str, JsonValue]:
    """Rows for each value of an axis, and how even they are: entropy over that of equal shares, 0 to 1."""
    total = sum(counts.values())
    entropy = -sum(count / total * math.log(count / total) for count in counts.values())
    even = entropy / math.log(len(counts)) if len(counts) > 1 else 1.0
    return {"values": dict(counts.most_common()), "evenness": round(even, 4)}


def quantiles(values: Sequence[float]) -> dict[str, JsonValue]:
    """Minimum, median, 95th percentile and maximum."""
    ordered = sorted(values)
    return {name: quantile(ordered, share) for name, share in _SHARES}


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` of the ordered values lie (nearest rank); 0 without values."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def call_report(
    figures: CallFigures,
    *,
    seconds: float,
    priced: bool,
    most_in_flight: int,
    widest: int,
    requests_per_minute: int,
) -> dict[str, float]:
    """What the calls took.

    `efficiency`: the least time that they could take, over the time that they took; without a meaning where
    calls came in batches.
    """
    latencies = sorted(figures.latencies)
    mean = sum(latencies) / len(latencies) if latencies else 0.0
    least = mean * -(-len(latencies) // widest)
    if requests_per_minute:
        least = max(least, len(latencies) / requests_per_minute * 60)
    numbers = {
        "calls": figures.calls,
        "callsReused": figures.reused,
        "faults": figures.faults.total(),
        "inputTokens": figures.input_tokens,
        "outputTokens": figures.output_tokens,
        "seconds": round(seconds, 3),
        "latencyP50Seconds": round(quantile(latencies, 0.5), 3),
        "latencyP95Seconds": round(quantile(latencies, 0.95), 3),
        "mostInFlight": most_in_flight,
        "efficiency": round(min(1.0, least / seconds), 4) if seconds and latencies else 1.0,
    }
    if figures.in_batches:
        numbers["callsInBatches"] = figures.in_batches
        del numbers["efficiency"]
    return {**numbers, "usd": round(figures.usd, 6)} if priced else numbers


def _distinct(tokenised: Sequence[Sequence[str]], size: int) -> float:
    grams = [tuple(tokens[at : at + size]) for tokens in tokenised for at in range(len(tokens) - size + 1)]
    return len(set(grams)) / len(grams) if grams else 1.0
