"""What is expected of every form of own data: the same records, whatever the form."""

import contextlib
import csv
import io
import json

import pyarrow as pa
import pytest
from pyarrow import parquet

from tunesmith.errors import BadData
from tunesmith.settings import Source
from tunesmith_jobs.own_data.read import read_source
from tunesmith_jobs.own_data.reader import BadLine, Record, SourceFile
from tunesmith_jobs.own_data.readers import READERS, reader_of

PAIRS = [
    {"prompt": "plain", "response": "r"},
    {"prompt": "two\nlines", "response": 'a "quoted" one, with; all\tdelimiters|'},
    {"prompt": " blanks around ", "response": "Où est la clé? 谜语"},
]


def as_json_lines(pairs):
    return "".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs)


def as_csv(pairs):
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["prompt", "response"])
    writer.writeheader()
    writer.writerows(pairs)
    return text.getvalue()


def as_parquet(pairs):
    out = io.BytesIO()
    schema = pa.schema([(name, pa.string()) for name in ("prompt", "response")])
    parquet.write_table(pa.Table.from_pylist(pairs, schema), out)
    return out.getvalue()


WRITTEN = {  # the bytes of a file in each form
    "jsonl": lambda pairs: as_json_lines(pairs).encode(),
    "json": lambda pairs: json.dumps(pairs, ensure_ascii=False, indent=1).encode(),
    "csv": lambda pairs: as_csv(pairs).encode(),
    "parquet": as_parquet,
}
each_form = pytest.mark.parametrize("name", READERS)
each_text = pytest.mark.parametrize("name", sorted(READERS.keys() - {"parquet"}))


def source(name):
    return Source.model_validate({"uri": f"data{READERS[name].endings[0]}"})


def file(name, data):
    return SourceFile(f"data{READERS[name].endings[0]}", data)


def records(name, data):
    return list(READERS[name].read(file(name, data), source(name)).records)


def test_every_form_that_a_request_may_name_is_held_to_this_contract():
    assert WRITTEN.keys() == READERS.keys()


@each_form
def test_records_come_in_the_order_of_the_file_and_to_the_byte(name):
    read = records(name, WRITTEN[name](PAIRS))
    assert all(isinstance(record, Record) for record in read)
    assert [dict(record.value) for record in read] == PAIRS


@each_form
def test_lines_are_counted_from_one_and_rise(name):
    lines = [record.line for record in records(name, WRITTEN[name](PAIRS))]
    assert lines[0] >= 1
    assert lines == sorted(set(lines))


@each_text
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_an_encoding_changes_no_record(name, encoding):
    written = WRITTEN[name](PAIRS)
    assert records(name, written.decode().encode(encoding)) == records(name, written)


@each_text
def test_a_named_encoding_that_does_not_fit_is_bad_data(name):
    settings = source(name).model_copy(update={"encoding": "utf-8"})
    with pytest.raises(BadData, match=r"spec\.data\.source\.encoding"):
        list(READERS[name].read(file(name, b"\xff\xfe\xfa"), settings).records)


@each_form
def test_a_bad_record_is_named_and_hides_no_other(name):
    empty = {"prompt": "", "response": "r"}
    result = read_source([file(name, WRITTEN[name]([PAIRS[0], empty, PAIRS[2]]))], source(name))
    assert [row.prompt for row in result.rows] == ["plain", " blanks around "]
    [bad] = result.bad
    assert isinstance(bad, BadLine)
    assert (bad.kind, bad.why) == ("empty prompt", "'prompt' is empty")


@each_form
def test_a_file_without_rows_has_none_or_is_bad_data(name):
    for data in (b"", WRITTEN[name]([])):
        with contextlib.suppress(BadData):
            assert records(name, data) == []


@each_form
def test_a_reader_that_a_request_names_is_taken(name):
    asked = Source.model_validate({"uri": "data.unknown", "format": name})
    assert reader_of(SourceFile("data.csv", b"[1, 2]"), asked) is READERS[name]


@each_form
def test_a_reader_is_told_by_what_a_file_holds_and_else_by_its_ending(name):
    written = WRITTEN[name](PAIRS)
    for ending in ("", *READERS[name].endings):
        assert (
            reader_of(SourceFile(f"s3://bucket/Data{ending.upper()}", written), Source(uri="x"))
            is READERS[name]
        )


def test_an_ending_belongs_to_one_form_and_others_are_read_as_json_lines():
    endings = [ending for reader in READERS.values() for ending in reader.endings]
    assert len(endings) == len(set(endings))
    assert all(ending == ending.lower() and ending.startswith(".") for ending in endings)
    assert reader_of(SourceFile("data.txt", b""), Source(uri="data.txt")) is READERS["jsonl"]
