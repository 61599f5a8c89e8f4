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

MODEL = Path("/opt/models/SmolLM2-135M-Instruct")  # where the image has it


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    try:
        serve(arguments.data, Ports.of(arguments.port), arguments.model)
    except TunesmithError as error:
        print(error, file=sys.stderr, flush=True)
        return error.exit_code
    except _Told:
        print("told to stop: stopped", flush=True)
    return ExitCode.DONE


class _Told(Exception):
    """SIGTERM or SIGINT came."""


def _leave(_number: int, _frame: FrameType | None) -> None:
    # Once: a second signal must not interrupt the stopping
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise _Told


def serve(data: Path, ports: Ports, model: Path) -> None:
    """Serve until a signal's exception comes. Raises TunesmithError when the server cannot start or ends by itself."""
    if missing := [
        name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if not os.environ.get(name)
    ]:
        raise BadRequest(
            f"{' and '.join(missing)} not set: the server would let anybody in",
            remedy="set the keys that clients are to use",
        )
    files = files_of(model)
    readiness = Readiness(ports.s3)
    with answering(readiness, ports.ready), running(data, ports) as server:
        began = time.monotonic()
        s3 = client(ports)
        wait_until_it_answers(server, s3)
        put = provide(s3, files)
        readiness.filled = True
        print(
            f"ready after {time.monotonic() - began:.1f} s: port {ports.s3}, bucket {BUCKET}, models/{model.name}"
            + (f" ({put} files put)" if put else " (there already)"),
            flush=True,
        )
        server.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tunesmith_tryout.s3",
        description="Serve S3 for trying things out: SeaweedFS with the bucket tunesmith and the demo model in it. The keys that clients "
        "are to use come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. /healthz on the port after the S3 port answers 200 once the "
        "model is there.",
    )
    parser.add_argument(
        "--data",
        required=True,
        type=Path,
        metavar="DIR",
        help="folder for the data: a volume; all of it is kept there",
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
