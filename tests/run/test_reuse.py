"""Only what changed runs, and only what is new is paid for."""

import re

import pytest


def test_only_what_changed_runs(bench):
    assert bench.ran() == ["generate", "train", "merge", "evaluate"]
    paid = bench.teacher.calls()
    assert bench.ran() == []
    bench.spec["merge"] = {"dtype": "float16"}
    assert bench.ran() == ["merge", "evaluate"]
    del bench.spec["merge"]
    assert bench.ran() == []
    bench.spec["evaluation"]["gate"] = {"metric": "loss", "leastGain": -100.0}
    assert bench.ran() == []
    bench.spec["evaluation"]["gate"] = {"metric": "loss", "leastGain": 100.0}
    assert bench.ran(expect=1) == []
    assert bench.teacher.calls() == paid


def test_more_examples_pay_only_for_the_new_ones(bench):
    bench.spec["data"]["examples"] = 60
    bench.run("--only", "generate")
    first = bench.teacher.calls()
    bench.spec["data"]["examples"] = 80
    bench.run("--only", "generate")
    more = bench.teacher.calls() - first
    assert first >= 60
    assert 20 <= more <= 24, "20 rows, and replacements of near-duplicates"


@pytest.mark.parametrize("variable", ["NO_COLOR", ""])
def test_without_a_terminal_not_one_escape_byte(bench, variable):
    bench.env = {variable: "1"} if variable else {"TERM": "xterm-256color"}
    output = bench.run("--only", "generate")
    assert not re.search(r"\x1b|\r", output)
