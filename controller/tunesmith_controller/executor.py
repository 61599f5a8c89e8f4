"""Carries out a Decision, in the order that its class gives."""

import json
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any

from tunesmith.status import Status
from tunesmith.wire import ATTEMPT, STAGE, TEACHER_RATE
from tunesmith_controller.api import (
    APPLY,
    MERGE,
    METADATA,
    AlreadyExists,
    Api,
    ApiError,
    Call,
    Conflict,
    NotFound,
    Read,
    Throttled,
)
from tunesmith_controller.applied import applied, without_empty
from tunesmith_controller.caches import Caches
from tunesmith_controller.decide.model import Decision, Delete, Object, Share
from tunesmith_controller.decide.objects import label, name_of, owner_uids, uid_of
from tunesmith_controller.event_writer import EventWriter
from tunesmith_controller.logs import log_keys
from tunesmith_controller.refusals import Refusals
from tunesmith_controller.rights import CONFIG_MAPS, JOBS, PODS, REQUEST_STATUS, REQUESTS, Resource
from tunesmith_controller.rivals import Rivals
from tunesmith_controller.salvage import read_item
from tunesmith_controller.snapshot_reader import SnapshotReader

log = logging.getLogger(__name__)

MANAGER = "tunesmith-controller"
# Seconds that containers beside a stage's have to end, once the stage is over: Kubernetes' own. The pod's is
# for saving the stage's state.
GRACE = 30
_KINDS: Mapping[str, Resource] = {"Job": JOBS, "ConfigMap": CONFIG_MAPS}


class NotLeading(Exception):
    """The lease is lost or about to be, so nothing may be written any more."""


class Executor:
    """Makes the calls of a decision. `leading` is asked before each write.

    `unknown`: paths of fields that the installed definition lacks, to be set before the first decision.
    """

    def __init__(
        self,
        api: Api,
        caches: Caches,
        snapshots: SnapshotReader,
        events: EventWriter,
        leading: Callable[[], bool],
    ) -> None:
        self._api = api
        self._caches = caches
        self._snapshots = snapshots
        self._events = events
        self._leading = leading
        self.refusals = Refusals()
        self.rivals = Rivals()
        self.unknown: Collection[str] = ()

    def carry_out(self, request: Object, decision: Decision) -> float | None:
        """Returns the seconds after which a refused create is to be tried again.

        Raises Conflict if the request has changed since it was read, NotFound if it is gone; NotLeading;
        other ApiErrors; and Unreachable.
        """
        maps = tuple(item for item in decision.creates if item["kind"] == "ConfigMap")
        jobs = tuple(item for item in decision.creates if item["kind"] == "Job")
        again = self._create_all(request, maps) if maps else None
        if again is not None:  # the status says why, but names no snapshot that is not there
            before = str((request.get("status") or {}).get("snapshot", ""))
            self._write_status(request, decision.status.model_copy(update={"snapshot": before}), always=False)
            return again
        acts = bool(jobs or decision.deletes or decision.pods or decision.delete_request)
        version = self._write_status(request, decision.status, always=acts)
        for pod in decision.pods:
            self._delete_pod(request, pod)
        for delete in decision.deletes:
            self._delete(request, delete)
        again = self._create_all(request, jobs)
        for share in decision.shares:
            self._share(request, share)
        for note in decision.notes:
            self._events.write(request, note)
        if decision.delete_request:
            self._delete_request(request, version)
        return again

    def _write_status(self, request: Object, status: Status, *, always: bool) -> str:
        """Returns the request's version.

        `always`: writes an equal status too, so that a replica with an old view fails here, before it creates
        or deletes anything.
        """
        body = applied(request, status, self.unknown)
        metadata = request["metadata"]
        if not always and body["status"] == without_empty(request.get("status") or {}):
            return str(metadata["resourceVersion"])
        query = {"fieldManager": MANAGER, "force": "true"}
        # The whole request in each answer would be as large as it is, and may be one that cannot be read.
        call = Call(
            "patch", REQUEST_STATUS, metadata["namespace"], metadata["name"], query, body, APPLY, METADATA
        )
        written = self._write(call, read_item)["metadata"]
        version = str(written["resourceVersion"])
        self.rivals.wrote(request, version, body["status"])
        self._caches.requests.put_answer({**request, "metadata": written, "status": body["status"]})
        return version

    def _delete(self, request: Object, delete: Delete) -> None:
        namespace = request["metadata"]["namespace"]
        options = _options({"uid": delete.uid}, "Foreground")
        try:
            answer = self._write(Call("delete", JOBS, namespace, delete.name, body=options))
        except NotFound:
            return
        except Conflict:  # another Job has the name by now, and the cache will show it
            log.info("Job %s/%s is not deleted: its uid has changed", namespace, delete.name)
            return
        log.info("Job %s is deleted", delete.name, extra=log_keys(request))
        if answer.get("kind") == "Job":
            self._caches.jobs.put_answer(answer)

    def _delete_pod(self, request: Object, delete: Delete) -> None:
        namespace = request["metadata"]["namespace"]
        options = _options({"uid": delete.uid}, "Background") | {"gracePeriodSeconds": GRACE}
        try:
            answer = self._write(Call("delete", PODS, namespace, delete.name, body=options))
        except (NotFound, Conflict):  # it has ended meanwhile, or another one has its name
            return
        log.info(
            "pod %s is deleted: its stage is over, and it lives on", delete.name, extra=log_keys(request)
        )
        if answer.get("kind") == "Pod":
            self._caches.pods.put_answer(answer)

    def _delete_request(self, request: Object, version: str) -> None:
        metadata = request["metadata"]
        # An edit since this version keeps the request.
        options = _options({"uid": metadata["uid"], "resourceVersion": version}, "Background")
        self._write(Call("delete", REQUESTS, metadata["namespace"], metadata["name"], body=options))

    def _share(self, request: Object, share: Share) -> None:
        namespace = request["metadata"]["namespace"]
        body = {"metadata": {"uid": share.uid, "annotations": {TEACHER_RATE: str(share.rate)}}}
        try:
            answer = self._write(Call("patch", PODS, namespace, share.pod, body=body, content_type=MERGE))
        except ApiError as error:
            # It is gone, or another pod has its name: the patch of another uid is answered 422.
            if error.status in (404, 409, 422):
                return
            raise
        text = "pod %s may send %d requests a minute to the teacher"
        log.info(text, share.pod, share.rate, extra=log_keys(request))
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
                text = f"{item['kind']} {name_of(item)} cannot be created: {refused}"
                log.warning("%s", text, extra=log_keys(request))
                self.refusals.add(request, text)
                return 0.0  # look again at once, for the status; the wait above delays the next try
        self.refusals.clear(uid)
        return None

    def _create(self, request: Object, item: Object) -> str:
        """Creates an object; returns why it cannot be created, or nothing.

        If this request's object of that name exists already, all is well.
        """
        resource = _KINDS[item["kind"]]
        namespace = request["metadata"]["namespace"]
        existed = False
        try:
            answer = self._write(Call("create", resource, namespace, body=item))
        except AlreadyExists:
            existed = True
            answer = self._existing(resource, namespace, name_of(item))
            if uid_of(request) not in owner_uids(answer):
                return (
                    f"NameConflict: a {item['kind']} named {name_of(item)} exists already and is not this "
                    "request's; delete it, or apply the request under another name"
                )
        except Throttled:
            raise
        except ApiError as error:
            return f"{error.reason or error.status}: {error.message}"
        if resource is JOBS:
            state = "there" if existed else "made"
            log.info("Job %s is %s", name_of(item), state, extra=log_keys(request) | _labelled(item))
            self._caches.jobs.put_answer(answer, tell=existed)  # an existing one may have ended long ago
        else:
            self._snapshots.remember(request, answer)
        return ""

    def _existing(self, resource: Resource, namespace: str, name: str) -> dict[str, Any]:
        """An object that existed a moment ago.

        Raises Conflict if it has gone, so that there is another look soon.
        """
        try:
            return self._api.send(Call("get", resource, namespace, name))
        except NotFound as error:
            raise Conflict(409, "Conflict", f"{name} was deleted meanwhile") from error

    def _write(self, call: Call, read: Read = json.loads) -> dict[str, Any]:
        if not self._leading():
            raise NotLeading
        return self._api.send(call, read=read)


def _labelled(job: Object) -> dict[str, str]:
    values = {"stage": label(job, STAGE), "attempt": label(job, ATTEMPT)}
    return {key: value for key, value in values.items() if value}


def _options(preconditions: Mapping[str, str], propagation: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": preconditions,
        "propagationPolicy": propagation,
    }
