"""Two installations that watch the same namespaces, by mistake."""

import copy
import json
import time
from pathlib import Path

from control_plane import ControlPlane
from controller.replicas import CONFIG, Replica, Replicas
from controller.shell import real


def test_they_do_not_write_against_each_other_without_end(
    replicas: Replicas, control_plane: ControlPlane, tmp_path: Path
) -> None:
    namespace = control_plane.namespace()
    other = copy.deepcopy(CONFIG)
    other["profiles"] = {"others": other["profiles"]["default"]}
    (tmp_path / "other").mkdir()
    rivals = Replicas(control_plane, tmp_path / "other")
    try:
        mine, theirs = replicas.start(), rivals.start(config=other)
        real.until(
            "both lead", lambda: mine.metric("tunesmith_leader") == theirs.metric("tunesmith_leader") == 1
        )
        real.apply(control_plane, namespace, "riddles", profile="nobodys")  # they list what they know
        time.sleep(20)
        before = written(mine, theirs)
        time.sleep(20)
        assert written(mine, theirs) - before <= 20
    finally:
        rivals.stop()
    lines = json.dumps(mine.logged("warning") + theirs.logged("warning"))
    assert "Does another installation of Tunesmith watch its namespace?" in lines


def written(*replicas: Replica) -> int:
    """How often these have written a status so far."""
    return sum(replica.calls()["trainingrequests/status"] for replica in replicas)
