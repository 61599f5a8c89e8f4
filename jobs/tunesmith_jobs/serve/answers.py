"""What is asked of the store, without HTTP."""

import codecs
import json
import queue
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

from tunesmith.errors import BadData, BadRequest, ExitCode, Gone, Refused, TryAgain, TunesmithError, Usage
from tunesmith.resolve import Snapshot, read_snapshot
from tunesmith.stages import PARTS
from tunesmith.wire import SNAPSHOT_FILE
from tunesmith_jobs.finished import read_manifest
from tunesmith_jobs.results import items
from tunesmith_jobs.storage import Store

VERBS = (
    "list",
    "log",
    "delete",
)  # of tunesmith_jobs.runs; what is asked for often has a way without a process of its own
_PIECE = 8 << 20  # bytes that are read at once
_AHEAD = 4  # pieces
_CLASSES: Mapping[int, type[TunesmithError]] = {
    kind.exit_code: kind for kind in (Usage, BadData, Gone, TryAgain, Refused, BadRequest)
}


def ask(store: str, arguments: Sequence[str]) -> bytes:
    """What `tunesmith_jobs.runs` answers. Raises what it ends with."""
    if not arguments or arguments[0] not in VERBS:
        raise BadRequest(f"one of {', '.join(VERBS)} can be asked, not {arguments[:1]}")
    done = subprocess.run(
        [sys.executable, "-m", "tunesmith_jobs.runs", "--store", store, *arguments],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode == ExitCode.DONE:
        return done.stdout
    message, _, remedy = done.stderr.decode("utf-8", "replace").strip().partition("\nWhat to do: ")
    raise _CLASSES.get(done.returncode, TunesmithError)(
        message or f"runs ended with {done.returncode}", remedy=remedy
    )


def run(store: Store, document: Any) -> dict[str, Any]:
    """The finished stages of a snapshot, and the files of each part, with where they lie."""
    snapshot = _snapshot(document)
    with ThreadPoolExecutor(len(snapshot.stages)) as pool:
        found = [
            *pool.map(
                lambda entry: read_manifest(store, snapshot.run, entry.name, entry.key), snapshot.stages
            )
        ]
    manifests = {manifest.stage: manifest for manifest in found if manifest is not None}
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


def pieces(store: Store, path: str, start: int, end: int) -> Iterator[bytes]:
    """Bytes of an object from `start` to `end` (exclusive), read some pieces ahead."""
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


def infer(store: str, work: str, question: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What `tunesmith_jobs.infer` says, as it comes: `out` and `err` with text, at last `exit` with its code."""
    snapshot = _snapshot(question.get("snapshot"))
    prompts = [str(prompt) for prompt in question.get("prompts") or ()]
    if not prompts:
        raise BadRequest("there is nothing to ask", remedy="give `prompts`")
    tokens = str(int(question.get("maxNewTokens") or snapshot.spec.evaluation.max_new_tokens))
    flags = [f"--{flag}" for flag in ("compare", "json") if question.get(flag)]
    return _infer(
        snapshot,
        store,
        work,
        [*(f"--prompt={prompt}" for prompt in prompts), "--max-new-tokens", tokens, *flags],
    )


def _infer(snapshot: Snapshot, store: str, work: str, arguments: Sequence[str]) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="tunesmith-", dir=work) as folder:
        file = Path(folder) / SNAPSHOT_FILE
        file.write_text(snapshot.to_json(), encoding="utf-8")
        kept = str(Path(work) / "infer")  # a second question finds the model there
        command = [
            sys.executable,
            "-m",
            "tunesmith_jobs.infer",
            "--request",
            str(file),
            "--store",
            store,
            "--work",
            kept,
            *arguments,
        ]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        said: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        assert process.stdout is not None
        assert process.stderr is not None
        readers = [
            threading.Thread(target=_read, args=(stream, name, said), daemon=True)
            for name, stream in (("out", process.stdout), ("err", process.stderr))
        ]
        try:
            for reader in readers:
                reader.start()
            open_streams = len(readers)
            while open_streams:
                name, text = said.get()
                if text:
                    yield {name: text}
                else:
                    open_streams -= 1
            yield {"exit": process.wait()}
        finally:  # also when whoever asked is gone
            process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                stream.close()


def _read(stream: IO[bytes], name: str, said: "queue.SimpleQueue[tuple[str, str]]") -> None:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    while data := stream.read1(1 << 14):  # type: ignore[attr-defined] # a pipe's buffered reader has it
        if text := decoder.decode(data):
            said.put((name, text))
    said.put((name, ""))


def _snapshot(document: Any) -> Snapshot:
    if not isinstance(document, Mapping):
        raise BadRequest("`snapshot` must be the snapshot of a request")
    return read_snapshot(json.dumps(document))
