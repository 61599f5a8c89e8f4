"""Whether an answer has the wanted form."""

import pytest

from tunesmith.errors import BadRequest
from tunesmith.settings import Format
from tunesmith_jobs.evaluate.answer_format import format_check

SCHEMA = {
    "type": "object",
    "required": ["priority"],
    "properties": {"priority": {"enum": ["low", "high"]}},
    "additionalProperties": False,
}

FORMS = {  # format, answer -> what the error contains (empty: there is none)
    "an object of the schema is valid": ({"jsonSchema": SCHEMA}, ' {"priority": "low"}\n', ""),
    "a value that the schema lacks is not": ({"jsonSchema": SCHEMA}, '{"priority": "urgent"}', "$.priority"),
    "a missing field is not": ({"jsonSchema": SCHEMA}, "{}", "'priority' is a required property"),
    "text that is not JSON is not": ({"jsonSchema": SCHEMA}, "priority: low", "not JSON"),
    "JSON with words around it is not": ({"jsonSchema": SCHEMA}, 'Sure! {"priority": "low"}', "not JSON"),
    "an empty answer is not": ({"jsonSchema": SCHEMA}, "", "not JSON"),
    "a whole match is valid": ({"regex": "[0-9]+"}, "42\n", ""),
    "a part of the answer is not a match": ({"regex": "[0-9]+"}, "42 apples", "does not match"),
}


@pytest.mark.parametrize(("wanted", "answer", "expected"), FORMS.values(), ids=FORMS)
def test_form(wanted, answer, expected):
    error = format_check(Format.model_validate(wanted))(answer)
    assert expected in error
    assert bool(error) == bool(expected)


def test_no_format_asks_for_no_check():
    assert format_check(None) is None


def test_an_invalid_schema_is_the_requests_fault():
    with pytest.raises(BadRequest, match="can't be checked") as caught:
        format_check(Format.model_validate({"jsonSchema": {"type": "nonsense"}}))
    assert caught.value.problems[0].path == "spec.evaluation.format.jsonSchema"


def test_a_schema_elsewhere_is_never_fetched():
    check = format_check(Format.model_validate({"jsonSchema": {"$ref": "http://127.0.0.1:9/schema.json"}}))
    with pytest.raises(BadRequest, match="can't be checked"):
        check("{}")
