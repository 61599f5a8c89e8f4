"""`infer` ends with the code of the process in the pod, as a shell says it."""

import contextlib
from types import SimpleNamespace

import pytest
from cluster_cli.finished_run import MADE

from tunesmith_cli.commands.results import Question, infer_there

CODES = {0: 0, 66: 66, -9: 137, -15: 143}


@pytest.mark.parametrize(("code", "expected"), CODES.items())
def test_a_process_that_was_killed_is_an_exit_code_that_can_be_told(monkeypatch, capsys, code, expected):
    @contextlib.contextmanager
    def session(*_):
        yield SimpleNamespace(infer=lambda _: [{"out": "so far"}, {"exit": code}])

    request = {
        "status": {
            "finished": [
                {"stage": "merge", "key": MADE.key("merge"), "completionTime": "2026-01-02T03:04:05Z"}
            ]
        }
    }
    monkeypatch.setattr("tunesmith_cli.cluster.session.session", session)
    target = SimpleNamespace(api=lambda: None)
    data = SimpleNamespace(request=request, snapshot=MADE)
    question = Question("hello", max_new_tokens=0, compare=False, in_json=False)
    assert infer_there(target, "riddles", data, question) == expected
    said = capsys.readouterr()
    assert said.out == "so far"
    assert ("signal 9" in said.err) is (code == -9)
