"""More requests than may run at once, on a real control plane. benchmarks/controller does it with 500."""

import json
from collections import Counter
from pathlib import Path

from control_plane import ControlPlane
from controller.replicas import Replicas
from controller.scale.seen import Seen
from controller.shell import real

NAMESPACES, EACH, LIMIT, STAGES = 4, 10, 16, 4
WRITTEN = 5.0  # seconds: several workers give places away at once, and what they write comes in any order
CONFIG = {
    "images": dict.fromkeys(("generate", "train", "merge"), "localhost/none:1"),
    "profiles": {
        "default": {
            "store": {"url": "s3://bucket/runs"},
            "limits": {"requests": LIMIT},
            "defaults": {"training": {"device": "cpu"}},
        }
    },
}


def test_forty_requests_share_sixteen_places_fairly_and_cheaply(
    replicas: Replicas, control_plane: ControlPlane, tmp_path: Path
) -> None:
    spaces = [control_plane.namespace() for _ in range(NAMESPACES)]
    head = {
        "apiVersion": "tunesmith.dev/v1alpha1",
        "kind": "TrainingRequest",
        "spec": {"task": "Riddles.", "model": {"base": "hf://org/base"}},
    }
    items = [
        {**head, "metadata": {"name": f"r{number}", "namespace": space}}
        for space in spaces
        for number in range(EACH)
    ]
    control_plane.kubectl(
        "create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    )
    seen, count = Seen(judging=True), len(items)
    seen.watch(real.real_api(control_plane))
    path = tmp_path / "limited.yaml"
    path.write_text(json.dumps(CONFIG))
    leader = replicas.start(f"--config={path}")
    real.until("all end", lambda: seen.phases() == {"Succeeded": count}, 240)
    calls = leader.calls()

    assert seen.most_jobs <= LIMIT
    assert seen.most_requests <= LIMIT
    assert seen.behind.total() > count / 2
    assert (seen.still_behind(), seen.longest_behind < WRITTEN) == ([], True), (
        f"a namespace is more than one turn behind: {seen}"
    )
    made = Counter(
        job["metadata"]["namespace"] for space in spaces for job in real.listed(control_plane, space, "jobs")
    )
    assert made == dict.fromkeys(spaces, EACH * STAGES), "each stage of each request ran once"
    assert [line for level in ("error", "warning") for line in leader.logged(level)] == []
    assert leader.metric("tunesmith_reconcile_total") / count < 25, "looks at a request"
    writes = calls["all"] - calls["pods/log"]
    assert writes / count < 15, f"12 of a request that does not wait, and its place in the queue: {calls}"
    assert calls["events"] / count <= 1
