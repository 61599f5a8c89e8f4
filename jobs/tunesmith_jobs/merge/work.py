"""The stage: opens base and adapter, writes the merged model shard by shard, and the files next to it.

When a shard is whole in the store, the attempt leaves a mark. A later attempt begins at the first shard
without a mark, and takes the marked ones into its result by a copy that the store itself makes (a link in a
folder).
"""

import json
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

from pydantic import BaseModel, JsonValue

from tunesmith.errors import Gone
from tunesmith.manifest import ListedFile, Name, Pin
from tunesmith_jobs.attempt import Attempt, Outcome
from tunesmith_jobs.base import inspect_base, open_base
from tunesmith_jobs.finished import Finished
from tunesmith_jobs.given_secrets import hub_token
from tunesmith_jobs.merge.adapter import read_adapter
from tunesmith_jobs.merge.blocks import Kept
from tunesmith_jobs.merge.card import card_facts
from tunesmith_jobs.merge.layout import MergeLayout, Shard, lay_out
from tunesmith_jobs.merge.model_folder import CARD, copied_files, index, merged_config, read_config
from tunesmith_jobs.merge.stream import write_shard
from tunesmith_jobs.merge.tensors import read_tensors
from tunesmith_jobs.merge.weights import INDEX, read_base
from tunesmith_jobs.model_card import render
from tunesmith_jobs.storage import NotFound

MODEL = "model"
MEGABYTE = 1_000_000

ShardWriter = Callable[..., Kept]
"""What merges one file: `write_shard`, or a test's that fails within it."""


class _Mark(BaseModel):
    """A shard that is whole in the store, the attempt that stored it, and the sample of its merge."""

    attempt: Name
    file: ListedFile
    kept: Kept


def work(attempt: Attempt, write: ShardWriter = write_shard) -> Outcome:
    """Merge the run's adapter into the base model that it was trained on."""
    data, trained = attempt.finished("generate"), attempt.finished("train")
    pin = trained.manifest.pins.get("base")
    if pin is None:
        raise Gone(
            "train's manifest does not say which base model it used",
            remedy="set `rerun: {from: train, id: <new>}`",
        )
    attempt.pins["base"] = pin
    attempt.say(f"opening the base model {pin.uri} at {pin.revision}")
    base = open_base(pin, attempt.work, token=hub_token())
    layout, changed = _layout(attempt, base, trained)
    report = _merge_weights(attempt, layout, changed, write)
    _put_other_files(attempt, base, layout)
    details = _put_card(attempt, pin, data, trained)
    attempt.put_bytes("report.json", (json.dumps(report, indent=1) + "\n").encode())
    numbers = {
        name: float(value)
        for name, value in report.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    return Outcome(metrics=numbers, details={"modelCard": details, "report": report})


def _layout(attempt: Attempt, base: Path, trained: Finished) -> tuple[MergeLayout, int]:
    """The files to write, and how many tensors the adapter changes."""
    adapter = trained.path("adapter/adapter_model.safetensors")
    trained.path("adapter/adapter_config.json")
    config = read_config(adapter.parent, "adapter_config.json")
    changes = read_adapter(config, read_tensors(adapter))
    layout = lay_out(
        read_base(base),
        read_config(base),
        changes,
        attempt.spec.merge,
        square_transposed=bool(config.get("fan_in_fan_out")),
    )
    return layout, len(changes)


def _put_other_files(attempt: Attempt, base: Path, layout: MergeLayout) -> None:
    """Store config, index, tokenizer and license."""
    config = merged_config(
        (base / "config.json").read_bytes(), dtype=attempt.spec.merge.dtype, untied=layout.untied
    )
    attempt.put_bytes(f"{MODEL}/config.json", config)
    table = index(layout)
    if table is not None:
        attempt.put_bytes(f"{MODEL}/{INDEX}", table)
    for name, path in copied_files(base):
        attempt.put_file(f"{MODEL}/{name}", path)


def _put_card(attempt: Attempt, pin: Pin, data: Finished, trained: Finished) -> JsonValue:
    """Store the system message and the model card; returns the card's facts."""
    system = data.read("system_message.txt")
    attempt.put_bytes(f"{MODEL}/system_message.txt", system)
    facts = card_facts(
        attempt.snapshot,
        inspect_base(pin, token=hub_token()),
        pin,
        data.manifest,
        trained.manifest,
        system.decode(errors="replace"),
    )
    attempt.put_bytes(f"{MODEL}/{CARD}", render(facts).encode())
    details: JsonValue = facts.model_dump(mode="json")
    return details


def _merge_weights(
    attempt: Attempt, layout: MergeLayout, changed: int, write: ShardWriter
) -> dict[str, JsonValue]:
    """Write all shards that no attempt has stored yet; returns the report."""
    total = sum(shard.size for shard in layout.shards)
    marks = _marks(attempt)
    kept = Kept()
    adopted = written = 0
    began = time.monotonic()

    def wrote(size: int) -> None:
        nonlocal written
        attempt.check_stop()
        written += size
        left = (time.monotonic() - began) / written * (total - adopted - written)
        done = (adopted + written) // MEGABYTE
        attempt.progress(done, total // MEGABYTE, "MB", phase="merging", eta=left)

    with ThreadPoolExecutor(1) as behind:  # while a shard is being stored, the next one is computed
        stored: list[Future[_Mark]] = []
        for shard in layout.shards:
            mark = marks.get(f"{MODEL}/{shard.file}")
            if mark is not None and attempt.store.size(_place(attempt, mark)) == mark.file.size == shard.size:
                attempt.adopt(mark.file, mark.attempt)
                attempt.say(f"{shard.file} is there already, from attempt {mark.attempt}")
                adopted += shard.size
                kept.add(mark.kept)
            else:
                stored.append(_write(attempt, shard, write, wrote, behind))
        for future in stored:
            kept.add(future.result().kept)

    seconds = time.monotonic() - began
    tensors = [tensor for shard in layout.shards for tensor in shard.tensors]
    return {
        "tensors": len(tensors),
        "tensorsChanged": changed,
        "sampledElements": kept.elements,
        "changedShare": kept.changed / kept.elements if kept.elements else 0.0,
        "updateKeptShare": kept.share,
        "bytes": total,
        "bytesFound": adopted,
        "seconds": round(seconds, 3),
        "bytesPerSecond": round(written / seconds) if written else 0,
        "dtypes": ", ".join(sorted({tensor.dtype for tensor in tensors})),
        "rounding": "stochastic" if any(tensor.stochastic for tensor in tensors) else "nearest",
        "untiedEmbeddings": layout.untied,
    }


def _write(
    attempt: Attempt, shard: Shard, write: ShardWriter, wrote: Callable[[int], None], behind: Executor
) -> "Future[_Mark]":
    """Merge a shard. Its upload is ended and marked by the executor `behind`."""
    name = f"{MODEL}/{shard.file}"
    with ExitStack() as stack:
        out = stack.enter_context(attempt.writer(name))
        kept = write(shard, out, seed=attempt.spec.merge.seed, wrote=wrote)
        upload = stack.pop_all()

    def finish() -> _Mark:
        upload.close()
        mark = _Mark(attempt=attempt.id, file=out.digest.model_copy(update={"path": name}), kept=kept)
        path = f"{attempt.folder}/shards/{attempt.id}-{shard.file}.json"
        attempt.store.write(path, mark.model_dump_json().encode())
        return mark

    return behind.submit(finish)


def _marks(attempt: Attempt) -> dict[str, _Mark]:
    """The shards that are whole, by their names in the result.

    If several attempts stored one, the first counts.
    """
    marks: dict[str, _Mark] = {}
    for entry in attempt.store.list(f"{attempt.folder}/shards/"):
        with suppress(NotFound):  # another attempt has committed meanwhile, and cleaned up
            mark = _Mark.model_validate_json(attempt.store.read(entry.path))
            marks.setdefault(mark.file.path, mark)
    return marks


def _place(attempt: Attempt, mark: _Mark) -> str:
    return f"{attempt.folder}/attempts/{mark.attempt}/{mark.file.path}"
