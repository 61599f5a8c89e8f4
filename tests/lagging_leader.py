"""A replica of the controller for the model: each cache lags on its own, and calls are made one by one."""

import copy

from small_cluster import Conflict

from tunesmith import wire
from tunesmith_controller.applied import status_json
from tunesmith_controller.caches import pod_belongs
from tunesmith_controller.decide.model import World
from tunesmith_controller.decide.objects import terminated
from tunesmith_controller.decide.reconcile import read_map, reconcile
from tunesmith_controller.gone import is_told

KINDS = ("request", "job", "pod")


class Leader:
    """It sees what was delivered to it, and the answers to its own calls."""

    def __init__(self, truth):
        self.truth = truth
        self.start()

    def start(self):
        """As after a restart: everything is listed anew."""
        self.cache = {kind: copy.deepcopy(self.truth.kept[kind]) for kind in KINDS}
        self.seen = {
            (kind, name): int(thing["metadata"]["resourceVersion"])
            for kind in KINDS
            for name, thing in self.cache[kind].items()
        }
        self.at = dict.fromkeys(KINDS, len(self.truth.log))
        self.gone = {"job": {}, "pod": {}}

    def deliver(self, kind, count):
        """The next `count` changes of a kind, in their order."""
        while count and self.at[kind] < len(self.truth.log):
            version, changed, name, thing = self.truth.log[self.at[kind]]
            self.at[kind] += 1
            if changed == kind:
                count -= 1
                self._put(kind, name, thing, version)

    def deliver_all(self):
        for kind in KINDS:
            self.deliver(kind, len(self.truth.log))

    def _put(self, kind, name, thing, version):
        if version <= self.seen.get((kind, name), 0):
            return  # an answer to a call of its own was newer
        self.seen[kind, name] = version
        if thing is None:
            last = self.cache[kind].pop(name, None)
            if last is not None and (kind == "job" or (kind == "pod" and terminated(last))):
                self.gone[kind][last["metadata"]["uid"]] = last
        else:
            self.cache[kind][name] = copy.deepcopy(thing)

    def answered(self, kind, name):
        thing = self.truth.kept[kind].get(name)
        if thing is not None:
            self._put(kind, name, thing, int(thing["metadata"]["resourceVersion"]))

    def world(self):
        """What this replica believes.

        As in world.py, it asks for a Job that runs by the status but is not in the cache.
        """
        request = copy.deepcopy(self.cache["request"].get(self.truth.name))
        if request is None:
            return None
        for row in request["status"].get("stages", ()):
            if (
                row["phase"] in ("Running", "Stopping")
                and row.get("job")
                and row["job"] not in self.cache["job"]
            ):
                self.answered("job", row["job"])
        uid = request["metadata"]["uid"]
        jobs = [
            copy.deepcopy(job)
            for job in self.cache["job"].values()
            if job["metadata"]["ownerReferences"][0]["uid"] == uid
        ]
        pods = [copy.deepcopy(pod) for pod in self.cache["pod"].values() if pod_belongs(pod, request, jobs)]
        gone_jobs, gone_pods = (
            [last for last in self.gone[kind].values() if not is_told(request, last)]
            for kind in ("job", "pod")
        )
        gone_jobs = [
            job
            for job in gone_jobs
            if job["metadata"]["ownerReferences"][0]["uid"] == uid
            and job["metadata"]["name"] not in self.cache["job"]
        ]
        gone_pods = [pod for pod in gone_pods if pod_belongs(pod, request, [*jobs, *gone_jobs])]
        kept = self.truth.kept["map"].get(request["status"].get("snapshot", ""))
        owned = kept is not None and kept["metadata"]["ownerReferences"][0]["uid"] == uid
        return World(
            request=request,
            jobs=jobs,
            pods=pods,
            gone_jobs=gone_jobs,
            gone_pods=gone_pods,
            snapshot=read_map(kept) if owned else None,
        )

    def calls(self):
        """The calls of its decision, in the executor's order."""
        world = self.world()
        if world is None:
            return
        decision = reconcile(world, self.truth.now, self.truth.config)
        if decision.creates or decision.deletes or status_json(decision.status) != world.request["status"]:
            yield lambda: self._write_status(world.request, decision.status)
        for delete in decision.deletes:
            yield lambda delete=delete: self._delete(delete)
        for item in decision.creates:
            yield lambda item=item: self._create(item)
        for pod in decision.pods:
            yield lambda pod=pod: self._delete_pod(pod)

    def _write_status(self, seen, status):
        self.truth.write_status(seen, status)
        self.answered("request", self.truth.name)

    def _delete(self, delete):
        self.truth.delete_job(delete.name, delete.uid)
        self.answered("job", delete.name)

    def _delete_pod(self, pod):
        self.truth.delete_pod(pod.name, pod.uid)
        self.answered("pod", pod.name)

    def _create(self, item):
        self.truth.create(item)
        if item["kind"] == "Job":
            self.answered("job", item["metadata"]["name"])

    def act(self, calls=None):
        """Carries out its decision, or the first calls of it; False if the status had changed meanwhile."""
        for number, call in enumerate(self.calls()):
            if calls is not None and number >= calls:
                break
            try:
                call()
            except Conflict:
                return False
        return True


def stage_key(job):
    labels = job["metadata"]["labels"]
    return labels[wire.STAGE], labels[wire.KEY]
