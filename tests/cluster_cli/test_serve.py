"""The session's server and its client, over loopback, with a real S3 behind it."""

import hashlib
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest
from cluster_cli.finished_run import BIG, MADE, TOKEN, put, serving, whole_run
from requests_for_tests import document

from tunesmith.errors import Gone, TryAgain, TunesmithError
from tunesmith.plan import snapshot
from tunesmith.request import parse
from tunesmith_cli.cluster.remote import RemoteRuns


@pytest.fixture
def store(s3, monkeypatch):
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    return s3.new_url()


@pytest.fixture
def served(store, s3):
    """A way to open a connection to the server of a run."""
    whole_run(store)
    with serving(store, s3.env) as (_, connect):
        yield connect


@pytest.fixture
def runs(store, served):
    with closing(RemoteRuns(store, served, TOKEN)) as runs:
        yield runs


def test_it_answers_as_a_store_of_this_machine_does(runs, s3):
    from tunesmith_cli.local.processes import Toolbox
    from tunesmith_cli.local.store import RunStore

    own = RunStore(runs.url, s3.env | {"PATH": os.environ["PATH"]}, Toolbox())
    assert runs.snapshot("riddles-1") == own.snapshot("riddles-1") == MADE
    assert runs.snapshot("nobody") is None
    assert runs.manifests(MADE) == own.manifests(MADE)
    assert list(runs.manifests(MADE)) == ["generate", "merge"]
    place = f"{runs.manifests(MADE)['generate'].folder}/train.jsonl"
    assert runs.read(place) == own.read(place)
    assert runs.source(MADE) is None
    assert own.source(MADE) is None
    with pytest.raises(Gone, match="holds no log"):
        runs.log("riddles-1", "train", MADE.key("train"))


def test_whoever_lacks_the_token_learns_nothing(runs, served):
    stranger = RemoteRuns(runs.url, served, "another")
    for question in (
        lambda: stranger.read("riddles-1/request.json"),
        lambda: stranger.manifests(MADE),
        lambda: stranger.delete("riddles-1"),
    ):
        with pytest.raises(TunesmithError, match="not this session's token"):
            question()
    stranger.close()
    assert runs.read("riddles-1/request.json")


def test_only_reading_and_removing_a_run_can_be_asked(runs):
    with pytest.raises(TunesmithError, match="one of list, log, delete, source can be asked"):
        runs.ask("POST", "/ask", {"arguments": ["write", "--path", "x"]})
    for path in ("../other", "/etc/passwd", ""):
        with pytest.raises(TunesmithError, match="not a path in a store"):
            runs.read(path)


def test_a_fetch_brings_what_a_fetch_here_brings(runs, s3, tmp_path):
    from tunesmith_cli.local.processes import Toolbox
    from tunesmith_cli.local.store import RunStore

    told = []
    there = runs.fetch(MADE, tmp_path / "there", "", told.append)
    own = RunStore(runs.url, s3.env | {"PATH": os.environ["PATH"]}, Toolbox()).fetch(
        MADE, tmp_path / "here", "", lambda event: None
    )
    assert {name: there[name] for name in ("files", "kept")} == {
        name: own[name] for name in ("files", "kept")
    }
    for file in there["files"]:
        assert (tmp_path / "there" / file["path"]).read_bytes() == (
            tmp_path / "here" / file["path"]
        ).read_bytes()
    assert any(one.done < one.total and one.eta and one.metrics["bytesPerSecond"] for one in told)
    assert (told[-1].done, told[-1].total) == (
        there_size := sum(file["size"] for file in there["files"]),
        there_size,
    )
    assert runs.fetch(MADE, tmp_path / "there", "", lambda event: None)["kept"] == 3
    assert not list((tmp_path / "there").rglob(".*"))


class Cut:
    """The runs over a line that breaks off after so many bytes, again and again."""

    def __init__(self, runs, after):
        self.runs, self.after, self.starts = runs, after, []

    def contents(self, made):
        return self.runs.contents(made)

    def stream(self, path, start):
        self.starts.append(start)
        sent = 0
        for block in self.runs.stream(path, start):
            yield block
            sent += len(block)
            if sent >= self.after:
                raise ConnectionResetError("cut")


def test_a_download_that_breaks_off_goes_on_where_it_was(runs, tmp_path, monkeypatch):
    from tunesmith_cli.cluster import download

    monkeypatch.setattr(download, "DELAY_SECONDS", 0)
    line = Cut(runs, 8 << 20)
    download.fetch(line, MADE, tmp_path, "model", lambda event: None)
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == BIG
    assert line.starts == [0, 0, 8 << 20, 16 << 20]


def test_a_killed_fetch_goes_on_and_a_damaged_rest_is_fetched_anew(runs, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    part = folder / f".tunesmith-{hashlib.sha256(BIG).hexdigest()[:16]}.part"
    for rest, starts in ((BIG[: 5 << 20], [5 << 20]), (b"x" * (5 << 20), [5 << 20, 0])):
        part.write_bytes(rest)
        line = Cut(runs, 1 << 30)
        from tunesmith_cli.cluster.download import fetch

        fetch(line, MADE, tmp_path, "model", lambda event: None)
        assert [start for start in line.starts if start or len(starts) == 2][-len(starts) :] == starts
        assert (folder / "model.safetensors").read_bytes() == BIG
        (folder / "model.safetensors").unlink()


def test_a_file_that_changed_in_the_store_is_refused(runs, tmp_path):
    put(runs.url, f"{runs.manifests(MADE)['generate'].folder}/train.jsonl", b'{"prompt": "b"}\n')
    with pytest.raises(Gone, match="is not what was stored"):
        runs.fetch(MADE, tmp_path, "dataset", lambda event: None)
    assert not list((tmp_path / "dataset").iterdir())


def test_deleting_removes_the_run_and_nothing_else(runs):
    put(runs.url, "riddles-12/request.json", b"{}")
    assert runs.delete("riddles-1") == 6
    assert runs.snapshot("riddles-1") is None
    assert runs.read("riddles-12/request.json") == b"{}"


def test_infer_passes_on_what_it_says_and_its_code(runs):
    wrong = snapshot(parse(document({"task": "another"})), run="riddles-1")
    said = list(runs.infer({"snapshot": json.loads(wrong.to_json()), "prompts": ["hello"]}))
    assert said[-1] == {"exit": 66}
    assert "has no result of merge" in "".join(line.get("err", "") for line in said)
    assert not runs.trouble(), "the connection is used again"


BROKEN = {
    "after a line": b'10\r\n{"out": "so f"}\n\r\n',
    "in a line": b'b\r\n{"out": "so\r\n',
    "in a chunk": b'10\r\n{"out"',
    "before the first": b"",
    "well but for its code": b'10\r\n{"out": "so f"}\n\r\n0\r\n\r\n',
}


@pytest.mark.parametrize("sent", BROKEN.values(), ids=BROKEN)
def test_an_answer_that_ends_without_its_code_is_no_answer(sent):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + sent)

        thread = threading.Thread(target=answer)
        thread.start()
        runs = RemoteRuns("s3://b", lambda: http.client.HTTPConnection(*server.getsockname()), TOKEN)
        with closing(runs), pytest.raises(TryAgain, match="ended before its answer did"):
            list(runs.infer({"prompts": ["hello"]}))
        thread.join()


def test_it_ends_when_nobody_asks_any_more(store, s3):
    with serving(store, s3.env, "--idle", "1") as (process, connect):
        with closing(RemoteRuns(store, connect, TOKEN)) as runs:
            assert not runs.trouble()
        assert process.wait(timeout=20) == 0


def test_it_ends_at_once_when_told(store, s3):
    with serving(store, s3.env) as (process, _):
        began = time.monotonic()
        process.terminate()
        assert process.wait(timeout=10) == 0
        assert time.monotonic() - began < 3


def test_without_a_token_it_does_not_start(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tunesmith_jobs.serve", "--store", tmp_path.as_uri()],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 78
    assert "TUNESMITH_SESSION does not hold a sha256" in done.stderr
