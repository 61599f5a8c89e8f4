"""The custom resource says what the models say, in the form that a structural schema must have."""

import json
from pathlib import Path

import yaml

from tunesmith.crd import custom_resource_definition
from tunesmith.rules import RULES

ROOT_FOLDER = Path(__file__).parents[2]
CRD = custom_resource_definition()
ROOT = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def walk(schema, path=""):
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from walk(field, f"{path}.{name}".lstrip("."))
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            yield from walk(schema[inner], f"{path}[]")


FIELDS = dict(walk(ROOT))


def test_every_field_of_the_spec_is_described_and_has_a_type_but_no_default():
    spec = {
        path: field for path, field in FIELDS.items() if path.startswith("spec.") and not path.endswith("[]")
    }
    assert len(spec) > 130
    assert [path for path, field in spec.items() if not field.get("description")] == []
    assert [path for path, field in spec.items() if "default" in field] == []
    untyped = [
        path
        for path, field in spec.items()
        if "type" not in field and "x-kubernetes-preserve-unknown-fields" not in field
    ]
    assert untyped == []


def test_nothing_is_left_that_a_structural_schema_refuses():
    text = json.dumps(CRD)
    for word in (
        "$ref",
        "$defs",
        "anyOf",
        "allOf",
        "prefixItems",
        'additionalProperties": false',
        '"const"',
        '"title"',
    ):
        assert word not in text, word


def test_descriptions_name_the_built_in_value():
    assert FIELDS["spec.training.loraR"]["description"].endswith("Built-in: 16.")
    assert FIELDS["spec.training.loadIn4bit"]["description"].endswith("Built-in: true.")
    assert FIELDS["spec.merge.rounding"]["description"].count("uilt-in") == 1


def test_each_rule_that_cel_can_say_stands_at_its_part():
    placed = [rule for field in FIELDS.values() for rule in field.get("x-kubernetes-validations", [])]
    assert {rule.cel for rule in RULES if rule.cel} <= {rule["rule"] for rule in placed}


def test_an_object_that_was_not_seen_yet_says_so():
    assert FIELDS["status"]["default"] == {"observedGeneration": -1}
    assert FIELDS["status.conditions"]["x-kubernetes-list-map-keys"] == ["type"]


def test_every_field_of_the_status_is_described_and_typed_too():
    status = {
        path: field
        for path, field in FIELDS.items()
        if path.startswith("status.") and not path.endswith("[]")
    }
    assert len(status) >= 50
    assert [path for path, field in status.items() if not field.get("description")] == []
    assert [path for path, field in status.items() if "type" not in field] == []


def test_all_that_may_grow_in_a_request_has_a_bound_but_the_free_parts():
    """Without bounds the API server estimates a rule's cost by its largest request, and a snapshot would not
    fit into a ConfigMap.
    """
    bound = {
        "string": ("maxLength", "pattern", "enum"),
        "array": ("maxItems",),
        "object": ("maxProperties", "properties"),
    }
    spec = {path: field for path, field in FIELDS.items() if path.startswith("spec.")}
    loose = [
        path
        for path, field in spec.items()
        if field.get("type") in bound and not any(word in field for word in bound[field["type"]])
    ]
    assert loose == []
    unbounded = [
        path
        for path, field in spec.items()
        if "{" not in field.get("pattern", "{") and "maxLength" not in field
    ]
    assert unbounded == []
    numbers = {path: field for path, field in spec.items() if field.get("type") == "integer"}
    assert len(numbers) > 40
    assert [path for path, field in numbers.items() if not {"minimum", "maximum"} <= field.keys()] == []


def test_the_chart_has_this_very_definition():
    text = (ROOT_FOLDER / "helm/tunesmith/files/crd.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(text) == CRD, "stale: run `make crd`"
