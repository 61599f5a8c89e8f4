"""Checking answers holds nobody up: what takes too long is given up."""

import os
import subprocess
import sys
import time

import pytest

from tunesmith.errors import BadRequest
from tunesmith.settings import Format
from tunesmith_jobs.answer_format.bounded import AnswerCheck, answer_check

SLOW = "a" * 50 + "!"  # `(a+)+$` tries 2^50 ways
NESTED = {"$defs": {f"s{n}": {"anyOf": [{"$ref": f"#/$defs/s{n + 1}"}] * 9} for n in range(20)}}
CATASTROPHIC = {
    "a regular expression": ({"regex": "(a+)+$"}, SLOW),
    "a pattern of a schema": ({"jsonSchema": {"pattern": "(a+)+$"}}, f'"{SLOW}"'),
    "the name of a property": (
        {"jsonSchema": {"patternProperties": {"^(a+)+$": False}}},
        f'{{"{SLOW}": 1}}',
    ),
    "alternatives that multiply": (
        {"jsonSchema": {"$ref": "#/$defs/s0", "$defs": NESTED["$defs"] | {"s20": {"type": "string"}}}},
        "5",
    ),
}


@pytest.fixture
def check_of():
    """Makes checks, and ends their processes."""
    made = []

    def make(wanted, **options):
        made.append(AnswerCheck(Format.model_validate(wanted), **options))
        return made[-1]

    yield make
    for check in made:
        check.close()


@pytest.mark.parametrize(("wanted", "answer"), CATASTROPHIC.values(), ids=CATASTROPHIC)
def test_an_answer_that_takes_too_long_is_given_up_and_the_next_one_is_checked(wanted, answer, check_of):
    check = check_of(wanted, each=0.5)
    check.start()
    begun = time.monotonic()
    assert check(answer) == "not checked, as that takes more than 0.5 s"
    assert time.monotonic() - begun < 5
    assert check.given_up == 1
    check.each = 30  # a new process starts first, maybe on a busy machine
    assert "not checked" not in check("")
    assert check.given_up == 1


def test_all_answers_together_have_an_end(check_of):
    check = check_of({"regex": "(a+)+$"}, each=0.3, in_all=1)
    begun = time.monotonic()
    said = [check(SLOW) for _ in range(1000)]
    assert time.monotonic() - begun < 20
    assert said[0] == "not checked, as that takes more than 0.3 s"
    assert said[-1] == "not checked, as the checks before took 1 s"
    assert check.given_up == 1000


def test_what_it_says_is_what_the_check_says(check_of):
    check = check_of({"regex": "[a-zäé🎏 ]+"})
    assert check("ein tag 🎏") == check("é\n") == ""
    assert check("line\nbreak") == check("\ud800") == "does not match the regular expression"


def test_a_long_answer_passes_the_pipe_and_what_is_wrong_with_it_is_cut(check_of):
    check = check_of({"jsonSchema": {"type": "integer"}})
    assert len(check('"' + "x" * 1_000_000 + '"')) == 1000
    assert check("5") == ""
    assert check.given_up == 0


def test_a_process_that_was_killed_costs_one_answer(check_of):
    check = check_of({"regex": "a"})
    assert check("a") == ""
    os.kill(check._process.pid, 9)
    check._process.wait()
    assert check("a").startswith("not checked")
    assert check("a") == ""


def test_what_cannot_be_checked_is_said_at_once():
    with (
        pytest.raises(BadRequest) as caught,
        answer_check(Format.model_validate({"jsonSchema": {"$ref": "#"}})),
    ):
        raise AssertionError
    assert caught.value.reason == "BadSchema"
    assert caught.value.problems[0].path == "spec.evaluation.format.jsonSchema"


def test_no_form_asks_for_no_check():
    with answer_check(None) as check:
        assert check is None


def test_it_ends_with_its_block():
    with answer_check(Format.model_validate({"regex": "a"})) as check:
        process = check._process
        assert process.poll() is None
    assert process.returncode == -9


def test_it_ends_by_itself_when_nobody_asks_any_more():
    command = [sys.executable, "-m", "tunesmith_jobs.answer_format"]
    lines = '{"regex": "a"}\n"b"\n'
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines() == ["[]", '"does not match the regular expression"']
    assert (done.returncode, done.stderr) == (0, "")
