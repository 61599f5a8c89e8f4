"""A request that was stored before a bound was there: its status can be written, and it can be mended.

API servers from 1.30 on compare a field only with a bound if it changes (CRD validation ratcheting), and a
write of the status changes none of the spec.
"""

import copy
import json
import time

import pytest
from requests_for_tests import document

from tunesmith.crd import custom_resource_definition
from tunesmith.errors import BadRequest
from tunesmith.request import parse

DEEP = '{"type": "array", "items": ' * 1500 + "{}" + "}" * 1500
OLD = {  # what was stored once -> the edit that mends it, an edit that does not, the field
    "far-ttl": (
        {"ttlSecondsAfterFinished": 10**10},
        {"ttlSecondsAfterFinished": None},
        {"ttlSecondsAfterFinished": 10**11},
        "spec.ttlSecondsAfterFinished",
    ),
    "far-deadline": (
        {"stages.train": {"activeDeadlineSeconds": 3 * 10**11}},
        {"stages": {"train": {"activeDeadlineSeconds": 0}}},
        {"stages": {"train": {"activeDeadlineSeconds": 4 * 10**11}}},
        "spec.stages.train.activeDeadlineSeconds",
    ),
    "wide-regex": (
        {"evaluation.format": {"regex": "a{4294967295}"}},
        {"evaluation": {"format": {"regex": "a{42}"}}},
        {"evaluation": {"format": {"regex": "b{4294967295}"}}},
        "spec.evaluation.format.regex",
    ),
    "many-groups": (
        {"evaluation.format": {"regex": "(" * 2000 + ")" * 2000}},
        {"evaluation": None},
        {"evaluation": {"format": {"regex": "(" * 3000 + ")" * 3000}}},
        "spec.evaluation.format.regex",
    ),
    "odd-variable": (
        {"stages.train": {"env": {"1A": "x"}}},
        {"stages": {"train": {"env": None}}},
        {"stages": {"train": {"env": {"2A": "x"}}}},
        "spec.stages.train.env",
    ),
    "half-a-gpu": (
        {"stages.train": {"resources": {"limits": {"nvidia.com/gpu": "500m"}}}},
        {"stages": {"train": {"resources": {"limits": {"nvidia.com/gpu": "1"}}}}},
        {"stages": {"train": {"resources": {"limits": {"nvidia.com/gpu": "501m"}}}}},
        "spec.stages.train.resources",
    ),
}


def without_bounds(schema):
    """A schema as an older release had it, with no bounds at all."""
    bounds = ("maximum", "maxLength", "maxItems", "maxProperties", "pattern", "x-kubernetes-validations")
    for bound in bounds:
        schema.pop(bound, None)
    for field in (schema.get("properties") or {}).values():
        without_bounds(field)
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            without_bounds(schema[inner])


def older_definition():
    definition = copy.deepcopy(custom_resource_definition())
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    without_bounds(schema["properties"]["spec"])
    return definition


def install(server, definition, *, takes):
    """Install a definition, and wait until the API server goes by it."""
    server.plane.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(definition))
    deadline = time.monotonic() + 60
    while bool(server.faults(document({"ttlSecondsAfterFinished": 10**12}))) is takes:
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def namespace(server):
    """Holds the requests of an older release; the API server goes by today's definition."""
    name = server.plane.namespace()
    install(server, older_definition(), takes=True)
    try:
        for request, (spec, *_) in OLD.items():
            server.create(document(spec, name=request, namespace=name))
        deep = json.dumps(document({"evaluation.format": {"jsonSchema": "HERE"}}, name="deep-schema"))
        server.plane.kubectl("create", "-n", name, "-f", "-", stdin=deep.replace('"HERE"', DEEP))
    finally:
        install(server, custom_resource_definition(), takes=False)
    return name


def patch(server, namespace, name, body, *more):
    command = ("patch", "treq", name, "-n", namespace, "--type=merge", "-p", json.dumps(body), *more)
    return server.plane.kubectl(*command, check=False)


@pytest.mark.parametrize("name", [*OLD, "deep-schema"])
def test_its_status_is_written_by_patch_and_by_server_side_apply(name, namespace, server):
    status = {"observedGeneration": 1, "phase": "Failed", "reason": "BadRequest", "message": "out of bounds"}
    done = patch(server, namespace, name, {"status": status}, "--subresource=status")
    assert done.returncode == 0, done.stderr
    applied = {
        "apiVersion": "tunesmith.dev/v1alpha1",
        "kind": "TrainingRequest",
        "metadata": {"name": name, "namespace": namespace},
        "status": status | {"message": "still out of bounds"},
    }
    command = (
        "apply",
        "--server-side",
        "--subresource=status",
        "--field-manager=tunesmith",
        "--force-conflicts",
    )
    done = server.plane.kubectl(*command, "-f", "-", stdin=json.dumps(applied), check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", [*OLD, "deep-schema"])
def test_it_can_be_suspended_and_annotated(name, namespace, server):
    for body in ({"spec": {"suspend": True}}, {"metadata": {"annotations": {"a": "b"}, "finalizers": None}}):
        done = patch(server, namespace, name, body)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "bad", "path"), [(name, bad, path) for name, (_, _, bad, path) in OLD.items()]
)
def test_an_edit_to_another_value_out_of_bounds_is_refused_at_the_field(name, bad, path, namespace, server):
    done = patch(server, namespace, name, {"spec": bad})
    assert done.returncode != 0
    assert path in done.stderr


@pytest.mark.parametrize(
    ("name", "spec", "path"), [(name, spec, path) for name, (spec, _, _, path) in OLD.items()]
)
def test_the_controller_refuses_it_by_name(name, spec, path):
    with pytest.raises(BadRequest) as caught:
        parse(document(spec))
    assert {problem.path for problem in caught.value.problems} == {path}


@pytest.mark.parametrize(("name", "mended"), [(name, mended) for name, (_, mended, *_) in OLD.items()])
def test_an_edit_mends_it(name, mended, namespace, server):
    done = patch(server, namespace, name, {"spec": mended})
    assert done.returncode == 0, done.stderr
    stored = json.loads(server.plane.kubectl("get", "treq", name, "-n", namespace, "-o", "json").stdout)
    assert parse({**document(), "spec": stored["spec"]})
