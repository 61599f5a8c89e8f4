"""`python -m tunesmith_jobs.infer`: answers of the merged model, and nothing else, on standard output."""

import json
import subprocess
import sys
from dataclasses import dataclass

import pytest
from finished_runs import ROWS, SYSTEM, fabricate, snapshot
from json_members import wrong

from tunesmith_jobs.infer.command import main


@pytest.fixture(scope="module")
def run(models, tmp_path_factory):
    """The arguments that name a finished run."""
    folder = tmp_path_factory.mktemp("run")
    shot, url = snapshot(models), f"file://{folder / 'store'}"
    fabricate(shot, models, url, folder)
    (folder / "snapshot.json").write_text(shot.to_json(), encoding="utf-8")
    return ["--request", str(folder / "snapshot.json"), "--store", url]


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def infer(capfd):
    """Runs the command in this process, where torch is loaded already."""

    def run(*arguments):
        try:
            code = main(arguments)
        except SystemExit as end:
            code = end.code
        return Done(int(code), *capfd.readouterr())

    return run


def test_the_answer_and_nothing_else_is_on_standard_output(run):
    command = [
        sys.executable,
        "-m",
        "tunesmith_jobs.infer",
        *run,
        "--prompt",
        ROWS[3].prompt,
        "--max-new-tokens",
        "16",
    ]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, ROWS[3].response + "\n", "")


def test_n_counts_new_tokens_only(infer, run):
    done = infer(*run, "--prompt", ROWS[0].prompt, "--max-new-tokens", "3")
    assert done.returncode == 0, done.stderr
    assert ROWS[0].response.startswith(done.stdout.strip())
    assert 1 <= len(done.stdout.strip()) < len(ROWS[0].response)


def test_compare_shows_base_and_new_model_in_sections(infer, run):
    done = infer(
        *run, "--prompt", ROWS[0].prompt, "--prompt", ROWS[1].prompt, "--max-new-tokens", "12", "--compare"
    )
    assert done.returncode == 0, done.stderr
    base, new = done.stdout.split("=== New model ===\n")
    assert base.startswith("=== Base model ===\n> You charged me twice\n")
    assert new == "".join(
        f"{'' if row is ROWS[0] else chr(10)}> {row.prompt}\n  {row.response}\n" for row in ROWS[:2]
    )


def test_json_is_one_document(infer, run):
    done = infer(*run, "--prompt", ROWS[2].prompt, "--max-new-tokens", "16", "--compare", "--json")
    document = json.loads(done.stdout)
    assert (document["format"], document["run"], document["systemMessage"]) == (1, "tickets", SYSTEM)
    [answer] = document["answers"]
    assert (answer["prompt"], answer["merged"]) == (ROWS[2].prompt, ROWS[2].response)
    assert answer["base"] != answer["merged"]
    assert answer["mergedSeconds"] > 0
    assert wrong(document, "infer") == []


def test_without_the_system_message_the_model_is_asked_otherwise(infer, run):
    document = json.loads(
        infer(*run, "--prompt", ROWS[2].prompt, "--max-new-tokens", "16", "--no-system", "--json").stdout
    )
    assert document["systemMessage"] == ""


WRONG = {  # arguments after the run's -> exit code, part of the message
    "no tokens": (["--prompt", "x", "--max-new-tokens", "0"], 64, "must be at least 1"),
    "a prompt longer than the context": (["--prompt", "word " * 600], 64, "the model looks at 512"),
    "no prompt": ([], 64, "--prompt"),
}


@pytest.mark.parametrize(("more", "code", "part"), WRONG.values(), ids=WRONG)
def test_it_says_what_is_wrong(infer, more, code, part, run):
    done = infer(*run, *more)
    assert done.returncode == code
    assert part in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_run_without_a_model_is_66(infer, models, tmp_path):
    (tmp_path / "snapshot.json").write_text(snapshot(models).to_json(), encoding="utf-8")
    done = infer(
        "--request", str(tmp_path / "snapshot.json"), "--store", f"file://{tmp_path}", "--prompt", "x"
    )
    assert done.returncode == 66
    assert "run tickets has no result of merge" in done.stderr


@pytest.mark.parametrize(
    ("margin", "shown"),
    [("", "a\nb1A\n=== New model ===\nc\n"), ("  ", "  a\n  b1A\n  === New model ===\n  c\n")],
)
def test_an_answer_steers_no_terminal_and_imitates_no_heading(capsys, margin, shown):
    from tunesmith_jobs.infer.stream import PrintedStream

    stream = PrintedStream(None, margin)
    for piece in ("a\x1b[2J\n", "b\r\x9b1A\n=== New model", " ===\u2028"):
        stream.on_finalized_text(piece)
    stream.on_finalized_text("c\u202e", stream_end=True)
    assert capsys.readouterr().out == shown
