"""Files of a run through a session's pod: each is checked, and resumed where it broke off."""

import hashlib
import http.client
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from tunesmith.errors import Gone, Refused, TryAgain
from tunesmith.pace import Pace
from tunesmith.resolve import Snapshot
from tunesmith_cli.local.run_events import Listener

_TRIES_WITHOUT_A_BYTE = 5
DELAY_SECONDS = 1.0  # between two tries
_TOLD_BYTES = 4 << 20  # between two progress events


class Source(Protocol):
    """The runs that the files come from."""

    def contents(self, snapshot: Snapshot) -> dict[str, Any]:
        """`files` of the run, with part, path, source, size and sha256."""

    def stream(self, path: str, start: int) -> Iterator[bytes]:
        """Bytes of an object from `start` on."""


def fetch(source: Source, snapshot: Snapshot, to: Path, only: str, tell: Listener) -> dict[str, Any]:
    """Copy the parts of a run (or one of them) below a folder.

    Raises Gone if there is nothing yet, or a file is not what was stored.
    """
    files = [file for file in source.contents(snapshot)["files"] if only in ("", file["part"])]
    if not files:
        raise Gone(
            f"run {snapshot.run} has nothing to fetch{f': no {only} yet' if only else ''}",
            reason="NotDone",
            remedy="wait for its end",
        )
    download = _Download(source, tell, total=sum(file["size"] for file in files))
    kept = sum(download.fetch(file, to / file["part"] / file["path"]) for file in files)
    return {
        "to": str(to),
        "parts": {file["part"]: str(to / file["part"]) for file in files},
        "files": [
            {"path": f"{file['part']}/{file['path']}", "size": file["size"], "sha256": file["sha256"]}
            for file in files
        ],
        "kept": kept,
    }


class _Download:
    """The files of a run, one after another. `total`: bytes of all of them."""

    def __init__(self, source: Source, tell: Listener, *, total: int) -> None:
        self._source = source
        self._tell = tell
        self._total = total
        self._earlier = 0  # bytes of the files before this one
        self._pace = Pace(time.monotonic)

    def fetch(self, file: dict[str, Any], target: Path) -> bool:
        """Copy a file, unless it is there and whole; whether it was."""
        try:
            whole = _is_whole(file, target)
            if not whole:
                self._copy(file, target)
        except (PermissionError, NotADirectoryError, IsADirectoryError, FileExistsError) as error:
            raise Refused(
                f"{target} cannot be written: {error.strerror}",
                reason="FolderRefused",
                remedy="give another folder with --to",
            ) from error
        self._progress(file, file["size"])
        self._earlier += file["size"]
        return whole

    def _copy(self, file: dict[str, Any], target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".tunesmith-{file['sha256'][:16]}.part")
        resumed = part.exists()
        digest = self._complete(file, part)
        if (
            digest != file["sha256"] and resumed
        ):  # the earlier bytes were damaged: once more, from the beginning
            part.unlink()
            digest = self._complete(file, part)
        if digest != file["sha256"]:
            part.unlink()
            raise Gone(
                f"{file['source']} is not what was stored: sha256 {digest}, "
                f"its manifest says {file['sha256']}",
                reason="ContentChanged",
                remedy="it was changed or damaged in the store: restore it, or make it again with `rerun`",
            )
        part.replace(target)

    def _complete(self, file: dict[str, Any], part: Path) -> str:
        """Resume a file until it is whole; its sha256."""
        digest = hashlib.sha256()
        done = 0
        if part.exists() and part.stat().st_size > file["size"]:
            part.unlink()
        if part.exists():
            digest = _sha256(part)
            done = part.stat().st_size
        idle = told_at = 0
        with part.open("ab") as out:
            while done < file["size"]:
                began = done
                try:
                    for block in self._source.stream(file["source"], done):
                        out.write(block)
                        digest.update(block)
                        done += len(block)
                        self._pace.add(len(block))
                        if done - told_at >= _TOLD_BYTES:
                            told_at = done
                            self._progress(file, done)
                except (OSError, http.client.HTTPException, TryAgain) as error:
                    if _is_of_this_disk(error):
                        raise
                    idle = idle + 1 if done == began else 0
                    if idle >= _TRIES_WITHOUT_A_BYTE:
                        raise TryAgain(
                            f"{file['path']} broke off at {done} of {file['size']} bytes: {error}",
                            remedy="run the same command again to resume it",
                        ) from error
                    out.flush()
                    time.sleep(DELAY_SECONDS)
        return digest.hexdigest()

    def _progress(self, file: dict[str, Any], done: int) -> None:
        self._tell(self._pace.progress(file["part"], self._earlier + done, self._total))


def _is_whole(file: dict[str, Any], target: Path) -> bool:
    """Whether the file is there as the manifest says."""
    if not target.is_file() or target.stat().st_size != file["size"]:
        return False
    return bool(_sha256(target).hexdigest() == file["sha256"])


def _is_of_this_disk(error: Exception) -> bool:
    """Whether a failure is one of writing here, not of the connection."""
    of_the_connection = isinstance(error, ConnectionError | TimeoutError)
    return isinstance(error, OSError) and bool(error.errno) and not of_the_connection


def _sha256(path: Path) -> Any:
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256")
