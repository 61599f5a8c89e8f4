"""What every kind of store promises: for each row of `SCHEMES`, on a real folder and a real S3 server."""

import hashlib
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tunesmith.errors import BadRequest, Gone
from tunesmith.manifest import File
from tunesmith.wire import STORE_FORMS
from tunesmith_jobs.storage import (
    SCHEMES,
    NotFound,
    StoreError,
    open_parent,
    open_store,
    read_url,
)
from tunesmith_jobs.storage.base import UploadDropped

MIB = 1 << 20


def paths(store, prefix=""):
    return [entry.path for entry in store.list(prefix)]


@pytest.mark.parametrize(
    "path", ["a.json", "a/b c/d.json", "灯谜/谜 底.json", "a/%41+&=;#?.txt", "ü/ñ~'()!.bin"]
)
def test_an_object_comes_back_as_it_was_under_any_name(store, path):
    store.write(path, b"old")
    store.write(path, b"new")
    assert (store.read(path), store.size(path), paths(store)) == (b"new", 3, [path])
    store.delete([path, "never/there"])
    assert (store.size(path), paths(store)) == (None, [])


def test_what_is_not_there_is_not_found(store, tmp_path):
    for ask in (
        store.read,
        lambda path: store.read_range(path, 0, 1),
        lambda path: store.download(path, tmp_path / "x"),
    ):
        with pytest.raises(NotFound):
            ask("no/such")
    assert store.size("no/such") is None
    assert paths(store, "no/") == []
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("path", ["../up", "a/../../up", "/etc/passwd", "a//b", "", ".", "a/"])
def test_no_path_leads_out_of_the_store(store, path):
    with pytest.raises(BadRequest, match="not a path"):
        store.write(path, b"x")
    with pytest.raises(BadRequest, match="not a path"):
        store.read(path)


def test_a_listing_is_in_the_order_of_the_paths_and_below_its_prefix(store):
    names = ["b", "a/x", "a-b", "a/谜", "a.b", "aa/x", "a/b/c"]
    for name in names:
        store.write(name, name.encode())
    assert paths(store) == sorted(names)
    assert paths(store, "a/") == ["a/b/c", "a/x", "a/谜"]
    assert {entry.path: entry.size for entry in store.list("a/b/")} == {"a/b/c": 5}
    assert all(abs(entry.modified - time.time()) < 60 for entry in store.list(""))


def test_ranges_end_where_the_object_ends(store):
    store.write("x", b"0123456789")
    assert [
        store.read_range("x", *range_) for range_ in ((0, 3), (7, 3), (8, 100), (10, 1), (50, 5), (3, 0))
    ] == [*(b"012", b"789", b"89", b"", b"", b"")]


def test_a_copy_has_the_content_and_outlives_its_source(store):
    store.write("from/a b.bin", b"x" * 3_000_000)
    store.copy("from/a b.bin", "to/谜.bin")
    store.write("from/a b.bin", b"other")
    store.delete(["from/a b.bin"])
    assert (store.size("to/谜.bin"), paths(store)) == (3_000_000, ["to/谜.bin"])
    with pytest.raises(NotFound):
        store.copy("no/such", "to/x")


def test_a_created_object_is_never_written_over(store):
    assert store.create("m.json", b"first")
    assert not store.create("m.json", b"second")
    assert store.read("m.json") == b"first"


def test_of_many_threads_one_creates(store):
    barrier = threading.Barrier(16)

    def race(number):
        barrier.wait()
        return store.create("race/manifest.json", f"writer {number}".encode())

    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(race, range(16)))
    assert won.count(True) == 1
    assert store.read("race/manifest.json") == f"writer {won.index(True)}".encode()


RACER = """
import sys, time
from tunesmith_jobs.storage import open_store
store, name = open_store(sys.argv[1]), sys.argv[2]
store.size("warm")
print("ready", flush=True)
sys.stdin.readline()
print([number for number in range(30) if store.create(f"race/{number}", name.encode())])
"""


def test_of_two_processes_one_creates(store, url):
    racers = {
        name: subprocess.Popen(
            [sys.executable, "-c", RACER, url, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in "ab"
    }
    for racer in racers.values():
        assert racer.stdout.readline() == "ready\n"
    for racer in racers.values():
        racer.stdin.write("go\n")
        racer.stdin.flush()
    won = {name: eval(racer.communicate()[0]) for name, racer in racers.items()}
    assert sorted(won["a"] + won["b"]) == list(range(30))
    assert all(
        store.read(f"race/{number}") == name.encode() for name, numbers in won.items() for number in numbers
    )


@pytest.mark.parametrize("size", [0, 1, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 19 * MIB])
def test_a_stream_becomes_one_object_with_its_digest(store, tmp_path, size):
    data = os.urandom(1000) * (size // 1000 + 1)
    data = data[:size]
    with store.writer("a/big file.bin") as out:
        for start in range(0, size, 3 * MIB):
            out.write(memoryview(data)[start : start + 3 * MIB])
        assert store.size("a/big file.bin") is None, "seen before it was whole"
    expected = File(path="big file.bin", size=size, sha256=hashlib.sha256(data).hexdigest())
    assert out.digest == expected
    assert store.download("a/big file.bin", tmp_path / "copy", expected).sha256 == expected.sha256
    assert (tmp_path / "copy").read_bytes() == data
    assert store.upload("b/again.bin", tmp_path / "copy") == expected.model_copy(update={"path": "again.bin"})


@pytest.mark.parametrize("size", [10, 20 * MIB])
def test_a_stream_that_fails_leaves_nothing(store, url, size):
    def fail():
        with store.writer("a/b") as out:
            out.write(b"x" * size)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert paths(store) == []
    assert unfinished(url) == []


def test_dropped_uploads_are_swept_below_the_prefix_only(store, url):
    streams = [store.writer(f"{name}/big") for name in "ab"]
    for stream in streams:
        stream.__enter__().write(b"x" * (9 * MIB))
    assert len(unfinished(url)) == 2
    store.abort_uploads("a/")
    assert len(unfinished(url)) == 1
    streams[1].__exit__(None, None, None)
    with pytest.raises(UploadDropped, match="dropped"):
        streams[0].__exit__(None, None, None)
    assert paths(store) == ["b/big"]


def unfinished_files(address):
    return [name for _, _, names in os.walk(address) for name in names if name.startswith(".tunesmith-")]


def unfinished_uploads(address):
    import boto3

    bucket, _, prefix = address.partition("/")
    client = boto3.client("s3")
    uploads = client.list_multipart_uploads(Bucket=bucket, Prefix=prefix).get("Uploads", [])
    client.close()
    return uploads


UNFINISHED = {"file": unfinished_files, "s3": unfinished_uploads}  # scheme -> a look past our own code


def unfinished(url):
    """What unfinished uploads have left in a store."""
    scheme, _, address = url.partition("://")
    return UNFINISHED[scheme](address)


def flip_a_byte(url, path):
    """Damage an object without changing its size."""
    store = open_store(url)
    data = bytearray(store.read(path))
    data[len(data) // 2] ^= 1
    store.write(path, bytes(data))


def test_a_flipped_byte_is_found_on_read(store, url, tmp_path):
    digest = store.upload("x", _file(tmp_path / "source", b"weights" * 1000))
    flip_a_byte(url, "x")
    with pytest.raises(Gone, match=r"is not what was stored.*sha256") as caught:
        store.download("x", tmp_path / "copy", digest)
    assert caught.value.reason == "ContentChanged"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["source"], (
        "a damaged copy was left"
    )


def _file(path, data):
    path.write_bytes(data)
    return path


def test_readers_see_the_old_or_the_new_object_never_a_part(store):
    versions = [bytes([number]) * 300_000 for number in range(8)]
    store.write("x", versions[0])
    stop = threading.Event()
    seen = set()

    def read():
        while not stop.is_set():
            data = store.read("x")
            assert data in versions
            seen.add(data[0])

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        for data in versions * 3:
            store.write("x", data)
        stop.set()
        for reader in readers:
            reader.result()
    assert seen


def test_more_objects_than_one_call_takes_are_deleted(store):
    for number in (0, 999, 1000, 1500):
        store.write(f"x/{number}", b"x")
    store.delete(f"x/{number}" for number in range(1501))
    assert paths(store) == []


def test_a_good_store_passes_the_probe_and_is_left_empty(store):
    store.probe()
    assert paths(store) == []


def test_every_kind_of_store_is_accepted_in_a_request():
    assert sorted(SCHEMES) == sorted(STORE_FORMS)


UNUSABLE = {"file": "file:///dev/null/runs", "s3": "s3://nobodys/runs"}  # scheme -> a store that cannot work


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_a_store_that_cannot_be_used_says_so_with_its_place(scheme, request):
    request.getfixturevalue(f"{scheme}_url")
    place = UNUSABLE[scheme].partition("://")[2].removesuffix("/runs")
    with pytest.raises(StoreError, match=place) as caught:
        open_store(UNUSABLE[scheme]).probe()
    assert caught.value.remedy
    assert caught.value.exit_code.final


def test_an_object_is_read_by_its_own_url(store, url):
    store.write("a/b c.json", b"x")
    assert read_url(f"{url}/a/b c.json") == b"x"
    parent, path = open_parent(f"{url}/a/b c.json")
    assert (parent.url, path) == (f"{url}/a", "b c.json")
    with pytest.raises(NotFound):
        read_url(f"{url}/a/none.json")


def test_the_url_of_a_folder_may_be_quoted(tmp_path):
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "c d.txt").write_bytes(b"x")
    assert read_url((tmp_path / "a b" / "c d.txt").as_uri()) == b"x"


@pytest.mark.parametrize("url", ["http://x/y", "s3://", "s3:///x", "s3", "file://relative/x", "/tmp/x", ""])
def test_other_addresses_are_not_stores(url):
    with pytest.raises(BadRequest, match="not a store"):
        open_store(url)
