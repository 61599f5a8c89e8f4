"""Carries out a Decision, in the order that model.Decision gives. The status names a Job before it is made."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.status import Status
from tunesmith.wire import ATTEMPT, STAGE, TEACHER_RATE
from tunesmith_controller.api import (
    APPLY,
    MERGE,
    AlreadyExists,
    Api,
    ApiError,
    Call,
    Conflict,
    NotFound,
    Throttled,
)
from tunesmith_controller.decide.model import Decision, Delete, Object, Share
from tunesmith_controller.event_writer import EventWriter
from tunesmith_controller.rights import CONFIG_MAPS, JOBS, PODS, REQUEST_STATUS, REQUESTS, Resource
from tunesmith_controller.snapshot_reader import SnapshotReader
from tunesmith_controller.world import Caches

log = logging.getLogger(__name__)

MANAGER = "tunesmith-controller"
_KINDS: Mapping[str, Resource] = {"Job": JOBS, "ConfigMap": CONFIG_MAPS}
FIRST_RETRY, LAST_RETRY = (
    5.0,
    60.0,
)  # seconds until a refused create is tried again: mending it shows within a minute


class NotLeading(Exception):
    """The lease is lost or about to be: nothing may be written any more."""


@dataclass(frozen=True)
class Refusal:
    """What the API server said to a create. `until`: monotonic time before which it is not tried again, unless the request was edited."""

    message: str
    generation: int
    until: float
    count: int


class Refusals:
    """Refused creates by uid of the request, with a backoff of their own: events about a request must not make them come faster."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, Refusal] = {}

    def message(self, uid: str) -> str:
        """What was said to the last create, or nothing."""
        known = self._known.get(uid)
        return known.message if known else ""

    def wait(self, request: Object) -> float:
        """Seconds until a create may be tried again."""
        known = self._known.get(request["metadata"]["uid"])
        if known is None or known.generation != request["metadata"].get("generation"):
            return 0.0
        return max(0.0, known.until - self._clock())

    def add(self, request: Object, message: str) -> None:
        """A create was refused."""
        uid = request["metadata"]["uid"]
        count = self._known[uid].count + 1 if uid in self._known else 1
        wait = min(LAST_RETRY, FIRST_RETRY * 2.0 ** (count - 1))
        self._known[uid] = Refusal(
            message, request["metadata"].get("generation", 0), self._clock() + wait, count
        )

    def clear(self, uid: str) -> None:
        """A create went through, nothing is to be made any more, or the request is gone."""
        self._known.pop(uid, None)


def applied(request: Object, status: Status) -> dict[str, Any]:
    """What is applied: the whole status, bound to the version that the decision was made on. Pure.

    The version guards a request that was made again under its name, too: versions are never used twice. A uid here would not: the
    API server does not look at it in a status (tried with 1.36).
    """
    metadata = request["metadata"]
    return {
        "apiVersion": request["apiVersion"],
        "kind": request["kind"],
        "metadata": {name: metadata[name] for name in ("name", "namespace", "resourceVersion")},
        "status": status_json(status),
    }


def status_json(status: Status) -> dict[str, Any]:
    """A status as JSON, without what is empty: the API server keeps empty texts and lists, and people would read them. Pure."""
    pruned: dict[str, Any] = _without_empty(status.model_dump(mode="json", by_alias=True))
    if not status.queue_place:  # else `kubectl get -o wide` shows a place 0 to those that do not wait
        del pruned["queuePlace"]
    return pruned


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: _without_empty(inner) for name, inner in value.items()}
        return {name: inner for name, inner in kept.items() if inner not in (None, "", [], {})}
    return [_without_empty(inner) for inner in value] if isinstance(value, list) else value


class Executor:
    """Sends what a decision says. `leading` is asked before each write."""

    def __init__(
        self,
        api: Api,
        caches: Caches,
        snapshots: SnapshotReader,
        notes: EventWriter,
        leading: Callable[[], bool],
    ) -> None:
        self._api, self._caches, self._snapshots, self._notes, self._leading = (
            api,
            caches,
            snapshots,
            notes,
            leading,
        )
        self.refusals = Refusals()

    def carry_out(self, request: Object, decision: Decision) -> float | None:
        """Returns the seconds after which a refused create is to be tried again.

        Raises Conflict if the request has changed since it was read, NotFound if it is gone, NotLeading, other ApiErrors and Unreachable.
        """
        maps = tuple(item for item in decision.creates if item["kind"] == "ConfigMap")
        jobs = tuple(item for item in decision.creates if item["kind"] == "Job")
        again = self._create_all(request, maps) if maps else None
        if again is not None:  # the status says why, but names no snapshot that is not there
            before = str((request.get("status") or {}).get("snapshot", ""))
            self._write_status(request, decision.status.model_copy(update={"snapshot": before}), always=False)
            return again
        version = self._write_status(
            request, decision.status, always=bool(jobs or decision.deletes or decision.delete_request)
        )
        for delete in decision.deletes:
            self._delete(request, delete)
        again = self._create_all(request, jobs)
        for share in decision.shares:
            self._share(request, share)
        for note in decision.notes:
            self._notes.say(request, note)
        if decision.delete_request:
            metadata = request["metadata"]
            options = _options(
                {"uid": metadata["uid"], "resourceVersion": version}, "Background"
            )  # an edit since then keeps it
            self._write(Call("delete", REQUESTS, metadata["namespace"], metadata["name"], body=options))
        return again

    def _write_status(self, request: Object, status: Status, *, always: bool) -> str:
        """Returns the request's version. `always`: write an equal one too, so that a replica with an old view fails here, before it
        makes or deletes anything.
        """
        body, metadata = applied(request, status), request["metadata"]
        if not always and body["status"] == _without_empty(request.get("status") or {}):
            return str(metadata["resourceVersion"])
        query = {"fieldManager": MANAGER, "force": "true"}
        call = Call("patch", REQUEST_STATUS, metadata["namespace"], metadata["name"], query, body, APPLY)
        answer = self._write(call)
        self._caches.requests.put_answer(answer)
        return str(answer["metadata"]["resourceVersion"])

    def _delete(self, request: Object, delete: Delete) -> None:
        namespace = request["metadata"]["namespace"]
        try:
            answer = self._write(
                Call("delete", JOBS, namespace, delete.name, body=_options({"uid": delete.uid}, "Foreground"))
            )
        except NotFound:
            return
        except Conflict:  # another Job has the name by now; the cache will show it
            log.info("Job %s/%s is not deleted: it has another uid than it had", namespace, delete.name)
            return
        log.info("Job %s is deleted", delete.name, extra=said_of(request))
        if answer.get("kind") == "Job":
            self._caches.jobs.put_answer(answer)

    def _share(self, request: Object, share: Share) -> None:
        body = {"metadata": {"uid": share.uid, "annotations": {TEACHER_RATE: str(share.rate)}}}
        try:
            answer = self._write(
                Call(
                    "patch", PODS, request["metadata"]["namespace"], share.pod, body=body, content_type=MERGE
                )
            )
        except ApiError as error:
            if error.status in (
                404,
                409,
                422,
            ):  # it is gone, or another one has its name: a patch of another uid is 422 for a pod
                return
            raise
        log.info(
            "pod %s may send %d requests a minute to the teacher",
            share.pod,
            share.rate,
            extra=said_of(request),
        )
        self._caches.pods.put_answer(answer)

    def _create_all(self, request: Object, creates: tuple[Object, ...]) -> float | None:
        uid = request["metadata"]["uid"]
        if not creates:
            self.refusals.clear(uid)
            return None
        wait = self.refusals.wait(request)
        if wait > 0:
            return wait
        for item in creates:
            refused = self._create(request, item)
            if refused:
                log.warning(
                    "%s %s cannot be made: %s",
                    item["kind"],
                    item["metadata"]["name"],
                    refused,
                    extra=said_of(request),
                )
                self.refusals.add(request, refused)
                return 0.0  # look again at once, so that the status says it; the wait above holds the next try back
        self.refusals.clear(uid)
        return None

    def _create(self, request: Object, item: Object) -> str:
        """Makes an object; returns why it cannot be made, or nothing. An object of that name which is this request's is as good as made."""
        resource, metadata, found = _KINDS[item["kind"]], request["metadata"], False
        try:
            made = self._write(Call("create", resource, metadata["namespace"], body=item))
        except AlreadyExists:
            made, found = self._there(resource, metadata["namespace"], item["metadata"]["name"]), True
            if metadata["uid"] not in [owner["uid"] for owner in made["metadata"].get("ownerReferences", ())]:
                return (
                    f"NameConflict: a {item['kind']} named {item['metadata']['name']} exists already and is not this request's; "
                    "delete it, or apply the request under another name"
                )
        except Throttled:
            raise
        except ApiError as error:
            return f"{error.reason or error.status}: {error.message}"
        if resource is JOBS:
            log.info(
                "Job %s is %s",
                item["metadata"]["name"],
                "there" if found else "made",
                extra=said_of(request) | _labelled(item),
            )
            self._caches.jobs.put_answer(made, tell=found)  # one that was there may have ended long ago
        else:
            self._snapshots.remember(request, made)
        return ""

    def _there(self, resource: Resource, namespace: str, name: str) -> dict[str, Any]:
        """An object that was there a moment ago. Raises Conflict if it is not any more: it is looked at again soon."""
        try:
            return self._api.send(Call("get", resource, namespace, name))
        except NotFound as error:
            raise Conflict(409, "Conflict", f"{name} went while it was looked at") from error

    def _write(self, call: Call) -> dict[str, Any]:
        if not self._leading():
            raise NotLeading
        return self._api.send(call)


def said_of(request: Object) -> dict[str, str]:
    """The keys that every log line about a request carries."""
    return {"namespace": request["metadata"].get("namespace", ""), "request": request["metadata"]["name"]}


def _labelled(job: Object) -> dict[str, str]:
    labels = job["metadata"].get("labels", {})
    return {key: labels[label] for key, label in (("stage", STAGE), ("attempt", ATTEMPT)) if label in labels}


def _options(preconditions: Mapping[str, str], propagation: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": preconditions,
        "propagationPolicy": propagation,
    }
