"""What a stage says about the own data or the documents that its run has read, in its log and in its result.

On a cluster files without a digest are known by their name alone. So each pod of the run says when the name
holds something else by now: the run keeps what it has read.
"""

import contextlib

from tunesmith.contents import DOCUMENTS, SOURCE, in_words
from tunesmith.errors import TunesmithError
from tunesmith.manifest import Manifest, Pin
from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.finished import read_manifest
from tunesmith_jobs.own_data.fetch import in_store
from tunesmith_jobs.own_data.pinned import difference


def pin_of(manifest: Manifest) -> Pin | None:
    """The pin of the files that a stage has read, if it has read any."""
    return manifest.pins.get(SOURCE) or manifest.pins.get(DOCUMENTS)


def source_read(manifest: Manifest) -> str:
    """The files that a stage has read, in words; empty for a stage that has read none."""
    pin = pin_of(manifest)
    return f"read {in_words(pin)}" if pin else ""


def note_on_source(attempt: Attempt) -> str:
    """What has become of files in a store since the run read it, in words; empty for nothing.

    It is only a hint: if the store does not tell, the stage goes on.
    """
    source = attempt.spec.data.files
    if source is None or not in_store(source.uri):
        return ""
    with contextlib.suppress(TunesmithError):
        key = attempt.snapshot.key("generate")
        manifest = read_manifest(attempt.store, attempt.snapshot.run, "generate", key)
        pin = pin_of(manifest) if manifest else None
        if pin is not None and (what := difference(source, pin)):
            return f"{source.uri} {what}; this run keeps what it has read: sha256 {pin.revision}"
    return ""
