"""Own data as the world has them: form, shape, packing and encoding are told, and what is told is said."""

import bz2
import gzip
import io
import json
import lzma

import pyarrow as pa
import pytest
from pyarrow import parquet

from tunesmith.errors import BadData
from tunesmith.settings import Source
from tunesmith_jobs.own_data.fetch import fetch
from tunesmith_jobs.own_data.read import SourceRows, read_fetched

PAIR = {"prompt": "p", "response": "r"}
LINE = json.dumps(PAIR)


def read(tmp_path, data: bytes | str, name: str = "data.jsonl", **settings) -> SourceRows:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return read_at(path, **settings)


def read_at(path, **settings) -> SourceRows:
    source = Source.model_validate({"uri": str(path), **settings})
    return read_fetched(fetch(source), source)


def pairs(result: SourceRows) -> list[tuple[str, str]]:
    assert result.bad == []
    return [(row.prompt, row.response) for row in result.rows]


def said(result: SourceRows) -> str:
    return "\n".join(result.findings())


def as_parquet(rows: list[dict]) -> bytes:
    out = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


# Forms


FORMS = {  # name, data, form that is said
    "lines": ("d.jsonl", f"{LINE}\n{LINE}\n", "JSON Lines"),
    "lines under .json": ("d.json", f"{LINE}\n{LINE}\n", "JSON Lines"),
    "lines without an ending": ("d", f"{LINE}\n{LINE}\n", "JSON Lines"),
    "an array": ("d.json", json.dumps([PAIR, PAIR]), "JSON array"),
    "an array over lines": ("d.json", json.dumps([PAIR, PAIR], indent=2), "JSON array"),
    "an array under .jsonl": ("d.jsonl", json.dumps([PAIR, PAIR]), "JSON array"),
    "objects over lines": ("d.json", 2 * (json.dumps(PAIR, indent=1) + "\n"), "JSON objects"),
    "an object with the array": (
        "d.json",
        json.dumps({"version": 1, "data": [PAIR, PAIR]}, indent=1),
        "JSON object",
    ),
    "CSV": ("d.csv", "prompt,response\np,r\np,r\n", "CSV with ','"),
    "CSV without an ending": ("d", "prompt,response\np,r\np,r\n", "CSV with ','"),
    "CSV with semicolons and decimal commas": (
        "d.csv",
        "prompt;n;response\np;1,5;r\np;2,5;r\n",
        "CSV with ';'",
    ),
    "a header with commas in a name": (
        "d.csv",
        '"prompt";"a,b,c";"response"\np;1;r\np;2;r\n',
        "CSV with ';'",
    ),
    "TSV": ("d.tsv", "prompt\tresponse\np\tr\np\tr\n", "TSV"),
    "pipes": ("d.txt", "prompt|response\np|r\np|r\n", "CSV with '|'"),
    "Excel's sep": ("d.csv", "sep=;\r\nprompt;response\r\np;r\r\np;r\r\n", "CSV with ';'"),
    "lines of old Macs": ("d.csv", "prompt,response\rp,r\rp,r\r", "CSV with ','"),
    "JSON lines of old Macs": ("d.jsonl", f"{LINE}\r{LINE}\r", "JSON Lines"),
    "JSON under .csv": ("d.csv", f"{LINE}\n{LINE}\n", "JSON Lines"),
    "Parquet": ("d.parquet", as_parquet([PAIR, PAIR]), "Parquet"),
    "Parquet under another name": ("d.bin", as_parquet([PAIR, PAIR]), "Parquet"),
    "blanks around columns": ("d.csv", " prompt , response \np,r\np,r\n", "CSV with ','"),
    "files put together, each with its mark": (
        "d.jsonl",
        2 * (b"\xef\xbb\xbf" + LINE.encode() + b"\n"),
        "JSON Lines, utf-8, by its byte order mark",
    ),
}


@pytest.mark.parametrize(("name", "data", "form"), FORMS.values(), ids=FORMS)
def test_each_form_is_told_by_what_it_holds(tmp_path, name, data, form):
    result = read(tmp_path, data, name)
    assert pairs(result) == [("p", "r")] * 2
    assert f"{name}: {form}" in said(result)


@pytest.mark.parametrize("named", ["d.jsonl.gz", "d.jsonl", "d.csv"])
@pytest.mark.parametrize(
    ("packing", "pack"),
    [("gzip", gzip.compress), ("bzip2", bz2.compress), ("xz", lzma.compress)],
)
def test_packed_files_are_told_by_how_they_begin(tmp_path, named, packing, pack):
    result = read(tmp_path, pack(f"{LINE}\n".encode()), named)
    assert pairs(result) == [("p", "r")]
    assert f"is packed with {packing}" in said(result)


def test_zstd_is_unpacked_also_in_several_frames(tmp_path):
    frame = pa.Codec("zstd").compress(f"{LINE}\n".encode(), asbytes=True)
    assert pairs(read(tmp_path, frame + frame, "d.jsonl.zst")) == [("p", "r")] * 2


def test_gzip_in_several_members_is_one_file(tmp_path):
    member = gzip.compress(f"{LINE}\n".encode())
    assert pairs(read(tmp_path, member + member, "d.jsonl.gz")) == [("p", "r")] * 2


@pytest.mark.parametrize(
    "data",
    [gzip.compress(LINE.encode())[:-9], pa.Codec("zstd").compress(LINE.encode() * 99, asbytes=True)[:-4]],
    ids=["gzip", "zstd"],
)
def test_a_packed_file_that_is_cut_off_is_said_to_be(tmp_path, data):
    with pytest.raises(BadData, match="cannot be unpacked"):
        read(tmp_path, data, "d.jsonl.gz")


def test_a_plain_file_under_a_packed_name_is_read(tmp_path):
    assert pairs(read(tmp_path, LINE, "d.jsonl.gz")) == [("p", "r")]


UNREADABLE = {
    "comments in JSON": (
        "d.json",
        '[\n  // the first\n  {"prompt": "p"}\n]',
        r"line 2: is not JSON: JSON has no comments",
    ),
    "a comment behind a value": (
        "d.json",
        '[{"prompt": "p" // x\n}]',
        r"line 1: is not JSON: JSON has no comments",
    ),
    "a comma too many": ("d.json", '[{"a": 1},\n]', "a comma before the array's end"),
    "an array that ends early": ("d.json", '[{"a": 1}\n', "a comma or the array's end is missing"),
    "something behind the array": ("d.json", '[{"a": 1}]\n[]', "line 2.*something follows the array's end"),
    "columns instead of rows": (
        "d.json",
        '{"prompt": {"0": "p"}, "response": {"0": "r"}}',
        "orient='records'",
    ),
    "lists instead of rows": ("d.json", '{"prompt": ["p"], "response": ["r"]}', "orient='records'"),
    "a workbook": ("d.xlsx", b"PK\x03\x04rest", "save the sheet as CSV"),
    "a web page": ("d.jsonl", "<!DOCTYPE html><html>", "a web page"),
    "a pickle": ("d.pkl", b"\x80\x04\x95abc", "never loaded"),
    "Parquet that is cut off": ("d.parquet", as_parquet([PAIR])[:-9], "is not Parquet that can be read"),
    "a quote that never ends": (
        "d.csv",
        'prompt,response\np,r\n"p,r\n',
        "line 3: is not CSV: a quote that begins",
    ),
    "no column that could be meant": (
        "d.csv",
        "id,date,x\n1,2,3\n",
        "no column 'prompt' and no column 'response'",
    ),
    "two that could be the prompt": ("d.csv", "question,query,answer\n1,2,3\n", "fields.prompt: question"),
    "a context beside the question": ("d.csv", "question,context,answer\n1,2,3\n", "fields.input: context"),
}


@pytest.mark.parametrize(("name", "data", "why"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_file_that_cannot_be_read_says_why(tmp_path, name, data, why):
    with pytest.raises(BadData, match=why):
        read(tmp_path, data, name)


EMPTY = {
    "nothing": ("d.jsonl", ""),
    "blanks": ("d.jsonl", "\n \n\n"),
    "an empty array": ("d.json", "[]"),
    "a header only": ("d.csv", "prompt,response\n"),
    "an empty table": ("d.csv", ""),
    "Parquet without rows": ("d.parquet", as_parquet([PAIR])[:0]),
}


@pytest.mark.parametrize(("name", "data"), EMPTY.values(), ids=EMPTY)
def test_an_empty_file_has_no_rows_and_that_is_a_problem(tmp_path, name, data):
    result = read(tmp_path, data, name)
    assert (result.rows, result.bad) == ([], [])
    assert "has no rows" in str(result.problems("d")[0])


def test_lines_of_a_long_array_and_of_cells_with_line_ends_are_counted(tmp_path):
    result = read(tmp_path, '[\n{"prompt": "p",\n "response": "r"},\n\n{"prompt": "q"}\n]', "d.json")
    assert [row.id for row in result.rows] == ["l000002"]
    assert [(bad.line, bad.kind) for bad in result.bad] == [(5, "no response")]
    result = read(tmp_path, 'sep=;\nprompt;response\n"a\nb";r\nx;y;z\nc;\n', "d.csv")
    assert [row.id for row in result.rows] == ["l000003"]
    assert [(bad.line, bad.kind) for bad in result.bad] == [(5, "too many cells"), (6, "empty response")]


def test_a_cell_may_be_very_long(tmp_path):
    long = "x" * 300_000
    assert pairs(read(tmp_path, f"prompt,response\n{long},r\n", "d.csv")) == [(long, "r")]
    assert pairs(read(tmp_path, json.dumps({**PAIR, "prompt": long}))) == [(long, "r")]


def test_a_row_that_is_no_csv_is_named_and_hides_no_other(tmp_path):
    result = read(tmp_path, 'prompt,response\n"a"b,r\np,r\n', "d.csv")
    assert [(bad.line, bad.kind) for bad in result.bad] == [(2, "no CSV")]
    assert len(result.rows) == 1


def test_of_two_columns_of_one_name_the_first_counts_and_that_is_said(tmp_path):
    result = read(tmp_path, "prompt,prompt,response\na,b,c\n", "d.csv")
    assert pairs(result) == [("a", "c")]
    assert "columns of the same name, of which the first counts: 'prompt'" in said(result)


# Several files


def test_a_folder_is_read_in_the_order_of_its_paths_and_the_rest_is_named(tmp_path):
    for name, text in {
        "b.csv": "prompt,response\nb,r\n",
        "a/one.jsonl": LINE.replace('"p"', '"a"'),
        "notes.txt": "hello",
        ".hidden.jsonl": LINE,
    }.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text(text)
    result = read_at(tmp_path / "in")
    assert [(row.id, row.prompt) for row in result.rows] == [("f1-l000001", "a"), ("f2-l000002", "b")]
    assert "files of no known form, which are not read: notes.txt" in said(result)
    assert pairs(read_at(tmp_path / "in" / "*.csv")) == [("b", "r")]
    assert len(read_at(tmp_path / "in" / "**" / "*.jsonl").rows) == 1


def test_a_bad_line_of_one_of_several_files_names_its_file(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text(LINE)
    (tmp_path / "in" / "b.jsonl").write_text(f"{LINE}\n{{\n")
    result = read_at(tmp_path / "in")
    assert str(result.problems("in")[1]).startswith("b.jsonl, line 2: is not JSON")


def test_all_files_that_cannot_be_read_are_named_at_once(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("x,y,z\n1,2,3\n")
    (tmp_path / "in" / "b.json").write_text("[1")
    (tmp_path / "in" / "c.jsonl").write_text(LINE)
    with pytest.raises(BadData, match="2 files cannot be read") as caught:
        read_at(tmp_path / "in")
    assert [str(problem).split(" ")[0] for problem in caught.value.problems] == ["a.csv", "b.json"]


def test_what_is_not_there_is_said(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("x")
    for path, why in (
        (tmp_path / "in", "no file in it"),
        (tmp_path / "*.csv", "no file matches"),
        (tmp_path / "x", "no such"),
    ):
        with pytest.raises(BadData, match=why):
            read_at(path)


def test_a_source_is_the_same_wherever_it_lies(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.jsonl").write_text(LINE)
        (tmp_path / folder / "b.jsonl").write_text(LINE)
    digests = {fetch(Source(uri=str(tmp_path / folder))).digest for folder in ("one", "two")}
    assert len(digests) == 1


# Shapes


def chat(*messages, **more):
    return {
        "messages": [dict(zip(("role", "content", "weight"), each, strict=False)) for each in messages],
        **more,
    }


def turns(row) -> list[tuple[str, bool]]:
    return [(turn.content, turn.learnt) for turn in row.history if turn.role == "assistant"]


SHAPES = {  # record, (prompt, response, system), answers before it with whether they are learnt, what is said
    "Alpaca with input": (
        {"instruction": "Sum up.", "input": "A text.", "output": "T."},
        ("Sum up.\nA text.", "T.", None),
        [],
        "Alpaca: 'instruction' -> 'output', 'input' below the prompt",
    ),
    "Alpaca without": ({"instruction": "i", "input": "", "output": "o"}, ("i", "o", None), [], "Alpaca"),
    "Alpaca with pairs before it": (
        {"instruction": "i", "output": "o", "history": [["q", "a"]], "system": "s"},
        ("i", "o", "s"),
        [("a", True)],
        "Alpaca",
    ),
    "Dolly": (
        {"instruction": "i", "context": "c", "response": "r", "category": "x"},
        ("i\nc", "r", None),
        [],
        "Dolly",
    ),
    "OpenOrca": (
        {"id": "1", "system_prompt": "s", "question": "q", "response": "r"},
        ("q", "r", "s"),
        [],
        "a guess",
    ),
    "prompt and completion": (
        {"prompt": "p", "completion": "c"},
        ("p", "c", None),
        [],
        "prompt and completion",
    ),
    "prompt and completion as messages": (
        {"prompt": [{"role": "user", "content": "p"}], "completion": [{"role": "assistant", "content": "c"}]},
        ("p", "c", None),
        [],
        "prompt and completion",
    ),
    "capital letters": ({"Prompt": "p", "Response": "r"}, ("p", "r", None), [], "(a guess by the names)"),
    "question and answer": (
        {"question": "q", "answer": "a"},
        ("q", "a", None),
        [],
        "'question' -> 'answer' (a guess",
    ),
    "input and output": ({"input": "q", "output": "a"}, ("q", "a", None), [], "'input' -> 'output' (a guess"),
    "another language": ({"质问": "", "問題": "q", "答案": "a"}, ("q", "a", None), [], "a guess"),
    "ShareGPT": (
        {
            "conversations": [
                {"from": "system", "value": "s"},
                {"from": "human", "value": "p"},
                {"from": "gpt", "value": "r"},
            ]
        },
        ("p", "r", "s"),
        [],
        "ShareGPT in 'conversations'",
    ),
    "ShareGPT with other names": (
        {
            "conversations": [{"from": "user", "value": "p"}, {"from": "assistant", "value": "r"}],
            "system": "s",
        },
        ("p", "r", "s"),
        [],
        "ShareGPT",
    ),
    "a bot": (chat(("user", "p"), ("bot", "r")), ("p", "r", None), [], "OpenAI messages"),
    "all answers are learnt": (
        chat(("user", "a"), ("assistant", "b"), ("user", "p"), ("assistant", "r")),
        ("p", "r", None),
        [("b", True)],
        "OpenAI messages in 'messages'",
    ),
    "but for those of weight 0": (
        chat(("user", "a"), ("assistant", "b", 0), ("user", "p"), ("assistant", "r", 1)),
        ("p", "r", None),
        [("b", False)],
        "1 row: answers of weight 0 are read, not learnt",
    ),
    "the last one has weight 0": (
        chat(("user", "p"), ("assistant", "r"), ("user", "a"), ("assistant", "b", 0)),
        ("p", "r", None),
        [],
        "messages after the last answer that is learnt are not used",
    ),
    "it ends with the user": (
        chat(("user", "p"), ("assistant", "r"), ("user", "thanks")),
        ("p", "r", None),
        [],
        "messages after the last answer that is learnt are not used",
    ),
    "several system messages": (
        chat(("system", "s"), ("developer", "t"), ("user", "p"), ("assistant", "r")),
        ("p", "r", "s\n\nt"),
        [],
        "several system messages at its beginning are joined",
    ),
    "columns and members that are not used": (
        chat(("user", "p"), ("assistant", "r"), id=7, tools=[{"name": "f"}], empty=None),
        ("p", "r", None),
        [],
        "column 'tools' is not used",
    ),
    "a name in a message": (
        {
            "messages": [
                {"role": "user", "content": "p", "name": "Ann"},
                {"role": "assistant", "content": "r"},
            ]
        },
        ("p", "r", None),
        [],
        "'name' of messages is not used",
    ),
    "a number": (
        {"prompt": "2 + 2.50", "response": 4.50},
        ("2 + 2.50", "4.5", None),
        [],
        "numbers in 'response' are read as texts",
    ),
    "messages in a cell": (
        {"messages": json.dumps(chat(("user", "p"), ("assistant", "r"))["messages"])},
        ("p", "r", None),
        [],
        "OpenAI messages",
    ),
}


@pytest.mark.parametrize(("record", "row", "before", "sentence"), SHAPES.values(), ids=SHAPES)
def test_each_shape_is_told_and_said(tmp_path, record, row, before, sentence):
    result = read(tmp_path, json.dumps(record, ensure_ascii=False))
    assert result.bad == []
    [found] = result.rows
    assert (found.prompt, found.response, found.system) == row
    assert turns(found) == before
    assert sentence in said(result)


@pytest.mark.parametrize("written", ["4.50", "1e3", "12345678901234567890123", "-0"])
def test_a_number_is_read_as_it_is_written(tmp_path, written):
    [(_, response)] = pairs(read(tmp_path, f'{{"prompt": "p", "response": {written}}}'))
    assert response == written


BAD = {
    "an object": ({**PAIR, "response": {"a": 1}}, "response is no text", "is an object"),
    "null": ({**PAIR, "response": None}, "empty response", "is null"),
    "true": ({**PAIR, "response": True}, "response is no text", "true or false"),
    "half a character": ({**PAIR, "response": "\ud83d"}, "no UTF-8", "half a character"),
    "a tool's call": (
        {
            "messages": [
                {"role": "user", "content": "p"},
                {"role": "assistant", "content": None, "tool_calls": [{"id": 1}]},
            ]
        },
        "tool calls",
        "about a tool's call",
    ),
    "a tool's answer": (chat(("user", "p"), ("tool", "x"), ("assistant", "r")), "tool calls", "message 2"),
    "an image": (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "p"}, {"type": "image_url", "image_url": {}}],
                },
                {"role": "assistant", "content": "r"},
            ]
        },
        "not text only",
        "image_url",
    ),
    "nothing to learn": (chat(("user", "p"), ("assistant", "r", 0)), "nothing to learn", "weight 0"),
    "a strange weight": (chat(("user", "p"), ("assistant", "r", 2)), "bad message", "must be 0 or 1"),
    "a strange role": (chat(("user", "p"), ("narrator", "r")), "bad message", "'narrator'"),
    "a system message in the middle": (
        chat(("user", "p"), ("assistant", "r"), ("system", "s"), ("user", "p"), ("assistant", "r")),
        "roles",
        "'system'",
    ),
    "two questions": (chat(("user", "p"), ("user", "q"), ("assistant", "r")), "roles", "in turn"),
    "an empty answer before": (
        chat(("user", "p"), ("assistant", ""), ("user", "q"), ("assistant", "r")),
        "empty message",
        "is empty",
    ),
    "nested too deeply": (None, "no JSON", "nested too deeply"),
}


@pytest.mark.parametrize(("record", "kind", "why"), BAD.values(), ids=BAD)
def test_a_row_that_cannot_be_used_says_why(tmp_path, record, kind, why):
    line = json.dumps(record) if record else '{"prompt": ' + "[" * 100_000 + "]" * 100_000 + "}"
    result = read(tmp_path, f"{LINE}\n{line}\n")
    assert len(result.rows) == 1
    assert [(bad.line, bad.kind) for bad in result.bad] == [(2, kind)]
    assert why in result.bad[0].why


def test_nan_of_a_column_that_is_not_used_does_no_harm(tmp_path):
    result = read(
        tmp_path, '{"prompt": "p", "response": "r", "score": NaN}\n{"prompt": "p", "response": NaN}\n'
    )
    assert [(bad.line, bad.kind) for bad in result.bad] == [(2, "empty response")]
    assert len(result.rows) == 1


def test_parquet_holds_chats_as_lists_of_structs(tmp_path):
    rows = [chat(("user", "p"), ("assistant", "r", 1)), chat(("user", "q"), ("assistant", "s"))]
    for row in rows:
        row["messages"] = [{"tool_calls": None, "weight": None, **each} for each in row["messages"]]
    result = read(tmp_path, as_parquet([*rows, {"messages": None}]), "d.parquet")
    assert [row.prompt for row in result.rows] == ["p", "q"]
    assert str(result.problems("d.parquet")[1]).startswith("d.parquet, row 3")


def test_columns_that_a_request_names_are_taken_before_any_that_are_known(tmp_path):
    record = {"prompt": "p", "response": "r", "question": "q", "answer": "a", "context": "c"}
    fields = {"prompt": "question", "response": "answer", "input": "context"}
    assert pairs(read(tmp_path, json.dumps(record), fields=fields)) == [("q\nc", "a")]


def test_what_our_own_datasets_say_is_learnt_stays_so(tmp_path):
    from tunesmith_jobs.rows import read_rows, write_rows

    result = read(tmp_path, json.dumps(SHAPES["all answers are learnt"][0]))
    written = write_rows(result.rows)
    assert read_rows(written, "rows") == result.rows
    assert read(tmp_path, written).rows == result.rows


# Encodings

TEXTS = {
    "cp1251": "Где мост? За рекой, у старой мельницы.",
    "koi8_r": "Где находится вокзал? Прямо и потом налево, рядом с музеем.",
    "cp866": "Сколько стоит билет? Двадцать рублей, если взять туда и обратно.",
    "cp1252": "Où est la gare ? À gauche, près du café « Chez René ».",
    "cp1250": "Příliš žluťoučký kůň úpěl ďábelské ódy, řekl učitel.",
    "cp1254": "İstanbul'da hava nasıl? Bugün güneşli, akşam yağmur bekleniyor.",
    "cp1253": "Πού είναι ο σταθμός; Ευθεία και μετά αριστερά.",
    "cp1255": "איפה התחנה? ישר ואז שמאלה ליד המוזיאון.",
    "cp1256": "أين المحطة؟ إلى اليسار بجانب المتحف الكبير.",
    "gb18030": "今天天气怎么样?今天天气很好,适合出去散步。",
    "big5": "請問車站在哪裡?直走然後左轉,就在博物館旁邊。",
    "shift_jis": "駅はどこですか。まっすぐ行って左に曲がってください。",
    "euc_jp": "駅はどこですか。まっすぐ行って左に曲がってください。",
    "euc_kr": "역이 어디에 있나요? 쭉 가서 왼쪽으로 도세요. 박물관 옆입니다.",
    "utf-16": "Où est la gare ?",
    "utf-16-le": "Où est la gare ? 今天天气很好",
    "utf-16-be": "Où est la gare ? 今天天气很好",
    "utf-32": "Où est la gare ?",
    "utf-8-sig": "Où est la gare ?",
}


@pytest.mark.parametrize("count", [1, 50])
@pytest.mark.parametrize("form", ["jsonl", "csv"])
@pytest.mark.parametrize(("encoding", "text"), TEXTS.items(), ids=TEXTS)
def test_an_encoding_is_told_by_the_bytes_and_said(tmp_path, encoding, text, form, count):
    quoted = text.replace('"', '""')
    written = {
        "jsonl": count * (json.dumps({"prompt": text, "response": "r"}, ensure_ascii=False) + "\n"),
        "csv": "prompt,response\n" + count * f'"{quoted}",r\n',
    }[form]
    result = read(tmp_path, written.encode(encoding), f"d.{form}")
    assert pairs(result) == [(text, "r")] * count
    assert "," in said(result).splitlines()[0].partition(f"d.{form}: ")[2]


LATIN = {
    "German": ("cp1252", "Grüße aus Köln, schöne Straßen und größere Äpfel."),
    "French": ("cp1252", "L'élève a été reçu à l'école où il étudie."),
    "Spanish": ("cp1252", "¿Dónde está el niño? Mañana vendrá con su tío."),
    "Portuguese": ("cp1252", "Não há informações à disposição, são só opiniões."),
    "Danish": ("cp1252", "Blåbærgrød på øen er også sød."),
    "Icelandic": ("cp1252", "Það er gott veður í dag, sagði þórður."),
    "one sign of Windows": ("cp1252", "It’s a fine day – isn’t it?"),
    "Polish": ("cp1250", "Zażółć gęślą jaźń, powiedziała święta łania."),
    "Hungarian": ("cp1250", "Árvíztűrő tükörfúrógép, őszi eső."),
    "Croatian": ("cp1250", "Čovjek šeće kroz đačku školu, žureći."),
    "Turkish": ("cp1254", "Günaydın, nasılsın? İyiyim, teşekkür ederim, ya sen ağabey?"),
    "Lithuanian": ("cp1257", "Ąžuolas žaliuoja šį pavasarį, o upė teka."),
}


@pytest.mark.parametrize(("encoding", "text"), LATIN.values(), ids=LATIN)
def test_texts_in_latin_letters_are_told_apart_by_their_alphabets(tmp_path, encoding, text):
    assert pairs(read(tmp_path, f'prompt,response\n"{text}",r\n'.encode(encoding), "d.csv")) == [(text, "r")]


def test_a_bad_byte_makes_its_line_bad_not_the_file(tmp_path):
    lines = [
        json.dumps({"prompt": f"Où est {n} ?", "response": "r"}, ensure_ascii=False).encode()
        for n in range(9)
    ]
    lines[4] = lines[4].replace("ù".encode(), b"\xf9")
    result = read(tmp_path, b"\n".join(lines))
    assert [(bad.line, bad.kind) for bad in result.bad] == [(5, "no UTF-8")]
    assert "0xF9" in result.bad[0].why
    assert [row.prompt for row in result.rows] == [f"Où est {n} ?" for n in range(9) if n != 4]
    assert "utf-8, but for 1 byte that is none of it" in said(result)
    table = b"prompt,response\n" + b"".join(f"Où est {n} ?,r\n".encode() for n in range(9)) + b"caf\xe9,r\n"
    assert [bad.line for bad in read(tmp_path, table, "d.csv").bad] == [11]


def test_a_file_without_any_letter_of_utf_8_is_not_said_to_be_utf_8(tmp_path):
    assert pairs(read(tmp_path, b'{"prompt": "caf\xe9", "response": "r"}')) == [("café", "r")]


# Files as people had them

PEOPLES = {  # name, bytes -> prompts and responses, answers before them (learnt or not), bad lines
    "Alpaca": (
        "alpaca.jsonl",
        b'{"instruction": "Name the capital.", "input": "Country: Peru", "output": "Lima"}\n'
        b'{"instruction": "Say hello.", "input": "", "output": "Hello."}\n',
        [("Name the capital.\nCountry: Peru", "Lima"), ("Say hello.", "Hello.")],
        [[], []],
        [],
    ),
    "a weight of 0": (
        "weights.jsonl",
        b'{"messages": [{"role": "system", "content": "Answer with a colour."},'
        b' {"role": "user", "content": "Sky?"},'
        b' {"role": "assistant", "content": "green", "weight": 0},'
        b' {"role": "user", "content": "Look again."},'
        b' {"role": "assistant", "content": "blue", "weight": 1}]}\n'
        b'{"messages": [{"role": "user", "content": "Grass?"}, {"role": "assistant", "content": "green"},'
        b' {"role": "user", "content": "And snow?"}, {"role": "assistant", "content": "white"}]}\n',
        [("Look again.", "blue"), ("And snow?", "white")],
        [[("green", False)], [("green", True)]],
        [],
    ),
    "one bad byte": (
        "one-bad-byte.jsonl",
        "".join(
            json.dumps({"prompt": prompt, "response": response}, ensure_ascii=False) + "\n"
            for prompt, response in (("Что такое осень?", "Время года."), ("猫は何色?", "黒です。"))
        ).encode()
        + b'{"prompt": "caf\xe9?", "response": "oui"}\n',
        [("Что такое осень?", "Время года."), ("猫は何色?", "黒です。")],
        [[], []],
        [3],
    ),
    "Cyrillic of Windows, by Excel": (
        "cyrillic.csv",
        "вопрос;ответ\nГде мост?;За рекой.\nСколько лет дубу?;Сто.\n".encode("cp1251"),
        [("Где мост?", "За рекой."), ("Сколько лет дубу?", "Сто.")],
        [[], []],
        [],
    ),
    "UTF-16 of Excel": (
        "unicode.txt",
        "Frage\tAntwort\r\nWie heißt du?\tÄnne\r\n".encode("utf-16"),
        [("Wie heißt du?", "Änne")],
        [[]],
        [],
    ),
}


@pytest.mark.parametrize(("name", "data", "rows", "before", "bad"), PEOPLES.values(), ids=PEOPLES)
def test_files_as_people_had_them(tmp_path, name, data, rows, before, bad):
    result = read(tmp_path, data, name)
    assert [(row.prompt, row.response) for row in result.rows] == rows
    assert [turns(row) for row in result.rows] == before
    assert [line.line for line in result.bad] == bad
