"""What a session's pod says about files: nothing of it leads out of the folder that they are copied to."""

import json

import pytest
from stages import snapshot_for

from tunesmith.errors import Gone
from tunesmith_cli.cluster.remote import RemoteRuns

WHOLE = {
    "part": "model",
    "path": "config.json",
    "source": "r/merge/k/a/config.json",
    "size": 2,
    "sha256": "0" * 64,
}
FORGED = {
    "a path": {"path": "../../.bashrc"},
    "an absolute path": {"path": "/etc/passwd"},
    "a place in the store": {"source": "../other/x"},
    "a part": {"part": "../.ssh"},
    "a size": {"size": -1},
    "a digest": {"sha256": "../../../x"},
}


class Pod(RemoteRuns):
    """A pod that answers as it is told."""

    def __init__(self, answer):
        super().__init__("s3://b", lambda: None, "token")
        self._answer = answer

    def ask(self, method, path, body=None):
        return json.dumps(self._answer).encode()


@pytest.mark.parametrize("change", FORGED.values(), ids=FORGED)
def test_a_pod_cannot_name_a_file_elsewhere(change, tmp_path):
    pod = Pod({"manifests": [], "files": [WHOLE, WHOLE | change]})
    with pytest.raises(Gone, match="cannot be used") as caught:
        pod.fetch(snapshot_for({}), tmp_path / "to", "", print)
    assert caught.value.reason == "ManifestUnreadable"
    assert list(tmp_path.iterdir()) == []


def test_a_pod_s_manifest_is_checked_as_one_of_the_store():
    manifest = {"run": "r", "stage": "merge", "key": "k", "attempt": "../a", "files": [], "seconds": 1}
    pod = Pod({"manifests": [manifest | {"created": "2026-11-23T12:00:00Z"}], "files": []})
    with pytest.raises(Gone, match="attempt"):
        pod.manifests(snapshot_for({}))
