"""How deep and how large a document may be: said by name, before anything can fail on it."""

import contextlib
import json
import re
import time

import pytest
from requests_for_tests import document

from tunesmith import rules
from tunesmith.crd import schema_of
from tunesmith.documents import read_documents
from tunesmith.errors import BadRequest
from tunesmith.extent import DEEPEST, problem_with
from tunesmith.request import Spec, parse
from tunesmith.rules import broken_rules

SCHEMA = "spec.evaluation.format.jsonSchema"
ABOVE = 4  # levels of a document above the members of its JSON Schema: itself, spec, evaluation, format


def nested(depth, *, begin=list, end=1):
    """Lists (or mappings) within each other."""
    value = end
    for _ in range(depth):
        value = [value] if begin is list else {"a": value}
    return value


@pytest.mark.parametrize("begin", [list, dict])
@pytest.mark.parametrize(
    ("depth", "good"), [(10, True), (64, True), (65, False), (1500, False), (9000, False)]
)
def test_depth_is_counted_in_lists_and_mappings_alike(depth, good, begin):
    problem = problem_with(nested(depth, begin=begin))
    assert (problem is None) is good
    if problem:
        assert problem.why == "is nested more than 64 levels deep"
        assert len(problem.path) <= 120


FREE = {  # where a request may hold anything -> the path that is named
    "a JSON Schema": ("evaluation.format", "jsonSchema", SCHEMA),
    "a variant": ("training.variants", "overrides", "spec.training.variants[0].overrides"),
}


@pytest.mark.parametrize("depth", [DEEPEST, 1500, 9000])
@pytest.mark.parametrize(("part", "field", "path"), FREE.values(), ids=FREE)
def test_a_part_of_any_content_is_refused_by_name(part, field, path, depth):
    value = {field: nested(depth, begin=dict)}
    bad = document({part: [{"name": "a", **value}] if part.endswith("variants") else value})
    with pytest.raises(BadRequest) as caught:
        parse(bad)
    [problem] = caught.value.problems
    assert problem.path.startswith(path)
    assert problem.why == "is nested more than 64 levels deep"
    assert "flatten it" in problem.remedy


@pytest.mark.parametrize("depth", [DEEPEST, 1500, 9000])
def test_the_same_words_come_from_a_file(depth):
    text = json.dumps(document({"evaluation.format": {"jsonSchema": "HERE"}}))
    deep = '{"a": ' * depth + "1" + "}" * depth
    with pytest.raises(BadRequest, match="is nested more than 64 levels deep"):
        read_documents(text.replace('"HERE"', deep))


def test_a_schema_as_deep_as_may_be_is_read():
    schema = nested(DEEPEST - ABOVE, begin=dict)
    assert parse(document({"evaluation.format": {"jsonSchema": schema}})).spec.evaluation.format


def test_what_repeats_itself_counts_each_time():
    value = ["lol"]
    for _ in range(40):
        value = [value, value]
    begun = time.monotonic()
    assert "has more than 3,145,728 bytes" in str(problem_with({"a": value}))
    assert time.monotonic() - begun < 5


NO_JSON = {
    "a date": (object(), "is a object, which JSON has not"),
    "not a number": (float("nan"), "must be a finite number"),
    "an infinity": (float("-inf"), "must be a finite number"),
    "a number of ten thousand digits": (10**10_000, "is too large for a number"),
    "bytes": (b"x", "is a bytes, which JSON has not"),
}


@pytest.mark.parametrize(("value", "why"), NO_JSON.values(), ids=NO_JSON)
def test_what_json_cannot_hold_is_named(value, why):
    with pytest.raises(BadRequest) as caught:
        parse(document({"evaluation.format": {"jsonSchema": {"a": [value]}}}))
    assert str(caught.value.problems[0]).startswith(f"{SCHEMA}.a[0]: {why}")


ODD = [None, True, -1, 10**400, float("nan"), "", "\ud800", "\x00", "1e999999999", [], {}, [[]], {"": None}]
WHOLE = document(
    {
        "data": {"split": {}, "from": {}, "seeds": ["x"], "teacher": {"secret": {"name": "a"}}},
        "training": {"variants": [{"name": "a", "overrides": {"loraR": 8}}]},
        "evaluation": {"format": {"regex": "a"}, "gate": {"metric": "loss"}, "prompts": ["x"]},
        "stages.train": {
            "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}},
            "tolerations": [{"key": "a"}],
            "env": {"A": "b"},
            "nodeSelector": {"a": "b"},
        },
        "rerun": {"from": "train", "id": "1", "then": [{"from": "merge", "id": "2"}]},
    }
)


def with_each_place(value, odd):
    """The value with something odd in the place of itself, and of each of its parts in turn."""
    yield odd
    if isinstance(value, dict):
        for key, member in value.items():
            yield from ({**value, key: changed} for changed in with_each_place(member, odd))
    if isinstance(value, list):
        for number, member in enumerate(value):
            before, after = value[:number], value[number + 1 :]
            yield from ([*before, changed, *after] for changed in with_each_place(member, odd))


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd)[:20])
def test_whatever_stands_at_any_place_nothing_is_raised_but_a_bad_request(odd):
    bad = list(with_each_place(WHOLE, odd))
    assert len(bad) > 50
    for each in bad:
        with contextlib.suppress(BadRequest):
            parse(each)
        if isinstance(each, dict) and isinstance(each.get("spec"), dict):
            list(broken_rules(each["spec"]))


CASES = {  # what harmed the controller once -> the field that is named, and what to do
    "a schema nested 1,500 deep": (
        {"evaluation.format": {"jsonSchema": nested(1500, begin=dict)}},
        SCHEMA,
        "flatten it",
    ),
    "a time to live of three centuries": (
        {"ttlSecondsAfterFinished": 10**10},
        "spec.ttlSecondsAfterFinished",
        "for no limit leave the field out",
    ),
    "a deadline of ten thousand years": (
        {"stages.train.activeDeadlineSeconds": 3 * 10**11},
        "spec.stages.train.activeDeadlineSeconds",
        "for no limit leave the field out",
    ),
    "a count of 2^32": (
        {"evaluation.format": {"regex": "a{4294967295}"}},
        "spec.evaluation.format.regex",
        "at most four digits",
    ),
    "two thousand groups": (
        {"evaluation.format": {"regex": "(" * 2000 + "a" + ")" * 2000}},
        "spec.evaluation.format.regex",
        "",
    ),
    "a hundred groups and one": (
        {"evaluation.format": {"regex": "(" * 101 + "a" + ")" * 101}},
        "spec.evaluation.format.regex",
        "at most 100 opening brackets",
    ),
}


@pytest.mark.parametrize(("changes", "path", "remedy"), CASES.values(), ids=CASES)
def test_what_harmed_the_controller_once_is_refused_with_path_and_remedy(changes, path, remedy):
    with pytest.raises(BadRequest) as caught:
        parse(document(changes))
    [problem] = caught.value.problems
    assert problem.path.startswith(path)
    assert remedy in problem.remedy


SLOW = [  # within the bounds, and as slow to compile as these allow
    "(?i)" + r"[\x00-\U0010ffff]" * 55,
    "(?i)" + "[\x00-\U0010ffff]" * 190,
    "(?s-i:a)" + "(?si:[\x00-\U0010ffff])" * 90,
    "[\x00-\U0010ffff]" * 200,
    "(((a{0,9999}){0,9999}){0,9999})*" * 30,
    "(" * 100 + "a" + ")*" * 100,
    "(?<=" * 100 + "a" + ")" * 100,
]


@pytest.mark.parametrize("regex", SLOW, ids=range(len(SLOW)))
def test_looking_at_a_regular_expression_takes_no_time(regex):
    assert len(regex) <= 1000
    re.purge()
    begun = time.process_time()
    parse(document({"evaluation.format": {"regex": regex}}))
    # Alone on a slow machine 0.5 s were seen, and 0.8 s beside other suites.
    assert time.process_time() - begun < 2


def test_the_rules_bound_a_regular_expression_as_the_field_does():
    field = schema_of(Spec)["properties"]["evaluation"]["properties"]["format"]["properties"]["regex"]
    assert field["maxLength"] == rules._REGEX
    assert re.fullmatch(field["pattern"], "(" * rules._GROUPS)
    assert not re.fullmatch(field["pattern"], "(" * (rules._GROUPS + 1))
