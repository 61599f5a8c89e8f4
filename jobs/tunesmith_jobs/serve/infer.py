"""Asking a finished model, by a process of `tunesmith_jobs.infer` whose output is passed on as it comes."""

import codecs
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from tunesmith.errors import BadRequest
from tunesmith.resolve import Snapshot
from tunesmith.wire import SNAPSHOT_FILE

_READ = 1 << 14  # bytes of a pipe that are read at a time


def infer(snapshot: Snapshot, store: str, work: str, question: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The output of the process as it comes: `out` and `err` with text, and last `exit` with its code.

    `question`: prompts, maxNewTokens, compare, json. Raises BadRequest at once if there are no prompts.
    """
    prompts = [str(prompt) for prompt in question.get("prompts") or ()]
    if not prompts:
        raise BadRequest("there is nothing to ask", remedy="give `prompts`")
    tokens = str(int(question.get("maxNewTokens") or snapshot.spec.evaluation.max_new_tokens))
    flags = [f"--{flag}" for flag in ("compare", "json") if question.get(flag)]
    options = [*(f"--prompt={prompt}" for prompt in prompts), "--max-new-tokens", tokens, *flags]
    return _run(snapshot, store, work, options)


def _run(snapshot: Snapshot, store: str, work: str, options: Sequence[str]) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="tunesmith-", dir=work) as folder:
        file = Path(folder) / SNAPSHOT_FILE
        file.write_text(snapshot.to_json(), encoding="utf-8")
        model = str(Path(work) / "infer")  # kept: the next question finds the model there
        command = [sys.executable, "-m", "tunesmith_jobs.infer"]
        command += ["--request", str(file), "--store", store, "--work", model, *options]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            yield from _output({"out": process.stdout, "err": process.stderr})
            yield {"exit": process.wait()}
        finally:  # also if the caller has gone away
            process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()


def _output(streams: Mapping[str, IO[bytes]]) -> Iterator[dict[str, Any]]:
    """The text of several streams by their names, as it comes, until all have ended."""
    pieces: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
    for name, stream in streams.items():
        threading.Thread(target=_read, args=(stream, name, pieces), daemon=True).start()
    open_streams = len(streams)
    while open_streams:
        name, text = pieces.get()
        if text:
            yield {name: text}
        else:
            open_streams -= 1


def _read(stream: IO[bytes], name: str, pieces: "queue.SimpleQueue[tuple[str, str]]") -> None:
    """Put the text of a stream into the queue, and an empty text when it ends."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    while data := stream.read1(_READ):  # type: ignore[attr-defined] # a pipe's buffered reader has it
        if text := decoder.decode(data):
            pieces.put((name, text))
    pieces.put((name, ""))
