"""The documents of a run (`data.documents`): read, pinned by their digest, and said."""

from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.documents.read import DocumentsRead, read_documents, too_few
from tunesmith_jobs.generate.pinned_files import pinned_files


def documents_of(attempt: Attempt) -> DocumentsRead | None:
    """The passages that the rows rest on; None without documents. Raises what reading raises."""
    documents = attempt.spec.data.documents
    if documents is None:
        return None
    read = read_documents(pinned_files(attempt, documents), documents)
    for line in read.findings:
        attempt.say(line)
    if warning := too_few(attempt.spec.data.examples, len(read.passages)):
        attempt.say(f"warning: {warning}")
    return read
