"""A finished run in a store, and the process that serves it."""

import hashlib
import http.client
import os
import subprocess
import sys
from contextlib import contextmanager

from requests_for_tests import document

from tunesmith.manifest import File, Manifest
from tunesmith.plan import snapshot
from tunesmith.request import parse

TOKEN = "a token of one session"
MADE = snapshot(parse(document()), run="riddles-1")
BIG = bytes(range(256)) * 4 * 4096 * 5  # 20 MiB: more than one piece, more than one read


@contextmanager
def serving(store, env, *more, port=0):
    """The process, and a way to open a connection to it."""
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    process = subprocess.Popen(
        [sys.executable, "-m", "tunesmith_jobs.serve", "--store", store, "--port", str(port), *more],
        env={"PATH": os.environ["PATH"], "TUNESMITH_SESSION": digest, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        port = int(process.stdout.readline().rpartition(":")[2])
        yield process, lambda: http.client.HTTPConnection("127.0.0.1", port)
    finally:
        process.kill()
        process.communicate()


def put(store, path, data):
    from tunesmith_jobs.storage import open_store

    open_store(store).write(path, data)


def finished(store, stage, files, metrics=None):
    """A finished stage of MADE, with real files."""
    key = MADE.key(stage)
    entries = tuple(
        File(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest())
        for path, data in files.items()
    )
    manifest = Manifest(
        run=MADE.run,
        stage=stage,
        key=key,
        attempt="a1",
        created="2026-01-02T03:04:05Z",
        seconds=1.5,
        files=entries,
        metrics=metrics or {},
    )
    for path, data in files.items():
        put(store, f"{manifest.folder}/{path}", data)
    put(store, f"{MADE.run}/{stage}/{key}/manifest.json", manifest.to_bytes())
    return manifest


def whole_run(store):
    """A run with a dataset and a model."""
    put(store, "riddles-1/request.json", MADE.to_json().encode())
    finished(store, "generate", {"train.jsonl": b'{"prompt": "a"}\n'})
    finished(store, "merge", {"model/model.safetensors": BIG, "model/config.json": b"{}"})
