"""A cluster of one namespace in memory: API server, Job controller and kubelet, step by step.

It holds the rules that reconcile relies on: versions and 409, uids, status apart from spec, generations,
children that go with their owner, Jobs that are deleted in the foreground (they stay until their pods are
gone). Policies may change what is made: `beside` is a container that every pod gets and that does not end by
itself; with `gone_at_once`, Jobs and their pods vanish as soon as they have ended. Time is a number that only
`later` moves.
"""

import copy
from datetime import UTC, datetime, timedelta

from requests_for_tests import document

from tunesmith import wire
from tunesmith.events import Result
from tunesmith.profile import S3, Images, Profile
from tunesmith.wire import API_VERSION, TEACHER_RATE
from tunesmith_controller.applied import status_json
from tunesmith_controller.decide.model import Config, World
from tunesmith_controller.decide.objects import rfc3339, terminated
from tunesmith_controller.decide.reconcile import read_map, reconcile
from tunesmith_controller.gone import is_told

START = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
IMAGES = Images(generate="reg.example/generate:1", train="reg.example/train:1", merge="reg.example/merge:1")


def profile(**changes):
    """A profile with a store and images."""
    return Profile(**({"name": "default", "store": S3(url="s3://bucket/runs"), "images": IMAGES} | changes))


def config(**profiles):
    """A configuration with these profiles; the one named default if none is given."""
    return Config(profiles=profiles or {"default": profile()}, version="1.2.3")


class Conflict(Exception):
    """409."""


class Cluster:
    """The truth. `log` tells every change in its order: (version, kind, name, object or None)."""

    def __init__(self, spec=None, name="riddles", settings=None):
        self.now = START
        self.config = settings or config()
        self.version = 0
        self.uids = 0
        self.log = []
        self.kept = {"request": {}, "job": {}, "pod": {}, "map": {}}
        self.gone = {"job": {}, "pod": {}}  # by uid, as the controller has seen them last
        self.beside = ""
        self.gone_at_once = False
        self.turn = None
        self.others = {}
        self.run_taken_by = ""
        self.progress = {}
        self.events = {}
        self.failed_to_create = ""
        self.name = name
        if spec is not None or name:
            self.apply(spec or {})

    # -- what users do

    def apply(self, changes):
        request = document(changes, name=self.name, namespace="team")
        request["apiVersion"] = API_VERSION
        request["metadata"] |= {"uid": self._uid(), "generation": 1, "creationTimestamp": rfc3339(self.now)}
        request["status"] = {"observedGeneration": -1}
        self.put("request", request)

    def edit(self, changes):
        request = self.request
        before = copy.deepcopy(request["spec"])
        request["spec"] = _changed(before, changes)
        if request["spec"] != before:
            request["metadata"]["generation"] += 1
            self.put("request", request)

    def delete_request(self):
        request = self.request
        self.drop("request", request["metadata"]["name"])
        for kind in ("job", "map"):
            for name in list(self.kept[kind]):
                self.delete_job(name) if kind == "job" else self.drop(kind, name)

    # -- what the API server does

    @property
    def request(self):
        return copy.deepcopy(self.kept["request"].get(self.name))

    def jobs(self):
        return copy.deepcopy(list(self.kept["job"].values()))

    def pods(self):
        return copy.deepcopy(list(self.kept["pod"].values()))

    def write_status(self, seen, status):
        """By server-side apply, with uid and resourceVersion of what was read."""
        request = self.request
        if request is None or any(
            request["metadata"][name] != seen["metadata"][name] for name in ("uid", "resourceVersion")
        ):
            raise Conflict
        written = status_json(status)
        if written != request["status"]:
            request["status"] = written
            self.put("request", request)

    def create(self, item):
        kind = {"Job": "job", "ConfigMap": "map"}[item["kind"]]
        name = item["metadata"]["name"]
        owner = item["metadata"]["ownerReferences"][0]["uid"]
        if name in self.kept[kind]:
            assert self.kept[kind][name]["metadata"]["ownerReferences"][0]["uid"] == owner
            return
        if self.request is None or self.request["metadata"]["uid"] != owner:
            return  # the garbage collector would take it at once
        made = copy.deepcopy(dict(item))
        made["metadata"] |= {"uid": self._uid(), "creationTimestamp": rfc3339(self.now)}
        if kind == "job":
            made["status"] = {}
        self.put(kind, made)

    def delete_job(self, name, uid=None):
        """In the foreground: it stays, terminating, until its pods are gone. Others' containers end last."""
        job = copy.deepcopy(self.kept["job"].get(name))
        if job is None or (uid is not None and job["metadata"]["uid"] != uid):
            return
        job_pods = [pod for pod in self.pods() if _owner(pod) == job["metadata"]["uid"]]
        alive = [pod for pod in job_pods if pod["status"]["phase"] in ("Pending", "Running")]
        for pod in job_pods:
            if pod not in alive or pod["status"]["phase"] == "Pending":
                self.drop("pod", pod["metadata"]["name"])
            elif "deletionTimestamp" not in pod["metadata"]:
                pod["metadata"]["deletionTimestamp"] = rfc3339(self.now)
                self.put("pod", pod)
        if any(pod["status"]["phase"] == "Running" for pod in alive):
            if "deletionTimestamp" not in job["metadata"]:
                job["metadata"]["deletionTimestamp"] = rfc3339(self.now)
                self.put("job", job)
        else:
            self.drop("job", name)

    def delete_pod(self, name, uid):
        """It stays, terminating, until its containers have ended."""
        pod = copy.deepcopy(self.kept["pod"].get(name))
        if pod is not None and pod["metadata"]["uid"] == uid and "deletionTimestamp" not in pod["metadata"]:
            pod["metadata"]["deletionTimestamp"] = rfc3339(self.now)
            self.put("pod", pod)

    def annotate_pod(self, name, uid, annotations):
        pod = copy.deepcopy(self.kept["pod"].get(name))
        if pod is not None and pod["metadata"]["uid"] == uid:
            pod["metadata"]["annotations"] |= annotations
            self.put("pod", pod)

    # -- what the Job controller and the kubelet do

    def live(self):
        """The Job that is not done; there must be one only."""
        (job,) = [
            job for job in self.jobs() if not _ended(job) and "deletionTimestamp" not in job["metadata"]
        ]
        return job

    def add_pod(self, job=None, **status):
        job = job or self.live()
        number = sum(_owner(pod) == job["metadata"]["uid"] for pod in self.pods())
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{job['metadata']['name']}-{number}",
                "namespace": "team",
                "uid": self._uid(),
                "creationTimestamp": rfc3339(self.now),
                "labels": dict(job["metadata"]["labels"]),
                "annotations": dict(job["spec"]["template"]["metadata"]["annotations"]),
                "ownerReferences": [
                    {"kind": "Job", "name": job["metadata"]["name"], "uid": job["metadata"]["uid"]}
                ],
            },
            "spec": {"containers": copy.deepcopy(job["spec"]["template"]["spec"]["containers"])},
            "status": {"phase": "Pending"} | status,
        }
        self.put("pod", pod)
        return pod

    def run(self, job=None):
        """A pod of the Job runs."""
        job = job or self.live()
        pods = [
            pod
            for pod in self.pods()
            if _owner(pod) == job["metadata"]["uid"] and pod["status"]["phase"] == "Pending"
        ]
        pod = pods[0] if pods else self.add_pod(job)
        names = [wire.CONTAINER, self.beside] if self.beside else [wire.CONTAINER]
        running = [{"name": name, "state": {"running": {"startedAt": rfc3339(self.now)}}} for name in names]
        pod["status"] = {"phase": "Running", "containerStatuses": running}
        self.put("pod", pod)

    def ends(self, code=0, message=None, reason=None):
        """The running pod ends with a code."""
        return self.ends_pod(
            next(pod for pod in self.pods() if pod["status"]["phase"] == "Running"), code, message, reason
        )

    def ends_pod(self, pod, code=0, message=None, reason=None):
        """A running pod ends with a code; its Job, if it was being deleted, goes with it. Returns the Job."""
        state = pod["status"]["containerStatuses"][0]["state"]["running"]
        ended = {
            "exitCode": code,
            "startedAt": state["startedAt"],
            "finishedAt": rfc3339(self.now),
            "reason": reason or ("Error" if code else "Completed"),
        }
        if message:
            ended["message"] = message
        statuses = [{"name": wire.CONTAINER, "state": {"terminated": ended}}]
        if self.beside:
            statuses.append({"name": self.beside, "state": {"running": {"startedAt": state["startedAt"]}}})
        if self.beside and "deletionTimestamp" not in pod["metadata"]:
            pod["status"] = {"phase": "Running", "containerStatuses": statuses}
            self.put("pod", pod)
            return next((job for job in self.jobs() if job["metadata"]["uid"] == _owner(pod)), None)
        pod["status"] = {"phase": "Failed" if code else "Succeeded", "containerStatuses": statuses[:1]}
        return self._is_over(pod)

    def others_end(self):
        """The kubelet ends what stands beside the stages' containers, in the pods that are deleted."""
        for pod in self.pods():
            status = pod["status"]
            ended = status.get("containerStatuses", [{}])[0].get("state", {}).get("terminated")
            if status["phase"] != "Running" or ended is None or "deletionTimestamp" not in pod["metadata"]:
                continue
            status["phase"] = "Failed"
            status["containerStatuses"] = status["containerStatuses"][:1]
            job = self._is_over(pod)
            if (
                job is not None
                and job["metadata"]["name"] in self.kept["job"]
                and ended["exitCode"] not in (0, 143)
            ):
                job["status"]["failed"] = job["status"].get("failed", 0) + 1
                self.put("job", job)

    def _is_over(self, pod):
        """All containers of a pod have ended."""
        self.put("pod", pod)
        owner = next((job for job in self.jobs() if job["metadata"]["uid"] == _owner(pod)), None)
        if owner is not None and "deletionTimestamp" in owner["metadata"]:
            for each in [each for each in self.pods() if _owner(each) == owner["metadata"]["uid"]]:
                self.drop("pod", each["metadata"]["name"])
            self.drop("job", owner["metadata"]["name"])
        elif "deletionTimestamp" in pod["metadata"]:
            self.drop("pod", pod["metadata"]["name"])
        return owner

    def condition(self, kind, job=None, **more):
        job = job or self.live()
        job["status"].setdefault("conditions", []).append({"type": kind, "status": "True"} | more)
        if kind == "Complete":
            job["status"] |= {"succeeded": 1, "completionTime": rfc3339(self.now)}
        self.put("job", job)
        if self.gone_at_once:
            self.delete_job(job["metadata"]["name"])

    def complete(self, metrics=None, done=None, reported=True, **more):
        """The live Job runs, if it does not yet, and its work is done."""
        job = self.live()
        if not any(
            _owner(pod) == job["metadata"]["uid"] and pod["status"]["phase"] == "Running"
            for pod in self.pods()
        ):
            self.run(job)
        labels = job["metadata"]["labels"]
        result = Result(
            stage=labels[wire.STAGE],
            key=labels[wire.KEY],
            metrics=metrics or {},
            done_keys=done or {},
            seconds=60.0,
            **more,
        )
        self.ends(0, result.termination_message() if reported else None)
        self.condition("Complete", self.live())

    def fail(self, code=78, reason="BadRequest", message="it is wrong", remedy="fix it"):
        """The live Job's pod ends with a code that is not tried again."""
        job = self.live()
        labels = job["metadata"]["labels"]
        if not any(pod["status"]["phase"] == "Running" for pod in self.pods()):
            self.run(job)
        result = Result(
            stage=labels[wire.STAGE],
            key=labels[wire.KEY],
            exit_code=code,
            reason=reason,
            message=message,
            remedy=remedy,
        )
        self.ends(code, result.termination_message())
        job = self.live()
        job["status"]["failed"] = job["status"].get("failed", 0) + 1
        self.put("job", job)
        self.condition(
            "Failed",
            self.live(),
            reason="PodFailurePolicy",
            message=f"container stage failed with exit code {code}",
        )

    def later(self, seconds):
        self.now += timedelta(seconds=seconds)

    # -- what the controller does

    def world(self):
        request = self.request
        more = {"turn": self.turn} if self.turn else {}
        return World(
            request=request,
            jobs=self.jobs(),
            pods=self.pods(),
            gone_jobs=[job for job in self.gone["job"].values() if not is_told(request, job)],
            gone_pods=[pod for pod in self.gone["pod"].values() if not is_told(request, pod)],
            snapshot=self.snapshot(request),
            others=self.others,
            run_taken_by=self.run_taken_by,
            progress=self.progress,
            events=self.events,
            failed_to_create=self.failed_to_create,
            **more,
        )

    def snapshot(self, request):
        config_map = self.kept["map"].get(request["status"].get("snapshot", ""))
        return read_map(config_map) if config_map else None

    def decide(self):
        return reconcile(self.world(), self.now, self.config)

    def carry_out(self, seen, decision):
        """The calls of a decision, in the executor's order; each may raise Conflict, any may be the last."""
        yield lambda: self.write_status(seen, decision.status)
        for delete in decision.deletes:
            yield lambda delete=delete: self.delete_job(delete.name, delete.uid)
        for item in decision.creates:
            yield lambda item=item: self.create(item)
        for pod in decision.pods:
            yield lambda pod=pod: self.delete_pod(pod.name, pod.uid)
        for share in decision.shares:
            yield lambda share=share: self.annotate_pod(share.pod, share.uid, {TEACHER_RATE: str(share.rate)})
        if decision.delete_request:
            yield self.delete_request

    def look(self):
        """Reconcile once and carry it out; a second look must change nothing, unless a Job was deleted."""
        decision = self.decide()
        for call in self.carry_out(self.request, decision):
            call()
        if self.request is not None and not decision.deletes:
            assert_settled(self, decision)
        return decision

    # -- its insides

    def _uid(self):
        self.uids += 1
        return f"00000000-0000-0000-0000-{self.uids:012d}"

    def put(self, kind, thing):
        self.version += 1
        thing["metadata"]["resourceVersion"] = str(self.version)
        self.kept[kind][thing["metadata"]["name"]] = copy.deepcopy(thing)
        self.log.append((self.version, kind, thing["metadata"]["name"], copy.deepcopy(thing)))

    def forget(self):
        """The controller starts again: it knows only what is still there."""
        self.gone = {"job": {}, "pod": {}}

    def drop(self, kind, name):
        last = self.kept[kind].pop(name, None)
        if last is not None:
            self.version += 1
            if kind == "job" or (kind == "pod" and terminated(last)):
                self.gone[kind][last["metadata"]["uid"]] = last
            self.log.append((self.version, kind, name, None))


def assert_settled(cluster, first):
    """A second look at what the first one left: the same status, nothing to make, to delete or to tell."""
    second = cluster.decide()
    assert second.status == first.status or cluster.request["metadata"].get("deletionTimestamp"), (
        "a second look writes another status"
    )
    assert not second.creates, f"a second look makes {[item['metadata']['name'] for item in second.creates]}"
    assert not second.deletes, f"a second look deletes {second.deletes}"
    assert not second.shares, f"a second look shares {second.shares}"
    assert not second.notes, f"a second look tells {second.notes}"


def _ended(job):
    return any(
        one["type"] in ("Complete", "Failed") and one["status"] == "True"
        for one in job["status"].get("conditions", ())
    )


def _owner(pod):
    return pod["metadata"]["ownerReferences"][0]["uid"]


def _changed(spec, changes):
    """A spec with `changes` laid over it, as in requests_for_tests.document."""
    spec = copy.deepcopy(spec)
    for path, value in changes.items():
        part = spec
        *parents, last = path.split(".")
        for step in parents:
            part = part.setdefault(step, {})
        if value is ...:
            part.pop(last, None)
        else:
            part[last] = value
    return spec
