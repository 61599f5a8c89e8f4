"""What a stage's process is given: options, the request, a scratch folder, and the name of its attempt."""

import argparse
import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import tunesmith
from tunesmith import wire
from tunesmith.errors import BadRequest, ExitCode, Problem, Usage
from tunesmith.resolve import Snapshot, read_snapshot, too_new
from tunesmith.stages import STAGES
from tunesmith_jobs.attempt import new_attempt
from tunesmith_jobs.storage import URL_FORMS

_NAME = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,62})?")


def read_arguments(stage: str, argv: Sequence[str] | None) -> argparse.Namespace:
    """The options of a stage's process: `request`, `store`, `work`."""
    parser = argparse.ArgumentParser(
        prog=f"python -m tunesmith_jobs.{stage}", description=f"Run the stage {stage} of a request."
    )
    parser.add_argument(
        "--request", required=True, metavar="FILE", help="the snapshot of the resolved request (JSON)"
    )
    parser.add_argument("--store", required=True, metavar="URL", help=URL_FORMS)
    parser.add_argument(
        "--work", metavar="DIR", help="scratch folder, kept afterwards (default: a new one, removed)"
    )
    try:
        return parser.parse_args(argv)
    except SystemExit as error:
        raise SystemExit(ExitCode.USAGE if error.code else 0) from None


def read_request(file: str, stage: str) -> Snapshot:
    """The snapshot in a file. Raises Usage and BadRequest if this image cannot run `stage` of it."""
    try:
        text = Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise Usage(f"--request {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadRequest(f"--request {file} is not UTF-8") from error
    paths = too_new(text)
    if paths:
        name = json.loads(text).get("name")
        why = f"is not known to this image, of release {tunesmith.__version__}"
        raise BadRequest(
            f"request {name} was resolved by a newer release than this image's",
            reason="ImageTooOld",
            problems=[Problem(path, why) for path in paths],
            remedy=f"`kubectl tunesmith retry {name}` takes today's images; or leave the field out",
        )
    snapshot = read_snapshot(text)
    if stage not in (entry.name for entry in snapshot.stages):
        field = STAGES[stage].asked_by if stage in STAGES else ""
        raise BadRequest(
            f"request {snapshot.name} has no stage {stage}",
            remedy=f"`{stage}` needs `spec.{field}`" if field else "",
        )
    return snapshot


@contextlib.contextmanager
def scratch_folder(stage: str, folder: str | None) -> Iterator[Path]:
    """The scratch folder: `folder`, which is kept afterwards, or a new one, which is removed.

    Raises Usage.
    """
    if folder is None:
        place = Path(tempfile.mkdtemp(prefix=f"tunesmith-{stage}-"))
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
            f"--work {place} cannot be created: {error.strerror}", remedy="give a folder that can be written"
        ) from error
    yield place


def attempt_name() -> str:
    """A new name for an attempt, which begins as the environment says. Raises Usage."""
    prefix = os.environ.get(wire.ATTEMPT_NAME, "")
    if not _NAME.fullmatch(prefix):
        raise Usage(
            f"{wire.ATTEMPT_NAME} is not a name: {prefix!r}", remedy="use letters, digits, `.`, `_`, `-`"
        )
    return new_attempt(prefix)
