"""The inside of the cluster: process 1 of its namespaces, which starts all programs, and restarts them.

It has its own mounts, network, processes and host name, so that everything here vanishes with this process,
however it ends: no mount, bridge, rule or process can be left behind on the machine. Started by machine.py:
`python node.py FOLDER`.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from programs import CNI_PLUGINS, ControlPlanePorts, ControlPlanePrograms, program

NAME = "node1"
ADDRESS = "10.244.255.2"
HOST_ADDRESS = "10.244.255.1"
PODS = "10.244.0.0/24"  # also in config/pods.conflist
LINK = "uplink"  # this side of the pair of links to the machine
CONFIG = Path(__file__).parent / "config"
RESTART_SECONDS = 1.0


def control_plane(folder: Path) -> ControlPlanePrograms:
    """The cluster's control plane: its usual ports, on the node's address. Tests kill its etcd."""
    ports = ControlPlanePorts(etcd=2379, etcd_peer=2380, api=6443)
    return ControlPlanePrograms(folder, ADDRESS, ports, durable=True)


def node_programs(folder: Path) -> dict[str, list[str]]:
    """Command lines of a node's programs, by name."""
    kubeconfig = folder / "kubeconfig"
    return {
        "kubelet": [
            *(str(program("kubelet")), f"--config={CONFIG / 'kubelet.yaml'}", f"--kubeconfig={kubeconfig}"),
            *(f"--hostname-override={NAME}", f"--node-ip={ADDRESS}"),
        ],
        "kube-proxy": [
            *(
                str(program("kube-proxy")),
                f"--kubeconfig={kubeconfig}",
                "--proxy-mode=iptables",
                f"--hostname-override={NAME}",
            ),
            *(
                "--conntrack-max-per-core=0",
                f"--bind-address={ADDRESS}",
            ),  # the table's size is the machine's, not ours
        ],
        "coredns": [str(program("coredns")), f"-conf={CONFIG / 'Corefile'}"],
    }


def mount(folder: Path) -> None:
    """Give the programs their usual folders: below `folder` what should outlive them, in memory the rest."""
    _do(
        "mount", "--make-rshared", "/"
    )  # pods' volumes are mounted by the kubelet and must be seen by containerd
    for inside, outside in {"/var/lib": folder / "lib", "/var/log": folder / "log"}.items():
        outside.mkdir(exist_ok=True)
        _do("mount", "--bind", str(outside), inside)
    _do("mount", "-t", "tmpfs", "-o", "mode=755", "run", "/run")


def connect() -> None:
    """Bring the network up, once machine.py has put this side of the link here."""
    while not Path(f"/proc/sys/net/ipv4/conf/{LINK}").exists():
        time.sleep(0.02)
    _do("ip", "link", "set", "lo", "up")
    _do("ip", "address", "add", f"{ADDRESS}/30", "dev", LINK)
    _do("ip", "link", "set", LINK, "up")
    _do("ip", "route", "add", "default", "via", HOST_ADDRESS)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    bridge = Path(
        "/proc/sys/net/bridge/bridge-nf-call-iptables"
    )  # without it a pod doesn't reach a Service whose pod is its neighbour
    if bridge.exists():
        bridge.write_text("1")
    plugins = Path("/run/cni/net.d")
    plugins.mkdir(parents=True)
    shutil.copy(CONFIG / "pods.conflist", plugins)


class Supervisor:
    """Programs by name, each with a log in `folder`/logs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._logs = folder / "logs"
        self._logs.mkdir(exist_ok=True)
        self._commands: dict[str, list[str]] = {}
        self._running: dict[int, tuple[str, subprocess.Popen[bytes]]] = {}

    def start(self, name: str, command: list[str]) -> None:
        """Start a program, and restart it whenever it ends."""
        self._commands[name] = command
        path = f"{program('containerd').parent}:{CNI_PLUGINS}:/usr/sbin:/usr/bin:/sbin:/bin"
        env = {"PATH": path, "HOME": str(self._folder), "KUBECONFIG": str(self._folder / "kubeconfig")}
        with (self._logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._folder, env=env
            )
        self._running[process.pid] = (
            name,
            process,
        )  # kept: subprocess reaps what nobody holds, and `forever` would not see it

    def forever(self) -> None:
        """Wait for processes that end, which for process 1 includes all orphans."""
        while True:
            pid, status = os.wait()
            if ended := self._running.pop(pid, None):
                name = ended[0]
                print(
                    f"{name} ended ({os.waitstatus_to_exitcode(status)}); again in {RESTART_SECONDS:g} s",
                    flush=True,
                )
                time.sleep(RESTART_SECONDS)
                self.start(name, self._commands[name])


def main(folder: Path) -> None:
    """Start everything in order, then keep it running."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # process 1 ignores what it doesn't handle
    mount(folder)
    connect()
    plane, supervisor = control_plane(folder), Supervisor(folder)
    supervisor.start("containerd", [str(program("containerd")), f"--config={CONFIG / 'containerd.toml'}"])
    supervisor.start("etcd", plane.etcd())
    supervisor.start("kube-apiserver", plane.apiserver())
    ready = [str(program("kubectl")), f"--kubeconfig={folder / 'kubeconfig'}", "get", "--raw", "/readyz"]
    while (
        not plane.certificate.exists() or subprocess.run(ready, capture_output=True, check=False).returncode
    ):
        time.sleep(0.1)
    supervisor.start("kube-controller-manager", plane.controller_manager())
    supervisor.start("kube-scheduler", plane.scheduler())
    for name, command in node_programs(folder).items():
        supervisor.start(name, command)
    supervisor.forever()


def _do(*command: str) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
