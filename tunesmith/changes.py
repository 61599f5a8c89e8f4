"""What an edit of a request changes: the fields that differ, and the stages whose keys follow. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from tunesmith.errors import shortened
from tunesmith.plan import concerns, in_keys
from tunesmith.reruns import id_of
from tunesmith.resolve import Snapshot, leaves
from tunesmith.stages import ORDER


@dataclass(frozen=True)
class Change:
    """A field that differs between two snapshots.

    `stage` is the first stage whose key it changes, or None if it changes no result.
    """

    path: str
    before: JsonValue
    after: JsonValue
    stage: str | None

    def __str__(self) -> str:
        effect = f"moves the key of {self.stage}" if self.stage else "changes no result"
        before, after = _differing(self.before, self.after), _differing(self.after, self.before)
        return f"{self.path}: {shortened(before, 60)} -> {shortened(after, 60)} ({effect})"


def changes(before: Snapshot, after: Snapshot) -> list[Change]:
    """Every leaf of the spec that differs. Those that change a key come first, in the order of the stages."""
    old = _leaves(before)
    new = _leaves(after)
    keyed = _keyed(before, after)
    differing = [
        Change(path, old.get(path), new.get(path), _stage(path, before, after) if path in keyed else None)
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    ]
    order = {entry.name: place for place, entry in enumerate(after.stages)}
    return sorted(differing, key=lambda change: order.get(change.stage or "", len(order)))


def moved(before: Snapshot, after: Snapshot) -> list[str]:
    """Stages that `before` does not have, or has with another key."""
    keys = {entry.name: entry.key for entry in before.stages}
    return [entry.name for entry in after.stages if keys.get(entry.name) != entry.key]


def _keyed(before: Snapshot, after: Snapshot) -> set[str]:
    """Paths whose values differ as they enter keys. Reruns enter them otherwise."""
    old, new = in_keys(before.spec), in_keys(after.spec)
    return {"rerun", *(path for path in old.keys() | new.keys() if old.get(path) != new.get(path))}


def _differing(value: JsonValue, other: JsonValue) -> JsonValue:
    """The value; of a mapping only the members that the other does not have alike."""
    if not isinstance(value, dict) or not isinstance(other, dict):
        return value
    return {name: member for name, member in value.items() if other.get(name) != member}


def _stage(path: str, before: Snapshot, after: Snapshot) -> str | None:
    if path != "rerun":
        return concerns(path)
    old = before.spec.rerun
    new = after.spec.rerun
    return next((stage for stage in ORDER if id_of(old, stage) != id_of(new, stage)), None)


def _leaves(snapshot: Snapshot) -> Mapping[str, Any]:
    spec = snapshot.spec.model_dump(mode="json", by_alias=True)
    return {".".join(path): value for path, value in leaves(spec)}
