"""The custom resource says what the models say, in the form that a structural schema must have."""

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from tunesmith.crd import custom_resource_definition
from tunesmith.rules import RULES
from tunesmith.stages import ORDER

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


BOUNDS = {
    "string": {"maxLength"},
    "integer": {"minimum", "maximum"},
    "number": {"minimum", "maximum"},
    "array": {"maxItems"},
    "boolean": set(),
}


def missing_bounds(field):
    """The bounds that a field should have and has not."""
    if "enum" in field or "properties" in field:
        return set()
    if field.get("type", "object") == "object":
        return {"maxProperties"} - field.keys()
    return BOUNDS[field["type"]] - field.keys()


def test_every_number_text_list_and_map_of_the_spec_has_a_bound():
    """Without bounds the API server estimates a rule's cost by its largest request, a snapshot would not fit
    into a ConfigMap, and a wait, a label or a parser behind the field could fail.
    """
    spec = {path: field for path, field in FIELDS.items() if path.startswith("spec.")}
    assert {path: missing for path, field in spec.items() if (missing := missing_bounds(field))} == {}


def test_every_text_list_map_and_whole_number_of_the_status_has_a_bound():
    figures = {"status.stages[].metrics[]", "status.finished[].metrics[]"}  # any finite number
    status = {path: field for path, field in FIELDS.items() if path.startswith("status.")}
    loose = {path: missing for path, field in status.items() if (missing := missing_bounds(field))}
    assert loose.keys() == figures


def test_the_keys_of_every_map_have_a_rule_since_a_structural_schema_cannot_bound_them():
    rules = [rule["rule"] for field in FIELDS.values() for rule in field.get("x-kubernetes-validations", [])]
    maps = [
        path for path, field in FIELDS.items() if path.startswith("spec.") and "additionalProperties" in field
    ]
    assert len(maps) == 4 * len(ORDER) + 5, "env, labels and resources of stages; the teacher's; prices"
    for path in maps:
        below = path.split(".", 3)[3]
        assert any(f"self.{below}.all(name, size(name) <= " in rule for rule in rules), path


BEHIND = {  # field -> what stands behind it, which takes no more
    "spec.ttlSecondsAfterFinished": threading.TIMEOUT_MAX,
    "spec.stages.train.activeDeadlineSeconds": threading.TIMEOUT_MAX,
    "spec.stages.train.tolerations[].tolerationSeconds": threading.TIMEOUT_MAX,
    "spec.stages.train.retries": 2**31 - 1,  # backoffLimit of a Job
    "spec.training.seed": 2**32 - 1,  # numpy's seed
}


@pytest.mark.parametrize(("path", "most"), BEHIND.items(), ids=BEHIND)
def test_a_bound_is_within_what_stands_behind_the_field(path, most):
    assert FIELDS[path]["maximum"] <= most


def test_ten_years_after_any_date_of_today_there_is_still_a_calendar():
    latest = datetime(9000, 1, 1, tzinfo=UTC)
    assert latest + timedelta(seconds=FIELDS["spec.ttlSecondsAfterFinished"]["maximum"])


def test_the_chart_has_this_very_definition():
    text = (ROOT_FOLDER / "helm/tunesmith/files/crd.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(text) == CRD, "stale: run `make crd`"
