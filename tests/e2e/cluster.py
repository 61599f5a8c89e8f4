"""A cluster with a node: the project's own (tests/cluster), or that of TUNESMITH_E2E_KUBECONFIG."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cluster.programs import client, missing, program
from control_plane import kubectl

ADDRESS = "10.244.255.2"  # of the node (tests/cluster/node.py)
OWN = Path(__file__).parents[1] / "cluster"
FOLDER = Path(os.environ.get("TUNESMITH_CLUSTER") or Path.home() / ".cache" / "tunesmith" / "cluster" / "run")
IMAGES = tuple(
    f"localhost/tunesmith-{name}:dev" for name in ("controller", "generate", "train", "merge", "tryout")
)
PROGRAMS = {  # what stands in the command line of the cluster's own, and of no test's control plane
    "containerd": str(OWN / "config"),
    "etcd": str(FOLDER),
    "kube-apiserver": ADDRESS,
    "kube-controller-manager": str(FOLDER),
    "kube-scheduler": str(FOLDER),
    "kubelet": str(OWN / "config"),
}
LARGE_SECONDS = 1700  # the training image has 6 GB, and the machine may be busy


class Cluster:
    """A cluster. `kubeconfig` is an administrator's; `own`: the project's own, with two simulated GPUs."""

    def __init__(self, kubeconfig: Path, *, own: bool) -> None:
        self.kubeconfig = kubeconfig
        self.own = own

    @contextmanager
    def answers(self, lock: int = fcntl.LOCK_SH) -> Iterator[None]:
        """For a command of a test, during which the other process must not restart the API server."""
        with (OWN / "node.py").open() as held:
            fcntl.flock(held, lock)
            yield

    def kubectl(
        self, *arguments: str, stdin: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator. A failure raises with its output, unless `check` is False."""
        with self.answers():
            return kubectl(self.kubeconfig, *arguments, stdin=stdin, check=check)

    def helm(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run helm. A failure raises with its output, unless `check` is False."""
        env = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": os.environ.get("HOME", "/"),
            "KUBECONFIG": str(self.kubeconfig),
        }
        with self.answers():
            done = subprocess.run(
                [str(client("helm")), *arguments], capture_output=True, text=True, env=env, check=False
            )
        if check and done.returncode:
            raise RuntimeError(
                f"helm {' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done

    def restart_apiserver(self) -> None:
        """Kill the API server of the project's own cluster, which restarts it; returns once it answers."""
        with self.answers(fcntl.LOCK_EX):
            self.kill("kube-apiserver")
            time.sleep(1)
            self.wait_for_apiserver()

    def kill(self, name: str) -> None:
        """Kill one of PROGRAMS of the project's own cluster, which starts it again after a second."""
        assert self.own, "the programs of another cluster are not ours to kill"
        subprocess.run(["pkill", "-KILL", "-f", f"^{program(name)} .*{PROGRAMS[name]}"], check=True)

    def wait_for_apiserver(self) -> None:
        """Return once the API server answers."""
        for _ in range(120):
            if kubectl(self.kubeconfig, "get", "--raw", "/readyz", check=False).returncode == 0:
                return
            time.sleep(1)
        raise RuntimeError("the API server did not come back within two minutes")

    def names_asked_for(self) -> list[str]:
        """Names outside the cluster's own domain that anything in a pod has asked for, in order."""
        assert self.own, "the name server of another cluster keeps no such log"
        log = (FOLDER / "logs" / "coredns.log").read_text(encoding="utf-8")
        return [line.partition("asked for ")[2].strip() for line in log.splitlines() if "asked for " in line]

    def load(self, *images: str) -> None:
        """Load the images that the node of the project's own cluster lacks from buildah's store."""
        assert self.own, "images reach another cluster by its own means"
        done = _own("load", *images)
        if done.returncode:
            raise RuntimeError(f"the images were not loaded: {done.stderr}")


def _own(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(OWN), *arguments],
        capture_output=True,
        text=True,
        timeout=LARGE_SECONDS,
        check=False,
    )


def _why_not() -> str:
    """Why the project's own cluster can't run here; empty if it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a cluster with a node needs Linux and root"
    if absent := missing(node=True):
        return f"{', '.join(absent)} missing; tests/cluster/build.sh node builds and installs them"
    return ""


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster. It stays up for the next run; `make cluster-down` stops it.

    On a machine that cannot run one the tests are skipped, but never with CI=true.
    """
    if given := os.environ.get("TUNESMITH_E2E_KUBECONFIG"):
        if absent := [name for name in ("kubectl", "helm") if not client(name).exists()]:
            pytest.fail(f"{' and '.join(absent)} needed, on the PATH or in KUBEBUILDER_ASSETS")
        yield Cluster(Path(given), own=False)
        return
    if why := _why_not():
        text = f"{why}; or set TUNESMITH_E2E_KUBECONFIG to the kubeconfig of another cluster"
        if os.environ.get("CI") == "true":
            pytest.fail(text)
        pytest.skip(text)
    done = _own("up")
    assert done.returncode == 0, done.stderr
    own = Cluster(FOLDER / "kubeconfig", own=True)
    own.load(*IMAGES)
    yield own
