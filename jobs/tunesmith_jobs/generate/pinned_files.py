"""The files of a request, own data or documents, as they were when its run first read them."""

from tunesmith import contents
from tunesmith.errors import Gone
from tunesmith.manifest import Pin
from tunesmith.settings import Documents, Files
from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.own_data.fetch import Fetched, check_digest, fetch
from tunesmith_jobs.own_data.pinned import state_of


def pinned_files(attempt: Attempt, files: Files) -> Fetched:
    """The files, pinned by their digest.

    Raises what reading raises, SourceMismatch if they are not what the request names, Gone if they are not
    those that were pinned.
    """
    fresh: list[Fetched] = []

    def find() -> Pin:
        state = state_of(files)
        fresh.append(fetch(files))
        check_digest(files, fresh[0].digest)
        return fresh[0].pin(files.uri, state)

    name = contents.DOCUMENTS if isinstance(files, Documents) else contents.SOURCE
    pin = attempt.pin(name, find)
    fetched = fresh[0] if fresh else fetch(files, commit=pin.detail.get("commit", ""))
    check_digest(files, fetched.digest)
    attempt.say(f"read {contents.in_words(pin)}")
    if pin.revision != fetched.digest:
        raise Gone(
            f"{files.uri} has changed since this run first read it "
            f"(sha256 {pin.revision[:12]}… then, {fetched.digest[:12]}… now)",
            reason="SourceChanged",
            remedy="put the old file back, or set `rerun: {from: generate, id: <new>}` to take the new one",
        )
    return fetched
