"""Makes the inputs of the measured processes.

prepare.py model SIZE BASE SHARDS ADAPTER RANK
prepare.py store BASE ADAPTER OUT
"""

import sys
from pathlib import Path

import synthetic  # type: ignore[import-not-found]  # next to this file, which is not in a package

from tunesmith.plan import snapshot
from tunesmith.request import parse
from tunesmith.wire import API_VERSION, KIND
from tunesmith_jobs.attempt import Attempt, Outcome
from tunesmith_jobs.base import find_base
from tunesmith_jobs.storage import open_store


def model(size: str, base: str, shards: str, adapter: str, rank: str) -> None:
    """A synthetic base and an adapter for it."""
    synthetic.write_base(size, Path(base), int(shards))
    synthetic.write_adapter(size, Path(adapter), int(rank))


def store(base: str, adapter: str, out: str) -> None:
    """A store in which generate and train have finished, and the snapshot of a request without options."""
    spec = {"task": "-", "model": {"base": f"file://{base}"}}
    request = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "benchmark"}, "spec": spec}
    resolved = snapshot(parse(request), run="benchmark")
    generated = Attempt("generate", resolved, open_store(f"file://{out}"), Path(out), "a")
    generated.put_bytes("system_message.txt", b"Given $INPUT, you will answer.")
    generated.commit(Outcome())
    trained = Attempt("train", resolved, open_store(f"file://{out}"), Path(out), "a")
    trained.pin("base", lambda: find_base(f"file://{base}"))
    for path in Path(adapter).iterdir():
        trained.put_file(f"adapter/{path.name}", path)
    trained.commit(Outcome())
    Path(out, "snapshot.json").write_text(resolved.to_json(), encoding="utf-8")


if __name__ == "__main__":
    kind, *arguments = sys.argv[1:]
    if kind == "model":
        model(*arguments)
    else:
        store(*arguments)
