"""Images from buildah's store into the node's containerd, without a registry."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from programs import CACHE, program

PAUSE = "localhost/tunesmith-pause:1"  # also in config/containerd.toml
Inside = Callable[..., subprocess.CompletedProcess[str]]


def load(name: str, folder: Path, inside: Inside) -> None:
    """Load an image, unless the node has exactly this one."""
    identity = _buildah("inspect", "--type=image", "--format={{.FromImageID}}", name)
    loaded = (
        folder / "images" / name.replace("/", "_").replace(":", "_")
    )  # a colon would end the archive's path
    if name in _names(inside) and loaded.exists() and loaded.read_text() == identity:
        print(f"{name}: already there")
        return
    loaded.parent.mkdir(exist_ok=True)
    known = loaded.parent / "layers"  # those that the node has unpacked: they need not travel again
    have = set(known.read_text().split()) if known.exists() else set()
    layers, trouble = _bring(name, loaded.with_name(loaded.name + ".oci"), have, inside)
    if trouble and have:  # the node has dropped one of them
        layers, trouble = _bring(name, loaded.with_name(loaded.name + ".oci"), set(), inside)
    if trouble:
        raise RuntimeError(f"{name} was not imported: {trouble}")
    _drop_replaced(inside)
    known.write_text("\n".join(sorted(have | layers)))
    loaded.write_text(identity)
    print(f"{name}: loaded")


def _drop_replaced(inside: Inside) -> None:
    """Forget images that have no name but the kubelet's by digest, so that containerd frees their layers."""
    refs = [line.split()[:3] for line in _ctr(inside, "images", "list").splitlines()[1:]]
    named = {digest for ref, _, digest in refs if not ref.startswith("sha256:")}
    if replaced := [ref for ref, _, digest in refs if ref.startswith("sha256:") and digest not in named]:
        _ctr(inside, "images", "remove", *replaced)


def _bring(name: str, layout: Path, known: set[str], inside: Inside) -> tuple[set[str], str]:
    """Import an image, without the layers in `known`. Returns its layers, and what went wrong."""
    try:
        # Uncompressed, and packed from a folder on the way: writing gigabytes once more costs minutes.
        _buildah("push", "--quiet", "--disable-compression", name, f"oci:{layout}:{name}")
        layers = set(_layers(layout))
        for layer in known & layers:
            (layout / "blobs" / "sha256" / layer).unlink()
        importing = '"$2" --namespace=k8s.io images import --local --discard-unpacked-layers -'
        script = f'tar --create --directory="$1" . | {importing}'
        done = inside("bash", "-o", "pipefail", "-c", script, "bash", str(layout), str(program("ctr")))
        return layers, done.stderr.strip() or "ctr failed" if done.returncode else ""
    finally:
        shutil.rmtree(layout, ignore_errors=True)


def _layers(layout: Path) -> list[str]:
    """Digests of the layers of the one image in an OCI layout."""
    blobs = layout / "blobs" / "sha256"
    [entry] = json.loads((layout / "index.json").read_text())["manifests"]
    manifest = json.loads((blobs / entry["digest"].removeprefix("sha256:")).read_text())
    return [layer["digest"].removeprefix("sha256:") for layer in manifest["layers"]]


def load_pause(inside: Inside) -> None:
    """The image of the process that holds a pod's namespaces."""
    if PAUSE in _names(inside):
        return
    archive = CACHE / "bin" / "pause.tar"
    if not archive.exists():
        context = ("--file", str(Path(__file__).parent / "pause" / "Containerfile"), str(CACHE / "bin"))
        _buildah("build", "--quiet", "--isolation=chroot", "--ignorefile=/dev/null", "--tag", PAUSE, *context)
        _buildah("push", "--quiet", PAUSE, f"oci-archive:{archive}:{PAUSE}")
    _ctr(inside, "images", "import", str(archive))


def count(inside: Inside) -> int:
    """How many images the node has."""
    return len(_names(inside))


def _names(inside: Inside) -> list[str]:
    return [
        name
        for name in _ctr(inside, "images", "list", "--quiet").splitlines()
        if "@" not in name and not name.startswith("sha256:")
    ]


def _ctr(inside: Inside, *arguments: str) -> str:
    done = inside(str(program("ctr")), "--namespace=k8s.io", *arguments)
    if done.returncode:
        raise RuntimeError(f"ctr {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def _buildah(*arguments: str) -> str:
    done = subprocess.run(["buildah", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"buildah {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()
