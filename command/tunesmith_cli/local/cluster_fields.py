"""Fields of a request that only a cluster acts on, and that a run on this machine therefore ignores. Pure."""

from collections.abc import Iterator

from pydantic import BaseModel

from tunesmith.request import Spec

_OF_THE_SPEC = ("profile", "ttl_seconds_after_finished", "delete_when_expired", "queue_name", "retry")
_OF_A_STAGE = ("resources", "node_selector", "tolerations", "priority_class_name")


def ignored_here(spec: Spec) -> list[str]:
    """Paths of the fields that the request sets and that have no effect on this machine."""
    paths = [f"spec.{alias}" for alias in _set(spec, _OF_THE_SPEC)]
    for stage in type(spec.stages).model_fields:
        settings = getattr(spec.stages, stage)
        paths += [f"spec.stages.{stage}.{alias}" for alias in _set(settings, _OF_A_STAGE)]
    return paths


def note(spec: Spec) -> str:
    """A sentence that names those fields; empty if there are none."""
    paths = ignored_here(spec)
    if not paths:
        return ""
    if len(paths) == 1:
        return f"{paths[0]} has no effect on this machine; it is for a cluster"
    return f"{', '.join(paths[:-1])} and {paths[-1]} have no effect on this machine; they are for a cluster"


def _set(part: BaseModel, fields: tuple[str, ...]) -> Iterator[str]:
    """Aliases of the fields that have another value than the built-in one."""
    for name in fields:
        field = type(part).model_fields[name]
        if getattr(part, name) != field.get_default(call_default_factory=True):
            yield field.alias or name
