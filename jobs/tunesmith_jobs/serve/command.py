"""The process: arguments, the session's token, and its end when no more requests come."""

import argparse
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Sequence
from typing import NoReturn

from tunesmith.errors import BadRequest, ExitCode, TunesmithError
from tunesmith.wire import SESSION_DIGEST
from tunesmith_jobs.failures import complain, explained
from tunesmith_jobs.given_secrets import strip_secrets
from tunesmith_jobs.serve.server import SessionServer
from tunesmith_jobs.storage import URL_FORMS, open_store

IDLE_SECONDS = 300.0  # after which the pod of a command line that was killed ends
_LOOK_SECONDS = 1.0
_DIGEST = re.compile(r"[0-9a-f]{64}")


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until no more requests come, or SIGTERM."""
    strip_secrets()
    arguments = _arguments(argv)
    signal.signal(signal.SIGTERM, _end)
    try:
        digest = os.environ.get(SESSION_DIGEST, "")
        if not _DIGEST.fullmatch(digest):
            raise BadRequest(
                f"{SESSION_DIGEST} does not hold a sha256",
                remedy="set it to the sha256 of the session's token, in hex",
            )
        server = SessionServer(
            ("127.0.0.1", arguments.port), open_store(arguments.store), digest, arguments.work
        )
    except (TunesmithError, OSError) as error:
        known, text = explained("serve", error)
        complain(text)
        return known.exit_code
    print(f"serve: {arguments.store} on 127.0.0.1:{server.server_address[1]}", flush=True)
    threading.Thread(target=_end_when_idle, args=(server, arguments.idle), name="idle", daemon=True).start()
    with server:
        server.serve_forever(poll_interval=0.2)
    print("serve: no more requests, ending", flush=True)
    return ExitCode.DONE


def _end_when_idle(server: SessionServer, seconds: float) -> None:
    while server.idle_seconds() < seconds:
        time.sleep(min(_LOOK_SECONDS, seconds / 4))
    server.shutdown()


def _end(_signal: int, _frame: object) -> NoReturn:
    sys.exit(ExitCode.DONE)  # it has nothing to save


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tunesmith_jobs.serve", description="Serve a store to one session."
    )
    parser.add_argument("--store", required=True, metavar="URL", help=URL_FORMS)
    parser.add_argument("--work", default="/tmp", metavar="DIR", help="scratch folder")  # noqa: S108 - the pod's own volume
    parser.add_argument("--port", type=int, default=8080, help="port on loopback (default: 8080)")
    parser.add_argument(
        "--idle",
        type=float,
        default=IDLE_SECONDS,
        metavar="SECONDS",
        help="end after so long without a request",
    )
    return parser.parse_args(argv)
