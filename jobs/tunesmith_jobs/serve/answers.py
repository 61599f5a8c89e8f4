"""The answers of a session about the store, without HTTP."""

import json
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from tunesmith.errors import BadRequest, ExitCode, error_class, message_and_remedy
from tunesmith.resolve import Snapshot, read_snapshot
from tunesmith.stages import PARTS
from tunesmith_jobs.finished import finished_stages
from tunesmith_jobs.results import items
from tunesmith_jobs.storage import Store

SUBCOMMANDS = ("list", "log", "delete", "source")
"""Subcommands of tunesmith_jobs.runs that can be asked for.

Frequent questions have a path without a process.
"""
_PIECE = 8 << 20  # bytes that are read at a time
_AHEAD = 4  # pieces


def ask_runs(store: str, arguments: Sequence[str]) -> bytes:
    """The output of a subcommand of `tunesmith_jobs.runs`. Raises the error that it ends with."""
    if not arguments or arguments[0] not in SUBCOMMANDS:
        raise BadRequest(f"one of {', '.join(SUBCOMMANDS)} can be asked, not {arguments[:1]}")
    done = subprocess.run(
        [sys.executable, "-m", "tunesmith_jobs.runs", "--store", store, *arguments],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode == ExitCode.DONE:
        return done.stdout
    message, remedy = message_and_remedy(done.stderr.decode("utf-8", "replace"))
    raise error_class(done.returncode)(message or f"runs ended with {done.returncode}", remedy=remedy)


def run_data(store: Store, snapshot: Snapshot) -> dict[str, Any]:
    """The manifests of the snapshot's finished stages, and the files of each part with their places."""
    manifests = {manifest.stage: manifest for manifest in finished_stages(store, snapshot.run, snapshot)}
    files = [
        {
            "part": part,
            "path": item.path,
            "source": item.source,
            "size": item.file.size,
            "sha256": item.file.sha256,
        }
        for part in PARTS
        for item in items(part, manifests)
    ]
    return {
        "manifests": [manifest.model_dump(mode="json", by_alias=True) for manifest in manifests.values()],
        "files": files,
    }


def object_bytes(store: Store, path: str, start: int, end: int) -> Iterator[bytes]:
    """The bytes of an object from `start` to `end` (exclusive), read some pieces ahead."""
    with ThreadPoolExecutor(_AHEAD, thread_name_prefix="object") as pool:
        ahead: deque[Future[bytes]] = deque()
        try:
            for begin in range(start, end, _PIECE):
                if len(ahead) == _AHEAD:
                    yield ahead.popleft().result()
                ahead.append(pool.submit(store.read_range, path, begin, min(_PIECE, end - begin)))
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def read_document(document: Any) -> Snapshot:
    """The snapshot in a question. Raises BadRequest if there is none."""
    if not isinstance(document, Mapping):
        raise BadRequest("`snapshot` must be the snapshot of a request")
    return read_snapshot(json.dumps(document))
