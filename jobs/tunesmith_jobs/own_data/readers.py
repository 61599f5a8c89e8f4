"""Every form of file by its name in `data.source.format`. A new form is a file of its own and a row here."""

from collections.abc import Mapping

from tunesmith.settings import Source
from tunesmith_jobs.own_data.csv_reader import CsvReader
from tunesmith_jobs.own_data.jsonl_reader import JsonLinesReader
from tunesmith_jobs.own_data.reader import Reader

READERS: Mapping[str, Reader] = {"jsonl": JsonLinesReader(), "csv": CsvReader()}
OTHERWISE = "jsonl"
"""The form of a file whose ending says nothing."""


def reader_of(source: Source) -> Reader:
    """The reader that a request names, else the one that the file's ending tells."""
    if source.format != "auto":
        return READERS[source.format]
    name = source.uri.lower()
    return next((reader for reader in READERS.values() if name.endswith(reader.endings)), READERS[OTHERWISE])
