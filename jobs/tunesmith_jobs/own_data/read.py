"""The rows of a source and its bad lines, for generate, its preflight and `tunesmith data check`."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field

from tunesmith.errors import Problem, TryAgain, TunesmithError
from tunesmith.settings import Source
from tunesmith_jobs.own_data.fetch import SourceMismatch, check_digest, fetch
from tunesmith_jobs.own_data.reader import PATH, BadLine
from tunesmith_jobs.own_data.readers import reader_of
from tunesmith_jobs.own_data.rows import row_of
from tunesmith_jobs.rows import Row

SHOWN = 20  # bad lines named in a message


@dataclass
class SourceRows:
    """Rows of a source, and its bad lines, both in the order of the file."""

    rows: list[Row] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)

    def kinds(self) -> Counter[str]:
        """How many bad lines there are of each kind, in the order of the file."""
        return Counter(line.kind for line in self.bad)

    def problems(self, name: str) -> list[Problem]:
        """The bad lines: a count of each kind, then the first of them."""
        if not self.bad:
            return [] if self.rows else [Problem(name, "has no rows")]
        kinds = ", ".join(f"{count} x {kind}" for kind, count in self.kinds().most_common())
        total = len(self.bad) + len(self.rows)
        problems = [Problem(name, f"{len(self.bad)} of {total} rows cannot be used: {kinds}")]
        problems += [Problem(f"{name}, line {line.line}", line.why) for line in self.bad[:SHOWN]]
        rest = len(self.bad) - SHOWN
        if rest > 0:
            problems.append(Problem(name, f"and {rest} more"))
        return problems


def read_source(data: bytes, source: Source) -> SourceRows:
    """The rows in a file's bytes. Raises BadData if the file as a whole cannot be read."""
    result = SourceRows()
    for record in reader_of(source).read(data, source):
        row = record if isinstance(record, BadLine) else row_of(record, source.fields)
        if isinstance(row, BadLine):
            result.bad.append(row)
        else:
            result.rows.append(row)
    return result


def check_source(source: Source) -> list[Problem]:
    """What is wrong with a source. Raises TryAgain if its store cannot be reached, SourceMismatch
    if it is not what the request names.
    """
    try:
        data = fetch(source.uri, source.version)
        check_digest(source, hashlib.sha256(data).hexdigest())
        return read_source(data, source).problems(source.uri)
    except (TryAgain, SourceMismatch):
        raise
    except TunesmithError as error:
        return [*error.problems] or [Problem(f"{PATH}.uri", error.message, source.uri, error.remedy)]
