"""Base models: found and pinned by address, opened by pin, inspected without their weights.

Addresses: see address.py.

    pin = find_base("hf://org/name@main", token=None)  # the commit, or a digest of the files
    facts = inspect_base(pin)                          # config, tensors, chat template, license
    folder = open_base(pin, work)                      # a folder with the pinned files

Errors: BadRequest with reason ModelNotFound, ModelGated, ModelUnreadable or BadModelURI; Refused for a token
or credentials; TryAgain for a hub or store that cannot be reached; Gone if a pin no longer holds. Remote code
is never run, and no weights but safetensors are loaded.
"""

import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from tunesmith.errors import BadRequest, Gone
from tunesmith.manifest import Pin
from tunesmith_jobs.base.address import Address, read_address
from tunesmith_jobs.base.facts import BaseFacts, License, Tensor
from tunesmith_jobs.base.folder import FolderFiles
from tunesmith_jobs.base.gguf_facts import gguf_facts
from tunesmith_jobs.base.hub import HubFiles
from tunesmith_jobs.base.model_files import FileState, ModelFiles, digest
from tunesmith_jobs.base.model_json import read_index, read_json
from tunesmith_jobs.base.needed_files import check_index, needed_files
from tunesmith_jobs.base.safetensors_facts import chat_template, safetensors_facts, special_tokens
from tunesmith_jobs.base.store import StoreFiles

__all__ = [
    "BaseFacts",
    "License",
    "Tensor",
    "TokenizerFiles",
    "find_base",
    "inspect_base",
    "open_base",
    "read_tokenizer",
]

Watch = Callable[[int, int], None]
"""Is called with the bytes that have arrived and the bytes of all files."""

_FILES = "files"  # in Pin.detail: the names of the pinned files, one a line
_STAMP = "stamp"  # in a folder's Pin.detail: `FolderFiles.stamp` before the files were hashed


def find_base(uri: str, *, token: str | None = None) -> Pin:
    """The model at `uri` as it is now: the hub's commit, or a digest of names, sizes and contents.

    In a store the ETags stand for the contents.

    A folder is read whole, to hash it; of a hub or store only lists and small files are read. `token`: the
    hub's.
    """
    address = read_address(uri)
    files = _files(address, uri, token)
    names = needed_files(uri, files.names(), address.file)
    check_index(uri, names, lambda: read_index(uri, files))
    if isinstance(files, HubFiles):
        files.check_access(names)
    stamp = files.stamp(names) if isinstance(files, FolderFiles) else ""
    states = files.states(names)
    return Pin(
        uri=uri,
        revision=files.revision or digest(states),
        size=sum(state.size for state in states.values()),
        detail={_FILES: "\n".join(names)} | ({_STAMP: stamp} if stamp else {}),
    )


def inspect_base(pin: Pin, *, token: str | None = None) -> BaseFacts:
    """The facts of the pinned model, which are read without its weights."""
    address, files, names = _pinned(pin, token)
    try:
        if address.file:
            return gguf_facts(pin, files, names, address.file)
        return safetensors_facts(pin, files, names)
    except KeyError as error:
        raise _changed(pin, f"{error.args[0]} is no longer there") from error


def open_base(pin: Pin, work: Path, *, token: str | None = None, watch: Watch | None = None) -> Path:
    """A folder below `work` with exactly the pinned files, weights as safetensors. A GGUF file is converted.

    The files are links to the hub client's cache, to the model's own folder, or to copies in `work`: to be
    read, never written. `watch` is called whenever a file has arrived; if it raises, the download ends.
    """
    address, files, names = _pinned(pin, token)
    folder = work / "base" / pin.revision[:16]
    try:
        before = _check(pin, files, names)
        paths: dict[str, Path] = {}
        for name, path in files.fetch(names, folder / "files"):
            paths[name] = path
            if watch is not None:
                watch(sum(arrived.stat().st_size for arrived in paths.values()), pin.size)
        if not isinstance(files, FolderFiles) and _check(pin, files, names) != before:
            raise _changed(pin, "it changed while it was read")
    except KeyError as error:
        raise _changed(pin, f"{error.args[0]} is no longer there") from error
    if address.file:
        return _converted(paths, address.file, folder / "model")
    return _linked(paths, folder / "model")


@dataclass(frozen=True)
class TokenizerFiles:
    """What tokens are counted by. `tokenizer`: tokenizer.json, empty if the model has none."""

    tokenizer: bytes
    chat_template: str | None
    special_tokens: Mapping[str, str]


def read_tokenizer(uri: str, *, token: str | None = None) -> TokenizerFiles:
    """The tokenizer of the model at `uri` as it is now. Nothing else is read, and nothing is pinned."""
    files = _files(read_address(uri), uri, token)
    names = files.names()
    settings = read_json(uri, files, "tokenizer_config.json") if "tokenizer_config.json" in names else {}
    return TokenizerFiles(
        tokenizer=files.read("tokenizer.json") if "tokenizer.json" in names else b"",
        chat_template=chat_template(uri, files, names, settings),
        special_tokens=special_tokens(settings),
    )


def _files(address: Address, uri: str, token: str | None, *, commit: str = "") -> ModelFiles:
    match address.kind:
        case "hub":
            return HubFiles(address, token, commit=commit)
        case "store":
            return StoreFiles(address)
        case "folder":
            return FolderFiles(address, uri)


def _pinned(pin: Pin, token: str | None) -> tuple[Address, ModelFiles, tuple[str, ...]]:
    address = read_address(pin.uri)
    try:
        files = _files(address, pin.uri, token, commit=pin.revision)
    except BadRequest as error:
        raise _changed(pin, error.message) from error
    return address, files, tuple(pin.detail[_FILES].split("\n"))


def _check(pin: Pin, files: ModelFiles, names: Collection[str]) -> Mapping[str, FileState]:
    """The files' present states, if they are the pinned ones. Raises Gone.

    Empty for files that cannot have changed: those of a commit, and those of a folder on the machine that
    pinned it if nobody has written to them since.
    """
    if files.revision:
        return {}
    if isinstance(files, FolderFiles) and files.stamp(names) == pin.detail.get(_STAMP):
        return {}
    states = files.states(names)
    if digest(states) != pin.revision:
        raise _changed(pin, "it has changed since")
    return states


def _linked(paths: Mapping[str, Path], to: Path) -> Path:
    """The folder `to`, with links of the files' own names."""
    shutil.rmtree(to, ignore_errors=True)
    for name, path in paths.items():
        link = to / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path.resolve())
    return to


def _converted(paths: Mapping[str, Path], gguf: str, to: Path) -> Path:
    from tunesmith_jobs.base.gguf import convert

    if to.exists():
        return to
    part = to.with_name("converting")
    shutil.rmtree(part, ignore_errors=True)
    convert(paths[gguf], part)
    for name, path in paths.items():
        if name != gguf:
            shutil.copyfile(path, part / Path(name).name)
    part.rename(to)
    return to


def _changed(pin: Pin, why: str) -> Gone:
    return Gone(
        f"the base model {pin.uri} is not what this run was trained on: {why}",
        reason="ModelGone",
        remedy="put the model back as it was, or set `rerun: {from: train, id: <new>}`"
        " to train on what is there now",
    )
