"""Runs a program in a built image as a pod would.

That is: runc, uid 10001, no capability, a read-only root, a writable /tmp, and no network but loopback.
"""

import contextlib
import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PREFIX = os.environ.get("TUNESMITH_IMAGES", "localhost/tunesmith-")
TAG = os.environ.get("TUNESMITH_IMAGES_TAG", "dev")
NAMES = ("controller", "generate", "train", "merge", "tryout")


@dataclass(frozen=True)
class Image:
    """A built image, its root file system mounted.

    `config` has entrypoint, user, environment and labels, as OCI names them.
    """

    name: str
    root: Path
    config: dict[str, Any]
    layers: tuple[str, ...]

    def files(self) -> Iterator[tuple[str, os.stat_result]]:
        """Every file and folder: its path within the image, and its facts. Links are not followed."""
        todo = [str(self.root)]
        while todo:
            with os.scandir(todo.pop()) as entries:
                for entry in entries:
                    yield entry.path[len(str(self.root)) :], entry.stat(follow_symlinks=False)
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(entry.path)

    def run(
        self,
        *command: str,
        env: dict[str, str] | None = None,
        folder: Path | None = None,
        timeout: float = 120,
    ):
        """The ended process of `command`. A `folder` is mounted at /data and owned by 10001."""
        bundle = Path("/run") / f"tunesmith-test-{uuid.uuid4().hex[:12]}"
        bundle.mkdir()
        try:
            # The kubelet mounts one too
            (bundle / "hosts").write_text(f"127.0.0.1 localhost {bundle.name}\n")
            (bundle / "config.json").write_text(
                json.dumps(self._spec(bundle, list(command), env or {}, folder))
            )
            return subprocess.run(
                ["runc", "run", "--bundle", str(bundle), bundle.name],
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        finally:
            subprocess.run(["runc", "delete", "--force", bundle.name], capture_output=True, check=False)
            shutil.rmtree(bundle)

    def _spec(
        self, bundle: Path, command: list[str], env: dict[str, str], folder: Path | None
    ) -> dict[str, Any]:
        uid, gid = map(int, self.config["User"].split(":"))
        none: dict[str, list[str]] = {
            kind: [] for kind in ("bounding", "effective", "permitted", "ambient", "inheritable")
        }
        mounts = [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {
                "destination": "/dev",
                "type": "tmpfs",
                "source": "tmpfs",
                "options": ["nosuid", "mode=755", "size=65536k"],
            },
            {
                "destination": "/dev/shm",
                "type": "tmpfs",
                "source": "shm",
                "options": ["nosuid", "nodev", "mode=1777"],
            },
            {
                "destination": "/tmp",
                "type": "tmpfs",
                "source": "tmpfs",
                "options": ["nosuid", "nodev", "mode=1777"],
            },
            {
                "destination": "/sys",
                "type": "sysfs",
                "source": "sysfs",
                "options": ["nosuid", "noexec", "nodev", "ro"],
            },
            {
                "destination": "/etc/hosts",
                "type": "bind",
                "source": str(bundle / "hosts"),
                "options": ["rbind", "ro"],
            },
        ]
        if folder is not None:
            os.chown(folder, uid, gid)
            mounts.append(
                {"destination": "/data", "type": "bind", "source": str(folder), "options": ["rbind", "rw"]}
            )
        return {
            "ociVersion": "1.0.2",
            "hostname": bundle.name,
            "process": {
                "user": {"uid": uid, "gid": gid},
                "args": [*self.config["Entrypoint"], *command],
                "env": [*self.config["Env"], *(f"{name}={value}" for name, value in env.items())],
                "cwd": self.config["WorkingDir"],
                "capabilities": none,
                "noNewPrivileges": True,
            },
            "root": {"path": str(self.root), "readonly": True},
            "mounts": mounts,
            "linux": {"namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")]},
        }


def lacking() -> str:
    """Why images cannot be tried here; empty when they can."""
    for tool in ("buildah", "runc"):
        if shutil.which(tool) is None:
            return f"no {tool} here"
    return "" if os.geteuid() == 0 else "mounting an image needs root"


@contextlib.contextmanager
def opened(name: str) -> Iterator[Image | None]:
    """The image `tunesmith-<name>` while it is mounted; None if it is not built."""
    reference = f"{PREFIX}{name}:{TAG}"
    shown = subprocess.run(
        ["buildah", "inspect", "--type", "image", reference], capture_output=True, text=True, check=False
    )
    if shown.returncode:
        yield None
        return
    image = json.loads(shown.stdout)["OCIv1"]
    container = _buildah("from", "--pull=never", reference)
    try:
        yield Image(
            name, Path(_buildah("mount", container)), image["config"], tuple(image["rootfs"]["diff_ids"])
        )
    finally:
        _buildah("umount", container)
        _buildah("rm", container)


def _buildah(*words: str) -> str:
    return subprocess.run(
        ["buildah", *words], capture_output=True, text=True, check=True, timeout=120
    ).stdout.strip()
