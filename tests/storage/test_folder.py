"""Faults that only a folder has: kill -9, full disks, rights, file systems without hard links."""

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tunesmith.errors import BadRequest, TryAgain
from tunesmith_jobs.storage import open_store
from tunesmith_jobs.storage.base import StoreAway, StoreRefused, StoreUnusable
from tunesmith_jobs.storage.folder import FolderStore
from tunesmith_jobs.storage.folder_faults import fault

FAULTS = {  # errno -> class, reason
    errno.ENOSPC: (TryAgain, "DiskFull"),
    errno.EDQUOT: (TryAgain, "DiskFull"),
    errno.EFBIG: (TryAgain, "DiskFull"),
    errno.EACCES: (StoreRefused, "StoreRefused"),
    errno.EROFS: (StoreRefused, "StoreRefused"),
    errno.ENOTDIR: (StoreUnusable, "StoreUnusable"),
    errno.ENAMETOOLONG: (StoreUnusable, "StoreUnusable"),
    errno.EIO: (StoreAway, "StoreUnreachable"),
    errno.ESTALE: (StoreAway, "StoreUnreachable"),
}


@pytest.mark.parametrize(
    ("number", "kind", "reason"),
    [(number, *rest) for number, rest in FAULTS.items()],
    ids=errno.errorcode.get,
)
def test_every_fault_names_the_folder(number, kind, reason):
    error = fault(OSError(number, os.strerror(number), "/mnt/runs/x"), Path("/mnt/runs"))
    assert (type(error), error.reason) == (kind, reason)
    assert "/mnt/runs" in error.message
    assert error.remedy


WRITER = """
import os, sys
from tunesmith_jobs.storage import open_store
store = open_store(sys.argv[1])
if sys.argv[2] == "stream":
    with store.writer("r/big") as out:
        out.write(b"x" * 100_000)
        print("half", flush=True)
        sys.stdin.readline()
else:
    def die(*_):
        os.kill(os.getpid(), 9)
    if sys.argv[2] == "before the link":
        os.link = die
    else:
        link = os.link
        os.link = lambda *names: (link(*names), die())
    store.create("r/manifest.json", b"whole")
"""


@pytest.mark.parametrize(
    ("moment", "seen"), [("stream", []), ("before the link", []), ("after the link", [b"whole"])]
)
def test_kill_9_leaves_no_half_object_and_what_it_leaves_is_swept(tmp_path, moment, seen):
    url = f"file://{tmp_path}/store"
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, url, moment], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    if moment == "stream":
        assert process.stdout.readline() == b"half\n"
        process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    store = open_store(url)
    assert [store.read(entry.path) for entry in store.list("")] == seen
    left = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert len(left) == 1 + len(seen), "the kill came too late to leave a file"
    store.abort_uploads("r/")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["manifest.json"] * len(seen)
    assert store.create("r/manifest.json", b"again") is not bool(seen)


def test_a_full_disk_is_try_again_with_the_folder_and_leaves_nothing(tmp_path):
    script = """
import sys
from tunesmith.errors import BadRequest, TryAgain
from tunesmith_jobs.storage import open_store
store = open_store(sys.argv[1])
for put in (lambda: store.create("a/m", b"x" * 200_000), lambda: store.write("a/n", b"x" * 200_000)):
    try:
        put()
    except TryAgain as error:
        print(error.reason, error.message)
"""
    answer = subprocess.run(
        [sys.executable, "-c", script, f"file://{tmp_path}/store"],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )
    lines = answer.stdout.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("DiskFull") and f"{tmp_path}/store is full" in line for line in lines)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs /sys, where no folder can be made")
def test_a_folder_that_may_not_be_written_is_refused_by_name():
    with pytest.raises(StoreRefused, match="folder /sys/tunesmith cannot be used"):
        FolderStore("/sys/tunesmith").probe()


def test_a_file_in_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "store").write_text("a file")
    with pytest.raises(StoreUnusable, match="cannot hold a store"):
        FolderStore(str(tmp_path / "store")).probe()


def test_without_hard_links_only_one_writer_creates(tmp_path, monkeypatch):
    def no_link(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_link)
    store = FolderStore(str(tmp_path))
    assert [store.create("a/m", data) for data in (b"first", b"second")] == [True, False]
    assert [(entry.path, store.read(entry.path)) for entry in store.list("")] == [("a/m", b"first")]


def test_a_link_made_though_its_answer_was_lost_counts_as_won(tmp_path, monkeypatch):
    link = os.link

    def lost(source, target):  # as NFS does when it repeats a call that had worked
        link(source, target)
        raise FileExistsError(errno.EEXIST, "File exists")

    monkeypatch.setattr(os, "link", lost)
    store = FolderStore(str(tmp_path))
    assert store.create("m", b"mine")
    monkeypatch.setattr(os, "link", link)
    assert not store.create("m", b"theirs")


def test_deleting_what_is_last_removes_empty_folders_but_not_the_store(tmp_path):
    store = FolderStore(str(tmp_path / "store"))
    store.write("a/b/c", b"x")
    store.write("a/d", b"x")
    store.delete(["a/b/c"])
    assert sorted(path.name for path in (tmp_path / "store").rglob("*")) == ["a", "d"]
    store.delete(["a/d"])
    assert list((tmp_path / "store").iterdir()) == []


@pytest.fixture
def outside(tmp_path):
    """A folder of somebody's that is no store, and a store with links into it."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "diary").write_text("private")
    store = FolderStore(str(tmp_path / "store"))
    store.write("r/generate/k/manifest.json", b"{}")
    (tmp_path / "store/r/home").symlink_to(folder)
    (tmp_path / "store/r/diary").symlink_to(folder / "diary")
    (tmp_path / "store/r/up").symlink_to("../..")
    return store, folder


LINKS = ["r/home/diary", "r/diary", "r/up/home/diary", "r/up/home/new"]


@pytest.mark.parametrize("path", LINKS)
def test_a_link_in_the_store_leads_nowhere_outside_of_it(outside, path, tmp_path):
    store, folder = outside
    for act in (
        lambda: store.read(path),
        lambda: store.read_range(path, 0, 1),
        lambda: store.size(path),
        lambda: store.local(path),
        lambda: store.write(path, b"x"),
        lambda: store.create(path, b"x"),
        lambda: store.copy("r/generate/k/manifest.json", path),
        lambda: store.download(path, tmp_path / "copy"),
        lambda: store.delete([path]),
    ):
        with pytest.raises(BadRequest, match="symbolic link"):
            act()
    assert [file.name for file in folder.iterdir()] == ["diary"]
    assert (folder / "diary").read_text() == "private"


def test_a_run_with_links_is_listed_and_deleted_without_what_they_lead_to(outside):
    store, folder = outside
    paths = [entry.path for entry in store.list("r/")]
    assert paths == ["r/generate/k/manifest.json"]
    store.delete(paths)
    store.abort_uploads("r/")
    assert (folder / "diary").read_text() == "private"


def test_a_store_may_itself_be_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "store").symlink_to(tmp_path / "disk")
    store = FolderStore(str(tmp_path / "store"))
    store.write("r/x", b"x")
    assert [entry.path for entry in store.list("")] == ["r/x"]
    assert store.read("r/x") == b"x"
