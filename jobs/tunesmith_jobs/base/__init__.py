"""Base models: found and pinned by name, opened by pin, inspected without their weights. Addresses: see uri.py.

    pin = find_base("hf://org/name@main", token=None)      # the commit, or a digest of the files; downloads next to nothing
    facts = inspect_base(pin)                              # config, tensors, chat template, licence; range reads
    folder = open_base(pin, work)                          # a folder with exactly the pinned files, weights as safetensors

Faults: BadRequest with reason ModelNotFound, ModelGated, ModelUnreadable, BadModelURI; Refused for a token or credentials; TryAgain for
a hub or bucket that cannot be reached; Gone where a pin no longer holds. Remote code is never run, other formats than safetensors never
loaded.
"""

import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from tunesmith.errors import BadRequest, Gone
from tunesmith.manifest import Pin
from tunesmith_jobs.base.choose import check_index, choose
from tunesmith_jobs.base.facts import BaseFacts, Licence, Tensor, inspect, read_index
from tunesmith_jobs.base.hub import Hub
from tunesmith_jobs.base.source import Bucket, Entry, Folder, Source, digest
from tunesmith_jobs.base.uri import Place, read_uri

__all__ = ["BaseFacts", "Licence", "Tensor", "find_base", "inspect_base", "open_base"]

Watch = Callable[[int, int], None]

# In Pin.detail:
_FILES = "files"  # the names of the pinned files, one a line
_STAMP = "stamp"  # of a folder: what its file system said of the files before they were hashed


def find_base(uri: str, *, token: str | None = None) -> Pin:
    """The model at `uri` at its present state: hub commit, or sha256 over names, sizes and contents (S3: ETags).

    Reads a folder whole, to hash it; of a hub or bucket only lists and small files. `token`: the hub's.
    """
    place = read_uri(uri)
    source = _source(place, uri, token)
    names = choose(uri, source.names(), place.file)
    check_index(uri, names, lambda: read_index(uri, source))
    if isinstance(source, Hub):
        source.check_access(names)
    stamp = source.stamp(names) if isinstance(source, Folder) else ""
    entries = source.entries(names)
    return Pin(
        uri=uri,
        revision=source.revision or digest(entries),
        size=sum(entry.size for entry in entries.values()),
        detail={_FILES: "\n".join(names)} | ({_STAMP: stamp} if stamp else {}),
    )


def inspect_base(pin: Pin, *, token: str | None = None) -> BaseFacts:
    """What the pinned model is, without its weights."""
    place, source, names = _pinned(pin, token)
    try:
        return inspect(pin, source, names, place.file)
    except KeyError as error:
        raise _changed(pin, f"{error.args[0]} is no longer there") from error


def open_base(pin: Pin, work: Path, *, token: str | None = None, watch: Watch | None = None) -> Path:
    """A folder below `work` with exactly the pinned files, weights as safetensors; a GGUF file is converted, once per `work`.

    The files are links to the hub client's cache, to the model's own folder, or to copies in `work`: to be read, never written.
    `watch` is told the bytes that are here and those of all files, whenever one is; what it raises ends the download.
    """
    place, source, names = _pinned(pin, token)
    here = work / "base" / pin.revision[:16]
    try:
        before = _check(pin, source, names)
        files: dict[str, Path] = {}
        for name, path in source.fetch(names, here / "files"):
            files[name] = path
            if watch is not None:
                watch(sum(file.stat().st_size for file in files.values()), pin.size)
        if not isinstance(source, Folder) and _check(pin, source, names) != before:
            raise _changed(pin, "it changed while it was read")
    except KeyError as error:
        raise _changed(pin, f"{error.args[0]} is no longer there") from error
    if place.file:
        return _converted(files, place.file, here / "model")
    return _linked(files, here / "model")


def _source(place: Place, uri: str, token: str | None, *, commit: str = "") -> Source:
    match place.kind:
        case "hub":
            return Hub(place, token, commit=commit)
        case "s3":
            return Bucket(place)
        case "folder":
            return Folder(place, uri)


def _pinned(pin: Pin, token: str | None) -> tuple[Place, Source, tuple[str, ...]]:
    place = read_uri(pin.uri)
    try:
        source = _source(place, pin.uri, token, commit=pin.revision)
    except BadRequest as error:
        raise _changed(pin, error.message) from error
    return place, source, tuple(pin.detail[_FILES].split("\n"))


def _check(pin: Pin, source: Source, names: Collection[str]) -> Mapping[str, Entry]:
    """The files' present states, if they are the pinned ones. Raises Gone.

    Not asked again where they cannot have changed: a hub's commit, a folder on the machine that pinned it and untouched since.
    """
    if source.revision or (isinstance(source, Folder) and source.stamp(names) == pin.detail.get(_STAMP)):
        return {}
    entries = source.entries(names)
    if digest(entries) != pin.revision:
        raise _changed(pin, "it has changed since")
    return entries


def _linked(files: Mapping[str, Path], to: Path) -> Path:
    """A folder of links with the files' own names."""
    shutil.rmtree(to, ignore_errors=True)
    for name, path in files.items():
        link = to / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path.resolve())
    return to


def _converted(files: Mapping[str, Path], gguf: str, to: Path) -> Path:
    from tunesmith_jobs.base.gguf import convert

    if to.exists():
        return to
    part = to.with_name("converting")
    shutil.rmtree(part, ignore_errors=True)
    convert(files[gguf], part)
    for name, path in files.items():
        if name != gguf:
            shutil.copyfile(path, part / Path(name).name)
    part.rename(to)
    return to


def _changed(pin: Pin, why: str) -> Gone:
    return Gone(
        f"the base model {pin.uri} is not what this run was trained on: {why}",
        reason="ModelGone",
        remedy="put the model back as it was, or set `rerun: {from: train, id: <new>}` to begin with what is there now",
    )
