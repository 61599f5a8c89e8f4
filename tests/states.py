"""The states of a request, played by reconcile: tests show what GitOps tools and kubectl make of them.

`python tests/states.py` writes them into tests/contract/statuses again; `make docs` then writes Argo CD's
test data. A test holds that the files are what reconcile says.
"""

import json
from pathlib import Path

from reconcile_steps import done, edit, later, look, play, runs, sets, stage_done

from tunesmith import wire
from tunesmith.events import Progress
from tunesmith_controller.decide.model import Turn
from tunesmith_controller.decide.objects import rfc3339

FOLDER = Path(__file__).parent / "contract" / "statuses"
QUEUED = sets("turn", Turn(place=3, why="the profile default has 100 of 100 requests at work"))
GPU_LIMIT = sets("turn", Turn(gpu=False, gpu_why="the profile default has 8 of 8 Jobs with a GPU"))
STEPS = {"done": 126, "total": 200, "unit": "steps", "eta": 120.0, "metrics": {"loss": 0.4121}}


def progresses(**progress):
    """The pod that runs says how far it is."""

    def step(cluster):
        pod = next(pod for pod in cluster.pods() if pod["status"]["phase"] == "Running")
        cluster.progress = {
            pod["metadata"]["uid"]: Progress(stage=pod["metadata"]["labels"][wire.STAGE], **progress)
        }

    return step


def out_of_memory(cluster):
    cluster.later(30)
    cluster.run()
    cluster.ends(137, reason="OOMKilled")


def no_image(cluster):
    waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image: not found"}
    cluster.later(30)
    cluster.add_pod(containerStatuses=[{"name": wire.CONTAINER, "state": {"waiting": waiting}}])


def no_node(cluster):
    message = "0/4 nodes are available: 4 Insufficient nvidia.com/gpu."
    cluster.later(30)
    cluster.add_pod(
        conditions=[
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        ]
    )


def is_deleted(cluster):
    cluster.kept["request"][cluster.name]["metadata"]["deletionTimestamp"] = rfc3339(cluster.now)


ENV = {"stages.train.env": {"LD_PRELOAD": "/tmp/x.so"}}
GATE = {"evaluation.gate": {"leastGain": 0.5}}
GENERATED = [look, runs, look, later(60), done({"rows": 128.0}), look]
TRAINS = [GENERATED, runs, look, later(60), progresses(**STEPS), look]
TRAINED = [TRAINS, later(60), done({"loss": 0.4121}), look]
ALL = [
    TRAINED,
    stage_done(),
    runs,
    look,
    later(30),
    done({"lossGain": 0.5, "lossGainLow": 0.2, "rows": 13.0}),
    look,
]
OUT_OF_MEMORY = [GENERATED, out_of_memory, look, out_of_memory, look]

# name -> what it is, by kstatus, by Argo CD, the spec, what has happened
STATES = {
    "not-seen": ("applied a moment ago; what the API server fills in", "InProgress", "Progressing", {}, []),
    "pending": ("the first pod does not start", "InProgress", "Progressing", {}, [look, no_image, look]),
    "queued": ("the limit of its profile is reached", "InProgress", "Progressing", {}, [QUEUED, look]),
    "waiting": (
        "it waits for the dataset of another request",
        "InProgress",
        "Progressing",
        {"data.from": {"request": "base"}},
        [look],
    ),
    "refused": ("its profile does not allow what it sets", "Failed", "Degraded", ENV, [look]),
    "running-generate": (
        "the first stage runs, so a new commit need not wait any longer",
        "Current",
        "Progressing",
        {},
        [look, runs, look, later(60), progresses(done=42, total=100, unit="rows", eta=90.0), look],
    ),
    "running-train": ("training", "Current", "Progressing", {}, TRAINS),
    "running-again": (
        "the retry runs; Stalled is over",
        "Current",
        "Progressing",
        {},
        [OUT_OF_MEMORY, edit(retry="1"), look, look, runs, look],
    ),
    "gpu-limit": (
        "a later stage waits for a GPU of the profile's limit: the request has begun",
        "Current",
        "Progressing",
        {},
        [look, runs, look, GPU_LIMIT, done({"rows": 128.0}), look],
    ),
    "gpu-wait": (
        "a later stage waits for a node with a GPU: the request has begun",
        "Current",
        "Progressing",
        {},
        [GENERATED, no_node, look],
    ),
    "queued-again": (
        "it was resumed, and waits in the queue",
        "Current",
        "Progressing",
        {},
        [GENERATED, edit(suspend=True), look, look, QUEUED, edit(suspend=False), look],
    ),
    "suspended": ("suspended before it began", "Current", "Suspended", {"suspend": True}, [look]),
    "suspended-later": (
        "suspended while it trained; its state is saved",
        "Current",
        "Suspended",
        {},
        [TRAINS, edit(suspend=True), look, lambda cluster: cluster.ends(143), look],
    ),
    "succeeded": ("all stages are done", "Current", "Healthy", {}, ALL),
    "failed": ("a stage has failed for good", "Failed", "Degraded", {}, OUT_OF_MEMORY),
    "gate-not-passed": (
        "everything ran, and the model did not gain what the gate asks for",
        "Failed",
        "Degraded",
        GATE,
        ALL,
    ),
    "edited": (
        "edited after it was done; the controller has not seen it yet",
        "InProgress",
        "Progressing",
        {},
        [ALL, edit(merge={"dtype": "float16"})],
    ),
    "retried": (
        "it had failed, and spec.retry was set; the controller has not seen it yet",
        "InProgress",
        "Progressing",
        {},
        [OUT_OF_MEMORY, edit(retry="1")],
    ),
    "deleted": ("deleted while it trained", "Terminating", "Progressing", {}, [TRAINS, is_deleted]),
}


def state(name):
    """A state as the file of its name holds it."""
    about, kstatus, argo, spec, steps = STATES[name]
    cluster, _ = play(steps, spec=spec)
    request = cluster.request
    kept = {
        key: request["metadata"][key]
        for key in ("generation", "deletionTimestamp")
        if key in request["metadata"]
    }
    given = {key: value for key, value in request["spec"].items() if key not in ("task", "model")}
    return {
        "about": about,
        "kstatus": kstatus,
        "argo": argo,
        "metadata": kept,
        "spec": given,
        "status": request["status"],
    }


if __name__ == "__main__":
    for old in FOLDER.glob("*.json"):
        old.unlink()
    for each in STATES:
        FOLDER.joinpath(f"{each}.json").write_text(
            json.dumps(state(each), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
