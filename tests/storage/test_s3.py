"""Faults that only S3 has: servers that are away, answers that are lost, rights that are missing."""

import os
import subprocess
import sys

import pytest
from botocore import exceptions as boto
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError
from proxy import cutting, unconditional

from tunesmith.errors import BadRequest, Gone, Refused, TryAgain
from tunesmith_jobs.storage import NotFound, open_store
from tunesmith_jobs.storage.base import StoreAway, StoreRefused, StoreUnusable, UploadDropped
from tunesmith_jobs.storage.s3_bucket import Bucket
from tunesmith_jobs.storage.s3_faults import Target, fault, passes
from tunesmith_jobs.storage.s3_upload import PART, copy_object, part_size

MIB = 1 << 20
TARGET = Target("my-bucket", "https://s3.example", "runs/r/x")


def answered(code, status, operation="PutObject"):
    return ClientError(
        {"Error": {"Code": code, "Message": "why"}, "ResponseMetadata": {"HTTPStatusCode": status}},
        operation,
    )


FAULTS = {  # error -> class, reason, whether it is tried again at once, and what the text names
    "no bucket": (answered("NoSuchBucket", 404), StoreRefused, "BucketMissing", False, "my-bucket"),
    "no object": (answered("NoSuchKey", 404, "GetObject"), NotFound, None, False, "my-bucket"),
    "no object, by HEAD": (answered("404", 404, "HeadObject"), NotFound, None, False, "my-bucket"),
    "a put that finds no path": (
        answered("404", 404),
        StoreUnusable,
        "StoreUnusable",
        False,
        "https://s3.example",
    ),
    "wrong secret": (
        answered("SignatureDoesNotMatch", 403),
        StoreRefused,
        "StoreRefused",
        False,
        "AWS_SECRET_ACCESS_KEY",
    ),
    "wrong key": (answered("InvalidAccessKeyId", 403), StoreRefused, "StoreRefused", False, "my-bucket"),
    "no right": (answered("AccessDenied", 403), StoreRefused, "StoreRefused", False, "s3:PutObject"),
    "old token": (answered("ExpiredToken", 400), StoreRefused, "StoreRefused", False, "my-bucket"),
    "wrong clock": (answered("RequestTimeTooSkewed", 403), StoreRefused, "ClockWrong", False, "clock"),
    "other region": (answered("PermanentRedirect", 301), StoreUnusable, "StoreRegion", False, "AWS_REGION"),
    "too fast": (answered("SlowDown", 503), StoreAway, "StoreBusy", True, "my-bucket"),
    "too many": (answered("Whatever", 429), StoreAway, "StoreBusy", True, "my-bucket"),
    "its own fault": (answered("InternalError", 500), StoreAway, "StoreBusy", True, "my-bucket"),
    "its own fault, for one key of a batch": (
        answered("InternalError", 0, "DeleteObjects"),
        StoreAway,
        "StoreBusy",
        True,
        "my-bucket",
    ),
    "a gateway without its server": (answered("502", 502), StoreAway, "StoreBusy", True, "my-bucket"),
    "full": (answered("XMinioStorageFull", 507), StoreAway, "StoreFull", False, "my-bucket"),
    "not built": (answered("NotImplemented", 501), StoreUnusable, "StoreUnusable", False, "my-bucket"),
    "upload swept away": (
        answered("NoSuchUpload", 404, "UploadPart"),
        UploadDropped,
        "UploadDropped",
        False,
        "runs/r/x",
    ),
    "full, with the status of a missing right": (
        answered("QuotaExceeded", 403),
        StoreAway,
        "StoreFull",
        False,
        "my-bucket",
    ),
    "other region, with the status of a missing right": (
        answered("IllegalLocationConstraintException", 403),
        StoreUnusable,
        "StoreRegion",
        False,
        "AWS_REGION",
    ),
    "archived": (answered("InvalidObjectState", 403, "GetObject"), Gone, "Archived", False, "runs/r/x"),
    "no keys": (boto.NoCredentialsError(), StoreRefused, "StoreRefused", False, "AWS_ACCESS_KEY_ID"),
    "half a key": (
        boto.PartialCredentialsError(provider="env", cred_var="x"),
        StoreRefused,
        "StoreRefused",
        False,
        "my-bucket",
    ),
    "nobody there": (
        boto.EndpointConnectionError(endpoint_url="u"),
        StoreAway,
        "StoreUnreachable",
        True,
        "https://s3.example",
    ),
    "no answer in time": (
        boto.ReadTimeoutError(endpoint_url="u"),
        StoreAway,
        "StoreUnreachable",
        True,
        "https://s3.example",
    ),
    "hung up": (
        boto.ConnectionClosedError(endpoint_url="u"),
        StoreAway,
        "StoreUnreachable",
        True,
        "https://s3.example",
    ),
    "body cut off": (
        boto.IncompleteReadError(actual_bytes=1, expected_bytes=2),
        StoreAway,
        "StoreUnreachable",
        True,
        "my-bucket",
    ),
    "unknown authority": (
        boto.SSLError(endpoint_url="u", error="e"),
        StoreAway,
        "StoreUntrusted",
        False,
        "AWS_CA_BUNDLE",
    ),
    "a web page": (
        ResponseParserError("not XML"),
        StoreAway,
        "StoreUnreachable",
        False,
        "https://s3.example",
    ),
    "no such name": (
        boto.ParamValidationError(report="r"),
        StoreUnusable,
        "StoreUnusable",
        False,
        "my-bucket",
    ),
}


@pytest.mark.parametrize(("error", "kind", "reason", "again", "named"), FAULTS.values(), ids=FAULTS)
def test_every_fault_says_what_and_where(error, kind, reason, again, named):
    raised = fault(error, TARGET)
    assert type(raised) is kind
    assert named in str(raised)
    assert passes(error) is again
    if reason is not None:
        assert (raised.reason, bool(raised.remedy) or reason == "StoreUnreachable") == (reason, True)


WRONG = {  # variable -> value, class, words of the message
    "secret": ("AWS_SECRET_ACCESS_KEY", "wrong", Refused, r"refuses these credentials for bucket tests"),
    "key": ("AWS_ACCESS_KEY_ID", "wrong", Refused, r"refuses these credentials for bucket tests"),
    "endpoint": (
        "AWS_ENDPOINT_URL_S3",
        "http://127.0.0.1:1",
        TryAgain,
        r"http://127.0.0.1:1 cannot be reached \(bucket tests\)",
    ),
    "no endpoint": ("AWS_ENDPOINT_URL_S3", "nowhere", BadRequest, r"Invalid endpoint: nowhere"),
}


@pytest.mark.parametrize(("name", "value", "kind", "words"), WRONG.values(), ids=WRONG)
def test_the_probe_names_what_is_wrong(s3_env, monkeypatch, name, value, kind, words):
    monkeypatch.setenv(name, value)
    with pytest.raises(kind, match=words):
        open_store(s3_env.new_url()).probe()


def test_a_missing_bucket_is_named_with_how_to_make_it(s3_env):
    for ask in (
        lambda store: store.probe(),
        lambda store: store.read("x"),
        lambda store: list(store.list("")),
    ):
        with pytest.raises(Refused, match=r"no bucket nobodys(.|\n)*aws s3 mb s3://nobodys") as caught:
            ask(open_store("s3://nobodys/runs"))
        assert caught.value.reason == "BucketMissing"


def test_a_server_that_ignores_the_condition_is_found(s3_env, monkeypatch):
    key, secret = s3_env.env["AWS_ACCESS_KEY_ID"], s3_env.env["AWS_SECRET_ACCESS_KEY"]
    with unconditional(s3_env.endpoint, key, secret) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
        store = open_store(s3_env.new_url())
        with pytest.raises(BadRequest, match="If-None-Match") as caught:
            store.probe()
        assert caught.value.reason == "StoreNotConditional"
        assert list(store.list("")) == []


@pytest.fixture
def proxied(s3_env, monkeypatch):
    """A store behind a proxy that can cut its answers, and the proxy."""
    with cutting(s3_env.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
        store = open_store(s3_env.new_url())
        store.write("warm", b"x")
        proxy.seen.clear()
        yield store, proxy


def test_a_commit_whose_answer_was_lost_is_won_if_the_object_is_its_own(proxied):
    store, proxy = proxied
    proxy.cut(b"PUT ")
    assert store.create("manifest.json", b"mine")
    assert [line.split()[0] for line in proxy.seen] == [b"PUT", b"GET"], (
        "the object itself was not asked who won"
    )
    assert not store.create("manifest.json", b"theirs")


def test_an_earlier_commit_stays_the_winner_when_the_answer_to_a_later_one_is_lost(proxied):
    store, proxy = proxied
    assert store.create("manifest.json", b"theirs")
    proxy.cut(b"PUT ")
    assert not store.create("manifest.json", b"mine")
    assert store.read("manifest.json") == b"theirs"


def test_a_commit_is_tried_again_when_the_read_back_is_lost_too(proxied):
    store, proxy = proxied
    proxy.cut(b"P", times=0)
    proxy.cut(b"", times=3)  # put, read-back, put; then the read-back finds its own data
    assert store.create("manifest.json", b"mine")
    assert store.read("manifest.json") == b"mine"


def test_a_body_that_breaks_off_is_read_again(proxied, tmp_path):
    store, proxy = proxied
    data = bytes(range(256)) * 40_000
    with store.writer("big") as out:
        out.write(data)
    proxy.cut(b"GET ", after=50_000, times=2)
    assert store.read("big") == data
    proxy.cut(b"GET ", after=50_000, times=2)
    assert store.download("big", tmp_path / "copy", out.digest) == out.digest.model_copy(
        update={"path": "copy"}
    )


def test_the_lost_answer_to_the_end_of_an_upload_costs_nothing(proxied):
    store, proxy = proxied
    with store.writer("big") as out:
        out.write(b"x" * (9 * MIB))
        while not any(b"partNumber=1" in line for line in proxy.seen):
            pass
        proxy.cut(b"POST ")
    assert store.size("big") == 9 * MIB == out.digest.size


def test_parts_are_as_small_as_ten_thousand_of_them_allow():
    assert part_size(0) == part_size(80 * 10**9) == PART == 8 * MIB
    for size in (100 * 10**9, 5 * 2**40):
        assert part_size(size) % MIB == 0
        assert size / 10_000 <= part_size(size) < size / 10_000 + MIB


MEMORY = """
import re, sys
from pathlib import Path
from tunesmith_jobs.storage import open_store

def peak():  # not ru_maxrss, which begins with what the parent had when it forked
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024

store, target = open_store(sys.argv[1]), Path(sys.argv[2])
store.probe()
before = peak()
block = bytes(1 << 20)
with store.writer("big") as out:
    for _ in range(128):
        out.write(block)
written = peak() - before
store.download("big", target, out.digest)
print(written, peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_bounded_while_128_mib_stream_out_and_in(s3_env, tmp_path):
    answer = subprocess.run(
        [sys.executable, "-c", MEMORY, s3_env.new_url(), str(tmp_path / "copy")],
        capture_output=True,
        text=True,
        check=True,
    )
    written, read = map(int, answer.stdout.split())
    print(f"peak memory: {written} MiB writing, {read} MiB with reading")
    assert 8 < written < 80, "MiB: four parts of 8 in flight, one being filled, and copies"
    assert read < 100


def test_a_large_object_is_copied_in_parts(s3, monkeypatch):
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    store = open_store(s3.new_url())
    data = os.urandom(13 * (1 << 20))
    store.write("whole", data)
    copy_object(store.bucket, store.key("whole"), store.key("copy"), len(data), most=5 << 20)
    assert store.read("copy") == data


WRITES = {  # what writes -> the operations that it sends, and which of them say how the object is encrypted
    "create": (lambda store, _: store.create("a", b"x"), {"PutObject": True}),
    "write": (lambda store, _: store.write("a", b"x"), {"PutObject": True}),
    "several parts": (
        lambda store, large: store.upload("a", large),
        {"CreateMultipartUpload": True, "UploadPart": False, "CompleteMultipartUpload": False},
    ),
    "copy": (
        lambda store, _: (store.write("a", b"x"), store.copy("a", "b")),
        {"PutObject": True, "HeadObject": False, "CopyObject": True},
    ),
}


@pytest.mark.parametrize(("act", "operations"), WRITES.values(), ids=WRITES)
def test_every_new_object_is_asked_to_be_encrypted(act, operations, s3_env, monkeypatch, tmp_path):
    """The headers are seen on the way to the server, and removed, since this server cannot encrypt."""
    monkeypatch.setenv("TUNESMITH_S3_ENCRYPTION", "aws:kms")
    monkeypatch.setenv("TUNESMITH_S3_KMS_KEY", "key-1")
    large = tmp_path / "large"
    large.write_bytes(bytes(PART + 1))
    store, seen = open_store(s3_env.new_url()), {}

    def look(params, model, **_):
        headers = params["headers"]
        encryption = headers.pop("x-amz-server-side-encryption", None)
        key = headers.pop("x-amz-server-side-encryption-aws-kms-key-id", None)
        seen[model.name] = (encryption, key) == ("aws:kms", "key-1")

    store.bucket.client.meta.events.register("before-call.s3", look)
    act(store, large)
    assert seen == operations


@pytest.mark.parametrize("style", ["", "auto", "path", "virtual"])
def test_the_bucket_is_part_of_path_or_host_as_the_variable_says(style, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://s3.example:9")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "eu-1")
    monkeypatch.setenv("TUNESMITH_S3_ADDRESSING_STYLE", style)
    client = Bucket("my-bucket").client
    url = client.generate_presigned_url("get_object", Params={"Bucket": "my-bucket", "Key": "k"}).partition(
        "?"
    )[0]
    assert url == (
        "http://my-bucket.s3.example:9/k" if style == "virtual" else "http://s3.example:9/my-bucket/k"
    )


def test_an_unknown_addressing_style_is_refused(monkeypatch):
    monkeypatch.setenv("TUNESMITH_S3_ADDRESSING_STYLE", "host")
    with pytest.raises(BadRequest, match="TUNESMITH_S3_ADDRESSING_STYLE") as caught:
        open_store("s3://b/p").read("x")
    assert caught.value.reason == "StoreUnusable"
