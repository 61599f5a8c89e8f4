"""The process: arguments, the subcommand that they name, and its answer or error."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from tunesmith.contents import DOCUMENTS
from tunesmith.errors import BadRequest, ExitCode, Gone, TunesmithError, Usage
from tunesmith.manifest import MANIFEST, stage_folder
from tunesmith.resolve import Snapshot, read_snapshot
from tunesmith.settings import Documents, Source
from tunesmith.stages import ORDER, PARTS
from tunesmith.wire import SNAPSHOT_FILE
from tunesmith_jobs.failures import complain, explained
from tunesmith_jobs.finished import finished_stages, read_manifest
from tunesmith_jobs.given_secrets import strip_secrets
from tunesmith_jobs.own_data.pinned import difference
from tunesmith_jobs.runs.fetch import fetch_parts
from tunesmith_jobs.runs.listing import all_finished_stages, summaries
from tunesmith_jobs.source_notes import pin_of
from tunesmith_jobs.storage import URL_FORMS, NotFound, Store, open_store


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one subcommand; returns the exit code."""
    strip_secrets()
    arguments = _arguments(argv)
    try:
        answer = _SUBCOMMANDS[arguments.subcommand](open_store(arguments.store), arguments)
        if isinstance(answer, bytes):
            sys.stdout.buffer.write(answer)
        else:
            json.dump(answer, sys.stdout, ensure_ascii=False)
            print()
        sys.stdout.flush()
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes once more when it ends, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return ExitCode.DONE
    except Exception as error:  # noqa: BLE001 - the last resort: known errors have classes of their own
        known, text = explained("runs", error)
        complain(str(known) if isinstance(error, TunesmithError) else text)
        return known.exit_code
    return ExitCode.DONE


def probe(store: Store, _arguments: argparse.Namespace) -> Any:
    """Check that the store can be written."""
    store.probe()
    return {"store": store.url, "writable": True}


def list_runs(store: Store, _arguments: argparse.Namespace) -> Any:
    """All runs of the store."""
    return summaries(store)


def list_manifests(store: Store, arguments: argparse.Namespace) -> Any:
    """The finished stages of a run: those of a snapshot, or all that it ever finished."""
    if arguments.snapshot:
        manifests = finished_stages(store, arguments.run, _read_snapshot(arguments.snapshot))
    else:
        manifests = all_finished_stages(store, _run_name(arguments.run))
    return [manifest.model_dump(mode="json", by_alias=True) for manifest in manifests]


def fetch(store: Store, arguments: argparse.Namespace) -> Any:
    """Copy the parts of a run to a folder."""
    manifests = finished_stages(store, arguments.run, _read_snapshot(arguments.snapshot))
    return fetch_parts(
        store,
        {manifest.stage: manifest for manifest in manifests},
        Path(arguments.to).absolute(),
        run=arguments.run,
        parts=[part for part in PARTS if arguments.only in (None, part)],
        progress=arguments.progress,
    )


def read_object(store: Store, arguments: argparse.Namespace) -> bytes:
    """The bytes of an object."""
    try:
        return store.read(arguments.path)
    except NotFound as error:
        raise Gone(f"{store.url}/{arguments.path} is not there", reason="NotFound") from error


def write_object(store: Store, arguments: argparse.Namespace) -> Any:
    """Store standard input as an object."""
    data = sys.stdin.buffer.read()
    store.write(arguments.path, data)
    return {"path": arguments.path, "size": len(data)}


def delete_run(store: Store, arguments: argparse.Namespace) -> Any:
    """Remove a run with all its results."""
    prefix = f"{_run_name(arguments.run)}/"
    paths = [entry.path for entry in store.list(prefix)]
    # Manifests first, so that a run that is half deleted has no finished stage without its files.
    # The request last, since the run is listed by it.
    paths.sort(key=lambda path: (path.endswith(f"/{SNAPSHOT_FILE}"), not path.endswith(f"/{MANIFEST}")))
    store.delete(paths)
    store.abort_uploads(prefix)
    return {"run": arguments.run, "deleted": len(paths)}


def read_logs(store: Store, arguments: argparse.Namespace) -> bytes:
    """The logs of all attempts at a stage, one after another."""
    folder = f"{stage_folder(_run_name(arguments.run), arguments.stage, arguments.key)}/logs/"
    entries = sorted(store.list(folder), key=lambda entry: (entry.modified, entry.path))
    if not entries:
        raise Gone(
            f"{store.url}/{folder} holds no log",
            reason="NotFound",
            remedy="it is written when an attempt ends",
        )
    return b"".join(store.read(entry.path) for entry in entries)


def check_source(store: Store, arguments: argparse.Namespace) -> Any:
    """The files that a run has read, and what has become of them since; null if it has read none."""
    manifest = read_manifest(store, _run_name(arguments.run), "generate", arguments.key)
    pin = pin_of(manifest) if manifest else None
    if pin is None:
        return None
    model = Documents if manifest and DOCUMENTS in manifest.pins else Source
    since = difference(model(uri=pin.uri, version=arguments.version), pin)
    return {"pin": pin.model_dump(mode="json", by_alias=True), "since": since}


_SUBCOMMANDS: Mapping[str, Callable[[Store, argparse.Namespace], Any]] = {
    "probe": probe,
    "manifests": list_manifests,
    "list": list_runs,
    "fetch": fetch,
    "cat": read_object,
    "write": write_object,
    "delete": delete_run,
    "log": read_logs,
    "source": check_source,
}


def _run_name(run: str) -> str:
    if not run or "/" in run or run in {".", ".."}:
        raise BadRequest(f"not the name of a run: {run!r}")
    return run


def _read_snapshot(file: str) -> Snapshot:
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
    parser.add_argument("--store", required=True, metavar="URL", help=URL_FORMS)
    commands = parser.add_subparsers(
        dest="subcommand", required=True, metavar="SUBCOMMAND", parser_class=_Parser
    )
    commands.add_parser("probe", help="check that the store can be written and honours conditional puts")
    commands.add_parser("list", help="runs with their stages")
    manifests = commands.add_parser("manifests", help="finished stages of a run")
    manifests.add_argument(
        "--snapshot", metavar="FILE", help="only the keys of this snapshot, without a listing"
    )
    fetched = commands.add_parser(
        "fetch", help="copy results to a folder, checked; files already there are kept"
    )
    fetched.add_argument("--snapshot", metavar="FILE", required=True)
    fetched.add_argument("--to", metavar="DIR", required=True)
    fetched.add_argument("--only", choices=PARTS)
    fetched.add_argument("--progress", action="store_true", help="print progress lines")
    delete = commands.add_parser("delete", help="remove a run with all its results")
    log = commands.add_parser("log", help="the logs of all attempts at a stage")
    log.add_argument("--stage", required=True, choices=ORDER)
    log.add_argument("--key", required=True)
    source = commands.add_parser("source", help="what has become of the files that a run has read")
    source.add_argument("--key", required=True, help="of generate")
    source.add_argument("--version", default="", help="that the request names")
    for command in (manifests, fetched, delete, log, source):
        command.add_argument("--run", required=True)
    for name, text in (("cat", "print an object"), ("write", "store standard input as an object")):
        commands.add_parser(name, help=text).add_argument("--path", required=True)
    return parser.parse_args(argv)
