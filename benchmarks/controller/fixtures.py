"""What all parts of the benchmark share: fake nodes, the controller's configuration, a watch of Jobs."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from control_plane import ControlPlane
from controller.shell import real
from kwok import Behaviour, FakeNodes, node

from tunesmith.wire import MANAGED_BY, MANAGER
from tunesmith_controller.api import Call, Timeout, Unreachable
from tunesmith_controller.rights import JOBS


def fake_nodes(plane: ControlPlane, seconds: float, up_to: float = 0.0) -> FakeNodes:
    """A node whose pods run so many seconds, or a time drawn from there up to `up_to`, and end well."""
    plane.kubectl("create", "-f", "-", stdin=json.dumps(node()))
    nodes = FakeNodes(plane)
    nodes.start((Behaviour(seconds=seconds, up_to=up_to),))
    return nodes


def configuration(folder: Path, limit: int) -> Path:
    """The controller's, as a file: one profile with a limit on requests; 0: no limit."""
    profile = {
        "store": {"url": "s3://bucket/runs"},
        "limits": {"requests": limit},
        "defaults": {"training": {"device": "cpu"}},
    }
    images = dict.fromkeys(("generate", "train", "merge"), "localhost/none:1")
    path = folder / f"at-most-{limit}.yaml"
    path.write_text(json.dumps({"images": images, "profiles": {"default": profile}}))
    return path


def job_changes(plane: ControlPlane) -> Iterator[dict[str, Any]]:
    """Each Job of ours as it is made and changes, from one watch at a time.

    The API server ends the watch of a client that cannot keep up; the next one goes on from there.
    """
    api, version = real.real_api(plane), ""
    query = {"watch": "1", "labelSelector": f"{MANAGED_BY}={MANAGER}", "timeoutSeconds": "3600"}
    while True:
        from_there = {"resourceVersion": version} if version else {}
        with contextlib.suppress(Unreachable):
            for line in api.lines(Call("watch", JOBS, query=query | from_there), Timeout(read=3600)):
                event = json.loads(line)
                assert event["type"] != "ERROR", event
                version = event["object"]["metadata"]["resourceVersion"]
                yield event["object"]


def is_complete(job: dict[str, Any]) -> bool:
    """Whether a Job has done its work."""
    conditions = job.get("status", {}).get("conditions", ())
    return any(one["type"] == "Complete" and one["status"] == "True" for one in conditions)
