"""The stage: opens base and adapter, writes the merged model shard by shard, and what belongs beside it.

A shard that an attempt has stored whole is marked, and a later attempt begins at the first shard without a mark. It takes the marked
ones into its result by a copy that the store makes itself (a link in a folder).
"""

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

from pydantic import BaseModel, JsonValue

from tunesmith.errors import Gone
from tunesmith.manifest import File
from tunesmith_jobs.attempt import Attempt, Outcome
from tunesmith_jobs.base import inspect_base, open_base
from tunesmith_jobs.finished import Finished
from tunesmith_jobs.merge.adapter import read_adapter
from tunesmith_jobs.merge.blocks import Kept
from tunesmith_jobs.merge.card import card_facts
from tunesmith_jobs.merge.files import read_base, read_tensors
from tunesmith_jobs.merge.folder import beside, index, merged_config, read_config
from tunesmith_jobs.merge.plan import Plan, Shard, plan
from tunesmith_jobs.merge.stream import write_shard
from tunesmith_jobs.model_card import render
from tunesmith_jobs.storage import NotFound

MODEL = "model"
MEGABYTE = 1_000_000


class _Mark(BaseModel):
    """A shard that is whole in the store, whose attempt stored it, and the sample of its merge."""

    attempt: str
    file: File
    kept: Kept


def work(attempt: Attempt) -> Outcome:
    """Merge the run's adapter into the base model that it was trained on."""
    data, trained = attempt.finished("generate"), attempt.finished("train")
    if (pin := trained.manifest.pins.get("base")) is None:
        raise Gone(
            "train's manifest does not say which base model it used",
            remedy="set `rerun: {from: train, id: <new>}`",
        )
    attempt.pins["base"] = pin
    token = os.environ.get("HF_TOKEN")
    attempt.say(f"opening the base model {pin.uri} at {pin.revision}")
    base = open_base(pin, attempt.work, token=token)
    todo, changed = _plan(attempt, base, trained)
    report = _merge_weights(attempt, todo, changed)

    config = (base / "config.json").read_bytes()
    attempt.put_bytes(
        f"{MODEL}/config.json", merged_config(config, dtype=attempt.spec.merge.dtype, untied=todo.untied)
    )
    if (table := index(todo)) is not None:
        attempt.put_bytes(f"{MODEL}/model.safetensors.index.json", table)
    for name, path in beside(base):
        attempt.put_file(f"{MODEL}/{name}", path)
    system = data.read("system_message.txt")
    attempt.put_bytes(f"{MODEL}/system_message.txt", system)
    facts = card_facts(
        attempt.snapshot,
        inspect_base(pin, token=token),
        pin,
        data.manifest,
        trained.manifest,
        system.decode(errors="replace"),
    )
    attempt.put_bytes(f"{MODEL}/README.md", render(facts).encode())
    attempt.put_bytes("report.json", (json.dumps(report, indent=1) + "\n").encode())
    return Outcome(
        metrics={
            name: float(value)
            for name, value in report.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        },
        details={"modelCard": facts.model_dump(mode="json"), "report": report},
    )


def _plan(attempt: Attempt, base: Path, trained: Finished) -> tuple[Plan, int]:
    """What to write, and how many tensors the adapter changes."""
    adapter = trained.path("adapter/adapter_model.safetensors")
    trained.path("adapter/adapter_config.json")
    config = read_config(adapter.parent, "adapter_config.json")
    changes = read_adapter(config, read_tensors(adapter))
    square_transposed = bool(config.get("fan_in_fan_out"))
    return plan(
        read_base(base), read_config(base), changes, attempt.spec.merge, square_transposed=square_transposed
    ), len(changes)


def _merge_weights(attempt: Attempt, todo: Plan, changed: int) -> dict[str, JsonValue]:
    """Write all shards that no attempt has left whole; returns the report."""
    total = sum(shard.size for shard in todo.shards)
    marks = _marks(attempt)
    kept = Kept()
    found = written = 0
    began = time.monotonic()

    def wrote(size: int) -> None:
        nonlocal written
        attempt.check_stop()
        written += size
        left = (time.monotonic() - began) / written * (total - found - written)
        attempt.progress((found + written) // MEGABYTE, total // MEGABYTE, "MB", phase="merging", eta=left)

    with ThreadPoolExecutor(1) as behind:  # while a shard reaches disk or bucket, the next one is computed
        stored: list[Future[_Mark]] = []
        for shard in todo.shards:
            mark = marks.get(f"{MODEL}/{shard.file}")
            if mark is not None and attempt.store.size(_place(attempt, mark)) == mark.file.size == shard.size:
                attempt.adopt(mark.file, mark.attempt)
                attempt.say(f"{shard.file} is there already, from attempt {mark.attempt}")
                found += shard.size
                kept.add(mark.kept)
            else:
                stored.append(_write(attempt, shard, wrote, behind))
        for future in stored:
            kept.add(future.result().kept)

    seconds = time.monotonic() - began
    outputs = [output for shard in todo.shards for output in shard.outputs]
    return {
        "tensors": len(outputs),
        "tensorsChanged": changed,
        "sampledElements": kept.elements,
        "changedShare": kept.changed / kept.elements if kept.elements else 0.0,
        "updateKeptShare": kept.share,
        "bytes": total,
        "bytesFound": found,
        "seconds": round(seconds, 3),
        "bytesPerSecond": round(written / seconds) if written else 0,
        "dtypes": ", ".join(sorted({output.dtype for output in outputs})),
        "rounding": "stochastic" if any(output.stochastic for output in outputs) else "nearest",
        "untiedEmbeddings": todo.untied,
    }


def _write(attempt: Attempt, shard: Shard, wrote: Callable[[int], None], behind: Executor) -> "Future[_Mark]":
    """Merge a shard; what remains is to end the upload and to mark it, which is done `behind`."""
    name = f"{MODEL}/{shard.file}"
    with ExitStack() as stack:
        out = stack.enter_context(attempt.writer(name))
        kept = write_shard(shard, out, seed=attempt.spec.merge.seed, wrote=wrote)
        upload = stack.pop_all()

    def finish() -> _Mark:
        upload.close()
        mark = _Mark(attempt=attempt.id, file=out.digest.model_copy(update={"path": name}), kept=kept)
        attempt.store.write(
            f"{attempt.folder}/shards/{attempt.id}-{shard.file}.json", mark.model_dump_json().encode()
        )
        return mark

    return behind.submit(finish)


def _marks(attempt: Attempt) -> dict[str, _Mark]:
    """The shards that are whole, by their names in the result; of several the first."""
    found: dict[str, _Mark] = {}
    for entry in attempt.store.list(f"{attempt.folder}/shards/"):
        with suppress(NotFound):  # another attempt has committed meanwhile, and cleaned up
            mark = _Mark.model_validate_json(attempt.store.read(entry.path))
            found.setdefault(mark.file.path, mark)
    return found


def _place(attempt: Attempt, mark: _Mark) -> str:
    return f"{attempt.folder}/attempts/{mark.attempt}/{mark.file.path}"
