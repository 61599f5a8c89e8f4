"""`estimate`, and the estimate before the start of a run, with the budget beside it."""

import json
import os
import pty
import select
import signal
import sys
import time

import pytest
from json_members import wrong
from teachers.zoo import Provider, serving

from tests.cli.conftest import TOY

SMALL = {"data": {"budget": {"maxTokens": 9000}}}


def test_tokens_dollars_and_time_with_the_budget_beside_them(cli):
    path = cli.write(changes={"data": {"budget": {"maxTokens": 9000, "maxUSD": 50}}})
    out = cli.inline("estimate", path).stdout
    assert "estimate for teacher gpt-6.1-sol, before any answer" in out
    assert "9,000: cannot fit (needs" in out
    assert "50: fits" in out
    assert "training: 90 rows a pass, 69 steps" in out
    assert [line for line in out.splitlines() if len(line) > 80] == []
    assert not cli.store.exists(), "nothing is asked, and nothing is written"


def test_of_several_requests_and_of_own_data(cli):
    cli.write(name="one")
    (cli.folder / "rows.jsonl").write_text("")
    path = cli.write(name="two", changes={"data": {"source": {"uri": "rows.jsonl"}}})
    out = cli.inline("estimate", path).stdout
    assert "one: estimate for teacher" in out
    assert "two: no teacher is asked, so nothing is paid\ntraining: not known" in out


def test_its_json(cli):
    cli.write(name="one", changes=SMALL)
    (cli.folder / "rows.jsonl").write_text("")
    path = cli.write(name="two", changes={"data": {"source": {"uri": "rows.jsonl"}}})
    document = json.loads(cli.inline("estimate", path, "-o", "json").stdout)
    assert wrong(document, "estimate") == []
    first, second = document["requests"]
    assert second["estimate"] is None
    [limit] = first["estimate"]["limits"]
    assert (limit["field"], limit["limit"], limit["verdict"]) == ("maxTokens", 9000, "cannot fit")
    assert 0 < first["estimate"]["usd"]["low"] < first["estimate"]["usd"]["high"]
    unpriced = cli.inline("estimate", path, "--set", "data.teacher.model=ours", "--json").stdout
    assert json.loads(unpriced)["requests"][0]["estimate"]["usd"] is None


def test_it_asks_for_a_few_answers_if_it_may(cli):
    with serving(Provider()) as provider:
        teacher = {"model": provider.model, "baseURL": provider.url}
        path = cli.write(changes={"data": {"teacher": teacher, "examples": 30}})
        document = cli.json("estimate", path, "--ask")
        assert provider.billed == document["requests"][0]["estimate"]["answersSeen"] == 5
        assert "from 5 answers" in cli("estimate", path, "--ask").stdout
        assert provider.billed == 5, "they are kept"
        assert (
            "does not know model"
            in cli("estimate", path, "--ask", "--set", "data.teacher.model=gone", expect=78).stderr
        )
    missing = {"data": {"teacher": {"baseURL": "http://x/v1", "secret": {"name": "s"}}}}
    bad = cli.write(file="bad.yaml", changes=missing)
    assert "TUNESMITH_SECRET_S_APIKEY" in cli("estimate", bad, "--ask", expect=77).stderr


def test_a_run_says_first_what_it_will_take(cli):
    path = cli.write()
    started = cli("run", path).stderr
    assert "estimate: teacher gpt-6.1-sol\n  102 calls" in started
    assert started.index("estimate:") < started.index("generate: started")
    assert "budget: none is set" in started
    assert "estimate:" not in cli("run", path).stderr, "the rows are there"
    assert "estimate:" not in cli("run", path, "--set", "training.loraR=8").stderr


def test_so_does_a_dry_run(cli):
    path = cli.write(changes=SMALL)
    assert "budget: maxTokens 9,000: cannot fit" in cli("run", path, "--dry-run").stdout
    assert wrong(cli.json("run", path, "--dry-run"), "dry run") == []


def test_a_run_whose_budget_cannot_be_enough_is_refused_unless_it_is_wanted(cli):
    path = cli.write(changes=SMALL)
    refused = cli("run", path, expect=78).stderr
    assert "BudgetTooSmall: the budget cannot be enough, and nothing was started" in refused
    assert "spec.data.budget.maxTokens" in refused
    assert "--yes" in refused
    assert "generate: started" not in refused
    assert "refused" not in cli("run", path, "--set", "data.budget.maxTokens=60000").stderr
    again = cli.write(name="wanted", file="again.yaml", changes=SMALL)
    assert "generate: done" in cli("run", again, "--yes").stderr
    assert cli("run", again).returncode == 0, "what is there needs no budget"


def test_the_stage_hears_that_it_is_wanted(cli):
    shown = {"TOY_SHOW": "TUNESMITH_OVER_BUDGET"}
    path = cli.write(changes=SMALL, toy={"generate": shown, "train": shown})
    said = cli("run", path, "--yes", "-v").stderr
    assert "generate| TUNESMITH_OVER_BUDGET=1" in said
    assert "train| TUNESMITH_OVER_BUDGET=None" in said


def on_a_terminal(cli, answer, *arguments):
    """The exit code and what is shown, where the question gets this answer."""
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell ignores it for what it runs in the background
        os.chdir(cli.folder)
        env = cli.environment() | {"TERM": "dumb", "COLUMNS": "80"}
        os.execve(sys.executable, [sys.executable, str(TOY), *map(str, arguments)], env)
    shown, answered, end = b"", False, time.monotonic() + 60
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                shown += os.read(terminal, 4096)
            except OSError:  # the other end is closed
                break
        if b"all the same?" in shown and not answered:
            answered = True
            os.write(terminal, answer)
    if time.monotonic() >= end:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown.decode()


ANSWERS = {"yes": (b"y\n", 0), "no": (b"n\n", 78), "nothing": (b"\n", 78), "Ctrl-C": (b"\x03", 130)}


@pytest.mark.parametrize(("answer", "code"), ANSWERS.values(), ids=ANSWERS)
def test_a_person_is_asked(cli, answer, code):
    path = cli.write(changes=SMALL)
    ended, shown = on_a_terminal(cli, answer, "run", path, "--only", "generate")
    assert ended == code, shown
    assert "Start all the same? [y/N]" in shown
    assert ("generate: started" in shown) == (code == 0)


def test_nobody_is_asked_without_need(cli):
    for changes in ({}, {"data": {"budget": {"maxTokens": 60_000}}}):
        path = cli.write(changes=changes, file=f"{len(changes)}.yaml")
        code, shown = on_a_terminal(cli, b"", "run", path, "--only", "generate")
        assert (code, "all the same" in shown) == (0, False)
