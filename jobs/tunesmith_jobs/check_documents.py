"""Look at documents offline: `python -m tunesmith_jobs.check_documents`, for `tunesmith validate`.

It reads `data.documents` and the number of examples as one object of JSON from standard input, and prints
what is wrong, as a list of path, reason and remedy, and what is probably not meant.
"""

import json
import sys

from tunesmith.data_files import DOCUMENTS
from tunesmith.errors import TunesmithError
from tunesmith.settings import Documents
from tunesmith_jobs.documents.read import documents_in, too_few


def main() -> None:
    """Look at the documents that standard input names."""
    asked = json.load(sys.stdin)
    problems, warning = [], ""
    try:
        read = documents_in(Documents.model_validate(asked["documents"]))
        warning = too_few(asked["examples"], len(read.passages))
    except TunesmithError as error:
        problems = [(each.path, each.why, each.remedy) for each in error.problems]
        problems = problems or [(DOCUMENTS.path, error.message, error.remedy)]
    print(json.dumps({"problems": problems, "warning": warning}))


if __name__ == "__main__":
    main()
