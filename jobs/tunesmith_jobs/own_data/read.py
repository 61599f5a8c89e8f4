"""The rows of a source and its bad lines, for generate, its preflight and `tunesmith data check`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tunesmith.errors import BadData, Problem, TryAgain, TunesmithError
from tunesmith.settings import Source
from tunesmith_jobs.own_data.columns import Columns, columns_of, proposal
from tunesmith_jobs.own_data.fetch import Fetched, SourceMismatch, check_digest, fetch
from tunesmith_jobs.own_data.reader import PATH, BadLine, Record, SourceFile
from tunesmith_jobs.own_data.readers import reader_of
from tunesmith_jobs.own_data.rows import Found, readable, row_of
from tunesmith_jobs.own_data.spoken import Speak, in_request
from tunesmith_jobs.rows import Row

SHOWN = 20  # bad lines named in a message
_FEW = 5  # columns named in a line


@dataclass(frozen=True)
class FileRead:
    """How a file was read. `unit`: what is counted in it, line or row."""

    name: str
    form: str
    encoding: str
    rows: int


@dataclass
class SourceRows:
    """Rows of a source, and its bad lines, both in the order of the files.

    `shapes`: how many rows have these columns; `notes`: how many rows each sentence is true of;
    `others`: sentences about whole files; `proposed`: columns that may be meant, if no row could be read.
    """

    rows: list[Row] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)
    files: list[FileRead] = field(default_factory=list)
    shapes: Counter[Columns] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    others: list[str] = field(default_factory=list)
    proposed: dict[str, str] = field(default_factory=dict)

    def add(self, other: "SourceRows", name: str) -> None:
        """Put the rows of another source behind these. `name`: of its bad lines' file, if it is one."""
        self.rows += other.rows
        self.bad += [replace(line, file=line.file or name) for line in other.bad]
        self.files += other.files
        self.shapes += other.shapes
        self.notes += other.notes
        self.others += other.others
        self.proposed = self.proposed or other.proposed

    def kinds(self) -> Counter[str]:
        """How many bad lines there are of each kind, in the order of the file."""
        return Counter(line.kind for line in self.bad)

    def problems(self, name: str, speak: Speak = in_request) -> list[Problem]:
        """The bad lines: a count of each kind, then the first of them."""
        if not self.bad:
            return [] if self.rows else [Problem(name, "has no rows")]
        kinds = ", ".join(f"{count} x {kind}" for kind, count in self.kinds().most_common())
        total = len(self.bad) + len(self.rows)
        remedy = speak(self.proposed) if self.proposed else ""
        why = f"{len(self.bad)} of {total} rows cannot be used: {kinds}"
        problems = [Problem(name, why, remedy=remedy)]
        problems += [Problem(placed(line, name), line.why) for line in self.bad[:SHOWN]]
        rest = len(self.bad) - SHOWN
        if rest > 0:
            problems.append(Problem(name, f"and {rest} more"))
        return problems

    def findings(self) -> list[str]:
        """How the source was read, what was guessed and what is not used, each in a line."""
        lines = [f"{each.name}: {in_words(each)}" for each in self.files[:_FEW]]
        if len(self.files) > _FEW:
            lines.append(f"and {len(self.files) - _FEW} more files")
        lines += [
            f"{count_in_words(count)}: {shape_in_words(columns)}"
            for columns, count in self.shapes.most_common()
        ]
        lines += self.others
        lines += [f"{count_in_words(count)}: {note}" for note, count in self.notes.most_common()]
        return lines


def placed(bad: BadLine, name: str) -> str:
    """Where a bad line is."""
    return f"{bad.file or name}, {bad.unit} {bad.line}"


def in_words(read: FileRead) -> str:
    """The form of a file, and its encoding."""
    return f"{read.form}, {read.encoding}" if read.encoding else read.form


def shape_in_words(columns: Columns) -> str:
    """A layout with its columns, and whether it is a guess."""
    if columns.messages:
        named = f"{columns.shape} in {columns.messages!r}"
    else:
        extra = f", {columns.input!r} below the prompt" if columns.input else ""
        named = f"{columns.shape}: {columns.prompt!r} -> {columns.response!r}{extra}"
    return readable(f"{named} (a guess by the names)" if columns.guessed else named)


def count_in_words(count: int) -> str:
    """`1 row`, `2 rows`."""
    return f"{count} row{'s' * (count != 1)}"


def read_source(files: Sequence[SourceFile], source: Source, speak: Speak = in_request) -> SourceRows:
    """The rows in the files of a source. Raises BadData with what is wrong with those that as a whole cannot
    be read.
    """
    result = SourceRows()
    failures: list[BadData] = []
    for number, file in enumerate(files, start=1):
        try:
            _read_file(result, file, source, speak, prefix=f"f{number}-" if len(files) > 1 else "")
        except BadData as error:
            failures.append(error)
    if len(failures) == 1:
        raise failures[0]
    if failures:
        problems = [
            replace(problem, path=f"{error.message}: {problem.path}".removesuffix(": "))
            for error in failures
            for problem in error.problems
        ]
        raise BadData(f"{len(failures)} files cannot be read", reason="BadRows", problems=problems)
    return result


def _read_file(result: SourceRows, file: SourceFile, source: Source, speak: Speak, *, prefix: str) -> None:
    """Add what is in a file. `prefix`: of its rows' names, and empty if it is the only file."""
    reader = reader_of(file, source)
    records = reader.read(file, source)
    if records.columns is not None:
        _check_columns(records.columns, file.name, source, speak)
    before = len(result.rows)
    for record in records.records:
        if isinstance(record, Record):
            found = row_of(record, source.fields, f"{prefix}l{record.line:06d}")
            if isinstance(found, Found):
                result.rows.append(found.row)
                result.shapes[found.columns] += 1
                result.notes.update(found.notes)
                continue
            if not result.proposed and columns_of(record.value, source.fields) is None:
                result.proposed = proposal(record.value)
            record = found  # noqa: PLW2901 a bad line like those of the reader
        result.bad.append(replace(record, file=file.name if prefix else "", unit=reader.unit))
    read = FileRead(file.name, records.form, records.encoding, len(result.rows) - before)
    result.files.append(read)
    result.others += [f"{file.name}: {note}" for note in records.notes]


def _check_columns(columns: Sequence[str], name: str, source: Source, speak: Speak) -> None:
    """Raises BadData for a table without the columns of any layout."""
    if columns_of(dict.fromkeys(columns, "?"), source.fields) is not None:
        return
    wanted = (source.fields.prompt, source.fields.response)
    lacking = [repr(each) for each in wanted if each not in columns]
    why = (
        f"no column {' and no column '.join(lacking)}" if lacking else "which column is which cannot be told"
    )
    proposed = proposal(columns)
    remedy = speak(proposed) if proposed else speak({"prompt": "COLUMN", "response": "COLUMN"})
    problem = Problem(f"{PATH}.fields", why, [readable(each) for each in columns], remedy)
    raise BadData(f"{name} lacks columns", reason="BadColumns", problems=[problem])


def read_fetched(fetched: Fetched, source: Source, speak: Speak = in_request) -> SourceRows:
    """The rows of a source that was fetched."""
    result = read_source(fetched.files, source, speak)
    result.others = [*fetched.notes, *result.others]
    return result


def check_source(source: Source) -> list[Problem]:
    """What is wrong with a source. Raises TryAgain if its store or hub cannot be reached, SourceMismatch if
    it is not what the request names.
    """
    try:
        fetched = fetch(source)
        check_digest(source, fetched.digest)
        return read_fetched(fetched, source).problems(source.uri)
    except (TryAgain, SourceMismatch):
        raise
    except TunesmithError as error:
        return [*error.problems] or [Problem(f"{PATH}.uri", error.message, source.uri, error.remedy)]
