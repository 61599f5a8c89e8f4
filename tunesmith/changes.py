"""What an edit of a request changes: which field moved, and the key of which stage with it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from tunesmith.errors import shortened
from tunesmith.plan import concerns
from tunesmith.reruns import id_of
from tunesmith.resolve import Snapshot, leaves
from tunesmith.stages import ORDER


@dataclass(frozen=True)
class Change:
    """A field that differs between two snapshots.

    `stage`: the first one whose key it moves; None if it changes no result.
    """

    path: str
    before: JsonValue
    after: JsonValue
    stage: str | None

    def __str__(self) -> str:
        effect = f"moves the key of {self.stage}" if self.stage else "changes no result"
        return f"{self.path}: {shortened(self.before, 60)} -> {shortened(self.after, 60)} ({effect})"


def changes(before: Snapshot, after: Snapshot) -> list[Change]:
    """Every leaf of the spec that differs, those that move a key first, in the order of the stages."""
    old, new = _leaves(before), _leaves(after)
    found = [
        Change(path, old.get(path), new.get(path), _stage(path, before, after))
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    ]
    order = [entry.name for entry in after.stages]
    return sorted(
        found, key=lambda change: order.index(change.stage) if change.stage in order else len(order)
    )


def moved(before: Snapshot, after: Snapshot) -> list[str]:
    """Stages whose key differs, or which `before` does not have."""
    keys = {entry.name: entry.key for entry in before.stages}
    return [entry.name for entry in after.stages if keys.get(entry.name) != entry.key]


def _stage(path: str, before: Snapshot, after: Snapshot) -> str | None:
    if path == "rerun":
        return next(
            (stage for stage in ORDER if id_of(before.spec.rerun, stage) != id_of(after.spec.rerun, stage)),
            None,
        )
    return concerns(path)


def _leaves(snapshot: Snapshot) -> Mapping[str, Any]:
    return {
        ".".join(path): value for path, value in leaves(snapshot.spec.model_dump(mode="json", by_alias=True))
    }
