"""What is left of a text of which a part cannot be read."""

import json
import time
from typing import Any

import pytest

from tunesmith_controller.decide.objects import UNREADABLE
from tunesmith_controller.salvage import read_event, read_item, read_page

DEEP = '{"items": ' * 5000 + "1" + "}" * 5000
LIST = "[" * 5000 + "]" * 5000
TOO_DEEP, NOT_JSON = "is nested too deep to be read", "is not valid JSON"
META = '"metadata": {"name": "a \\"} b", "labels": {"x": "{[,"}}'

# text -> what is read
ITEMS: dict[str, tuple[str, dict[str, Any]]] = {
    "an object that can be read is whole": (
        '{"kind": "A", "spec": {"b": [1, {}]}}',
        {"kind": "A", "spec": {"b": [1, {}]}},
    ),
    "a deep member is left out and named, its neighbours stay": (
        '{"spec": {"evaluation": {"format": '
        f'{{"jsonSchema": {DEEP}, "regex": "a"}}}}, "suspend": true}}}}',
        {
            "spec": {"evaluation": {"format": {"regex": "a"}}, "suspend": True},
            UNREADABLE: {"spec.evaluation.format.jsonSchema": TOO_DEEP},
        },
    ),
    "of a deep list only the inside is left out": (
        f'{{"spec": {{"a": [1, {LIST}, [2]]}}}}',
        {"spec": {"a": [1, [], [2]]}, UNREADABLE: {"spec.a[1][0]": TOO_DEEP}},
    ),
    "brackets and quotes in texts do not count": (
        f'{{{META}, "spec": {DEEP}}}',
        {
            "metadata": {"name": 'a "} b', "labels": {"x": "{[,"}},
            "spec": {"items": {"items": {}}},
            UNREADABLE: {"spec.items.items.items": TOO_DEEP},
        },
    ),
    "deep managedFields are no loss": (
        f'{{"metadata": {{"name": "a", "managedFields": [{{"fieldsV1": {DEEP}}}]}}}}',
        {"metadata": {"name": "a", "managedFields": [{}]}},
    ),
    "a number that is too long for Python": (
        f'{{"status": {{"phase": "Running", "progress": {"9" * 5000}}}}}',
        {"status": {"phase": "Running"}, UNREADABLE: {"status.progress": NOT_JSON}},
    ),
}


@pytest.mark.parametrize(("text", "expected"), ITEMS.values(), ids=ITEMS)
def test_what_can_be_read_of_an_object(text: str, expected: dict[str, Any]) -> None:
    assert read_item(text.encode()) == expected


def test_a_text_that_is_not_utf_8_costs_its_own_member_only() -> None:
    text = b'{"metadata": {"name": "a"}, "spec": {"task": "caf\xe9", "run": "r"}}'
    assert read_item(text) == {
        "metadata": {"name": "a"},
        "spec": {"run": "r"},
        UNREADABLE: {"spec.task": NOT_JSON},
    }


def test_one_item_of_a_page_does_not_cost_the_others() -> None:
    good = {"metadata": {"name": "good"}, "spec": {"a": ["}", "]"]}}
    page = (
        f'{{"kind": "L", "items": [{json.dumps(good)}, {{{META}, "spec": {{"a": {DEEP}}}}}, '
        f'{json.dumps(good)}], "metadata": {{"continue": "t"}}}}'
    )
    read = read_page(page.encode())
    assert (read["kind"], read["metadata"]) == ("L", {"continue": "t"})
    assert [item["metadata"]["name"] for item in read["items"]] == ["good", 'a "} b', "good"]
    assert [UNREADABLE in item for item in read["items"]] == [False, True, False]
    assert read["items"][0] == read["items"][2] == good


def test_an_event_about_what_cannot_be_read_tells_whom_it_is_about() -> None:
    line = f'{{"type": "MODIFIED", "object": {{{META}, "spec": {LIST}}}}}'
    event = read_event(line.encode())
    assert (event["type"], event["object"]["metadata"]["name"]) == ("MODIFIED", 'a "} b')
    assert event["object"][UNREADABLE]


NOTHING = {
    "a proxy's page": b"<html>busy</html>",
    "half an object": b'{"kind": "A", "metadata": {"na',
    "half a page": b'{"metadata": {}, "items": [{"a": 1}, {"b"',
    "nothing": b"",
    "a text": b'"{}',
}


@pytest.mark.parametrize("text", NOTHING.values(), ids=NOTHING)
def test_what_is_no_object_is_an_error(text: bytes) -> None:
    for read in (read_item, read_page, read_event):
        with pytest.raises(ValueError, match=r"not an object|the end is missing"):
            read(text)


def test_an_object_of_the_largest_size_is_taken_apart_in_a_moment() -> None:
    many = '{"a": [' + ",".join(['{"b": "c"}'] * 100_000) + "]}"
    text = f'{{"metadata": {{"name": "a"}}, "spec": {{"x": {many}, "y": {DEEP}}}}}'.encode()
    assert len(text) > 1_000_000
    began = time.perf_counter()
    assert list(read_item(text)[UNREADABLE])
    assert time.perf_counter() - began < 5, "it is 0.5 s on an idle machine"
