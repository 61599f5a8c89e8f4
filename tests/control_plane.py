"""A real Kubernetes control plane for tests: etcd, kube-apiserver, controller-manager and scheduler on free
loopback ports.

A folder of tests takes it by `from control_plane import control_plane` and `__all__ = ["control_plane"]` in
its conftest.py. One per session and xdist worker; ready in some four seconds, 480 MiB. No node: pods stay
Pending, unless the test has `fake_nodes` (kwok.py) too.
"""

import contextlib
import ctypes
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from ssl import create_default_context

import pytest
from cluster.programs import ControlPlanePorts, ControlPlanePrograms, client, missing

START_SECONDS = 90  # on a loaded machine; 4 otherwise
_LIBC = ctypes.CDLL(None)


class NotStarted(RuntimeError):
    """A program ended, or was not ready in time; the message has the end of its log."""


class ControlPlane:
    """A running control plane. `kubeconfig` is the administrator's; `folder` holds state and logs."""

    def __init__(self, folder: Path, programs: ControlPlanePrograms) -> None:
        self.folder = folder
        self.kubeconfig = folder / "kubeconfig"
        self.url = programs.url
        self.certificate = programs.certificate
        self._programs = programs
        self._token = secrets.token_hex(16)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._namespaces = 0

    def kubectl(
        self, *arguments: str, stdin: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator. A failure raises with what it said, unless `check` is False."""
        return kubectl(self.kubeconfig, *arguments, stdin=stdin, check=check)

    def namespace(self, labels: Mapping[str, str] | None = None) -> str:
        """A new namespace with its default ServiceAccount. It is left behind: the whole control plane goes at
        the end.
        """
        self._namespaces += 1
        name = f"test-{self._namespaces}"
        body = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": dict(labels or {})},
        }
        self.kubectl("create", "-f", "-", stdin=json.dumps(body))
        self._until(
            f"the ServiceAccount of namespace {name}", lambda: self._exists("serviceaccount", "default", name)
        )
        return name

    def kubeconfig_for(self, user: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig of somebody else, to see what RBAC lets them do. Any client can use it: it holds real
        credentials.

        `user`: `system:serviceaccount:<namespace>:<name>` of an existing ServiceAccount (a token of it, valid
        for 10 h), or any name (a client certificate with this name and these groups).
        """
        folder = self.folder / "users" / secrets.token_hex(4)
        folder.mkdir(parents=True)
        match user.split(":"):
            case ["system", "serviceaccount", namespace, name]:
                if groups:
                    raise ValueError(
                        f"{user}: the API server decides on the groups of a ServiceAccount; give no `groups`"
                    )
                token = self.kubectl(
                    "create", "token", name, "-n", namespace, "--duration=10h"
                ).stdout.strip()
                return self._programs.write_kubeconfig(folder / "kubeconfig", {"token": token}, namespace)
            case _:
                certificate = self._programs.client_certificate(user, tuple(groups), folder)
                return self._programs.write_kubeconfig(folder / "kubeconfig", certificate)

    def restart_apiserver(self) -> None:
        """Stop the API server, if it runs, and start it again with the same address, keys and data; returns
        when it is ready.
        """
        self.stop_apiserver()
        self._start_apiserver()

    def stop_apiserver(self) -> None:
        """Kill the API server: connections break, new ones are refused. `restart_apiserver`
        brings it back.
        """
        self._stop("kube-apiserver")

    @property
    def etcd_url(self) -> str:
        """Where etcd takes requests: plain HTTP on loopback."""
        return self._programs.etcd_url

    def stop_controllers(self) -> None:
        """Stop controller-manager and scheduler: nothing changes any more but by a client."""
        self._stop("kube-scheduler")
        self._stop("kube-controller-manager")

    def snapshot(self) -> Path:
        """A copy of the data as they are, for `restore`. The API server is away for a moment."""
        self.stop_apiserver()
        self._stop("etcd")
        copy = self.folder / f"snapshot-{secrets.token_hex(4)}"
        shutil.copytree(self.folder / "etcd", copy)
        self._spawn("etcd", self._programs.etcd())
        self._start_apiserver()
        return copy

    def restore(self, snapshot: Path) -> None:
        """Go back to a snapshot, versions included; Kubernetes' own controllers are started again, as its
        documentation asks for.
        """
        self.stop()
        shutil.rmtree(self.folder / "etcd")
        shutil.copytree(snapshot, self.folder / "etcd")
        self._spawn("etcd", self._programs.etcd())
        self._start_apiserver()
        self._spawn("kube-controller-manager", self._programs.controller_manager())
        self._spawn("kube-scheduler", self._programs.scheduler())

    def start(self) -> None:
        """Start everything; returns when the API server is ready and the controllers work."""
        self._programs.write_keys(self._token)
        self._spawn("etcd", self._programs.etcd())
        self._start_apiserver()
        self._spawn("kube-controller-manager", self._programs.controller_manager())
        self._spawn("kube-scheduler", self._programs.scheduler())
        self._until("the controller-manager", lambda: self._exists("serviceaccount", "default", "default"))

    def stop(self) -> None:
        """Stop everything. The data is thrown away, so nobody is asked to finish."""
        for name in ("kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd"):
            self._stop(name)

    def _start_apiserver(self) -> None:
        self._spawn("kube-apiserver", self._programs.apiserver())
        self._until("the API server", lambda: self._get("/readyz") == 200)

    def _spawn(self, name: str, command: list[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = spawn(command, log, self.folder)

    def _stop(self, name: str) -> None:
        process = self.processes.pop(name, None)
        if process:
            process.kill()
            process.wait(timeout=30)

    def _until(self, what: str, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not holds():
            for name, process in self.processes.items():
                if process.poll() is not None:
                    raise NotStarted(f"{name} ended with {process.returncode}:\n{self._log(name)}")
            if time.monotonic() > deadline:
                logs = "\n".join(f"--- {name}\n{self._log(name)}" for name in self.processes)
                raise NotStarted(f"{what} was not ready after {START_SECONDS} s\n{logs}")
            time.sleep(0.05)

    def _exists(self, resource: str, name: str, namespace: str) -> bool:
        return self._get(f"/api/v1/namespaces/{namespace}/{resource}s/{name}") == 200

    def _get(self, path: str) -> int | None:
        """Status of a GET as the administrator; None without a connection. Spares the 0.1 s that a kubectl
        takes.
        """
        try:
            trust = create_default_context(cafile=str(self.certificate))
            request = urllib.request.Request(
                self.url + path, headers={"Authorization": f"Bearer {self._token}"}
            )
            opener = urllib.request.build_opener(
                urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)
            )
            with opener.open(request, timeout=5) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except OSError:
            return None

    def _log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-3000:]


def kubectl(
    kubeconfig: Path, *arguments: str, stdin: str | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run kubectl with a kubeconfig, in English, without the caller's own settings."""
    command = [str(client("kubectl")), f"--kubeconfig={kubeconfig}", *arguments]
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    env = kept | {"HOME": str(kubeconfig.parent), "LANG": "C.UTF-8"}
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, env=env, check=False)
    if check and done.returncode:
        raise RuntimeError(
            f"kubectl {' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        )
    return done


def spawn(command: list[str], log: object, folder: Path) -> subprocess.Popen[bytes]:
    """Start a program that dies with this process: a pytest that is killed stops no fixtures."""
    env = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "TMPDIR": str(folder)}
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd=folder,
        env=env,
        start_new_session=True,
        preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one system call, nothing that locks
    )


def free_ports(count: int) -> list[int]:
    """Free loopback ports below those that the kernel gives to outgoing connections, so that none takes one
    in between.
    """
    found: list[int] = []
    while len(found) < count:
        port = 20_000 + secrets.randbelow(12_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            if port not in found:
                found.append(port)
    return found


def need_programs() -> None:
    """Skip the test where a control plane can't run; with CI=true it goes on, and fails by name."""
    if absent := missing():
        text = (
            f"no control plane here: {', '.join(absent)} missing; "
            "scripts/parts.sh builds them (needs Go), or set KUBEBUILDER_ASSETS"
        )
        if os.environ.get("CI") == "true":
            pytest.fail(text)
        pytest.skip(text)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[ControlPlane]:
    """A control plane with its state in `folder`, which is removed afterwards."""
    for attempt in (1, 2, 3):
        state = folder / f"control-plane-{attempt}"
        state.mkdir()
        plane = ControlPlane(
            state, ControlPlanePrograms(state, "127.0.0.1", ControlPlanePorts(*free_ports(3)))
        )
        try:
            plane.start()
        except NotStarted as error:
            plane.stop()
            # Somebody took the port in between.
            if attempt == 3 or "address already in use" not in str(error):
                raise
            continue
        except BaseException:
            plane.stop()
            raise
        try:
            yield plane
        finally:
            plane.stop()
            shutil.rmtree(folder, ignore_errors=True)
        return


def _die_with_parent() -> None:
    pr_set_pdeathsig = 1
    _LIBC.prctl(pr_set_pdeathsig, signal.SIGKILL)


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The session's control plane."""
    need_programs()
    with running(tmp_path_factory.mktemp("kubernetes")) as plane:
        yield plane
