"""Every form of file by its name in `data.source.format`: form X is read by READER in `X_reader.py`."""

import importlib
from collections.abc import Mapping
from typing import get_args

from tunesmith.settings import Source, SourceFormat
from tunesmith_jobs.own_data.reader import Reader


def _reader(form: str) -> Reader:
    reader: Reader = importlib.import_module(f"tunesmith_jobs.own_data.{form}_reader").READER
    return reader


READERS: Mapping[str, Reader] = {form: _reader(form) for form in get_args(SourceFormat) if form != "auto"}
OTHERWISE = "jsonl"
"""The form of a file whose ending says nothing."""


def reader_of(source: Source) -> Reader:
    """The reader that a request names, else the one that the file's ending tells."""
    if source.format != "auto":
        return READERS[source.format]
    name = source.uri.lower()
    return next((reader for reader in READERS.values() if name.endswith(reader.endings)), READERS[OTHERWISE])
