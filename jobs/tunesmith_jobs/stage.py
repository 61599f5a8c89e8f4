"""What every stage does around its work: request, signals, commit, result, exit code.

A stage is a function from an `Attempt` (what it reads and where it puts things) to an `Outcome`. `run_stage`
runs it:

    python -m tunesmith_jobs.<stage> --request FILE --store URL [--work DIR]

If the key's manifest is already in the store, nothing is computed and the process ends with 0. The variables
of its environment are in tunesmith/wire.py.
"""

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tunesmith import wire
from tunesmith.errors import TunesmithError
from tunesmith.events import Result
from tunesmith.manifest import MANIFEST, Manifest, stage_folder
from tunesmith.plain_text import printable
from tunesmith.stages import JUDGED
from tunesmith_jobs import before_torch
from tunesmith_jobs.attempt import Attempt, Outcome
from tunesmith_jobs.failures import complain, explained
from tunesmith_jobs.finished import read_manifest
from tunesmith_jobs.given_secrets import strip_secrets
from tunesmith_jobs.log_lines import without_secrets
from tunesmith_jobs.output import guarded_output, print_line
from tunesmith_jobs.source_notes import note_on_source, source_read
from tunesmith_jobs.stage_arguments import attempt_name, read_arguments, read_request, scratch_folder
from tunesmith_jobs.stop_signals import StopSignals
from tunesmith_jobs.storage import StoreError, open_store


def run_stage(
    name: str,
    work: Callable[[Attempt], Outcome],
    argv: Sequence[str] | None = None,
    *,
    kind: type[Attempt] = Attempt,
) -> int:
    """Run a stage's work as the command line asks for; returns the exit code.

    `kind`: the class of the attempt that `work` is given.
    """
    arguments = read_arguments(name, argv)
    os.environ.update(before_torch.missing_for_hub(os.environ))
    strip_secrets()
    began = time.monotonic()
    signals = StopSignals()
    attempt: Attempt | None = None
    store_works = True
    with guarded_output(), signals.handled():
        try:
            with scratch_folder(name, arguments.work) as scratch:
                snapshot = read_request(arguments.request, name)
                attempt = kind(name, snapshot, open_store(arguments.store), scratch, attempt_name())
                signals.pass_on_to(attempt)
                result = _done_or_run(attempt, work)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last resort: known errors have classes
            store_works = not isinstance(error, StoreError)
            result = _failed(name, attempt, error, time.monotonic() - began)
        if attempt is not None and store_works:
            attempt.keep(result.line())
            attempt.keep_log()
        print_line(result.line())
        _write_termination_message(result)
    return result.exit_code


def _done_or_run(attempt: Attempt, work: Callable[[Attempt], Outcome]) -> Result:
    earlier = attempt.committed()
    if os.environ.get(wire.KEEP_REQUEST) == "1":
        attempt.keep_request()
    note = note_on_source(attempt)
    if note:
        attempt.say(note)
    if earlier is not None:
        return _adopted(attempt, earlier, note)
    attempt.check_stop()
    manifest, adopted = attempt.commit(work(attempt))
    return _done(attempt, manifest, adopted=adopted, note=note)


def _adopted(attempt: Attempt, manifest: Manifest, note: str = "") -> Result:
    attempt.clean_up(manifest)  # again: the attempt that committed it may have been killed before it could
    return _done(attempt, manifest, adopted=True, note=note)


def _done(attempt: Attempt, manifest: Manifest, *, adopted: bool, note: str = "") -> Result:
    later = _done_later(attempt)
    return Result(
        stage=attempt.stage,
        key=attempt.key,
        attempt=manifest.attempt,
        message="already done" if adopted else "done",
        manifest=f"{attempt.store.url}/{attempt.folder}/{MANIFEST}",
        adopted=adopted,
        done_keys=later,
        evaluated=_judged_metrics(attempt, later),
        metrics=manifest.metrics,
        seconds=manifest.seconds,
        note=note or source_read(manifest),
    )


def _done_later(attempt: Attempt) -> dict[str, str]:
    """Keys of the later stages of this run that are already in the store, so that they are not run again."""
    names = [entry.name for entry in attempt.snapshot.stages]
    later = attempt.snapshot.stages[names.index(attempt.stage) + 1 :]
    keys: dict[str, str] = {}
    with contextlib.suppress(TunesmithError):  # only a hint: this stage is done, whatever happens here
        for entry in later:
            folder = stage_folder(attempt.snapshot.run, entry.name, entry.key)
            if attempt.store.size(f"{folder}/{MANIFEST}") is not None:
                keys[entry.name] = entry.key
    return keys


def _judged_metrics(attempt: Attempt, done: Mapping[str, str]) -> dict[str, float]:
    """The metrics of an earlier evaluation, by which the gate is judged without running it again."""
    if JUDGED not in done:
        return {}
    with contextlib.suppress(TunesmithError):  # only a hint
        manifest = read_manifest(attempt.store, attempt.snapshot.run, JUDGED, done[JUDGED])
        return manifest.metrics if manifest else {}
    return {}


def _failed(name: str, attempt: Attempt | None, error: BaseException, seconds: float) -> Result:
    known, text = explained(name, error)
    if attempt is not None and not isinstance(known, StoreError):
        # Another attempt may have finished meanwhile and removed what this one was using.
        with contextlib.suppress(TunesmithError):
            if (winner := attempt.committed()) is not None:
                attempt.say(f"another attempt finished {name}; its result is used")
                return _adopted(attempt, winner)
    complain(text, attempt.log.about if attempt else {"stage": name})
    if attempt is not None:
        attempt.keep(text)
    return Result(
        stage=name,
        key=attempt.key if attempt else "",
        attempt=attempt.id if attempt else "",
        exit_code=known.exit_code,
        reason=known.reason,
        message=printable(without_secrets("\n".join([known.message, *map(str, known.problems)]))),
        remedy=printable(without_secrets(known.remedy)),
        seconds=round(seconds, 3),
    )


def _write_termination_message(result: Result) -> None:
    path = Path(os.environ.get(wire.TERMINATION_LOG_FILE, wire.TERMINATION_LOG))
    with contextlib.suppress(OSError):
        if path.exists():
            path.write_text(result.termination_message(), encoding="utf-8")
