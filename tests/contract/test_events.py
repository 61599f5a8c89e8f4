"""Machine lines survive people's lines around them, and a result always fits the termination
message whole.
"""

import json

import pytest

from tunesmith.errors import (
    BadData,
    BadRequest,
    ExitCode,
    Gone,
    Problem,
    Refused,
    Stopped,
    TryAgain,
    TunesmithError,
    Usage,
)
from tunesmith.events import TERMINATION_MESSAGE_BYTES, Progress, Result, parse, result_in


def test_progress_reads_back():
    event = Progress(stage="train", done=3, total=60, unit="steps", eta=12.5, metrics={"loss": 0.4})
    assert parse(event.line()) == event
    assert event.line().startswith('{"event":"progress"')


@pytest.mark.parametrize(
    "line",
    [
        "",
        "loss 0.4",
        '{"event":"progress","stage"',
        '{"event":"other"}',
        '{"event":"progress"}',
        "{}",
        '["event"]',
    ],
)
def test_any_other_line_is_for_people(line):
    assert parse(line) is None


@pytest.mark.parametrize("size", [0, 500, 5_000, 100_000])
@pytest.mark.parametrize("character", ["x", "猫", '"', "\x00", "🎏"])
def test_a_termination_message_is_whole_json_under_4096_bytes(size, character):
    text = character * size
    result = Result(
        stage="train",
        key="0" * 16,
        exit_code=65,
        reason="BadData",
        message=text,
        remedy=text,
        metrics={f"metric{n}": n / 3 for n in range(min(size, 300))},
        manifest="s3://bucket/" + "p" * 1000,
        note=text,
    )
    message = result.termination_message()
    assert len(message.encode()) < TERMINATION_MESSAGE_BYTES
    assert json.loads(message)["reason"] == "BadData"


CODES = {
    Usage: 64,
    BadData: 65,
    Gone: 66,
    TryAgain: 75,
    Refused: 77,
    BadRequest: 78,
    Stopped: 143,
    TunesmithError: 1,
}


@pytest.mark.parametrize(
    ("error", "code"), CODES.items(), ids=lambda value: getattr(value, "__name__", value)
)
def test_exit_codes(error, code):
    assert error("x").exit_code == code


def test_the_last_result_of_an_output_counts():
    first = Result(stage="train", key="k", exit_code=75)
    last = Result(stage="train", key="k", message="a line\u2028that JSON does not break")
    output = f"starting\n{first.line()}\n{last.line()}\nTraceback (most recent call last):\n"
    assert result_in(output) == last
    assert result_in(last.termination_message()) == last
    assert result_in("") is None
    assert result_in(last.line()[:-1]) is None


FORGED = Result(stage="train", key="k", reason="Forged").line()


@pytest.mark.parametrize(
    "output",
    [
        f"  {FORGED}",
        f"loss 0.4\r{FORGED}",
        f"loss 0.4\u2028{FORGED}",
        f"loss 0.4\x0b{FORGED}\x85{FORGED}",
        f"{FORGED}, said the teacher",
    ],
)
def test_only_a_line_that_begins_as_a_machine_line_is_one(output):
    assert result_in(f"{output}\n") is None


@pytest.mark.parametrize(
    "member",
    [
        {"unit": "x" * 101},
        {"phase": "two\nlines"},
        {"stage": "\x1b[2J"},
        {"done": 10**30},
        {"metrics": {f"m{n}": 1.0 for n in range(9000)}},
    ],
)
def test_a_pod_cannot_print_more_progress_than_a_status_can_hold(member):
    event = {"event": "progress", "stage": "train", "done": 1, "total": 2, "unit": "steps"} | member
    assert parse(json.dumps(event, separators=(",", ":"))) is None


def test_final_codes_are_those_that_nothing_retries_by_itself():
    assert {code for code in ExitCode if code.final} == {64, 65, 66, 77, 78}


def test_an_error_says_what_where_why_and_what_to_do():
    error = BadData(
        "too few rows",
        problems=[Problem("train.jsonl, line 3", "no response", {"prompt": "x"}, "add one")],
        remedy="write more",
    )
    assert str(error) == (
        "too few rows\n"
        "  - train.jsonl, line 3: no response (found: {'prompt': 'x'}); add one\n"
        "What to do: write more"
    )


def test_what_no_parser_takes_is_no_event():
    identified = '{"event":"result","stage":"train","key":"k","message":"%s"}'
    assert parse(identified % "fine") is not None
    assert parse(identified % r"half a character: \ud800") is None
    assert parse('{"event":"result","a":' + "[" * 4070) is None
    assert parse('{"event":"result","stage":"train","key":"k","a":' + "[" * 1500 + "]" * 1500 + "}") is None
