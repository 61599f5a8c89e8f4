"""Own data: every common form is read, every bad line is named."""

import json

import pytest

from tunesmith.errors import BadData, Gone
from tunesmith.settings import Source
from tunesmith_jobs.generate.work import generate
from tunesmith_jobs.own_data.read import check_source, read_source
from tunesmith_jobs.own_data.reader import SourceFile
from tunesmith_jobs.rows import Row, Turn, read_rows

TEXT = "Où est la clé? “Là” – 谜语"
JSONL = json.dumps({"prompt": TEXT, "response": "r"}, ensure_ascii=False) + "\n"
LATIN = JSONL.replace(" 谜语", "")


def source(uri="data.jsonl", **settings):
    return Source.model_validate({"uri": uri, **settings})


def read(data, **settings):
    asked = source(**settings)
    return read_source([SourceFile(asked.uri, data)], asked)


ENCODINGS = {
    "utf-8": (JSONL.encode(), {}, TEXT),
    "utf-8 with a mark": (JSONL.encode("utf-8-sig"), {}, TEXT),
    "utf-16 with a mark": (JSONL.encode("utf-16"), {}, TEXT),
    "Windows-1252": (LATIN.encode("cp1252"), {}, TEXT.replace(" 谜语", "")),
    "named": (
        JSONL.replace("“Là” – ", "").replace("Où est la clé", "?").encode("gb18030"),
        {"encoding": "gb18030"},
        "?? 谜语",
    ),
    "Windows line ends": (JSONL.replace("\n", "\r\n").encode(), {}, TEXT),
    "no line end": (JSONL.rstrip().encode(), {}, TEXT),
}


@pytest.mark.parametrize(("data", "settings", "prompt"), ENCODINGS.values(), ids=ENCODINGS)
def test_encodings(data, settings, prompt):
    assert [row.prompt for row in read(data, **settings).rows] == [prompt]


def chat(*messages):
    return {"messages": [{"role": role, "content": content} for role, content in messages]}


FORMS = {
    "prompt and response": (
        {"prompt": "p", "response": "r", "other": 1},
        Row(id="l000001", prompt="p", response="r"),
    ),
    "OpenAI chat": (
        chat(("system", "s"), ("user", "p"), ("assistant", "r")),
        Row(id="l000001", prompt="p", response="r", system="s"),
    ),
    "chat without a system message": (
        chat(("user", "p"), ("assistant", "r")),
        Row(id="l000001", prompt="p", response="r"),
    ),
    "several turns": (
        chat(("user", "a"), ("assistant", "b"), ("user", "p"), ("assistant", "r")),
        Row(
            id="l000001",
            prompt="p",
            response="r",
            history=(Turn(role="user", content="a"), Turn(role="assistant", content="b", learnt=True)),
        ),
    ),
    "content in parts": (
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "p"}]},
                {"role": "assistant", "content": "r", "weight": 1},
            ]
        },
        Row(id="l000001", prompt="p", response="r"),
    ),
    "a row of our own": (
        {
            "id": "c000001-0",
            "prompt": "p",
            "response": "r",
            "history": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
        },
        Row(
            id="l000001",
            prompt="p",
            response="r",
            history=(Turn(role="user", content="a"), Turn(role="assistant", content="b")),
        ),
    ),
    "texts keep their blanks": (
        {"prompt": " p\n", "response": "\tr "},
        Row(id="l000001", prompt=" p\n", response="\tr "),
    ),
}


@pytest.mark.parametrize(("value", "row"), FORMS.values(), ids=FORMS)
def test_forms(value, row):
    assert read(json.dumps(value).encode()).rows == [row]


def test_fields_can_have_other_names():
    fields = {"prompt": "question", "response": "answer"}
    assert read(b'{"question": "p", "answer": "r"}', fields=fields).rows[0].prompt == "p"


CSV = {
    "commas": ("prompt,response\np,r\n", {}),
    "semicolons": ("prompt;response\np;r\n", {}),
    "tabs": ("prompt\tresponse\np\tr\n", {}),
    "more columns": ("id,prompt,response\n1,p,r\n", {}),
    "other names": ("frage,antwort\np,r\n", {"fields": {"prompt": "frage", "response": "antwort"}}),
}


@pytest.mark.parametrize(("text", "settings"), CSV.values(), ids=CSV)
def test_csv(text, settings):
    assert [(row.prompt, row.response) for row in read(text.encode(), uri="data.csv", **settings).rows] == [
        ("p", "r")
    ]


def test_csv_cells_may_hold_line_ends_and_rows_are_named_by_their_first_line():
    text = 'prompt,response\n"two\nlines","a ""quoted"" one"\n,empty\nlast,r\n'
    result = read(text.encode(), uri="data.csv")
    assert [(row.id, row.prompt, row.response) for row in result.rows] == [
        ("l000002", "two\nlines", 'a "quoted" one'),
        ("l000005", "last", "r"),
    ]
    assert [(bad.line, bad.kind) for bad in result.bad] == [(4, "empty prompt")]


BAD = {
    "no JSON": ("{", "no JSON"),
    "no object": ("[1]", "no object"),
    "a field is missing": ('{"prompt": "p"}', "no response"),
    "a list as text": ('{"prompt": "p", "response": ["r"]}', "response is no text"),
    "empty": ('{"prompt": "p", "response": "  "}', "empty response"),
    "messages without an answer": (json.dumps(chat(("user", "p"))), "no answer"),
    "messages in the wrong order": (json.dumps(chat(("assistant", "p"), ("user", "r"))), "roles"),
    "a tool's message": (json.dumps(chat(("user", "p"), ("tool", "x"), ("assistant", "r"))), "tool calls"),
    "a message without content": (
        '{"messages": [{"role": "user"}, {"role": "assistant", "content": "r"}]}',
        "bad message",
    ),
    "messages are no list": ('{"messages": "hi"}', "messages is no list"),
}


@pytest.mark.parametrize(("line", "kind"), BAD.values(), ids=BAD)
def test_bad_lines_are_named(line, kind):
    result = read(f'{{"prompt": "p", "response": "r"}}\n\n{line}\n'.encode())
    assert [(bad.line, bad.kind) for bad in result.bad] == [(3, kind)]
    assert "line 3" in str(result.problems("data.jsonl")[1])
    assert "1 of 2 rows" in str(result.problems("data.jsonl")[0])


WHOLE = {
    "a column is missing": (b"subject,response\na,b\n", "data.csv", {}, "no column 'prompt'"),
    "not in that encoding": (
        b"\xff\xfe\xfa",
        "data.jsonl",
        {"encoding": "utf-8"},
        "is not utf-8: byte 0, line 1",
    ),
    "no such encoding": (b"x", "data.jsonl", {"encoding": "utf-9"}, "there is no encoding 'utf-9'"),
    "a quote that never ends": (b'prompt,response\n"p,r\n', "data.csv", {}, "is not CSV"),
}


@pytest.mark.parametrize(("data", "uri", "settings", "why"), WHOLE.values(), ids=WHOLE)
def test_files_that_cannot_be_read_say_why(data, uri, settings, why):
    with pytest.raises(BadData, match=why):
        read(data, uri=uri, **settings)


def made(stage):
    manifest, _ = stage.commit(generate(stage))
    return manifest, {
        file.path: stage.store.read(f"{manifest.folder}/{file.path}") for file in manifest.files
    }


def lines(count, **extra):
    words = [f"word{number} other{number} third{number} fourth{number}" for number in range(count)]
    return "".join(json.dumps({"prompt": f"{text}?", "response": "r", **extra}) + "\n" for text in words)


def own(path, **data):
    return {"task": "Sort the mail.", "data": {"source": {"uri": str(path)}, **data}}


def test_own_data_becomes_a_dataset_without_any_teacher(stage_for, tmp_path):
    path = tmp_path / "my data.jsonl"
    path.write_text(lines(50) + lines(1), encoding="utf-8")
    manifest, files = made(stage_for(own(path, split={"validation": 0.1})))
    train, validation, test = (
        read_rows(files[f"{name}.jsonl"], name) for name in ("train", "validation", "test")
    )
    assert (len(train), len(validation), len(test)) == (40, 5, 5)
    assert files["system_message.txt"] == b"Sort the mail."
    assert json.loads(files["rejected.jsonl"])["reason"] == "duplicate"
    assert manifest.pins["source"].size == path.stat().st_size
    assert "plan.json" not in files


@pytest.mark.parametrize(
    ("extra", "data", "message", "kept"),
    [
        ({"system": "Shared."}, {}, b"Shared.", None),
        ({"system": "Shared."}, {"systemMessage": "Given."}, b"Given.", None),
        ({}, {"systemMessage": "Given."}, b"Given.", None),
    ],
)
def test_the_system_message_of_own_data(stage_for, tmp_path, extra, data, message, kept):
    path = tmp_path / "d.jsonl"
    path.write_text(lines(9, **extra), encoding="utf-8")
    _, files = made(stage_for(own(path, **data)))
    assert files["system_message.txt"] == message
    assert read_rows(files["train.jsonl"], "train")[0].system is kept


def test_rows_with_different_system_messages_keep_their_own(stage_for, tmp_path):
    path = tmp_path / "d.jsonl"
    path.write_text(lines(5, system="A") + lines(9, system="B"), encoding="utf-8")
    _, files = made(stage_for(own(path)))
    assert {row.system for row in read_rows(files["train.jsonl"], "train")} == {"A", "B"}


def test_a_source_that_changed_since_it_was_pinned_is_gone(stage_for, tmp_path):
    path = tmp_path / "d.jsonl"
    path.write_text(lines(9), encoding="utf-8")
    generate(stage_for(own(path)))
    path.write_text(lines(10), encoding="utf-8")
    with pytest.raises(Gone, match="has changed"):
        generate(stage_for(own(path)))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has no rows"),
        (lines(1), "1 row to train on, of 1 read"),
        (lines(1) * 4, "1 row to train on, of 4 read; rejected: 3 duplicate"),
        ("{\n" * 30 + lines(2), "30 of 32 rows cannot be used: 30 x no JSON"),
    ],
)
def test_too_little_data_is_said_in_numbers(stage_for, tmp_path, text, why):
    path = tmp_path / "d.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadData) as error:
        generate(stage_for(own(path)))
    assert why in str(error.value)


def test_the_preflight_names_a_source_that_is_missing_or_bad(tmp_path):
    assert "no such file" in str(check_source(source(str(tmp_path / "none.jsonl")))[0])
    path = tmp_path / "d.jsonl"
    path.write_text(lines(3) + "{\n", encoding="utf-8")
    assert "line 4" in str(check_source(source(str(path)))[1])


def test_another_runs_dataset_is_copied_and_pinned(stage_for, tmp_path):
    path = tmp_path / "d.jsonl"
    path.write_text(lines(20), encoding="utf-8")
    first, files = made(stage_for(own(path), run="first"))
    second, copied = made(stage_for({"data": {"from": {"run": "first"}}}, run="second"))
    assert copied == files
    assert second.pins["from"].detail == {"key": first.key}
    assert second.metrics == first.metrics


def test_a_dataset_of_a_run_that_has_none_is_a_bad_request(stage_for):
    with pytest.raises(Exception, match=r"spec\.data\.from: no finished dataset"):
        generate(stage_for({"data": {"from": {"run": "nobody"}}}))


def test_own_data_from_a_bucket(stage_for, s3, monkeypatch):
    from tunesmith_jobs.storage import open_store

    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    url = s3.new_url()
    open_store(url).write("rows.jsonl", lines(12).encode())
    manifest, _ = made(stage_for(own(f"{url}/rows.jsonl")))
    assert manifest.metrics["rows"] == 12
    with pytest.raises(BadData, match="is not there"):
        generate(stage_for(own(f"{url}/none.jsonl")))


def test_own_data_from_a_folder_of_a_bucket(stage_for, s3, monkeypatch):
    from tunesmith_jobs.storage import open_store

    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    url = s3.new_url()
    store = open_store(url)
    for name in ("rows/b.csv", "rows/in/a.jsonl", "rows/notes.txt"):
        store.write(
            name, lines(6).encode() if name.endswith("l") else b"prompt,response\nalone in a table,r\n"
        )
    assert generate(stage_for(own(f"{url}/rows/"), run="folder")).metrics["rows"] == 7
    assert generate(stage_for(own(f"{url}/rows/**/*.jsonl"), run="pattern")).metrics["rows"] == 6
    with pytest.raises(BadData, match="no object matches"):
        generate(stage_for(own(f"{url}/rows/*.jsonl"), run="none"))
