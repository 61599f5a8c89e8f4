"""Composes the report from what evaluate found and from what the stages before it left."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import JsonValue

from tunesmith.manifest import Manifest, Pin
from tunesmith.resolve import BUILT_IN, Snapshot, leaves
from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.evaluate.findings import Findings
from tunesmith_jobs.evaluate.metrics.metric import Comparison
from tunesmith_jobs.evaluate.report import Figure, Report, Setting, StageFacts, Teacher
from tunesmith_jobs.finished import Finished
from tunesmith_jobs.versions import versions


@dataclass(frozen=True)
class Inputs:
    """What evaluate reads: the stages before it, the base model's pin, and the run's system message."""

    data: Finished
    trained: Finished
    merged: Finished
    base: Pin
    system: str

    @property
    def model_card(self) -> JsonValue:
        """The facts of the model card that merge left, if it left any."""
        return self.merged.manifest.details.get("modelCard")


def compose(attempt: Attempt, inputs: Inputs, findings: Findings, device: str) -> Report:
    """The report. `device`: the name of what the models ran on."""
    data, trained, merged = inputs.data, inputs.trained, inputs.merged
    data_report = _report_of(data)
    verdict = findings.verdict
    return Report(
        name=attempt.snapshot.name,
        run=attempt.snapshot.run,
        namespace=attempt.snapshot.namespace,
        created=datetime.now(UTC),
        task=attempt.spec.task,
        system_message=inputs.system,
        level=verdict.level,
        lead=verdict.lead,
        detail=verdict.detail,
        notes=verdict.notes,
        figures=tuple(figures(findings.comparisons)),
        answers=findings.answers,
        curve=curve(trained.read("history.jsonl")) if "history.jsonl" in trained.names() else (),
        data=data_report,
        teacher=_teacher(inputs, data_report),
        training=_report_of(trained),
        merge=_report_of(merged),
        settings=settings(attempt.snapshot),
        stages=(*(_stage_facts(stage.manifest) for stage in (data, trained, merged)), _this_stage(attempt)),
        pins={**data.manifest.pins, "base": inputs.base},
        model_files=tuple(file for file in merged.manifest.files if file.path.startswith("model/")),
        device=device,
        max_new_tokens=attempt.spec.evaluation.max_new_tokens,
    )


def figures(comparisons: Mapping[str, Comparison | None]) -> Iterator[Figure]:
    """The figure of every metric that was measured."""
    for name, comparison in comparisons.items():
        if comparison is None:
            continue
        gain = comparison.gain
        yield Figure(
            metric=name,
            base=comparison.base,
            merged=comparison.merged,
            gain=gain.value,
            low=gain.low,
            high=gain.high,
            rows=gain.n,
        )


def curve(history: bytes) -> tuple[dict[str, float], ...]:
    """Train's history: the numbers of each entry by name. Lines that are not objects are left out."""
    entries = [json.loads(line) for line in history.split(b"\n") if line.strip()]
    return tuple(
        {name: float(value) for name, value in entry.items() if isinstance(value, int | float)}
        for entry in entries
        if isinstance(entry, dict)
    )


def settings(snapshot: Snapshot) -> tuple[Setting, ...]:
    """Every value of the resolved request but the task: those that somebody set first."""
    filled = snapshot.spec.model_dump(mode="json", by_alias=True)
    values = {".".join(path): value for path, value in leaves(filled)}
    rows = [
        Setting(path=path, value=value, source=snapshot.provenance.get(path, BUILT_IN))
        for path, value in values.items()
        if path != "task"
    ]
    return tuple(sorted(rows, key=lambda setting: setting.built_in))


def _report_of(stage: Finished) -> dict[str, JsonValue]:
    """A stage's own report, empty if it left none."""
    report = json.loads(stage.read("report.json")) if "report.json" in stage.names() else {}
    return report if isinstance(report, dict) else {}


def _stage_facts(manifest: Manifest) -> StageFacts:
    return StageFacts(
        name=manifest.stage,
        key=manifest.key,
        attempt=manifest.attempt,
        seconds=manifest.seconds,
        bytes=sum(file.size for file in manifest.files),
        created=manifest.created,
        versions=manifest.versions,
    )


def _this_stage(attempt: Attempt) -> StageFacts:
    """Evaluate itself, which has no manifest yet."""
    return StageFacts(
        name=attempt.stage,
        key=attempt.key,
        attempt=attempt.id,
        seconds=round(time.monotonic() - attempt.started, 3),
        bytes=0,
        created=None,
        versions=versions(),
    )


def _teacher(inputs: Inputs, data_report: Mapping[str, JsonValue]) -> Teacher:
    """Who wrote the examples: from the dataset part of the model card, generate's report and its metrics."""
    card = _member(inputs.model_card, "dataset")
    reported = _member(data_report, "teacher")
    metrics = inputs.data.manifest.metrics

    def number(name: str) -> float | None:
        value = reported.get(name, metrics.get(name))
        return value if isinstance(value, int | float) else None

    def count(name: str) -> int | None:
        value = number(name)
        return None if value is None else int(value)

    usd = number("usd")
    return Teacher(
        name=str(card.get("teacher") or ""),
        scripted=bool(card.get("scripted")),
        endpoint=str(card.get("endpoint") or ""),
        origin=str(card.get("origin") or ""),
        usd=None if usd is None else float(usd),
        calls=count("calls") or 0,
        input_tokens=count("inputTokens"),
        output_tokens=count("outputTokens"),
    )


def _member(value: JsonValue | Mapping[str, JsonValue], name: str) -> Mapping[str, JsonValue]:
    """An object's member that is itself an object; empty if there is none."""
    member = value.get(name) if isinstance(value, Mapping) else None
    return member if isinstance(member, Mapping) else {}
