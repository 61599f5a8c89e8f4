"""YAML means here what it means to the API server. The expected values are those of go-yaml v2 through
sigs.k8s.io/yaml.
"""

import re
import time

import pytest

from tunesmith.documents import read_documents
from tunesmith.errors import BadRequest
from tunesmith.extent import DEEPEST

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


TAGGED = {
    "!!str 5": "5",
    "!!str yes": "yes",
    "!!int 5": 5,
    "!!float 5": 5,
    "!!bool on": True,
    "!!null ''": None,
    "!!seq [1]": [1],
    "!!map {b: 1}": {"b": 1},
}


@pytest.mark.parametrize(("text", "value"), TAGGED.items(), ids=TAGGED)
def test_a_type_that_is_said_is_kept(text, value):
    assert read_documents(f"a: {text}") == [{"a": value}]


NO_JSON = {
    "a: 1\nb: !!binary aGVsbG8=": "line 2, column 4: JSON has no !!binary",
    "a: 1\nb: !!timestamp 2026-01-02": "line 2, column 4: JSON has no !!timestamp",
    "a: 1\nb: !!set {x, y}": "line 2, column 4: JSON has no !!set",
    "a: 1\nb: !!int many": "line 2, column 4: 'many' is not a valid int",
    "a: 1\nb: !!bool maybe": "line 2, column 4: 'maybe' is not a valid bool",
    "a: 1\nb: !!python/name:os.system x": "line 2, column 4: could not determine a constructor",
    "a: 1\n? [a, b]\n: 2": "line 2, column 3: a key must be a string",
    "a: 1\n? {a: b}\n: 2": "line 2, column 3: a key must be a string",
    "a: &x [*x]": "line 1, column 4: found unconstructable recursive node",
}


@pytest.mark.parametrize(("text", "said"), NO_JSON.items(), ids=NO_JSON)
def test_what_is_yaml_and_no_json_is_refused_with_its_place(text, said):
    with pytest.raises(BadRequest, match=re.escape(said)):
        read_documents(text, "x.yaml")


def flow(begin, depth, end):
    return f"{begin * depth}1{end * depth}"


def block(depth):
    """Mappings in block style, each in the next."""
    return "".join(" " * level + "a:\n" for level in range(depth)) + " " * depth + "1"


NESTED = {
    "lists in flow style": lambda depth: flow("[", depth, "]"),
    "mappings in flow style": lambda depth: flow('{"a": ', depth, "}"),
    "lists in block style": lambda depth: "- " * depth + "1",
    "mappings in block style": block,
}


@pytest.mark.parametrize("nested", NESTED.values(), ids=NESTED)
@pytest.mark.parametrize("depth", [10, DEEPEST])
def test_what_is_nested_as_deep_as_may_be_is_read(depth, nested):
    assert read_documents(nested(depth))


@pytest.mark.parametrize("nested", NESTED.values(), ids=NESTED)
@pytest.mark.parametrize("depth", [DEEPEST + 1, 1500, 9000])
def test_what_is_nested_deeper_is_refused_with_its_place(depth, nested):
    with pytest.raises(BadRequest, match=r"x.yaml, line .*: is nested more than 64 levels deep"):
        read_documents(nested(depth), "x.yaml")


def test_a_file_of_brackets_is_refused_at_once():
    begun = time.process_time()
    with pytest.raises(BadRequest, match="more than 64 levels"):
        read_documents("[" * 1_000_000)
    assert time.process_time() - begun < 2


def laughs(levels, width, item="lol"):
    """Each list holds the one before several times."""
    lines = [f"a0: &a0 [{item}]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * width)}]" for level in range(1, levels)]
    return "\n".join(lines)


def merging_laughs(levels, width):
    """The same with mappings that are merged; nested, since a mapping is merged before its keys are read."""
    text = "&a0 {k: 1}"
    for level in range(1, levels):
        text = f"&a{level} {{<<: [{text}, {', '.join([f'*a{level - 1}'] * (width - 1))}]}}"
    return f"x: {text}"


REPEATED = {
    "a billion laughs": (laughs(10, 9), "has more than 3,145,728 bytes"),
    "laughs that double": (laughs(40, 2), "has more than 3,145,728 bytes"),
    "laughs with a long text": (laughs(5, 9, "x" * 1000), "has more than 3,145,728 bytes"),
    "nesting by aliases": (laughs(70, 1), "is nested more than 64 levels deep"),
    "aliases without end": (laughs(2, 1001), "more than 1000 aliases"),
    "merges that multiply": (merging_laughs(8, 9), "<< brings more than 1000 keys"),
    "a list that holds itself": ("a: &a [*a]", "recursive"),
    "a mapping that holds itself": ("a: &a {b: *a}", "recursive"),
}


@pytest.mark.parametrize(("text", "why"), REPEATED.values(), ids=REPEATED)
def test_aliases_that_repeat_too_much_are_refused_at_once(text, why):
    begun = time.process_time()
    with pytest.raises(BadRequest, match=re.escape(why)):
        read_documents(text)
    assert time.process_time() - begun < 5


def test_a_few_aliases_are_fine():
    assert read_documents(laughs(3, 2)) == [
        {"a0": ["lol"], "a1": [["lol"], ["lol"]], "a2": [[["lol"], ["lol"]], [["lol"], ["lol"]]]}
    ]


@pytest.mark.parametrize("text", ["task: \x01", "\ufffe", "a: \x7f"], ids=repr)
def test_a_character_that_yaml_does_not_allow_is_refused(text):
    with pytest.raises(BadRequest, match="not readable as YAML or JSON"):
        read_documents(text)


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
