"""Whether an answer has the wanted form."""

import pytest

from tunesmith.errors import BadRequest
from tunesmith.settings import Format
from tunesmith_jobs.answer_format.check import format_check

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
    "an answer of brackets is not JSON that can be checked": (
        {"jsonSchema": SCHEMA},
        "[" * 50_000,
        "nested too deep",
    ),
    "a number of ten thousand digits is not": ({"jsonSchema": {}}, "9" * 10_000, "not JSON"),
    "a part of the answer is not a match": ({"regex": "[0-9]+"}, "42 apples", "does not match"),
}


@pytest.mark.parametrize(("wanted", "answer", "expected"), FORMS.values(), ids=FORMS)
def test_form(wanted, answer, expected):
    error = format_check(Format.model_validate(wanted))(answer)
    assert expected in error
    assert bool(error) == bool(expected)


def deep(depth):
    return {"$defs": {f"s{n}": {"$ref": f"#/$defs/s{n + 1}"} for n in range(depth)} | {f"s{depth}": {}}}


PATH = "spec.evaluation.format.jsonSchema"
UNUSABLE = {  # format -> reason, path, what the problem says
    "no JSON Schema": (
        {"jsonSchema": {"type": "nonsense"}},
        "BadSchema",
        f"{PATH}.type",
        "'nonsense' is not",
    ),
    "properties that are none": (
        {"jsonSchema": {"properties": 5}},
        "BadSchema",
        f"{PATH}.properties",
        "5 is not",
    ),
    "a reference to itself": ({"jsonSchema": {"$ref": "#"}}, "BadSchema", PATH, "# leads back to itself"),
    "references in a circle": (
        {
            "jsonSchema": {
                "properties": {"a": {"$ref": "#/$defs/a"}},
                "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"not": {"$ref": "#/$defs/a"}}},
            }
        },
        "BadSchema",
        PATH,
        "leads back to itself",
    ),
    "a chain of a thousand references": (
        {"jsonSchema": {"$ref": "#/$defs/s0"} | deep(1000)},
        "BadSchema",
        PATH,
        "more than 100 references",
    ),
    "a reference to the network": (
        {"jsonSchema": {"properties": {"a": {"$ref": "http://127.0.0.1:9/schema.json"}}}},
        "BadSchema",
        PATH,
        "nothing is fetched",
    ),
    "a reference to a file": (
        {"jsonSchema": {"$ref": "file:///etc/passwd"}},
        "BadSchema",
        PATH,
        "nothing is fetched",
    ),
    "a reference to nothing": ({"jsonSchema": {"$ref": "#/$defs/x"}}, "BadSchema", PATH, "leads to nothing"),
    "a reference that is no URL": (
        {"jsonSchema": {"$ref": "http://["}},
        "BadSchema",
        PATH,
        "leads to nothing",
    ),
    "a reference to no schema": (
        {"jsonSchema": {"$ref": "#/hidden", "hidden": {"type": "nonsense"}}},
        "BadSchema",
        f"{PATH}.type",
        "'nonsense' is not",
    ),
    "a reference to a text": (
        {"jsonSchema": {"$ref": "#/title", "title": "x"}},
        "BadSchema",
        PATH,
        "'x' is not",
    ),
    "a pattern that is none": (
        {"jsonSchema": {"properties": {"a": {"pattern": "("}}}},
        "BadSchema",
        PATH,
        "pattern '(' is not a regular expression",
    ),
    "a pattern that counts too far": (
        {"jsonSchema": {"patternProperties": {"a{4294967295}": {}}}},
        "BadSchema",
        PATH,
        "repetition number is too large",
    ),
    "a pattern of two thousand groups": (
        {"jsonSchema": {"pattern": "(" * 2000 + ")" * 2000}},
        "BadSchema",
        PATH,
        "is not a regular expression",
    ),
    "a regular expression that is none, without case": (
        {"regex": "(?i)("},
        "BadRegex",
        "spec.evaluation.format.regex",
        "missing )",
    ),
}


@pytest.mark.parametrize(("wanted", "reason", "path", "why"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_answers_cannot_be_checked_against_is_the_requests_fault(wanted, reason, path, why):
    with pytest.raises(BadRequest, match="cannot be checked") as caught:
        format_check(Format.model_validate(wanted))
    [problem] = caught.value.problems
    assert (caught.value.reason, problem.path) == (reason, path)
    assert why in problem.why


TREE = {
    "$ref": "#/$defs/node",
    "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
}


def test_a_schema_that_refers_to_itself_for_another_value_is_fine():
    check = format_check(Format.model_validate({"jsonSchema": TREE}))
    assert check('{"next": {"next": {}}}') == ""
    assert "$.next.next" in check('{"next": {"next": 5}}')
