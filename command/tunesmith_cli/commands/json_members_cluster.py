"""The JSON of commands on a cluster, member by member, and what json_members.py has in common with it.

In a path `[]` means each in a list, `<…>` any name, and `?` that the member may be absent.
"""

from collections.abc import Mapping
from typing import NamedTuple

Members = Mapping[str, str]


class Document(NamedTuple):
    """What a command prints. `title`: the commands; `members`: meanings by path."""

    title: str
    members: Members


FORMAT = {"format": "version of this document"}
STAGES = {"name": "stage", "key": "its key", "would": "`run` or `reuse`"}
CHANGES = {
    "path": "field",
    "before": "its value so far",
    "after": "its value then",
    "stage": "first stage whose key it moves",
}


def each(name: str, members: Members) -> Members:
    """The members of each in a list."""
    return {f"{name}[].{path}": text for path, text in members.items()}


SOURCE: Members = {
    f"source?.{name}": text
    for name, text in {
        "uri": "name of the own data that was read; `source` is null if none was; `--check-sources`",
        "sha256": "digest of what was read",
        "size": "bytes",
        "version": "version of the object, or empty",
        "words": "all of this for people",
        "since": "what has become of it, or empty",
    }.items()
}
_REQUEST: Members = {
    **FORMAT,
    "name": "request",
    "namespace": "its namespace",
    "uid": "its uid",
    "generation": "of the spec",
    "observedGeneration": "that the rest is about",
    "created": "when it was created",
    "profile": "its profile",
    "base": "base model",
    "suspended": "whether it is suspended",
    "phase": "in one word",
    "ended": "`Complete`, `Failed`, or empty",
    "stage": "stage that runs",
    "progress": "per cent of it",
    "eta": "when it will be done",
    "queuePlace": "place in the queue; 0: not waiting",
    "reason": "one CamelCase word",
    "message": "what happens now, or what happened and what to do",
    "run": "name of the run",
    "store": "URL that the run lies below",
    "startTime": "when the first stage started",
    "completionTime": "when it ended",
    **each(
        "stages",
        {
            "name": "stage",
            "key": "its key",
            "phase": "how it stands",
            "job": "Job of the latest attempt",
            "attempt": "number of its attempts",
            "pod": "pod that runs, or the last one",
            "startTime": "when it started",
            "completionTime": "when it ended",
            "progress": "per cent done",
            "eta": "when it will be done",
            "metrics.<metric>?": "figures",
            "reason": "one CamelCase word",
            "message": "what it says; of generate, once it is done, which own data it has read",
        },
    ),
    "places.<part>?": "URL of dataset, adapter, model and report, of those that are there",
    **each(
        "conditions",
        {
            "type": "condition",
            "status": "`True`, `False`, `Unknown`",
            "reason": "one CamelCase word",
            "message": "why",
        },
    ),
}

CLUSTER: Mapping[str, Document] = {
    "change": Document(
        "`submit`, `suspend`, `resume`, `retry`, `rerun`, `delete`, on a cluster",
        {
            **FORMAT,
            "dryRun": "`none`, `client` or `server`",
            **each(
                "requests",
                {
                    "name": "request",
                    "namespace": "its namespace",
                    "result": (
                        "`created`, `configured`, `unchanged`, `suspended`, `resumed`, "
                        "`retried`, `rerun`, `deleted`"
                    ),
                    "uid": "its uid; empty if it is not there yet",
                    "patch?": "patch of the request; acts with `--dry-run`",
                    **each("stages?", STAGES | {"key": "its key; empty: only the controller can tell it"}),
                    **each("changes?", CHANGES),
                    "run?": "URL of its run; `delete`",
                    "removed?": "number of objects removed there; null: kept; `delete`",
                },
            ),
            "failed.exitCode": "exit code of a failure half-way; `failed` is null if there was none",
            "failed.reason": "one CamelCase word",
            "failed.message": "what happened",
            "failed.remedy": "what to do",
        },
    ),
    "request": Document(
        "`status NAME`, on a cluster (with `-w` one line for each change)", {**_REQUEST, **SOURCE}
    ),
    "requests": Document(
        "`status`, on a cluster", {**FORMAT, "namespace": "empty: all of them", **each("requests", _REQUEST)}
    ),
    "events": Document(
        "`events`",
        {
            **FORMAT,
            "name": "request",
            "namespace": "its namespace",
            **each(
                "events",
                {
                    "time": "when, the latest time",
                    "type": "`Normal` or `Warning`",
                    "reason": "one CamelCase word",
                    "object": "what it is about, such as `pod/name`",
                    "message": "what happened",
                    "count": "how often",
                },
            ),
        },
    ),
}
