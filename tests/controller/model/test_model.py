"""Anything may happen, in any order: what must hold all the same.

Users edit, suspend, retry, rerun, delete; Jobs start, end with each code, vanish; caches lag, each kind for
itself; replicas crash between any two calls, overlap, and act on what they have. Only a call that was sent
before the lease ended may land late: before any stage has had the time to end. A failure that hypothesis
finds here becomes a row of a table in tests/controller/reconcile.
"""

import contextlib

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from lagging_leader import KINDS, Leader, stage_key
from requests_for_tests import LEAST, document
from small_cluster import Cluster, Conflict

from tunesmith import wire
from tunesmith.errors import BadRequest
from tunesmith.events import Result
from tunesmith.request import Spec, parse
from tunesmith.resolve import leaves
from tunesmith_controller.decide import objects
from tunesmith_controller.decide.reconcile import read_map

BASE = "hf://org/model@0123456789abcdef0123456789abcdef01234567"
EDITS = st.sampled_from(
    [
        {"merge": {}},
        {"merge": {"dtype": "float16"}},
        {"training": {}},
        {"training": {"loraR": 8}},
        {"stages": {"train": {"retries": 1}}},
        {"stages": {"train": {"resources": {"limits": {"memory": "9Gi"}}}}},
        {"stages": {"generate": {"activeDeadlineSeconds": 60}}},
        {"stages": {}},
        {"suspend": True},
        {"suspend": True},
        {"suspend": False},
        {"suspend": False},
        {"ttlSecondsAfterFinished": 30},
        {"ttlSecondsAfterFinished": ...},
    ]
)


def other_values(value):
    """Values that a field might take in place of its own; what is none for it, the request's check tells."""
    match value:
        case bool():
            return [not value]
        case int() | float():
            return [value + 1, value / 2]
        case str():
            return ["auto", "cpu", "original", "float16", "sgd", "linear", "constant", "left", "x"]
        case None:
            return [1, "x", "original", {"regex": "a"}]
        case _:
            return [["x"]]


def edits_of_every_field():
    """For each field of a spec one edit that is taken; not of those that have edits of their own."""
    own = {"run", "suspend", "retry", "rerun", "profile", "queueName", "deleteWhenExpired"}
    fields = Spec.model_validate(LEAST["spec"]).model_dump(mode="json", by_alias=True)
    for path, value in leaves(fields):
        name = ".".join(path)
        if path[0] in own or name == "ttlSecondsAfterFinished":
            continue
        for other in other_values(value):
            with contextlib.suppress(BadRequest):
                parse(document({name: other}))
                yield {name: other}
                break


EVERY_FIELD = list(edits_of_every_field())


class Truth(Cluster):
    """The cluster, which also keeps what has ever been done, and checks every Job that is made."""

    def __init__(self):
        self.succeeded = set()  # (uid of the request, stage, key)
        super().__init__({"model.base": BASE})

    def create(self, item):
        name = item["metadata"]["name"]
        if item["kind"] == "Job" and name not in self.kept["job"] and self.request is not None:
            self._check(item)
        super().create(item)

    def _check(self, job):
        uid = job["metadata"]["ownerReferences"][0]["uid"]
        if uid != self.request["metadata"]["uid"]:
            return
        stage, key = stage_key(job)
        finished = {(entry["stage"], entry["key"]) for entry in self.request["status"].get("finished", ())}
        assert (stage, key) not in finished, f"{stage} {key} is made though status remembers it as finished"
        volumes = job["spec"]["template"]["spec"]["volumes"]
        (name,) = [volume["configMap"]["name"] for volume in volumes if "configMap" in volume]
        assert name in self.kept["map"], f"{stage} mounts a snapshot that does not exist"
        for entry in read_map(self.kept["map"][name]).snapshot.stages:
            if entry.name == stage:
                assert entry.key == key
                break
            assert (uid, entry.name, entry.key) in self.succeeded, (
                f"{stage} is made before {entry.name} {entry.key} is done"
            )


class Anything(RuleBasedStateMachine):
    @initialize(rounds=st.integers(0, 5), acts=st.booleans())
    def begin(self, rounds=0, acts=False):
        self.truth = Truth()
        self.leaders = [Leader(self.truth), Leader(self.truth)]
        self.late = []
        self.words = 0
        for _ in range(rounds):
            self.all_goes_well(0)
            if acts:
                self.leaders[1].deliver_all()

    # -- the controller

    @rule(who=st.integers(0, 1))
    def acts(self, who):
        self.leaders[who].act()

    @rule(who=st.integers(0, 1))
    def all_goes_well(self, who):
        """What runs ends well, one replica hears everything and acts, a pod runs: so a request can end."""
        for pod in self._pods("Running")[:1]:
            self._pod_succeeds(pod, reported=True)
        self._jobs_complete()
        for _ in range(2):
            self.leaders[who].deliver_all()
            self.leaders[who].act()
            self._pods_run()

    @rule(who=st.integers(0, 1))
    def hears_of_the_status_only(self, who):
        self.leaders[who].deliver("request", len(self.truth.log))

    @rule(who=st.integers(0, 1), calls=st.integers(0, 4))
    def crashes(self, who, calls):
        self.leaders[who].act(calls)
        self.leaders[who].start()

    @rule(calls=st.integers(0, 3))
    def loses_its_lease(self, calls):
        """The first replica stops after some calls; the next one was sent and lands late.

        The other one takes over.
        """
        todo = list(self.leaders[0].calls())
        for call in todo[:calls]:
            try:
                call()
            except Conflict:
                break
        else:
            self.late += todo[calls : calls + 1]
        self.leaders.reverse()

    @precondition(lambda self: self.late)
    @rule()
    def late_call_lands(self):
        with contextlib.suppress(Conflict):
            self.late.pop()()

    @rule(who=st.integers(0, 1), kind=st.sampled_from(KINDS), count=st.sampled_from([1, 2, 3, 1000]))
    def hears(self, who, kind, count):
        self.leaders[who].deliver(kind, count)

    # -- the cluster

    def _jobs(self, *, ended=False):
        return [job for job in self.truth.jobs() if objects.unfinished(job) != ended]

    def _pods(self, phase):
        """Pods by their phase; a running one whose stage has ended, and which others keep alive, is none."""
        return [
            pod
            for pod in self.truth.pods()
            if pod["status"]["phase"] == phase and (phase != "Running" or objects.running(pod))
        ]

    def _lands(self):
        while self.late:
            self.late_call_lands()

    def _pods_run(self):
        for job in self._jobs():
            pods = objects.pods_of(job["metadata"]["name"], self.truth.pods())
            done = any(pod["status"]["phase"] == "Succeeded" for pod in pods)
            alive = any(map(objects.alive, [pod for pod in pods if pod["status"]["phase"] != "Pending"]))
            if not objects.terminating(job) and not done and not alive:
                self.truth.run(job)

    def _a_pod_waits(self):
        for job in self._jobs():
            if not objects.pods_of(job["metadata"]["name"], self.truth.pods()) and not objects.terminating(
                job
            ):
                self.truth.add_pod(job)

    def _pod_succeeds(self, pod, *, reported):
        stage, key = stage_key(pod)
        job = self.truth.kept["job"].get(pod["metadata"]["ownerReferences"][0]["name"])
        if job is not None:
            self.truth.succeeded.add((job["metadata"]["ownerReferences"][0]["uid"], stage, key))
        self.truth.ends_pod(pod, 0, Result(stage=stage, key=key).termination_message() if reported else None)

    def _jobs_complete(self):
        for job in self._jobs():
            pods = objects.pods_of(job["metadata"]["name"], self.truth.pods())
            if any(pod["status"]["phase"] == "Succeeded" for pod in pods):
                self.truth.condition("Complete", job)

    def _an_ended_job_vanishes(self):
        recorded = {
            (entry["stage"], entry["key"])
            for entry in (self.truth.request or {}).get("status", {}).get("finished", ())
        }
        for job in self._jobs(ended=True)[:1]:
            if objects.failed(job) or stage_key(job) in recorded:
                self.truth.delete_job(job["metadata"]["name"])

    def _somebody_deletes_a_job(self):
        for job in self._jobs()[:1]:
            self.truth.delete_job(job["metadata"]["name"])

    def _a_pod_succeeds(self):
        for pod in self._pods("Running")[:1]:
            self._pod_succeeds(pod, reported=True)

    def _a_pod_succeeds_and_cannot_say_so(self):
        for pod in self._pods("Running")[:1]:
            self._pod_succeeds(pod, reported=False)

    def _time_passes(self):
        self.truth.later(45)

    def _others_end(self):
        self.truth.others_end()

    def _a_mesh_adds_containers_or_stops_to(self):
        self.truth.beside = "" if self.truth.beside else "istio-proxy"

    def _jobs_vanish_at_once_or_no_more(self):
        self.truth.gone_at_once = not self.truth.gone_at_once

    @rule(
        what=st.sampled_from(
            [
                "pods_run",
                "a_pod_waits",
                "a_pod_succeeds",
                "a_pod_succeeds_and_cannot_say_so",
                "jobs_complete",
                "an_ended_job_vanishes",
                "somebody_deletes_a_job",
                "time_passes",
                "others_end",
                "a_mesh_adds_containers_or_stops_to",
                "jobs_vanish_at_once_or_no_more",
            ]
        )
    )
    def the_cluster_moves(self, what):
        self._lands()
        getattr(self, f"_{what}")()

    @precondition(lambda self: self._pods("Running"))
    @rule(code=st.sampled_from([1, 65, 75, 78, 137, 143]))
    def a_pod_fails(self, code):
        self._lands()
        pod = self._pods("Running")[0]
        stage, key = stage_key(pod)
        reported = (
            Result(stage=stage, key=key, exit_code=code, reason="Said", message="so").termination_message()
            if code in (65, 78)
            else None
        )
        job = self.truth.ends_pod(pod, code, reported)
        job = self.truth.kept["job"].get(job["metadata"]["name"]) if job is not None else None
        living = {objects.uid_of(other) for other in self.truth.pods() if objects.alive(other)}
        if code in (65, 78) and job is not None and objects.uid_of(pod) not in living:
            self.truth.condition(
                "Failed",
                job,
                reason="PodFailurePolicy",
                message="it failed",
            )

    # -- users

    @precondition(lambda self: self.truth.request)
    @rule(changes=EDITS)
    def edits(self, changes):
        self.truth.edit(changes)

    @precondition(lambda self: self.truth.request)
    @rule(changes=st.sampled_from(EVERY_FIELD), stays=st.booleans())
    def edits_any_field(self, changes, stays):
        """It stays, or is taken back at once, before or after somebody has seen it."""
        before = self.truth.request["spec"]
        self.truth.edit(changes)
        if not stays:
            part = next(iter(changes)).partition(".")[0]
            self.truth.edit({part: before.get(part, ...)})

    @precondition(lambda self: self.truth.request)
    @rule(what=st.sampled_from(["retry", "generate", "train", "merge"]))
    def asks_again(self, what):
        self.words += 1
        once_more = str(self.words)
        self.truth.edit(
            {"retry": once_more} if what == "retry" else {"rerun": {"from": what, "id": once_more}}
        )

    @rule(sure=st.integers(0, 4))
    def deletes_and_applies_again(self, sure):
        if sure == 4:
            self._lands()
            self.truth.delete_request()
            self.truth.apply({})

    # -- what must hold

    @invariant()
    def one_live_job_for_a_key(self):
        if not hasattr(self, "truth"):
            return
        seen = set()
        for job in self._jobs():
            whose = (job["metadata"]["ownerReferences"][0]["uid"], wire.KEY, *stage_key(job))
            assert whose not in seen, f"two live Jobs for {stage_key(job)}"
            seen.add(whose)

    def teardown(self):
        """Left alone, a request reaches its end, and then nothing is done any more."""
        if not hasattr(self, "truth"):
            return
        self._lands()
        # Of what was edited, all that a request may not set by itself, or that cannot be met, is taken back.
        parts = {name for edit in EVERY_FIELD for name in [next(iter(edit)).partition(".")[0]]}
        first = document({})["spec"] | {"model": {"base": BASE}}
        self.truth.edit({part: first.get(part, ...) for part in parts} | {"suspend": False})
        leader = self.leaders[0]
        for _ in range(60):
            leader.deliver_all()
            leader.act()
            leader.deliver_all()
            status = self.truth.request["status"]
            if status["phase"] == "Failed":
                self.asks_again("retry")
            elif status["phase"] == "Succeeded" and not self._jobs():
                break
            for pod in self._pods("Running"):
                if objects.terminating(pod):
                    self.truth.ends_pod(pod, 143, None)
            self.truth.later(11)
            self.truth.others_end()
            self._pods_run()
            for pod in self._pods("Running"):
                self._pod_succeeds(pod, reported=True)
            self._jobs_complete()
        assert status["phase"] == "Succeeded", (
            f"left alone, it stays {status['phase']}: {status.get('message')}"
        )
        before = self.truth.version
        for other in self.leaders:
            other.deliver_all()
            other.act()
        assert self.truth.version == before, "a finished request is still written to"


TestAnything = Anything.TestCase
TestAnything.settings = settings(
    max_examples=50,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def test_a_replica_that_has_not_heard_of_a_running_job_makes_no_second_one():
    """Rare by chance.

    Without the question to the API server in `Leader.world`, as in world.py, it makes two.
    """
    truth = Truth()
    first, second = Leader(truth), Leader(truth)
    first.act()
    truth.run()
    first.deliver_all()
    first.act()
    second.deliver("request", 1000)
    second.act()
    assert len(truth.jobs()) == 1


def test_a_replica_with_an_old_status_does_not_make_a_finished_stage_again():
    """Without the write of an unchanged status before a create, this makes the Job of generate again."""
    truth = Truth()
    first, second = Leader(truth), Leader(truth)
    first.act(1)  # the status names the Job, then it crashes
    second.deliver("request", 1000)
    first.start()
    first.act()
    truth.complete()
    truth.succeeded.add((truth.request["metadata"]["uid"], *stage_key(truth.jobs()[0])))
    first.deliver_all()
    first.act()
    truth.delete_job(next(job["metadata"]["name"] for job in truth.jobs() if not objects.unfinished(job)))
    assert not second.act(), "its status is old, so nothing may be made"


def test_nearly_every_field_has_an_edit():
    edited = {name for edit in EVERY_FIELD for name in edit}
    assert len(edited) > 90
    assert {"task", "data.examples", "training.loraR", "merge.dtype", "evaluation.format"} <= edited
