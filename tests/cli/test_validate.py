"""Requests as files: several documents, --set, relative paths, and everything wrong said at once."""

import json
import sys

import pytest

from tunesmith.errors import Usage
from tunesmith_cli.local.answer_formats import format_failures
from tunesmith_cli.local.processes import Toolbox
from tunesmith_cli.local.request_files import read_requests
from tunesmith_cli.local.set_option import parse_set

VALUES = {
    "a number": ("data.examples=20", ("data.examples", 20)),
    "spec. in front is no harm": ("spec.data.examples=20", ("data.examples", 20)),
    "an exponent as Kubernetes reads it": ("training.learningRate=2e-4", ("training.learningRate", 0.0002)),
    "yes is true": ("training.bf16=yes", ("training.bf16", True)),
    "null unsets": ("data.seeds=null", ("data.seeds", None)),
    "nothing is null": ("data.seeds=", ("data.seeds", None)),
    "a list": ("evaluation.prompts=[a, 'b c']", ("evaluation.prompts", ["a", "b c"])),
    "a quoted number is text": ('task="12"', ("task", "12")),
    "the rest may hold =": ("task=a = b", ("task", "a = b")),
    "a date is text": ("task=2026-11-23", ("task", "2026-11-23")),
}


@pytest.mark.parametrize(("text", "expected"), VALUES.values(), ids=VALUES)
def test_set_types_its_value_as_yaml_does(text, expected):
    assert parse_set(text) == expected


@pytest.mark.parametrize(
    "text", ["data.examples", "=3", "data..x=3", "task=[a", "training.learningRate=.inf"]
)
def test_set_that_cannot_be_read_is_a_usage_error(text):
    with pytest.raises(Usage, match="--set"):
        parse_set(text)


def validated(cli, *arguments, expect=0):
    return json.loads(cli.inline("validate", *arguments, "--json", expect=expect).stdout)


def test_a_valid_request_names_its_stages(cli):
    assert "generate" in cli.inline("validate", cli.write()).stdout


def test_several_documents_are_all_checked_and_every_problem_is_said(cli):
    cli.write("one", {"data": {"exampels": 3}})
    path = cli.write("two", {"training": {"learning_rate": 0.1}})
    answer = cli.inline("validate", path, expect=78)
    assert answer.stdout == ""
    for said in ("document 1", "did you mean 'examples'", "document 2", "did you mean 'learningRate'"):
        assert said in answer.stderr


def test_problems_as_json_are_one_document(cli):
    document = validated(cli, cli.write(changes={"data": {"exampels": 3}}), expect=78)
    assert document["problems"][0]["path"] == "spec.data.exampels"
    assert document["valid"] is False


def test_two_requests_of_one_name_are_refused(cli):
    cli.write("same")
    assert "its run 'same'" in cli.inline("validate", cli.write("same"), expect=78).stderr


def test_set_shows_in_the_provenance_and_relative_paths_become_absolute(cli):
    (cli.folder / "models" / "a b").mkdir(parents=True)
    (cli.folder.parent / "rows.csv").write_text("prompt,response\n")
    path = cli.write(
        changes={"model": {"base": "models/a b"}, "output": "out", "data": {"source": {"uri": "../rows.csv"}}}
    )
    request = validated(cli, path, "--resolved", "--set", "training.loraR=8")["requests"][0]
    assert request["spec"]["training"]["loraR"] == 8
    assert request["provenance"]["training.loraR"] == "--set"
    assert request["provenance"]["model.base"] == "request"
    assert request["spec"]["model"]["base"] == (cli.folder / "models/a b").as_uri()
    assert request["spec"]["output"] == (cli.folder / "out").as_uri()
    assert request["spec"]["data"]["source"]["uri"] == str(cli.folder.parent / "rows.csv")


WRONG_SETS = {
    "an unknown field": ("data.exampels=3", 78, "did you mean 'examples'"),
    "a wrong type": ("data.examples=many", 78, "spec.data.examples (given by --set): must be a whole number"),
    "below a value": ("task.x=3", 78, "task is not a mapping"),
    "no value": ("data.examples", 64, "must be path=value"),
}


@pytest.mark.parametrize(("text", "code", "said"), WRONG_SETS.values(), ids=WRONG_SETS)
def test_a_wrong_set_is_named(cli, text, code, said):
    assert said in cli.inline("validate", cli.write(), "--set", text, expect=code).stderr


def test_an_endpoint_from_the_environment_is_said_to_be(cli):
    cli.env = {"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}
    request = validated(cli, cli.write(), "--resolved")["requests"][0]
    assert request["provenance"]["data.teacher.baseURL"] == "environment"
    assert request["spec"]["data"]["teacher"]["baseURL"] == "http://127.0.0.1:1/v1"


def test_the_snapshot_is_what_stages_read(cli):
    from tunesmith.resolve import read_snapshot

    assert read_snapshot(cli.inline("validate", cli.write(), "--snapshot").stdout).run == "toy"


def test_a_request_on_standard_input(cli):
    with cli.write().open() as file:
        assert json.loads(cli("validate", "-", "--json", stdin=file).stdout)["requests"][0]["name"] == "toy"


UNREADABLE = {
    "not there": (None, 64, "cannot read"),
    "no YAML": (b"a: [", 78, "line 1"),
    "no text": (b"\xff\xfe\xfa", 78, "UTF-8"),
    "nothing in it": (b"", 78, "holds no request"),
    "a list": (b"- a", 78, "not a TrainingRequest"),
}


@pytest.mark.parametrize(("data", "code", "said"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_file_that_is_no_request_is_said_to_be(cli, data, code, said):
    path = cli.folder / "odd.yaml"
    if data is not None:
        path.write_bytes(data)
    answer = cli.inline("validate", path, expect=code)
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr


def placed(document):
    return [(problem["source"], problem["path"]) for problem in document["problems"]]


def test_what_cannot_be_read_is_a_document_too(cli):
    path = cli.folder / "nope.yaml"
    document = validated(cli, path, expect=64)
    assert document["valid"] is False
    assert document["message"] == f"cannot read {path}: No such file or directory"
    assert placed(document) == [(str(path), "")]
    assert validated(cli, cli.write(), "--set", "data.examples", expect=64)["message"].startswith("--set")


def test_each_problem_names_its_file_and_its_document(cli):
    cli.write("one", {"data": {"exampels": 3}})
    path = cli.write("two", {"training": {"learning_rate": 0.1}})
    broken = cli.folder / "broken.yaml"
    broken.write_text("a: [")
    document = validated(cli, path, broken, cli.folder / "nope.yaml", expect=78)
    assert placed(document) == [
        (f"{path}, document 1", "spec.data.exampels"),
        (f"{path}, document 2", "spec.training.learning_rate"),
        (str(broken), f"{broken}, line 1, column 5"),
        (str(cli.folder / "nope.yaml"), ""),
    ]


STDIN = {  # what is piped in -> exit code, where, and a part of why
    "no YAML": (b"a: [", 78, "standard input, line 1, column 5", "expected the node content"),
    "no text": (b"\xff\xfe\xfa", 78, "standard input", "is not text in UTF-8"),
    "nothing": (b"", 78, "", "holds no request"),
    "no request": (b"kind: Pod", 78, "apiVersion", "is missing"),
}


@pytest.mark.parametrize(("data", "code", "path", "why"), STDIN.values(), ids=STDIN)
def test_problems_of_standard_input_are_named_as_such(cli, tmp_path, data, code, path, why):
    (tmp_path / "piped").write_bytes(data)
    with (tmp_path / "piped").open() as file:
        assert "standard input" in cli("validate", "-", expect=code, stdin=file).stderr
    with (tmp_path / "piped").open() as file:
        document = json.loads(cli("validate", "-", "--json", expect=code, stdin=file).stdout)
    first = document["problems"][0]
    assert (first["source"], first["path"]) == ("standard input", path)
    assert why in first["why"]


def test_standard_input_may_begin_with_a_byte_order_mark_and_is_read_once(cli, tmp_path):
    (tmp_path / "piped").write_bytes(b"\xef\xbb\xbf" + cli.write().read_bytes())
    with (tmp_path / "piped").open() as file:
        assert "standard input: request toy is valid" in cli("validate", "-", stdin=file).stdout
    assert "given twice" in cli("validate", "-", "-", expect=64).stderr


def test_missing_files_are_said_with_all_the_rest(cli):
    path = cli.write(
        changes={
            "model": {"base": "meta-llama/Llama-3.2-1B"},
            "data": {"source": {"uri": "rows.jsonl"}, "exampels": 1},
            "evaluation": {"gate": {"metric": "exactMatch", "leastGain": 5}},
        }
    )
    document = validated(cli, path, expect=78)
    assert document["message"].endswith("request toy cannot run: 4 problems")
    assert [problem["path"] for problem in document["problems"]] == [
        "spec.data.exampels",
        "spec.evaluation.gate.leastGain",
        "spec.model.base",
        "spec.data.source.uri",
    ]
    [model] = [problem for problem in document["problems"] if problem["path"] == "spec.model.base"]
    assert "did you mean hf://meta-llama/Llama-3.2-1B," in model["remedy"]


def test_what_can_never_be_of_use_is_refused_before_anything_runs(cli):
    path = cli.write(changes={"data": {"teacher": {"model": "mine"}, "budget": {"maxUSD": 5}}})
    for command in ("validate", "run"):
        assert "spec.data.budget.maxUSD: no price for mine" in cli.inline(command, path, expect=78).stderr


FEW = "12 rows leave 1 test row, which can show little"


def test_warnings_are_lines_on_standard_error_and_members_of_the_document(cli):
    path = cli.write(changes={"data": {"examples": 12}, "queueName": "gpus"})
    answer = cli.inline("validate", path)
    assert [line.split(";")[0] for line in answer.stderr.splitlines()] == [
        f"warning: {path}: spec.data.examples: {FEW}",
        f"warning: {path}: spec.queueName has no effect on this machine",
    ]
    assert "is valid" in answer.stdout
    assert "warning:" not in answer.stdout
    [few, queue] = validated(cli, path)["requests"][0]["warnings"]
    assert (few["path"], few["why"]) == ("spec.data.examples", FEW)
    assert "queueName" in queue["why"]
    assert f"warning: {path}: spec.data.examples: {FEW}" in cli("run", path, "--dry-run").stderr


def test_data_check_shows_nothing_of_a_row_that_a_terminal_obeys(cli):
    path = cli.folder / "rows.csv"
    path.write_text(
        'prompt,response,"\x1b[2J\u202e\nline 9: is fine"\n"a",\n"\x1b[1A","\x9b"\n', encoding="utf-8"
    )
    for options in ((), ("--json",)):
        answer = cli("data", "check", path, *options, expect=65)
        shown = answer.stdout + answer.stderr
        assert not {"\x1b", "\x9b", "\u202e"} & set(shown)
        assert not [line for line in shown.split("\n") if line.startswith("line 9")]


def test_data_check_names_lines_and_counts(cli):
    path = cli.folder / "rows.jsonl"
    path.write_text('{"prompt": "a", "response": "b"}\n{"prompt": "", "response": "b"}\nno\n')
    answer = cli("data", "check", path, expect=65)
    assert "line 2" in answer.stdout
    assert "line 3" in answer.stdout
    assert "1 rows can be used, 2 cannot" in answer.stdout
    assert cli.json("data", "check", path, expect=65)["problems"][1]["line"] == 3


def test_data_check_takes_the_names_of_the_fields(cli):
    path = cli.folder / "own.jsonl"
    path.write_text('{"Text": "a", "Label": "b"}\n', encoding="utf-8")
    refused = cli("data", "check", path, expect=65).stdout
    assert "--prompt Text --response Label" in refused
    answer = cli("data", "check", path, "--prompt", "Text", "--response", "Label").stdout
    assert "1 rows can be used, 0 cannot" in answer
    assert not [line for line in (refused + answer).splitlines() if len(line) > 80 and "/" not in line]


def test_data_check_says_how_several_files_are_read(cli, tmp_path):
    table = tmp_path / "t.csv"
    table.write_bytes("вопрос;ответ;id\nГде мост?;За рекой.;1\nГде мост?;Там.;2\n".encode("cp1251"))
    lines = tmp_path / "l.jsonl"
    lines.write_text('{"prompt": "a", "response": "b"}\n')
    shown = cli("data", "check", table, lines).stdout
    for said in (
        "3 rows can be used, 0 cannot",
        "CSV with ';'",
        "cp1251",
        "'вопрос' -> 'ответ'",
        "column 'id' is not used (2 rows)",
        "which are dropped: 1 (1 with another answer)",
        "training.maxLength: 64",
    ):
        assert said in " ".join(shown.split())
    document = cli.json("data", "check", table, lines)
    assert [each["rows"] for each in document["files"]] == [2, 1]
    assert document["duplicates"] == {"rows": 1, "otherAnswer": 1}


def test_data_check_counts_tokens_by_a_models_tokenizer(cli, tmp_path):
    from tests.tiny import tiny_model

    lines = tmp_path / "l.jsonl"
    lines.write_text('{"prompt": "a support message", "response": "b"}\n')
    model = tiny_model(tmp_path / "model")
    tokens = cli.json("data", "check", lines, "--base", model)["tokens"]
    assert tokens["by"] == f"counted by the tokenizer of {model}"
    assert 10 < tokens["max"] < 40
    assert "estimated" in cli.json("data", "check", lines)["tokens"]["by"]
    cli("data", "check", lines, "--base", tmp_path / "none", expect=78)
    cli("data", "check", lines, "--format", "xml", expect=64)


FORMS = {  # what answers must look like -> what is said
    "a schema that refers to itself": ({"jsonSchema": {"$ref": "#"}}, "# leads back to itself without end"),
    "a schema of the network": ({"jsonSchema": {"$ref": "http://127.0.0.1:9/x"}}, "nothing is fetched"),
    "no schema": ({"jsonSchema": {"type": "nonsense"}}, "format.jsonSchema.type: is not a valid JSON Schema"),
    "a broken regular expression without case": (
        {"regex": "(?i)("},
        "format.regex: is not a regular expression",
    ),
}


@pytest.mark.parametrize(("form", "said"), FORMS.values(), ids=FORMS)
def test_what_answers_cannot_be_checked_against_is_named(form, said, cli):
    path = cli.write(changes={"evaluation": {"format": form}})
    assert said in cli.inline("validate", path, expect=78).stderr


def test_a_form_that_answers_can_be_checked_against_is_valid(cli):
    path = cli.write(changes={"evaluation": {"format": {"regex": "(?i)(yes|no)"}}})
    assert "is valid" in cli.inline("validate", path).stdout


def test_without_the_libraries_of_the_stages_the_form_is_left_to_generate(cli):
    path = cli.write(changes={"evaluation": {"format": {"jsonSchema": {"$ref": "#"}}}})
    toolbox = Toolbox(module_command=lambda *_: [sys.executable, "-c", "import nowhere_to_be_found"])
    assert format_failures(read_requests([str(path)]), toolbox) == []
