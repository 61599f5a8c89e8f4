"""What a stage says about the own data that its run has read, in its log and in its result.

On a cluster own data without a digest is known by its name alone. So each pod of the run says when the name
holds something else by now: the run keeps what it has read.
"""

import contextlib

from tunesmith.contents import SOURCE, in_words
from tunesmith.errors import TunesmithError
from tunesmith.manifest import Manifest
from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.finished import read_manifest
from tunesmith_jobs.own_data.fetch import in_store
from tunesmith_jobs.own_data.pinned import difference


def source_read(manifest: Manifest) -> str:
    """The own data that a stage has read, in words; empty for a stage that has read none."""
    pin = manifest.pins.get(SOURCE)
    return f"read {in_words(pin)}" if pin else ""


def note_on_source(attempt: Attempt) -> str:
    """What has become of own data in a store since the run read it, in words; empty for nothing.

    It is only a hint: if the store does not tell, the stage goes on.
    """
    source = attempt.spec.data.source
    if source is None or not in_store(source.uri):
        return ""
    with contextlib.suppress(TunesmithError):
        key = attempt.snapshot.key("generate")
        manifest = read_manifest(attempt.store, attempt.snapshot.run, "generate", key)
        pin = manifest.pins.get(SOURCE) if manifest else None
        if pin is not None and (what := difference(source, pin)):
            return f"{source.uri} {what}; this run keeps what it has read: sha256 {pin.revision}"
    return ""
