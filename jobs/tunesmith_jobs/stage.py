"""What every stage does around its work: request, signals, commit, result, exit code.

A stage is a function from an `Attempt` (what it reads and where it puts things) to an `Outcome`. `run_stage` runs it:

    python -m tunesmith_jobs.<stage> --request FILE --store URL [--work DIR]

If the key's manifest is already in the store, nothing is computed and the process ends with 0. Environment:
TUNESMITH_ATTEMPT begins the attempt's name (else the time does), TUNESMITH_TERMINATION_LOG names the file for the result (the
kubelet's by default), TUNESMITH_STOP_ON_EOF=1 makes the end of standard input a SIGTERM, so that a runner that is killed takes its
stage along, TUNESMITH_KEEP_REQUEST=1 keeps the snapshot in the store as what the run was last asked for, where no runner does, and
TUNESMITH_LOG_FORMAT=json makes lines for people JSON.
"""

import argparse
import contextlib
import os
import re
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import tunesmith
from tunesmith import wire
from tunesmith.errors import BadRequest, ExitCode, Problem, TunesmithError, Usage
from tunesmith.events import Result
from tunesmith.manifest import MANIFEST, Manifest, stage_folder
from tunesmith.resolve import Snapshot, read_snapshot, unknown_wishes
from tunesmith_jobs import before_torch
from tunesmith_jobs.attempt import Attempt, Outcome, new_attempt, print_line, silence
from tunesmith_jobs.failures import complain, explained
from tunesmith_jobs.finished import read_manifest
from tunesmith_jobs.log_lines import without_secrets
from tunesmith_jobs.storage import open_store

_ORPHAN_SECONDS = 120.0  # that a stage whose runner was killed gets to save its state
_ATTEMPT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,62})?")


def run_stage(
    name: str,
    work: Callable[[Attempt], Outcome],
    argv: Sequence[str] | None = None,
    *,
    kind: type[Attempt] = Attempt,
) -> int:
    """Run a stage's work from the command line's arguments; returns the exit code. `kind`: what its work is given."""
    arguments = _arguments(name, argv)
    os.environ.update(before_torch.missing_for_hub(os.environ))
    began = time.monotonic()
    stop = _Stop()
    attempt: Attempt | None = None
    with stop.on_signals():
        try:
            with _scratch(name, arguments.work) as scratch:
                attempt = kind(
                    name,
                    _snapshot(arguments.request, name),
                    open_store(arguments.store),
                    scratch,
                    _attempt_name(),
                )
                stop.tell(attempt)
                result = _done_or_run(attempt, work)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last resort: what is known has a class of its own
            result = _failed(name, attempt, error, time.monotonic() - began)
        if attempt is not None and not _is_of_the_store(result.reason):
            attempt.keep(result.line())
            attempt.keep_log()
        print_line(result.line())
        _write_termination_message(result)
    return result.exit_code


def _done_or_run(attempt: Attempt, work: Callable[[Attempt], Outcome]) -> Result:
    earlier = attempt.committed()
    if os.environ.get(wire.KEEP_REQUEST) == "1":
        attempt.keep_request()
    if earlier is not None:
        return _adopted(attempt, earlier)
    attempt.check_stop()
    manifest, adopted = attempt.commit(work(attempt))
    return _done(attempt, manifest, adopted=adopted)


def _adopted(attempt: Attempt, manifest: Manifest) -> Result:
    attempt.clean_up(manifest)  # again: who committed it may have been killed before that
    return _done(attempt, manifest, adopted=True)


def _done(attempt: Attempt, manifest: Manifest, *, adopted: bool) -> Result:
    later = _done_later(attempt)
    return Result(
        stage=attempt.stage,
        key=attempt.key,
        attempt=manifest.attempt,
        message="already done" if adopted else "done",
        manifest=f"{attempt.store.url}/{attempt.folder}/{MANIFEST}",
        adopted=adopted,
        done_keys=later,
        evaluated=_evaluated(attempt, later),
        metrics=manifest.metrics,
        seconds=manifest.seconds,
    )


def _done_later(attempt: Attempt) -> dict[str, str]:
    """Later stages of this run that the store already holds, so that nobody runs them again."""
    names = [entry.name for entry in attempt.snapshot.stages]
    found: dict[str, str] = {}
    with contextlib.suppress(TunesmithError):  # a hint only: this stage is done, whatever happens here
        for entry in attempt.snapshot.stages[names.index(attempt.stage) + 1 :]:
            if (
                attempt.store.size(f"{stage_folder(attempt.snapshot.run, entry.name, entry.key)}/{MANIFEST}")
                is not None
            ):
                found[entry.name] = entry.key
    return found


def _evaluated(attempt: Attempt, done: Mapping[str, str]) -> dict[str, float]:
    """What an earlier evaluation found, which the gate is judged by without running it again."""
    if "evaluate" not in done:
        return {}
    with contextlib.suppress(TunesmithError):  # a hint only
        manifest = read_manifest(attempt.store, attempt.snapshot.run, "evaluate", done["evaluate"])
        return manifest.metrics if manifest else {}
    return {}


def _failed(name: str, attempt: Attempt | None, error: BaseException, seconds: float) -> Result:
    known, text = explained(name, error)
    if attempt is not None and not _is_of_the_store(known.reason):
        # Another attempt may have finished meanwhile and removed what this one was using.
        with contextlib.suppress(TunesmithError):
            if (winner := attempt.committed()) is not None:
                attempt.say(f"another attempt finished {name}; its result is used")
                return _adopted(attempt, winner)
    complain(text, attempt.about if attempt else {"stage": name})
    if attempt is not None:
        attempt.keep(text)
    return Result(
        stage=name,
        key=attempt.key if attempt else "",
        attempt=attempt.id if attempt else "",
        exit_code=known.exit_code,
        reason=known.reason,
        message=without_secrets("\n".join([known.message, *(str(problem) for problem in known.problems)])),
        remedy=without_secrets(known.remedy),
        seconds=round(seconds, 3),
    )


def _is_of_the_store(reason: str) -> bool:
    """Whether a failure is one of the store itself, which then need not be asked again."""
    return reason.startswith(("Store", "Bucket"))


class _Stop:
    """Passes a signal on to the stage, also one that came before there was a stage."""

    def __init__(self) -> None:
        self._told = False
        self._attempt: Attempt | None = None

    def tell(self, attempt: Attempt) -> None:
        self._attempt = attempt
        if self._told:
            attempt.stop()

    def _receive(self, _signal: int, _frame: object) -> None:
        self._told = True
        if self._attempt is not None:
            self._attempt.stop()

    @contextlib.contextmanager
    def on_signals(self) -> Iterator[None]:
        """SIGTERM, SIGINT, and the end of standard input if that was asked for."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._receive) for number in (signal.SIGTERM, signal.SIGINT)}
        if os.environ.get(wire.STOP_ON_EOF) == "1":
            threading.Thread(target=_stop_on_end_of_input, name="stdin", daemon=True).start()
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _stop_on_end_of_input() -> None:
    # Not sys.stdin: a thread that waits in it holds a lock that the interpreter wants when it ends.
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    silence()  # whoever read the output is gone too
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_ORPHAN_SECONDS)
    os._exit(ExitCode.STOPPED)


@contextlib.contextmanager
def _scratch(name: str, folder: str | None) -> Iterator[Path]:
    if folder is None:
        place = Path(tempfile.mkdtemp(prefix=f"tunesmith-{name}-"))
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)
        return
    place = Path(folder).absolute()
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Usage(
            f"--work {place} cannot be made: {error.strerror}", remedy="give a folder that can be written"
        ) from error
    yield place


def _snapshot(file: str, name: str) -> Snapshot:
    try:
        text = Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise Usage(f"--request {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadRequest(f"--request {file} is not UTF-8") from error
    snapshot = read_snapshot(text)
    if unknown := unknown_wishes(text):
        why = f"is not known to this image, of release {tunesmith.__version__}"
        raise BadRequest(
            f"request {snapshot.name} was resolved by a newer release than this image's",
            reason="ImageTooOld",
            problems=[Problem(path, why) for path in unknown],
            remedy=f"`kubectl tunesmith retry {snapshot.name}` takes today's images; or leave the field out",
        )
    if name not in (entry.name for entry in snapshot.stages):
        raise BadRequest(
            f"request {snapshot.name} has no stage {name}",
            remedy="`deliver` needs `spec.output`" if name == "deliver" else "",
        )
    return snapshot


def _attempt_name() -> str:
    prefix = os.environ.get(wire.ATTEMPT_NAME, "")
    if not _ATTEMPT.fullmatch(prefix):
        raise Usage(
            f"{wire.ATTEMPT_NAME} is no name: {prefix!r}", remedy="use letters, digits, `.`, `_`, `-`"
        )
    return new_attempt(prefix)


def _arguments(name: str, argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=f"python -m tunesmith_jobs.{name}", description=f"Run the stage {name} of a request."
    )
    parser.add_argument(
        "--request", required=True, metavar="FILE", help="the snapshot of the resolved request (JSON)"
    )
    parser.add_argument("--store", required=True, metavar="URL", help="s3://bucket/prefix or file:///folder")
    parser.add_argument(
        "--work", metavar="DIR", help="scratch folder, kept afterwards (default: a new one, removed)"
    )
    try:
        return parser.parse_args(argv)
    except SystemExit as error:
        raise SystemExit(ExitCode.USAGE if error.code else 0) from None


def _write_termination_message(result: Result) -> None:
    path = Path(os.environ.get(wire.TERMINATION_LOG_FILE, wire.TERMINATION_LOG))
    with contextlib.suppress(OSError):
        if path.exists():
            path.write_text(result.termination_message(), encoding="utf-8")
