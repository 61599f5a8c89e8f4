"""`create` and `schema`: what they print is what `validate` and editors take."""

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests_for_tests import document

from tunesmith.documents import read_documents
from tunesmith.json_schema import json_schema
from tunesmith.request import parse
from tunesmith_cli.commands.yaml_text import yaml_text

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
ASKED = {
    "the least": ([], {}),
    "with a base and a preset": (
        ["--base", "hf://org/m", "--preset", "original"],
        {"data": {"preset": "original"}},
    ),
    "as JSON": (["-o", "json"], {}),
}


@pytest.mark.parametrize(("more", "spec"), ASKED.values(), ids=ASKED)
@pytest.mark.parametrize(
    "task", ["Answer riddles.", "2e-4", "yes", "two\nlines\n", "回答: # 谜语 'and' \"more\""]
)
def test_a_created_request_is_valid_and_says_what_was_asked(cli, more, spec, task):
    path = cli.folder / "created.yaml"
    path.write_text(cli.inline("create", "riddles", "--task", task, *more).stdout, encoding="utf-8")
    assert "request riddles is valid" in cli.inline("validate", path).stdout
    [made] = read_documents(path.read_text(encoding="utf-8"))
    assert made["spec"]["task"] == task
    assert made["spec"] | spec == made["spec"]
    jsonschema.validate(made, json_schema())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["Riddles", "--task", "x"], "metadata.name"),
        (["riddles", "--task", "x", "--preset", "orignal"], "did you mean 'original'?"),
    ],
    ids=["a name", "a preset"],
)
def test_what_no_request_can_be_is_refused(cli, arguments, said):
    answer = cli.inline("create", *arguments, expect=78)
    assert said in answer.stderr
    assert answer.stdout == ""


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1),
        st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])),
    )
)
def test_text_stays_text_in_yaml(value):
    assert read_documents(yaml_text({"a": value})) == [{"a": value}]


@pytest.mark.parametrize(
    "value", ["y", "on", "null", "~", "012", "1_000", "2e-4", "12:30:00", ".5", "0x10", "2026-01-02", "-", ""]
)
def test_words_that_yaml_types_stay_text(value):
    assert read_documents(yaml_text({"a": value, value or "b": value})) == [{"a": value, value or "b": value}]


def test_the_schema_is_one_and_is_printed(cli):
    printed = json.loads(cli.inline("schema").stdout)
    jsonschema.Draft202012Validator.check_schema(printed)
    assert printed == json_schema()
    assert printed["properties"]["spec"]["properties"]["training"]["properties"]["learningRate"][
        "description"
    ]


@pytest.mark.parametrize("example", EXAMPLES, ids=[path.name for path in EXAMPLES])
def test_the_examples_agree_with_the_schema(example):
    for request in read_documents(example.read_text(encoding="utf-8")):
        parse(request)
        jsonschema.validate(request, json_schema())


WRONG = {
    "a misspelt field": {"training.learning_rate": 0.1},
    "a number as text": {"training.loraR": "8"},
    "a value of no list": {"training.optim": "adam"},
    "below its bound": {"training.learningRate": 0},
    "no task": {"task": ...},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG)
def test_the_schema_refuses_what_validate_refuses(changes):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document(changes), json_schema())
