"""YAML means here what it means to the API server. The expected values are those of go-yaml v2 through sigs.k8s.io/yaml."""

import pytest

from tunesmith.documents import read_documents
from tunesmith.errors import BadRequest

SCALARS = {  # what stands in the file -> the JSON value that Kubernetes makes of it
    "2e-4": 0.0002,
    "1e5": 100000,
    "012": 10,
    "0o17": 15,
    "0x1F": 31,
    "0b11": 3,
    "-0b11": -3,
    "08": 8,
    "1_000": 1000,
    "1_0.5": 10.5,
    "5.0": 5,
    ".5": 0.5,
    "5.": 5,
    "+12": 12,
    "12:30:00": "12:30:00",
    "2026-11-23": "2026-11-23",
    "yes": True,
    "on": True,
    "y": True,
    "no": False,
    "Off": False,
    "n": False,
    "oN": "oN",
    "~": None,
    "null": None,
    "'5'": "5",
    '"yes"': "yes",
    "1.2.3": "1.2.3",
    "-": "-",
    "0x": "0x",
    "16Gi": "16Gi",
    "9223372036854775807": 2**63 - 1,
    "18446744073709551615": float(2**64),  # beyond 64 bits with a sign the API server has floats only
}


@pytest.mark.parametrize(("text", "value"), SCALARS.items(), ids=list(SCALARS))
def test_a_scalar_reads_as_kubernetes_reads_it(text, value):
    [document] = read_documents(f"field: {text}" if text != "-" else "field: '-'")
    assert document["field"] == value
    assert type(document["field"]) is type(value)


def test_words_are_typed_as_keys_too_and_then_are_strings():
    assert read_documents("{on: 1, 5: 2, no: 3}") == [{"true": 1, "5": 2, "false": 3}]


@pytest.mark.parametrize("text", [".inf", "-.Inf", ".nan", "1e400"])
def test_what_json_cannot_say_is_refused_with_its_place(text):
    with pytest.raises(BadRequest, match="line 2, column 4"):
        read_documents(f"a: 1\nb: {text}", "x.yaml")


def test_a_key_given_twice_is_refused():
    with pytest.raises(BadRequest, match="'a' is given twice"):
        read_documents("a: 1\na: 2")


def test_a_key_that_is_null_is_refused():
    with pytest.raises(BadRequest, match="line 1, column 2: a key is null"):
        read_documents("{~: 1}")


def test_a_broken_file_says_where():
    with pytest.raises(BadRequest, match=r"x\.yaml, line 2"):
        read_documents("a: [1\nb: 2", "x.yaml")


def test_several_documents_empty_ones_left_out_anchors_and_merges():
    assert read_documents('---\na: &x {b: 1}\nc: {<<: *x, d: 2}\n---\n---\n{"e": [1, null]}\n') == [
        {"a": {"b": 1}, "c": {"b": 1, "d": 2}},
        {"e": [1, None]},
    ]


def test_tags_cannot_make_objects():
    with pytest.raises(BadRequest, match="could not determine a constructor"):
        read_documents("a: !!python/object/apply:os.system [true]")


def test_text_is_kept_to_the_byte():
    task = "一个能够接收中文中类似猜灯谜的问题 🎏\n  two  spaces\n"
    assert read_documents(f"task: {task!r}".replace("'", '"'))[0]["task"] == task
