"""The outside of the cluster: what `up` and `down` do on the machine. node.py is the inside."""

import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import node
from programs import CACHE, missing, program

import images

FOLDER = Path(os.environ.get("TUNESMITH_CLUSTER") or Path.home() / ".cache" / "tunesmith" / "cluster" / "run")
KUBECONFIG = FOLDER / "kubeconfig"
KEPT = CACHE / "images"  # those of the last cluster, for the next: gigabytes that need not be unpacked again
LINK = "tunesmith0"  # the machine's side of the pair of links
CGROUPS = Path("/sys/fs/cgroup")
CGROUP = "tunesmith-cluster"  # also in config/kubelet.yaml
GPUS = 2
START_SECONDS = 120
# What a kubelet sets for the whole machine; `down` sets it back.
SYSCTLS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)


class NotPossible(Exception):
    """The cluster can't run here; the message says why and what to do."""


def up() -> None:
    """Start the cluster, or the parts that do not run; returns when its node takes pods."""
    _check()
    with _alone():
        since = ""
        if not _pid():
            since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            _begin()
        _until("the API server", lambda: kubectl("get", "--raw", "/readyz", check=False).returncode == 0)
        _until("the node", lambda: kubectl("get", "node", node.NAME, check=False).returncode == 0)
        images.load_pause(_inside)
        _until("the node's condition Ready", lambda: _node_is_ready(since))
        gpus = {"nvidia.com/gpu": str(GPUS)}  # the kubelet forgets them when it starts
        kubectl(
            "patch",
            "node",
            node.NAME,
            "--subresource=status",
            "-p",
            json.dumps({"status": {"capacity": gpus, "allocatable": gpus}}),
        )
        kubectl("apply", "-f", str(node.CONFIG / "dns.yaml"))


def down() -> None:
    """Stop the cluster and remove its state. Its images are kept, unless containerd is broken."""
    with _alone():
        kept = False
        if pid := _pid():
            with suppress(RuntimeError):
                kept = images.count(_inside) > 0
            # The kernel ends every process of the namespaces with their process 1, then mounts and network.
            os.kill(pid, signal.SIGKILL)
            _until("the end of the processes", lambda: _pid() is None and not _processes())
        for path in sorted(_cgroups(), key=lambda path: len(path.parts), reverse=True):
            with suppress(FileNotFoundError):
                path.rmdir()
        saved = FOLDER / "sysctls.json"
        if saved.exists():
            for name, value in json.loads(saved.read_text()).items():
                Path("/proc/sys", name).write_text(value)
        if kept:
            shutil.rmtree(KEPT, ignore_errors=True)
            _move_images(FOLDER, KEPT)
        shutil.rmtree(FOLDER, ignore_errors=True)


def status() -> str:
    """A line that says what is running."""
    if not _pid():
        return "no cluster"
    ready = "Ready" if _node_is_ready() else "not ready"
    return f"node {ready}, {images.count(_inside)} images, KUBECONFIG={KUBECONFIG}"


def load(names: list[str]) -> None:
    """Load images from buildah's store into the running cluster."""
    if not _pid():
        raise NotPossible(f"no cluster runs in {FOLDER}: `make cluster-up` starts one")
    with _alone():
        for name in names:
            images.load(name, FOLDER, _inside)


def kubectl(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """kubectl as the administrator."""
    command = [str(program("kubectl")), f"--kubeconfig={KUBECONFIG}", "--request-timeout=20s", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
    return done


def _begin() -> None:
    """Start process 1 in new namespaces, connect it with the machine, write the keys."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not (FOLDER / "lib").exists():
        _move_images(KEPT, FOLDER)
    saved = FOLDER / "sysctls.json"
    if not saved.exists():
        saved.write_text(
            json.dumps(
                {name: value.read_text() for name in SYSCTLS if (value := Path("/proc/sys", name)).exists()}
            )
        )
    node.control_plane(FOLDER).write_keys(_token())
    _make_cgroups()
    (FOLDER / "logs").mkdir(exist_ok=True)
    with (FOLDER / "logs" / "node.log").open("ab") as log:
        process = subprocess.Popen(
            [
                *(
                    "unshare",
                    "--mount",
                    "--net",
                    "--pid",
                    "--ipc",
                    "--uts",
                    "--fork",
                    "--kill-child",
                    "--mount-proc",
                    "--propagation=private",
                ),
                *(sys.executable, str(Path(node.__file__)), str(FOLDER)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=FOLDER,
            start_new_session=True,
        )
    (FOLDER / "pid").write_text(f"{process.pid} {_started(process.pid)}")
    _until(
        "namespaces",
        lambda: (
            _pid() is not None
            and Path(f"/proc/{process.pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
        ),
    )
    subprocess.run(
        ["ip", "link", "delete", LINK], capture_output=True, check=False
    )  # of one that was killed a moment ago
    peer = ("peer", "name", node.LINK, "netns", str(process.pid))
    for command in (
        ("link", "add", LINK, "type", "veth", *peer),
        ("address", "add", f"{node.HOST_ADDRESS}/30", "dev", LINK),
        ("link", "set", LINK, "up"),
        ("route", "add", node.PODS, "via", node.ADDRESS),
    ):
        subprocess.run(["ip", *command], check=True)


def _check() -> None:
    """Refuse on a machine where it cannot work."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise NotPossible(
            "a node needs Linux and root (control plane tests need neither); "
            "or set TUNESMITH_E2E_KUBECONFIG to another cluster's"
        )
    if absent := missing(node=True):
        raise NotPossible(
            f"missing: {', '.join(absent)}. Build and install them: tests/cluster/build.sh node"
        )
    if any(
        FOLDER.resolve().is_relative_to(hidden)
        for hidden in ("/var/lib", "/var/log", "/run", "/proc", "/sys")
    ):
        raise NotPossible(
            f"TUNESMITH_CLUSTER={FOLDER}: the node has its own /var/lib, /var/log and /run; "
            "use a folder elsewhere"
        )
    routes = subprocess.run(
        ["ip", "-4", "route", "show", "root", "10.244.0.0/16"], capture_output=True, text=True, check=True
    ).stdout
    if foreign := [line for line in routes.splitlines() if LINK not in line and node.ADDRESS not in line]:
        raise NotPossible(
            f"10.244.0.0/16 is in use here ({foreign[0].strip()}); "
            "stop that network, or set TUNESMITH_E2E_KUBECONFIG"
        )


@contextmanager
def _alone() -> Iterator[None]:
    """One `up`, `down` or `load` at a time. The lock is on the folder above, so no lock file remains."""
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(FOLDER.parent, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _pid() -> int | None:
    """The process that holds the namespaces, if it lives: its number and start, as numbers are reused."""
    try:
        pid, started = (FOLDER / "pid").read_text().split()
        return int(pid) if _started(int(pid)) == started else None
    except (OSError, ValueError):
        return None


def _started(pid: int) -> str:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    if fields[0] == "Z":
        raise ProcessLookupError(pid)
    return fields[19]


def _token() -> str:
    """The administrator's token: the same as long as the cluster's data lives."""
    tokens = FOLDER / "pki" / "tokens.csv"
    return tokens.read_text().partition(",")[0] if tokens.exists() else secrets.token_hex(16)


def _inside(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command with the node's mounts and network."""
    pid = _pid()
    return subprocess.run(
        ["nsenter", f"--target={pid}", "--mount", "--net", *command],
        capture_output=True,
        text=True,
        check=False,
    )


def _move_images(source: Path, target: Path) -> None:
    """Move containerd's data and images.py's notes, unless to another file system: loading is as quick."""
    for name in ("lib/containerd", "images"):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):
            (source / name).rename(target / name)


def _make_cgroups() -> None:
    """The kubelet's root: in each hierarchy of cgroup v1, or in that of v2 with its controllers."""
    unified = CGROUPS / "cgroup.controllers"
    if unified.exists():
        controllers = " ".join(f"+{name}" for name in unified.read_text().split())
        (CGROUPS / "cgroup.subtree_control").write_text(controllers)
        (CGROUPS / CGROUP).mkdir(exist_ok=True)
        (CGROUPS / CGROUP / "cgroup.subtree_control").write_text(controllers)
        return
    for hierarchy in CGROUPS.iterdir():
        if (hierarchy / "cgroup.procs").exists():
            (hierarchy / CGROUP).mkdir(exist_ok=True)


def _cgroups() -> list[Path]:
    roots = [CGROUPS / CGROUP, *CGROUPS.glob(f"*/{CGROUP}")]
    return [Path(path) for root in roots for path, _, _ in os.walk(root)]


def _processes() -> list[str]:
    return [
        pid
        for path in _cgroups()
        if (path / "cgroup.procs").exists()
        for pid in (path / "cgroup.procs").read_text().split()
    ]


def _node_is_ready(since: str = "") -> bool:
    """Whether the node takes pods, and has said so since that time (before, a killed kubelet may have)."""
    ready = "{range .status.conditions[?(@.type=='Ready')]}{.status} {.lastHeartbeatTime}{end}"
    said = f"-o=jsonpath={ready} {{.spec.taints}}"
    status, _, rest = kubectl("get", "node", node.NAME, said, check=False).stdout.partition(" ")
    heartbeat, _, taints = rest.partition(" ")
    return status == "True" and heartbeat >= since and not taints


def _until(what: str, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise NotPossible(f"{what}: waited {START_SECONDS} s in vain; the logs are in {FOLDER / 'logs'}")
        time.sleep(0.1)
