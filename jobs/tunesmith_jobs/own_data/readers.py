"""Every form of file by its name in `data.source.format`: form X is read by READER in `X_reader.py`.

Which form a file has is told by what it holds, and by its name's ending where that says nothing.
"""

import importlib
import re
from collections.abc import Mapping
from typing import get_args

from tunesmith.data_files import unpacked_name
from tunesmith.errors import BadData, Problem
from tunesmith.settings import Source, SourceFormat
from tunesmith_jobs.own_data.json_values import load
from tunesmith_jobs.own_data.parquet_reader import MAGIC
from tunesmith_jobs.own_data.reader import Reader, SourceFile


def _reader(form: str) -> Reader:
    reader: Reader = importlib.import_module(f"tunesmith_jobs.own_data.{form}_reader").READER
    return reader


READERS: Mapping[str, Reader] = {form: _reader(form) for form in get_args(SourceFormat) if form != "auto"}
OTHERWISE = "jsonl"
"""The form of a file of which neither content nor ending says anything."""

_LOOKED_AT = 1 << 16  # bytes that tell JSON from CSV, and lines that tell lines from a document:
_LINES = 100
_BINARY = {  # how files begin that are none of ours -> what they are
    b"PK\x03\x04": "a zip archive, or an Excel workbook: unpack it, or save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook: save the sheet as CSV",
    b"ARROW1": "an Arrow file: write it as Parquet or JSON Lines",
    b"SQLite format 3": "a SQLite database: write the table as CSV or JSON Lines",
    b"%PDF": "a PDF",
    b"Obj\x01": "an Avro file: write it as Parquet or JSON Lines",
    b"\x80\x04": "a pickle, which is never loaded: write it as JSON Lines",
    b"<!DOCTYPE": "a web page: give the address of the file itself",
    b"<html": "a web page: give the address of the file itself",
}


def reader_of(file: SourceFile, source: Source) -> Reader:
    """The reader that a request names, else the one that content and ending tell. Raises BadData."""
    if source.format != "auto":
        return READERS[source.format]
    if file.data.startswith(MAGIC):
        return READERS["parquet"]
    for magic, what in _BINARY.items():
        if file.data.startswith(magic):
            problem = Problem(file.name, f"is {what}")
            raise BadData(f"{file.name} cannot be read", reason="BadRows", problems=[problem])
    json_form = _json_form(file.data)
    name = unpacked_name(file.name).lower()
    by_name = next((form for form, reader in READERS.items() if name.endswith(reader.endings)), "")
    if by_name == "parquet":
        return READERS["parquet"]
    if by_name == "jsonl":
        return READERS[json_form or "jsonl"]
    if json_form and not re.search(rb"[\r\n]", file.data.strip()):
        return READERS["json"]  # which looks whether the one object is a row, or has the rows
    if by_name == "json":
        return READERS[json_form or "jsonl"]
    if by_name == "csv":
        return READERS[json_form if json_form and _begins_with_value(file.data) else "csv"]
    return READERS[json_form or ("csv" if _is_table(file.data) else OTHERWISE)]


def _head(data: bytes) -> str:
    """The beginning of a file as text, as far as that matters for signs of ASCII; without a BOM."""
    head = data[:_LOOKED_AT]
    if b"\0" in head:
        head = head.replace(b"\0", b"").removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff")
    return head.removeprefix(b"\xef\xbb\xbf").decode("latin-1").lstrip()


def _json_form(data: bytes) -> str:
    """`json` for a document, `jsonl` for lines, empty if it does not begin as JSON does."""
    head = _head(data)
    if head.startswith("["):
        return "json"
    if not head.startswith("{"):
        return ""
    lines = re.split(r"[\r\n]+", head)
    # A broken line hides neither its end nor the lines behind it. In a document over several lines the first
    # one does not end as an object does, and the others are indented.
    ends = lines[0].rstrip().endswith("}") or len(lines) == 1
    return "jsonl" if ends or any(map(_is_object, lines[:_LINES])) else "json"


def _begins_with_value(data: bytes) -> bool:
    """Whether the first line is JSON, so that the ending of a CSV file's name is wrong."""
    first = re.split(r"[\r\n]", _head(data), maxsplit=1)[0]
    return _is_object(first) or first.startswith("[{")


def _is_object(line: str) -> bool:
    """Whether a line that is not indented is an object by itself."""
    if not line.startswith("{"):
        return False
    try:
        return isinstance(load(line), dict)
    except (ValueError, RecursionError):
        return False


def _is_table(data: bytes) -> bool:
    first = re.split(r"[\r\n]", _head(data), maxsplit=1)[0]
    return any(delimiter in first for delimiter in (",", ";", "\t", "|"))
