"""What teachers write, and what is read from it."""

import pytest

from tunesmith_jobs.generate.parse_answers import (
    Pair,
    Unreadable,
    parse_pairs,
    parse_plan,
    parse_system_message,
)

A, B = Pair(prompt="p", response="r"), Pair(prompt="q", response="s")
JSON = Pair(prompt="p", response='{"a":1,"b":"é"}')
PAIRS = {
    "the schema's form": ('{"pairs": [{"prompt": "p", "response": "r"}]}', [A]),
    "blanks around texts": ('{"pairs": [{"prompt": " p\\n", "response": "\\tr "}]}', [A]),
    "one pair without the list": ('{"prompt": "p", "response": "r"}', [A]),
    "a bare list": ('[{"prompt": "p", "response": "r"}]', [A]),
    "in a fence, with talk around it": (
        'Sure:\n```json\n{"pairs": [{"prompt": "p", "response": "r"}]}\n```\nAnything else?',
        [A],
    ),
    "talk before the brace": ('Here: {"pairs": [{"prompt": "p", "response": "r"}]} there', [A]),
    "tags": ("<prompt>p</prompt>\n<response>r</response>", [A]),
    "two in tags": (
        "<prompt>p</prompt><response>r</response>\n\n<prompt>q</prompt><response>s</response>",
        [A, Pair(prompt="q", response="s")],
    ),
    "tags around JSON": (
        '<prompt>p</prompt><response>{"a":1}</response>',
        [Pair(prompt="p", response='{"a":1}')],
    ),
    "a response that is JSON itself": (
        '{"pairs": [{"prompt": "p", "response": {"a": 1, "b": "é"}}]}',
        [JSON],
    ),
    "more than asked for": (
        '{"pairs": [' + ",".join(['{"prompt": "p", "response": "r"}'] * 9) + "]}",
        [A, A],
    ),
    "any language": (
        '{"pairs": [{"prompt": "谜语", "response": "春"}]}',
        [Pair(prompt="谜语", response="春")],
    ),
}


NEARLY = {  # what is no JSON, but nearly -> the response
    "a regular expression": (r'{"pairs": [{"prompt": "p", "response": "use \d+ or \w"}]}', r"use \d+ or \w"),
    "a formula": (r'{"pairs": [{"prompt": "p", "response": "$\alpha + \sum x$"}]}', r"$\alpha + \sum x$"),
    "a formula that is JSON by accident": (
        r'{"pairs": [{"prompt": "p", "response": "$\frac{1}{2}$ \bar"}]}',
        r"$\frac{1}{2}$ \bar",
    ),
    "a comma too many": ('{"pairs": [{"prompt": "p", "response": "r"},]}', "r"),
    "a comma too few": ('{"pairs": [{"prompt": "p" "response": "r"}]}', "r"),
    "a bracket too few": ('{"pairs": [{"prompt": "p", "response": "r"}', "r"),
    "line breaks": ('{"pairs": [{"prompt": "p", "response": "a\nb"}]}', "a\nb"),
    "single quotes": ("{'pairs': [{'prompt': 'p', 'response': 'it\\'s'}]}", "it's"),
    "quotes within": ('{"pairs": [{"prompt": "p", "response": "say "hi" to me"}]}', 'say "hi" to me'),
    "in a fence": ('```json\n{"pairs": [{"prompt": "p", "response": "\\d"},]}\n```\nHope it helps!', r"\d"),
}


@pytest.mark.parametrize(("text", "response"), NEARLY.values(), ids=NEARLY)
def test_nearly_json_is_read_as_it_was_meant(text, response):
    assert [pair.response for pair in parse_pairs(text, 2)] == [response]


@pytest.mark.parametrize(
    "text",
    [
        '{"pairs": [{"prompt": "p", "response": "an answer that is cut of',
        '{"pairs": [{"prompt": "p", "response": "r"}, {"prompt": "q", "respo',
        '{"pairs": [{"prompt": "a {brace} inside", "response": "cut of',
    ],
)
def test_what_ends_in_the_middle_gives_no_row_of_what_is_cut(text):
    try:
        pairs = parse_pairs(text, 2)
    except Unreadable:
        return
    assert pairs == [A]


@pytest.mark.parametrize(("text", "pairs"), PAIRS.values(), ids=PAIRS)
def test_pairs(text, pairs):
    assert parse_pairs(text, 2) == pairs


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no",
        "{",
        '{"pairs": []}',
        '{"pairs": [{"prompt": "p"}]}',
        '"x"',
        "[1]",
        "<prompt>p</prompt>",
        "null",
    ],
)
def test_what_holds_no_pair_is_unreadable(text):
    with pytest.raises(Unreadable):
        parse_pairs(text, 2)


def test_a_plan_loses_repeated_and_empty_values_and_axes_with_a_single_value():
    plan = parse_plan(
        '{"language": "de", "prompts": "p", "responses": "r", "topics": ["a", "a ", "", "b"],'
        '"axes": [{"name": "tone", "values": ["x", "y"]}, {"name": "one", "values": ["z", "z"]}], '
        '"difficulties": []}'
    )
    assert plan.topics == ("a", "b")
    assert [axis.name for axis in plan.axes] == ["tone"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"prompts": "p", "responses": "r", "topics": []}', "topics"),
        ('{"prompts": "", "responses": "r", "topics": ["a"]}', "prompts"),
        ('{"prompts": "p", "responses": "r", "topics": "a"}', "axes must"),
        ('{"prompts": "p", "responses": "r", "topics": ["a"], "axes": ["tone"]}', "axes must"),
        ("nothing", "JSON"),
        ("[1, 2]", "object"),
    ],
)
def test_a_plan_that_cannot_be_used_says_why(text, why):
    with pytest.raises(Unreadable, match=why):
        parse_plan(text)


@pytest.mark.parametrize(
    "text",
    [
        "Given x, you will y.",
        '"Given x, you will y."',
        "```\nGiven x, you will y.\n```",
        "  Given x, you will y.\n",
    ],
)
def test_a_system_message_is_taken_out_of_its_wrapping(text):
    assert parse_system_message(text) == "Given x, you will y."


def test_quotes_within_a_system_message_stay():
    assert parse_system_message('"a" or "b"') == '"a" or "b"'
