"""Parquet, by pyarrow: a record a row, with lists and structs as lists and mappings."""

import io
from collections.abc import Iterator
from typing import Any

from tunesmith.data_files import ENDINGS
from tunesmith.errors import BadData, BadRequest, Problem
from tunesmith.settings import Source
from tunesmith_jobs.own_data.reader import BadLine, Record, Records, SourceFile

MAGIC = b"PAR1"
_BATCH = 1000  # rows in memory as Python's values at a time


class ParquetReader:
    """Reads Parquet."""

    endings: tuple[str, ...] = ENDINGS["parquet"]
    unit = "row"

    def read(self, file: SourceFile, source: Source) -> Records:  # noqa: ARG002 its texts are UTF-8
        """Every row. Raises BadData if the file is damaged, BadRequest if pyarrow is not installed."""
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ImportError as error:
            raise BadRequest(
                f"{file.name} is Parquet, and pyarrow is not installed here",
                reason="PackageMissing",
                remedy="install tunesmith[generate], or write the data as JSON Lines",
            ) from error
        if not file.data:
            return Records("Parquet", ())
        try:
            opened = parquet.ParquetFile(io.BytesIO(file.data))
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(file.name, error) from error
        records = _records(opened, file.name, (pa.ArrowException, OSError))
        return Records("Parquet", records, columns=tuple(opened.schema_arrow.names))


def _records(opened: Any, name: str, faults: tuple[type[Exception], ...]) -> Iterator[Record | BadLine]:
    number = 0
    try:
        for batch in opened.iter_batches(batch_size=_BATCH):
            for value in batch.to_pylist():
                number += 1
                yield Record(number, value)
    except faults as error:
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: Exception) -> BadData:
    why = (str(error).strip() or type(error).__name__).splitlines()[0]
    problem = Problem(name, f"is not Parquet that can be read: {why}")
    return BadData(f"{name} cannot be read", reason="BadRows", problems=[problem], remedy="write it again")


READER = ParquetReader()
