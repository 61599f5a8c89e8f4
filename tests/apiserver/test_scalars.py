"""Odd YAML scalars: kubectl and the API server make of them what tunesmith.documents makes of them."""

import json

import pytest
from control_plane import kubectl

from tunesmith.documents import read_documents
from tunesmith.errors import BadRequest
from tunesmith.request import parse

SCALARS = [
    "2e-4",
    "1e5",
    "1E+5",
    "012",
    "-012",
    "0o17",
    "0x1F",
    "0b11",
    "-0b11",
    "08",
    "1_000",
    "1_0.5",
    "5.0",
    "-0.0",
    ".5",
    "5.",
    "+12",
    "12:30:00",
    "190:20:30",
    "2026-11-23",
    "2026-11-23T10:00:00Z",
    "yes",
    "Yes",
    "on",
    "y",
    "no",
    "Off",
    "n",
    "oN",
    "~",
    "null",
    "Null",
    "nil",
    "'5'",
    '"yes"',
    "1.2.3",
    "0x",
    "16Gi",
    "9007199254740993",
    "18446744073709551615",
    "1e-400",
    "true",
    "TRUE",
    "True",
    "tRUE",
    "=",
    "0.1",
    "1e21",
    "1e20",
    "123456789.123456789",
    "0777",
    "00",
    "-9223372036854775808",
    "9223372036854775807",
]

HEAD = "apiVersion: tunesmith.dev/v1alpha1\nkind: TrainingRequest\n"
REQUEST = (
    HEAD
    + """metadata: {{name: scalars}}
spec:
  task: x
  model: {{base: "hf://a/b"}}
  evaluation:
    format:
      jsonSchema:
{lines}
"""
)


def test_there_are_enough():
    assert len(set(SCALARS)) >= 40


def _schema_as_stored(server, text):
    """The JSON Schema of a request as the API server would store it."""
    command = ("create", "-n", server.namespace, "--dry-run=server", "-o", "json", "-f", "-")
    done = kubectl(server.plane.kubeconfig, *command, stdin=text)
    return json.loads(done.stdout)["spec"]["evaluation"]["format"]["jsonSchema"]


@pytest.fixture(scope="module")
def as_kubernetes_reads_them(server):
    lines = "\n".join(f"        k{number}: {text}" for number, text in enumerate(SCALARS))
    return _schema_as_stored(server, REQUEST.format(lines=lines))


@pytest.mark.parametrize(("number", "text"), enumerate(SCALARS), ids=SCALARS)
def test_a_scalar_reads_alike(number, text, as_kubernetes_reads_them):
    [ours] = read_documents(f"k: {text}")
    theirs = as_kubernetes_reads_them[f"k{number}"]
    assert _as_json_has_it(ours["k"]) == _as_json_has_it(theirs)


def _as_json_has_it(value):
    """With its type; but beyond 2^53 every number of JSON is a float, with a point or without."""
    return (
        ("number", float(value))
        if type(value) in (int, float) and abs(value) >= 2**53
        else (type(value).__name__, value)
    )


def test_words_as_keys_read_alike(server):
    keys = ["on", "no", "5", "5.5", "1e3", "012", "2e-4", "0x1F"]
    text = REQUEST.format(lines="\n".join(f"        {key}: 1" for key in keys))
    theirs = _schema_as_stored(server, text)
    [ours] = read_documents(text)
    assert sorted(map(str, ours["spec"]["evaluation"]["format"]["jsonSchema"])) == sorted(theirs)


TYPED = {  # where it stands, and what stands there -> whether both take it
    "a learning rate in powers of ten": ("training", "learningRate: 2e-4", True),
    "a whole number with a point": ("training", "loraR: 8.0", True),
    "a whole number in powers of ten": ("data", "examples: 1e2", True),
    "an octal number": ("data", "examples: 0144", True),
    "a flag": ("training", "packing: yes", True),
    "a flag in quotes": ("training", "packing: 'yes'", False),
    "a number as an id": ("rerun", "{from: train, id: 1}", False),
    "a date as an id": ("rerun", "{from: train, id: 2026-11-23}", True),
    "a time as an id": ("rerun", "{from: train, id: 12:30}", True),
    "yes as an id": ("rerun", "{from: train, id: y}", False),
    "a variable that is a number": ("stages", "{train: {env: {A: 1}}}", False),
    "a variable that is nothing": ("stages", "{train: {env: {A: ~}}}", True),
    "a part that is nothing": ("training", "~", True),
    "a key that is nothing": ("stages", "{train: {env: {~: a}}}", False),
}


@pytest.mark.parametrize(("part", "text", "good"), TYPED.values(), ids=TYPED)
def test_both_take_or_refuse_a_typed_field(part, text, good, server):
    body = text if text[0] in "{~" else f"{{{text}}}"
    request = HEAD + f"metadata: {{name: typed}}\nspec: {{task: x, model: {{base: a}}, {part}: {body}}}\n"
    command = (
        "create",
        "-n",
        server.namespace,
        "--dry-run=server",
        "--validate=strict",
        "-o",
        "json",
        "-f",
        "-",
    )
    done = server.plane.kubectl(*command, stdin=request, check=False)
    assert (done.returncode == 0) is good, done.stderr
    try:
        [document] = read_documents(request)
        ours = parse(document)
    except BadRequest as error:
        assert not good, error  # noqa: PT017
    else:
        assert good, ours
        stored = json.loads(done.stdout)
        assert parse(stored | {"metadata": {"name": "typed"}, "status": None}) == ours


def test_of_two_equal_keys_kubectl_takes_the_last_without_a_word_and_tunesmith_refuses_the_file(server):
    request = (
        HEAD
        + "metadata: {name: two-keys}\nspec: {task: x, model: {base: a}, training: {loraR: 8, loraR: 9}}\n"
    )
    done = server.plane.kubectl(
        "create",
        "-n",
        server.namespace,
        "--dry-run=server",
        "--validate=strict",
        "-o",
        "json",
        "-f",
        "-",
        stdin=request,
    )
    assert json.loads(done.stdout)["spec"]["training"] == {"loraR": 9}
    with pytest.raises(BadRequest, match="'loraR' is given twice"):
        read_documents(request)
