import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from tunesmith.errors import BadRequest, ExitCode, TunesmithError
from tunesmith_tryout.s3.contents import BUCKET, files_of, provide
from tunesmith_tryout.s3.ready import Readiness, answering
from tunesmith_tryout.s3.seaweed import Ports, client, running, wait_until_it_answers

MODEL = Path("/opt/models/SmolLM2-135M-Instruct")  # in the image


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    try:
        serve(arguments.data, Ports.of(arguments.port), arguments.model)
    except TunesmithError as error:
        print(error, file=sys.stderr, flush=True)
        return error.exit_code
    except _Stop:
        print("told to stop: stopped", flush=True)
    return ExitCode.DONE


class _Stop(Exception):
    """SIGTERM or SIGINT has come."""


def _leave(_number: int, _frame: FrameType | None) -> None:
    # Only once: a second signal must not interrupt the stopping.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise _Stop


def serve(data: Path, ports: Ports, model: Path) -> None:
    """Serve until a signal raises. Raises TunesmithError if the server cannot start or ends by itself."""
    if missing := [
        name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if not os.environ.get(name)
    ]:
        raise BadRequest(
            f"{' and '.join(missing)} not set: anybody could use the server",
            remedy="set the keys for its clients",
        )
    files = files_of(model)
    readiness = Readiness(ports.s3)
    with answering(readiness, ports.ready), running(data, ports) as server:
        began = time.monotonic()
        s3 = client(ports)
        wait_until_it_answers(server, s3)
        put = provide(s3, files)
        readiness.filled = True
        seconds = time.monotonic() - began
        contents = f"models/{model.name} ({f'{put} files put' if put else 'there already'})"
        print(f"ready after {seconds:.1f} s: port {ports.s3}, bucket {BUCKET}, {contents}", flush=True)
        server.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tunesmith_tryout.s3",
        description="Serve S3 for trying things out: SeaweedFS with the bucket tunesmith and the demo model."
        " The keys for clients come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        " /healthz on the port after the S3 port answers 200 once the model is there.",
    )
    parser.add_argument(
        "--data",
        required=True,
        type=Path,
        metavar="DIR",
        help="folder for all its data: a volume",
    )
    parser.add_argument("--port", type=int, default=8333, help="S3's port, on all addresses (default: 8333)")
    parser.add_argument(
        "--model",
        type=Path,
        default=MODEL,
        metavar="DIR",
        help=f"model folder to put under models/ (default: {MODEL})",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
