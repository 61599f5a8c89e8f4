"""What nobody foresaw is one line and an exit code; the traceback is for whoever asks."""

import errno

import pytest


def failing(monkeypatch, error):
    """`validate` with such an end."""

    def read(*_, **__):
        raise error

    monkeypatch.setattr("tunesmith_cli.local.request_files.read_requests", read)


FAULTS = {
    "with words": (ValueError("no such\nthing"), "ValueError: no such"),
    "without": (KeyError(), "KeyError"),
    "of the machine": (RecursionError("too deep"), "RecursionError: too deep"),
}


@pytest.mark.parametrize(("error", "said"), FAULTS.values(), ids=FAULTS)
def test_a_bug_is_a_line_that_says_what_to_do(cli, monkeypatch, error, said):
    failing(monkeypatch, error)
    done = cli.inline("validate", cli.write(), expect=1)
    assert done.stdout == ""
    report = "please report it, with TUNESMITH_DEBUG=1 for the traceback"
    assert done.stderr == f"tunesmith: a bug in tunesmith: {said}; {report}\n"


def test_whoever_asks_gets_the_traceback(cli, monkeypatch):
    failing(monkeypatch, ValueError("no"))
    cli.env = {"TUNESMITH_DEBUG": "1"}
    assert "Traceback (most recent call last)" in cli.inline("validate", cli.write(), expect=1).stderr


FROM_THE_SYSTEM = {
    "a full disk": (
        OSError(errno.ENOSPC, "No space left on device", "/x"),
        "No space left on device (/x)",
        True,
    ),
    "a file without rights": (
        PermissionError(errno.EACCES, "Permission denied", "/x"),
        "Permission denied (/x)",
        True,
    ),
    "a port-forward": (
        ConnectionResetError("the port-forward broke off: closed"),
        "the port-forward broke off: closed",
        False,
    ),
    "a silent one": (TimeoutError(), "TimeoutError", False),
}


@pytest.mark.parametrize(("error", "said", "disk"), FROM_THE_SYSTEM.values(), ids=FROM_THE_SYSTEM)
def test_what_the_system_refuses_is_said_as_what_it_is(cli, monkeypatch, error, said, disk):
    failing(monkeypatch, error)
    text = cli.inline("validate", cli.write(), expect=75).stderr
    assert text.startswith(f"tunesmith: {said}\n")
    assert ("free space" in text) is disk
