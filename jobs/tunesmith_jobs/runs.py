"""Ask a store about its runs: `python -m tunesmith_jobs.runs --store URL <verb>`.

For the command line, which itself opens no store. An answer is one JSON document on standard output (`cat` and `log`: the bytes
themselves; `fetch --progress`: progress lines before it). Errors and exit codes are those of the stages.
"""

import argparse
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from tunesmith.errors import BadRequest, ExitCode, Gone, Refused, TunesmithError, Usage
from tunesmith.manifest import MANIFEST, Manifest, stage_folder
from tunesmith.pace import Pace
from tunesmith.resolve import Snapshot, read_snapshot
from tunesmith.stages import ORDER, PARTS
from tunesmith.wire import SNAPSHOT_FILE
from tunesmith_jobs.failures import complain, explained
from tunesmith_jobs.finished import read_manifest
from tunesmith_jobs.results import Item, items
from tunesmith_jobs.storage import NotFound, Store, open_store
from tunesmith_jobs.storage.folder import FolderStore
from tunesmith_jobs.storage.local_files import file_digest


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one verb; returns the exit code."""
    arguments = _arguments(argv)
    try:
        answer = _VERBS[arguments.verb](open_store(arguments.store), arguments)
        if isinstance(answer, bytes):
            sys.stdout.buffer.write(answer)
        else:
            json.dump(answer, sys.stdout, ensure_ascii=False)
            print()
        sys.stdout.flush()
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), 1
        )  # so that the interpreter's own last flush finds a reader
        return ExitCode.DONE
    except Exception as error:  # noqa: BLE001 - the process's last resort: everything known has a class of its own
        known, text = explained("runs", error)
        complain(str(known) if isinstance(error, TunesmithError) else text)
        return known.exit_code
    return ExitCode.DONE


def _probe(store: Store, _arguments: argparse.Namespace) -> Any:
    store.probe()
    return {"store": store.url, "writable": True}


def _manifests(store: Store, arguments: argparse.Namespace) -> Any:
    found = (
        _of_snapshot(store, arguments.run, _read(arguments.snapshot))
        if arguments.snapshot
        else _of_run(store, arguments.run)
    )
    return [manifest.model_dump(mode="json", by_alias=True) for manifest in found]


def _of_snapshot(store: Store, run: str, snapshot: Snapshot) -> list[Manifest]:
    """By their keys: nothing is listed."""
    with ThreadPoolExecutor(len(snapshot.stages)) as pool:
        found = pool.map(lambda entry: read_manifest(store, run, entry.name, entry.key), snapshot.stages)
        return [manifest for manifest in found if manifest is not None]


def _of_run(store: Store, run: str) -> list[Manifest]:
    """All that the run ever finished: in the order of the stages, the newest first of each."""
    keys = [
        (stage, key)
        for stage, key in _finished_keys(entry.path.split("/") for entry in store.list(f"{_run_name(run)}/"))
    ]
    manifests = [
        manifest for stage, key in keys if (manifest := read_manifest(store, run, stage, key)) is not None
    ]
    manifests.sort(key=lambda manifest: manifest.created, reverse=True)
    return sorted(manifests, key=lambda manifest: ORDER.index(manifest.stage))


def _finished_keys(paths: Iterator[list[str]]) -> Iterator[tuple[str, str]]:
    for path in paths:
        match path:
            case [_, stage, key, "manifest.json"] if stage in ORDER:
                yield stage, key


def _list(store: Store, _arguments: argparse.Namespace) -> Any:
    """Runs by name, from one listing and one small read each; `created` is when the oldest thing in it was written."""
    below: dict[str, list[list[str]]] = {}
    oldest: dict[str, float] = {}
    for entry in store.list(""):
        path = entry.path.split("/")
        if len(path) > 1:
            below.setdefault(path[0], []).append(path)
            oldest[path[0]] = min(entry.modified, oldest.get(path[0], entry.modified))
    return [
        _summary(store, run, paths, oldest[run])
        for run, paths in sorted(below.items())
        if any(path[1:] == [SNAPSHOT_FILE] or path[1] in ORDER for path in paths)
    ]


def _summary(store: Store, run: str, paths: list[list[str]], oldest: float) -> dict[str, Any]:
    done = sorted(_finished_keys(iter(paths)), key=lambda pair: ORDER.index(pair[0]))
    snapshot = None
    with contextlib.suppress(NotFound, BadRequest):
        snapshot = read_snapshot(store.read(f"{run}/{SNAPSHOT_FILE}").decode("utf-8", "replace"))
    wanted = [(entry.name, entry.key) for entry in snapshot.stages] if snapshot else []
    reached = [pair for pair in wanted if pair in done] if snapshot else done
    return {
        "run": run,
        "stages": [{"name": stage, "key": key} for stage, key in done],
        "phase": "Complete" if wanted and len(reached) == len(wanted) else "Incomplete",
        "stage": reached[-1][0] if reached else "",
        "progress": f"{len(reached)}/{len(wanted) or '?'}",
        "model": snapshot.spec.model.base if snapshot else "",
        "created": datetime.fromtimestamp(oldest, UTC).replace(tzinfo=None).isoformat(timespec="seconds"),
    }


def _fetch(store: Store, arguments: argparse.Namespace) -> Any:
    manifests = {
        manifest.stage: manifest for manifest in _of_snapshot(store, arguments.run, _read(arguments.snapshot))
    }
    parts = [part for part in PARTS if arguments.only in (None, part)]
    wanted = {part: items(part, manifests) for part in parts}
    if not any(wanted.values()):
        missing = " and ".join(PARTS[part][0] for part in parts)
        raise Gone(
            f"run {arguments.run} has nothing to fetch: {missing} not done",
            reason="NotDone",
            remedy="run it to its end first",
        )
    to = Path(arguments.to).absolute()
    total = sum(item.file.size for found in wanted.values() for item in found)
    done, pace = 0, Pace(time.monotonic)
    answer: dict[str, Any] = {"to": str(to), "parts": {}, "files": [], "kept": 0}
    for part, found in wanted.items():
        if found:
            answer["parts"][part] = str(to / part)
            FolderStore(str(to)).abort_uploads(f"{part}/")  # what a fetch left that was killed
        for item in found:
            kept = _fetch_file(store, item, to / part / item.path)
            answer["kept"] += kept
            pace.add(0 if kept else item.file.size)
            answer["files"].append(
                {"path": f"{part}/{item.path}", "size": item.file.size, "sha256": item.file.sha256}
            )
            done += item.file.size
            if arguments.progress:
                print(pace.progress(part, done, total).line(), flush=True)
    return answer


def _fetch_file(store: Store, item: Item, target: Path) -> bool:
    """Copy one file, unless it is already there and whole; returns whether it was."""
    try:
        if (
            target.is_file()
            and target.stat().st_size == item.file.size
            and file_digest(target).sha256 == item.file.sha256
        ):
            return True
        target.parent.mkdir(parents=True, exist_ok=True)
        store.download(item.source, target, item.file)
    except NotFound as error:
        raise Gone(
            f"{store.url}/{item.source} is gone", remedy=f"make it again: rerun from {item.manifest.stage}"
        ) from error
    except (PermissionError, NotADirectoryError, IsADirectoryError, FileExistsError) as error:
        raise Refused(
            f"{target} cannot be written: {error.strerror}",
            reason="FolderRefused",
            remedy="give another folder by --to",
        ) from error
    return False


def _cat(store: Store, arguments: argparse.Namespace) -> bytes:
    try:
        return store.read(arguments.path)
    except NotFound as error:
        raise Gone(f"{store.url}/{arguments.path} is not there", reason="NotFound") from error


def _write(store: Store, arguments: argparse.Namespace) -> Any:
    data = sys.stdin.buffer.read()
    store.write(arguments.path, data)
    return {"path": arguments.path, "size": len(data)}


def _delete(store: Store, arguments: argparse.Namespace) -> Any:
    prefix = f"{_run_name(arguments.run)}/"
    paths = [entry.path for entry in store.list(prefix)]
    # Manifests first: a run that is half deleted has no finished stage that lacks files. The request last: it names the run.
    paths.sort(key=lambda path: (path.endswith(f"/{SNAPSHOT_FILE}"), not path.endswith(f"/{MANIFEST}")))
    store.delete(paths)
    store.abort_uploads(prefix)
    return {"run": arguments.run, "deleted": len(paths)}


def _log(store: Store, arguments: argparse.Namespace) -> bytes:
    folder = f"{stage_folder(_run_name(arguments.run), arguments.stage, arguments.key)}/logs/"
    entries = sorted(store.list(folder), key=lambda entry: (entry.modified, entry.path))
    if not entries:
        raise Gone(
            f"{store.url}/{folder} holds no log",
            reason="NotFound",
            remedy="it is written when an attempt ends",
        )
    return b"".join(store.read(entry.path) for entry in entries)


_VERBS = {
    "probe": _probe,
    "manifests": _manifests,
    "list": _list,
    "fetch": _fetch,
    "cat": _cat,
    "write": _write,
    "delete": _delete,
    "log": _log,
}


def _run_name(run: str) -> str:
    if not run or "/" in run or run in {".", ".."}:
        raise BadRequest(f"not the name of a run: {run!r}")
    return run


def _read(file: str) -> Snapshot:
    try:
        return read_snapshot(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise Usage(f"--snapshot {file} cannot be read: {error.strerror}") from error


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(ExitCode.USAGE, f"{self.prog}: {message}\n")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(prog="python -m tunesmith_jobs.runs", description="Ask a store about its runs.")
    parser.add_argument("--store", required=True, metavar="URL", help="s3://bucket/prefix or file:///folder")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=_Parser)
    verbs.add_parser("probe", help="can it be written, and does it honour conditional puts")
    verbs.add_parser("list", help="runs with their stages")
    manifests = verbs.add_parser("manifests", help="finished stages of a run")
    manifests.add_argument(
        "--snapshot", metavar="FILE", help="only the keys of this snapshot, without a listing"
    )
    fetch = verbs.add_parser("fetch", help="copy results to a folder, checked; what is there already is kept")
    fetch.add_argument("--snapshot", metavar="FILE", required=True)
    fetch.add_argument("--to", metavar="DIR", required=True)
    fetch.add_argument("--only", choices=PARTS)
    fetch.add_argument("--progress", action="store_true", help="print progress lines")
    delete = verbs.add_parser("delete", help="remove a run with all its results")
    log = verbs.add_parser("log", help="what the attempts at a stage said")
    log.add_argument("--stage", required=True, choices=ORDER)
    log.add_argument("--key", required=True)
    for verb in (manifests, fetch, delete, log):
        verb.add_argument("--run", required=True)
    for name, text in (("cat", "print an object"), ("write", "store standard input as an object")):
        verbs.add_parser(name, help=text).add_argument("--path", required=True)
    return parser.parse_args(argv)


def _terminate(_signal: int, _frame: object) -> NoReturn:
    raise SystemExit(ExitCode.STOPPED)  # through the `with` blocks, which remove unfinished files


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(main())
