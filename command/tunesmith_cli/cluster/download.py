"""Files of a run through a session's pod: each checked, each going on where it broke off."""

import hashlib
import http.client
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from tunesmith.errors import Gone, Refused, TryAgain
from tunesmith.pace import Pace
from tunesmith.resolve import Snapshot
from tunesmith_cli.local.events import Listener

_TRIES_WITHOUT_A_BYTE = 5
_DELAY_SECONDS = 1.0
_TOLD_BYTES = 4 << 20  # between two progress events


class Source(Protocol):
    """Where the files come from."""

    def contents(self, snapshot: Snapshot) -> dict[str, Any]:
        """What there is."""

    def stream(self, path: str, start: int) -> Iterator[bytes]:
        """Bytes of an object from `start` on."""


def fetch(source: Source, snapshot: Snapshot, to: Path, only: str, tell: Listener) -> dict[str, Any]:
    """Copy the parts of a run (or one of them) below a folder. Raises Gone if there is nothing yet, or a file is not what it was."""
    wanted = [file for file in source.contents(snapshot)["files"] if only in ("", file["part"])]
    if not wanted:
        raise Gone(
            f"run {snapshot.run} has nothing to fetch{f': no {only} yet' if only else ''}",
            reason="NotDone",
            remedy="wait for its end",
        )
    total = sum(file["size"] for file in wanted)
    before = kept = 0
    pace = Pace(time.monotonic)
    parts: dict[str, str] = {}
    for file in wanted:
        part, size = file["part"], file["size"]
        parts[part] = str(to / part)
        target = to / part / file["path"]

        def told(done: int, part: str = part, before: int = before) -> None:
            tell(pace.progress(part, before + done, total))

        kept += _fetch_file(source, file, target, told, pace)
        before += size
        told(0, before=before)
    files = [
        {"path": f"{file['part']}/{file['path']}", "size": file["size"], "sha256": file["sha256"]}
        for file in wanted
    ]
    return {"to": str(to), "parts": parts, "files": files, "kept": kept}


def _fetch_file(
    source: Source, file: dict[str, Any], target: Path, told: Callable[[int], None], pace: Pace
) -> bool:
    """Copy one file, unless it is there and whole; whether it was."""
    try:
        if (
            target.is_file()
            and target.stat().st_size == file["size"]
            and _sha256(target).hexdigest() == file["sha256"]
        ):
            return True
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".tunesmith-{file['sha256'][:16]}.part")
        resumed = part.exists()
        digest = _download(source, file, part, told, pace)
        if (
            digest != file["sha256"] and resumed
        ):  # what was there before was damaged: once more, from the beginning
            part.unlink()
            digest = _download(source, file, part, told, pace)
        if digest != file["sha256"]:
            part.unlink()
            raise Gone(
                f"{file['source']} is not what was stored: sha256 {digest}, its manifest says {file['sha256']}",
                reason="ContentChanged",
                remedy="it was changed or damaged in the store: restore it, or make it again with `rerun`",
            )
        part.replace(target)
    except (PermissionError, NotADirectoryError, IsADirectoryError, FileExistsError) as error:
        raise Refused(
            f"{target} cannot be written: {error.strerror}",
            reason="FolderRefused",
            remedy="give another folder by --to",
        ) from error
    return False


def _download(
    source: Source, file: dict[str, Any], part: Path, told: Callable[[int], None], pace: Pace
) -> str:
    """Go on with a file until it is whole; its sha256."""
    digest = _sha256(part) if part.exists() else hashlib.sha256()
    done = part.stat().st_size if part.exists() else 0
    if done > file["size"]:
        part.unlink()
        done, digest = 0, hashlib.sha256()
    idle = told_at = 0
    with part.open("ab") as out:
        while done < file["size"]:
            began = done
            try:
                for block in source.stream(file["source"], done):
                    out.write(block)
                    digest.update(block)
                    done += len(block)
                    pace.add(len(block))
                    if done - told_at >= _TOLD_BYTES:
                        told_at = done
                        told(done)
            except (OSError, http.client.HTTPException, TryAgain) as error:
                if (
                    isinstance(error, OSError)
                    and error.errno
                    and not isinstance(error, ConnectionError | TimeoutError)
                ):
                    raise  # the disk here
                idle = idle + 1 if done == began else 0
                if idle >= _TRIES_WITHOUT_A_BYTE:
                    raise TryAgain(
                        f"{file['path']} broke off at {done} of {file['size']} bytes: {error}",
                        remedy="run the same command again to go on",
                    ) from error
                out.flush()
                time.sleep(_DELAY_SECONDS)
    return digest.hexdigest()


def _sha256(path: Path) -> Any:
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256")
