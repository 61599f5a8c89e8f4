"""Own data or documents in the state in which a run first read them, and whether their name holds something
else by now.
"""

from tunesmith.errors import BadData
from tunesmith.manifest import Pin
from tunesmith.settings import Files
from tunesmith_jobs.own_data.fetch import fetch, in_store, is_object
from tunesmith_jobs.storage import open_parent


def state_of(source: Files) -> dict[str, str]:
    """What the store tells an object's content apart by; empty for what is no object in a store.

    Ask before reading: an object that is replaced meanwhile then counts as changed, not as what was read.
    """
    if not in_store(source.uri) or not is_object(source.uri):
        return {}
    if source.version:
        return {"version": source.version}
    store, path = open_parent(source.uri)
    return store.state(path)


def difference(source: Files, pin: Pin) -> str:
    """What has become of a source since it was pinned, as a sentence without its subject; empty for nothing.

    An object whose state is another one is read, since the same bytes can be stored again. Raises what the
    store raises if it cannot be asked.
    """
    if pin.detail and state_of(source) == pin.detail:
        return ""
    try:
        digest = fetch(source).digest
    except BadData:
        return "is not there any more"
    return "" if digest == pin.revision else f"holds other bytes by now (sha256 {digest})"
