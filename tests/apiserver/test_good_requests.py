"""API server and parser accept the same: the examples, and values at, below and above every bound."""

import copy
import json
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from requests_for_tests import LEAST, document

from tunesmith.crd import custom_resource_definition, schema_of
from tunesmith.documents import read_documents
from tunesmith.errors import BadRequest
from tunesmith.request import Spec, parse

EXAMPLES = sorted(Path(__file__).parents[2].joinpath("examples").glob("*.yaml"))
SCHEMA = schema_of(Spec)


def test_there_are_examples():
    assert len(EXAMPLES) >= 5


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_an_example_is_taken_and_comes_back_as_it_was(path, server):
    command = (
        "create",
        "-n",
        server.namespace,
        "--validate=strict",
        "--dry-run=server",
        "-o",
        "json",
        "-f",
        str(path),
    )
    stored = json.loads(server.plane.kubectl(*command).stdout)
    [document] = read_documents(path.read_text(encoding="utf-8"))
    assert stored["spec"] == document["spec"]
    assert parse(document).spec == parse({**document, "spec": stored["spec"]}).spec


def _leaves(schema, path=()):
    """Every field of the spec that holds a value, with its schema; of a map or list the values."""
    for name, field in schema.get("properties", {}).items():
        here = (*path, name)
        if "properties" in field:
            yield from _leaves(field, here)
        elif "x-kubernetes-preserve-unknown-fields" not in field:
            yield here, field


LEAVES = list(_leaves(SCHEMA))


def _around(schema):
    """Values of a schema, and values that are just no longer of it."""
    kind = schema["type"]
    if kind == "array":
        many = schema.get("maxItems", 3)
        items = _around(schema["items"])
        return (
            st.lists(items, max_size=2) | st.lists(items, min_size=many, max_size=many + 1)
            if many < 5
            else st.lists(items, max_size=2)
        )
    if "additionalProperties" in schema:
        return st.dictionaries(
            st.text("abcXYZ/._-", min_size=1, max_size=9), _around(schema["additionalProperties"]), max_size=2
        )
    if "properties" in schema:  # an item of a list
        required = {
            name: _around(field)
            for name, field in schema["properties"].items()
            if name in schema.get("required", ())
        }
        optional = {
            name: _around(field)
            for name, field in schema["properties"].items()
            if name not in required and "type" in field
        }
        return st.fixed_dictionaries(required, optional=optional)
    if "enum" in schema:
        return st.sampled_from([*schema["enum"], "", "none", "AUTO"])
    if kind == "boolean":
        return st.sampled_from([True, False, 0, "true"])
    if kind == "string":
        most = schema.get("maxLength", 63)
        words = [
            "",
            "a",
            "A-1",
            "a/b",
            "a.b",
            "-a",
            "s3://b/k",
            "https://h:1/v1",
            "hf://a/b",
            "4Gi",
            "0.5",
            "1e3",
            "ü🎏",
            "a\n",
            "a b",
            "x" * most,
        ]
        return st.sampled_from([*words, "x" * (most + 1)] if most < 5000 else words) | st.text(
            max_size=5
        ).filter(_utf8)
    bounds = [schema[name] for name in ("minimum", "maximum") if name in schema]
    step = [
        bound + off for bound in bounds for off in ((-1, 0, 1) if kind == "integer" else (-1e-3, 0, 1e-3))
    ]
    odd = st.sampled_from([*step, 0, 1, -1, 0.5, 2**31, "1", True])
    return odd | (st.integers(-(2**54), 2**54) if kind == "integer" else st.floats(-10, 10, allow_nan=False))


def _utf8(text):
    return not any(0xD800 <= ord(letter) < 0xE000 for letter in text)


@st.composite
def specs(draw):
    spec = copy.deepcopy(LEAST["spec"])
    for path, schema in draw(
        st.lists(st.sampled_from(LEAVES), min_size=1, max_size=4, unique_by=lambda leaf: leaf[0])
    ):
        part = spec
        for step in path[:-1]:
            part = part.setdefault(step, {})
        part[path[-1]] = draw(_around(schema))
    return spec


@settings(
    max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
)
@given(spec=specs())
def test_both_agree_on_any_spec(spec, server):
    document = {**LEAST, "spec": spec}
    theirs = server.faults(document)
    try:
        parse(document)
        ours = ()
    except BadRequest as error:
        ours = error.problems
    assert bool(theirs) == bool(ours), (theirs, ours)
    ours_at, theirs_at = {_field(problem.path) for problem in ours}, {_field(fault.path) for fault in theirs}
    assert theirs_at <= ours_at, (theirs, ours)


def _field(path):
    """Without the items of lists: of a list with two faults, one names the list, the other the item."""
    return path.partition("[")[0]


def test_every_bound_is_met_and_passed_by_one_alike(server):
    """Each number and each string of the whole spec, at its bound and beyond it."""
    seen = 0
    for path, schema in LEAVES:
        for value, good in _edges(schema):
            spec = copy.deepcopy(LEAST["spec"])
            part = spec
            for step in path[:-1]:
                part = part.setdefault(step, {})
            part[path[-1]] = value
            document = {**LEAST, "spec": spec}
            paths = {".".join(("spec", *path))}
            theirs = {fault.path for fault in server.faults(document)} & paths
            try:
                parse(document)
                ours = set()
            except BadRequest as error:
                ours = {problem.path for problem in error.problems} & paths
            assert (theirs, ours) == ((set(), set()) if good else (paths, paths)), (path, value)
            seen += 1
    assert seen > 150


def _edges(schema):
    if schema["type"] in ("integer", "number") and "enum" not in schema:
        step = 1 if schema["type"] == "integer" else 1e-6
        for bound, exclusive, beyond in (
            ("minimum", "exclusiveMinimum", -step),
            ("maximum", "exclusiveMaximum", step),
        ):
            if bound in schema:
                yield schema[bound], not schema.get(exclusive)
                yield schema[bound] + beyond, False
    if schema["type"] == "string" and "maxLength" in schema and "pattern" not in schema:
        yield "ü" * schema["maxLength"], True
        yield "ü" * (schema["maxLength"] + 1), False


def test_a_part_of_any_content_is_one_value_to_those_who_own_fields(server):
    """Otherwise `metadata` alone would be as deep as a JSON Schema, and many times as large."""
    schema = {"items": {"type": "string"}}
    for _ in range(40):
        schema = {"properties": {"a": schema, "b": {"type": "string"}}}
    deep = document({"evaluation.format": {"jsonSchema": schema}}, name="deep")
    metadata = json.dumps(server.create(deep, dry_run="All")["metadata"])
    assert "f:jsonSchema" in metadata
    assert "f:properties" not in metadata


def test_the_server_stores_the_schema_as_it_was_sent(server):
    stored = json.loads(
        server.plane.kubectl("get", "crd", "trainingrequests.tunesmith.dev", "-o", "json").stdout
    )
    sent = custom_resource_definition()["spec"]["versions"][0]
    assert stored["spec"]["versions"][0] == sent
    conditions = {condition["type"]: condition["status"] for condition in stored["status"]["conditions"]}
    assert conditions["Established"] == "True"
    assert "NonStructuralSchema" not in conditions
