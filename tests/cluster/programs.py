"""Kubernetes' own programs: where they are, and the command lines of a control plane.

Tests use them, and so does the cluster with a node.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(os.environ.get("TUNESMITH_CACHE") or Path.home() / ".cache" / "tunesmith") / "cluster"
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok")
NODE = ("kubelet", "kube-proxy", "containerd", "containerd-shim-runc-v2", "ctr", "coredns", "helm", "pause")
DEBIAN = {
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "buildah": "buildah",
    "ip": "iproute2",
}  # program -> package
CNI_PLUGINS = Path("/usr/lib/cni")  # where Debian's containernetworking-plugins are


def program(name: str) -> Path:
    """A program's path: in KUBEBUILDER_ASSETS (envtest's convention), else where build.sh puts it."""
    if assets := os.environ.get("KUBEBUILDER_ASSETS"):
        ready = Path(assets) / name
        if ready.exists():
            return ready
    return CACHE / "bin" / name


def client(name: str) -> Path:
    """kubectl or helm: as `program`, else from the PATH, as another cluster needs no built programs."""
    own = program(name)
    return own if own.exists() else Path(shutil.which(name) or own)


def missing(*, node: bool = False) -> list[str]:
    """Programs that are not here, by name."""
    absent = [name for name in CONTROL_PLANE + (NODE if node else ()) if not program(name).exists()]
    if not shutil.which("openssl"):
        absent.append("openssl")
    if node:
        absent += [name for name in DEBIAN if not shutil.which(name)]
        absent += [str(CNI_PLUGINS)] if not CNI_PLUGINS.exists() else []
    return absent


@dataclass(frozen=True)
class ControlPlanePorts:
    """Where a control plane listens."""

    etcd: int
    etcd_peer: int
    api: int


@dataclass(frozen=True)
class ControlPlanePrograms:
    """Command lines of etcd, API server, controller-manager and scheduler with their state in `folder`.

    Loads of a test, not of production: the clients' own rate limits are out of the way, and etcd waits for
    the disk only if `durable`.
    """

    folder: Path
    address: str
    ports: ControlPlanePorts
    durable: bool = False

    @property
    def url(self) -> str:
        """The API server's address."""
        return f"https://{self.address}:{self.ports.api}"

    @property
    def etcd_url(self) -> str:
        """etcd's address."""
        return f"http://127.0.0.1:{self.ports.etcd}"

    @property
    def certificate(self) -> Path:
        """The API server's certificate with its authority; the server writes it on its first start."""
        return self.folder / "pki" / "api" / "apiserver.crt"

    def etcd(self) -> list[str]:
        """etcd, on loopback."""
        client, peer = self.etcd_url, f"http://127.0.0.1:{self.ports.etcd_peer}"
        return [
            *(
                str(program("etcd")),
                f"--data-dir={self.folder / 'etcd'}",
                "--log-level=warn",
                *([] if self.durable else ["--unsafe-no-fsync"]),
            ),
            *(f"--listen-client-urls={client}", f"--advertise-client-urls={client}"),
            *(
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=default={peer}",
            ),
        ]

    def apiserver(self) -> list[str]:
        """kube-apiserver: tokens and client certificates, RBAC, tokens of service accounts."""
        pki = self.folder / "pki"
        return [
            *(str(program("kube-apiserver")), f"--etcd-servers={self.etcd_url}"),
            *(
                f"--bind-address={self.address}",
                f"--advertise-address={self.address}",
                f"--secure-port={self.ports.api}",
            ),
            *(
                f"--cert-dir={pki / 'api'}",
                f"--token-auth-file={pki / 'tokens.csv'}",
                f"--client-ca-file={pki / 'users.crt'}",
            ),
            *(
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={pki / 'sa.pub'}",
            ),
            *(
                f"--service-account-signing-key-file={pki / 'sa.key'}",
                "--service-cluster-ip-range=10.96.0.0/16",
            ),
            *("--authorization-mode=Node,RBAC", "--allow-privileged=true"),
            "--kubelet-preferred-address-types=InternalIP",  # else logs and exec look the node's name up
            *("--max-requests-inflight=800", "--max-mutating-requests-inflight=400"),
        ]

    def controller_manager(self) -> list[str]:
        """kube-controller-manager. Pods get the root CA, so that they trust the API server."""
        return [
            *(
                str(program("kube-controller-manager")),
                f"--kubeconfig={self.folder / 'kubeconfig'}",
                "--leader-elect=false",
            ),
            *(
                f"--service-account-private-key-file={self.folder / 'pki' / 'sa.key'}",
                f"--root-ca-file={self.certificate}",
            ),
            *("--controllers=*,-node-ipam-controller", "--concurrent-job-syncs=10", "--secure-port=0"),
            *("--kube-api-qps=500", "--kube-api-burst=1000"),
        ]

    def scheduler(self) -> list[str]:
        """kube-scheduler."""
        return [
            *(
                str(program("kube-scheduler")),
                f"--kubeconfig={self.folder / 'kubeconfig'}",
                "--leader-elect=false",
            ),
            *("--secure-port=0", "--kube-api-qps=500", "--kube-api-burst=1000"),
        ]

    def write_keys(self, token: str) -> None:
        """Write keys, the administrator's token and kubeconfig, unless they exist."""
        pki = self.folder / "pki"
        pki.mkdir(parents=True, exist_ok=True)
        if not (pki / "users.crt").exists():
            _openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", pki / "sa.key")
            _openssl("ec", "-in", pki / "sa.key", "-pubout", "-out", pki / "sa.pub")
            _openssl(
                *(
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:prime256v1",
                    "-nodes",
                    "-days",
                    "30",
                ),
                *(
                    "-subj",
                    "/CN=users of a test cluster",
                    "-keyout",
                    pki / "users.key",
                    "-out",
                    pki / "users.crt",
                ),
            )
        _write_private(pki / "tokens.csv", f'{token},admin,admin,"system:masters"\n')
        self.write_kubeconfig(self.folder / "kubeconfig", {"token": token})

    def write_kubeconfig(self, path: Path, user: dict[str, str], namespace: str = "default") -> Path:
        """A kubeconfig whose user is what `user` says: a token, or files of a client certificate."""
        fields = "".join(f', {name}: "{value}"' for name, value in user.items())[2:]
        text = f"""apiVersion: v1
kind: Config
clusters: [{{name: own, cluster: {{server: "{self.url}", certificate-authority: "{self.certificate}"}}}}]
users: [{{name: own, user: {{{fields}}}}}]
contexts: [{{name: own, context: {{cluster: own, user: own, namespace: {namespace}}}}}]
current-context: own
"""
        _write_private(path, text)
        return path

    def client_certificate(self, name: str, groups: tuple[str, ...], into: Path) -> dict[str, str]:
        """The kubeconfig's fields of a certificate for a user of this name in these groups."""
        pki = self.folder / "pki"
        subject = "".join(f"/O={_escaped(group)}" for group in groups) + f"/CN={_escaped(name)}"
        key, request, certificate = into / "user.key", into / "user.csr", into / "user.crt"
        _openssl(
            *("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-utf8"),
            *("-subj", subject, "-keyout", key, "-out", request),
        )
        _openssl(
            *(
                "x509",
                "-req",
                "-in",
                request,
                "-CA",
                pki / "users.crt",
                "-CAkey",
                pki / "users.key",
                "-CAcreateserial",
            ),
            *("-CAserial", into / "serial", "-days", "30", "-out", certificate),
        )
        return {"client-certificate": str(certificate), "client-key": str(key)}


def _escaped(part: str) -> str:
    return part.replace("\\", "\\\\").replace("/", "\\/").replace("+", "\\+")


def _openssl(*arguments: str | Path) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"openssl {arguments[0]} failed ({done.returncode}): {done.stderr.strip()}")


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read: a token or a key."""
    path.touch(mode=0o600)
    path.write_text(text)
