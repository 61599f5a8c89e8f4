"""`tunesmith` against a real control plane: real requests, statuses written as the controller writes them, no
node.
"""

import contextlib
import io
import json
import os
import subprocess
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import pytest
import yaml
from cluster_cli.scripted_api import scripted_api
from control_plane import ControlPlane, control_plane
from requests_for_tests import document
from seaweed import s3

from tunesmith.crd import custom_resource_definition
from tunesmith_cli import main

__all__ = ["control_plane", "s3"]


@dataclass
class Cluster:
    """A namespace of the control plane, and `tunesmith` for it, run in this process."""

    plane: ControlPlane
    namespace: str
    folder: Path
    env: dict = field(default_factory=dict)

    def __call__(
        self, *arguments, expect=0, plugin=False, kubeconfig=None, here=True, stdin=None
    ) -> subprocess.CompletedProcess:
        """`here`: with `-n <namespace>`."""
        kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
        env = (
            kept
            | {"HOME": str(self.folder), "KUBECONFIG": str(kubeconfig or self.plane.kubeconfig)}
            | self.env
        )
        out, err = io.StringIO(), io.StringIO()
        program = "/bin/kubectl-tunesmith" if plugin else "/bin/tunesmith"
        with contextlib.ExitStack() as stack:
            stack.enter_context(mock.patch.dict(os.environ, env, clear=True))
            stack.enter_context(mock.patch("sys.argv", [program]))
            piped = io.TextIOWrapper(io.BytesIO((stdin or "").encode()), encoding="utf-8")
            stack.enter_context(mock.patch("sys.stdin", piped))
            stack.enter_context(redirect_stdout(out))
            stack.enter_context(redirect_stderr(err))
            code = main([*map(str, arguments), *(["-n", self.namespace] if here else [])])
        assert code == expect, f"{out.getvalue()}\n{err.getvalue()}"
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())

    def kubectl(self, *arguments, stdin=None) -> str:
        return self.plane.kubectl("-n", self.namespace, *arguments, stdin=stdin).stdout

    def write(self, name="riddles", changes=None, file="request.yaml", **metadata) -> Path:
        path = self.folder / file
        path.write_text(yaml.safe_dump(document(changes, name=name, **metadata)), encoding="utf-8")
        return path

    def create(self, name="riddles", changes=None, status=None) -> dict:
        """A request as kubectl makes it, with a status."""
        self.kubectl("apply", "-f", "-", stdin=json.dumps(document(changes, name=name)))
        if status is not None:
            self.status(name, **status)
        return self.get(name)

    def status(self, name, **status) -> None:
        generation = self.get(name)["metadata"]["generation"]
        patch = {"status": {"observedGeneration": generation} | status}
        self.kubectl("patch", "treq", name, "--subresource=status", "--type=merge", "-p", json.dumps(patch))

    def get(self, name="riddles") -> dict:
        return json.loads(self.kubectl("get", "treq", name, "-o", "json"))


@pytest.fixture(scope="session")
def installed(control_plane):
    control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(custom_resource_definition()))
    until = time.monotonic() + 30
    while control_plane.kubectl("get", "treq", check=False).returncode:
        assert time.monotonic() < until, "the CRD is not served"
        time.sleep(0.2)
    return control_plane


@pytest.fixture
def cluster(installed, tmp_path):
    return Cluster(installed, installed.namespace(), tmp_path)


@pytest.fixture
def scripted(tmp_path):
    """A server of written answers, and `tunesmith` for namespace team of it."""
    with scripted_api(tmp_path) as api:
        cluster = Cluster(api, "team", tmp_path)
        cluster.answers = api.answers
        yield cluster
