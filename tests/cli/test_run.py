"""`tunesmith run` and what goes with it: the real command line, runner, store and stage shell around toy
stages.
"""

import json
import os
import re
import signal
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from tiny import tiny_model

from tunesmith_cli.commands.help_topics import EXIT_CODES

STAGES = ["generate", "train", "merge", "evaluate"]
SLOW = {"TOY_STEPS": "40", "TOY_SECONDS": "20"}


def wait_for(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def steps(cli, stage="generate"):
    return len(list(cli.store.glob(f"*/{stage}/*/steps/*")))


def tries(cli):
    """Tries at stages on this machine, by the stages' logs."""
    return sum(
        file.read_text().count("--- 2")
        for file in cli.folder.glob("home/.local/state/tunesmith/*/*/logs/*.log")
    )


def ran(document):
    return [stage["name"] for stage in document["stages"] if stage["done"] and not stage["reused"]]


def test_a_run_ends_with_places_figures_answers_and_what_to_do_next(cli):
    answer = cli("run", cli.write())
    for said in (
        "is complete",
        "dataset",
        "adapter",
        "/model",
        "report.html",
        "2.000",
        "yes 是",
        "Hi [bold]",
    ):
        assert said in answer.stdout
    assert re.search(r"\btunesmith'? infer toy", answer.stdout)
    assert "\x1b" not in answer.stdout + answer.stderr
    assert "\r" not in answer.stdout + answer.stderr
    # Again: all is reused, and the members of the results are those that scripts know.
    again = cli("run", cli.folder / "request.yaml", "--json")
    assert "reused, finished earlier: generate, train, merge, evaluate" in again.stderr
    run = json.loads(again.stdout)
    assert ran(run) == []
    assert set(run) == {"format", "run", "store", "base", "stages", "gate", "places", "end"}
    assert set(run["stages"][0]) == {
        "name",
        "key",
        "done",
        "seconds",
        "created",
        "folder",
        "metrics",
        "reused",
    }
    assert set(run["end"]) == {"exitCode", "reason", "message", "remedy", "stage", "log"}
    assert set(run["places"]) == {"dataset", "adapter", "model", "report"}
    assert set(cli.json("status")["runs"][0]) == {"run", "phase", "stage", "progress", "model", "created"}
    assert set(cli.json("status", "toy")) == {
        "format",
        "run",
        "store",
        "base",
        "stages",
        "gate",
        "places",
        "phase",
        "progress",
        "end",
    }
    assert cli.json("report", "toy") == {"toy": True}
    assert set(cli.json("fetch", "toy", "--to", "x y")) == {"format", "run", "to", "fetched"}
    assert (cli.folder / "x y" / "model" / "config.json").exists()
    table = cli("status").stdout.splitlines()
    assert table[0].split() == ["NAME", "PHASE", "STAGE", "PROGRESS", "MODEL", "AGE"]
    assert table[1].split()[:5] == ["toy", "Complete", "evaluate", "4/4", "model"]


def test_an_edit_runs_what_it_concerns_and_names_the_field_and_going_back_runs_nothing(cli):
    path = cli.write()
    assert ran(cli.json("run", path)) == STAGES
    edited = cli("run", path, "--set", "merge.dtype=float16", "--json")
    assert ran(json.loads(edited.stdout)) == ["merge", "evaluate"]
    assert "merge.dtype: 'auto' -> 'float16' (moves the key of merge)" in edited.stderr
    assert ran(cli.json("run", path)) == []
    gate = ["--set", "evaluation.gate={metric: loss, leastGain: 0.6}"]
    refused = cli.json("run", path, *gate, expect=1)
    assert (ran(refused), refused["gate"]["passed"], refused["end"]["reason"]) == ([], False, "GateNotPassed")
    assert "0.5 < 0.6" in refused["end"]["message"]
    assert "Failed" in cli("status").stdout
    passed = cli.json("run", path, "--set", "evaluation.gate={metric: loss, leastGain: 0.4}")
    assert (ran(passed), passed["gate"]["passed"]) == ([], True)


def test_a_dry_run_says_what_would_run_and_why_and_leaves_everything_as_it_is(cli):
    path = cli.write()
    cli("run", path, "--only", "generate")
    kept = (cli.store / "toy/request.json").read_bytes()
    told = cli.json("run", path, "--dry-run", "--set", "training.loraR=4")
    assert [stage["would"] for stage in told["stages"]] == ["reuse", "run", "run", "run"]
    assert told["changes"] == [{"path": "training.loraR", "before": 16, "after": 4, "stage": "train"}]
    assert "moves the key of train" in cli("run", path, "--dry-run", "--set", "training.loraR=4").stdout
    assert (cli.store / "toy/request.json").read_bytes() == kept


def test_nothing_is_delivered_before_the_gate_is_passed(cli):
    path = cli.write(changes={"output": "out"})
    refused = cli.json("run", path, "--set", "evaluation.gate={metric: loss, leastGain: 0.6}", expect=1)
    assert ran(refused) == STAGES
    assert ran(cli.json("run", path)) == ["deliver"]


def test_reruns_stay_with_the_run(cli):
    path = cli.write()
    assert ran(cli.json("run", path, "--only", "generate")) == ["generate"]
    told = cli.json("rerun", "toy", "--from", "generate", "--id", "x", "--dry-run")
    assert [stage["would"] for stage in told["stages"]] == ["run"] * 4
    assert ran(cli.json("run", path, "--from", "generate", "--only", "generate")) == ["generate"]
    assert ran(cli.json("run", path, "--only", "generate")) == []
    assert ran(cli.json("retry", "toy", "--store", cli.store)) == ["train", "merge", "evaluate"]
    assert ran(cli.json("rerun", "toy", "--from", "evaluate")) == ["evaluate"], (
        "judging again costs no new dataset"
    )
    assert ran(cli.json("run", path)) == []


def test_a_run_with_a_stage_that_only_a_newer_release_knows_is_not_continued(cli):
    cli.json("run", cli.write(), "--only", "generate")
    kept = cli.store / "toy" / "request.json"
    newer = json.loads(kept.read_text())
    newer["stages"].append({"name": "train-small", "kind": "train", "key": "0" * 16, "needs": ["generate"]})
    kept.write_text(json.dumps(newer))
    refused = cli("retry", "toy", "--store", cli.store, expect=78)
    assert "does not know the stages train-small" in refused.stderr
    cli("status", "toy", "--store", cli.store, expect=0)


def test_only_runs_one_stage_and_says_which_one_is_missing_before_it(cli):
    path = cli.write()
    missing = cli("run", path, "--only", "train", expect=66)
    assert "train reads the result of generate, which is not done" in missing.stderr
    assert ran(cli.json("run", path, "--only", "generate")) == ["generate"]
    assert ran(cli.json("run", path, "--only", "train")) == ["train"]
    assert "Incomplete" in cli("status", "toy").stdout


CODES = {  # exit codes of the tries, retries -> exit code of the command, tries
    "a passing fault is tried again": ("75", 3, 0, 2),
    "as often as the request says": ("75 75 75", 1, 75, 2),
    "a bug that stays": ("1 1", 1, 1, 2),
    "however often it may be tried": ("1 75 1 1 75 1 1 1", 9, 1, 6),
    "a store that comes back late": ("75 75 75 75 75 75", 6, 0, 7),
    "bad data is final": ("65", 3, 65, 1),
    "so is what is gone": ("66", 3, 66, 1),
    "so are refused credentials": ("77", 3, 77, 1),
    "so is a bad request": ("78", 3, 78, 1),
    "killed twice is not": ("9 9 9", 3, 1, 2),
}


@pytest.mark.parametrize(("codes", "retries", "code", "expected"), CODES.values(), ids=CODES)
def test_exit_codes_and_retries(cli, codes, retries, code, expected):
    path = cli.write(
        changes={"stages": {"generate": {"retries": retries}}},
        toy={"generate": {"TOY_CODES": codes, "TOY_SAY": "hello log"}},
    )
    answer = cli("run", path, "--only", "generate", expect=code)
    assert tries(cli) == expected
    if code:
        assert "What to do:" in answer.stderr
        assert "Log: " in answer.stderr
        assert "  hello log" in answer.stderr, "the stage's last lines are shown"
        assert answer.stdout == ""


USAGE = {
    "an unknown command": (["vaildate"], "Did you mean 'validate'"),
    "an unknown stage": (
        ["logs", "toy", "--stage", "tran"],
        "Invalid value for '--stage': 'tran' is not one of",
    ),
    "and the one that is meant": (["rerun", "toy", "--from", "tran"], "Did you mean 'train'"),
    "an unknown part": (["fetch", "toy", "--to", "x", "--only", "modle"], "Did you mean 'model'"),
    "an unknown form": (["report", "toy", "-o", "jsno"], "Did you mean 'json'"),
    "an unknown option": (["run", "--ony", "x"], "--only"),
    "a wrong choice": (["run", "x", "--only", "tain"], "train"),
    "no file": (["run"], "FILE"),
    "an unknown topic": (["help", "exit-code"], "exit-codes"),
    "a file that is not there": (["run", "nowhere.yaml"], "cannot read nowhere.yaml"),
    "a wrong store": (["status", "--store", "gs://b/p"], "s3://bucket/prefix"),
}


@pytest.mark.parametrize(("arguments", "said"), USAGE.values(), ids=USAGE)
def test_a_wrong_command_line_ends_with_64(cli, arguments, said):
    answer = cli.inline(*arguments, expect=64)
    assert said in answer.stderr
    assert answer.stdout == ""


def test_every_exit_code_is_in_the_help_topic(cli):
    from tunesmith.errors import ExitCode

    assert set(EXIT_CODES) == set(ExitCode)
    answer = cli.inline("help", "exit-codes").stdout
    assert all(f"{int(code):>4}  " in answer for code in ExitCode)


def test_a_run_that_is_not_there_ends_with_66(cli):
    for command in (["report", "none"], ["retry", "none"]):
        assert "there is no run 'none'" in cli(*command, expect=66).stderr


def test_a_missing_key_ends_with_77_before_anything_runs(cli):
    cli.env = {"OPENAI_API_KEY": None}
    assert "OPENAI_API_KEY is not set" in cli("run", cli.write(), expect=77).stderr
    assert list(cli.store.glob("*/*")) == []


def test_without_a_home_the_command_says_what_to_set(cli):
    cli.env = {"HOME": None}
    assert "set HOME, or give --store" in cli("run", cli.write(), expect=64).stderr


def test_json_with_standard_error_closed_is_one_document(cli):
    process = cli.start(
        "run", cli.write(), "--only", "generate", "--json", stderr=None, preexec_fn=lambda: os.close(2)
    )
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert ran(json.loads(out)) == ["generate"]


def test_ctrl_c_saves_and_the_same_command_goes_on(cli):
    path = cli.write(toy={"generate": SLOW})
    process = cli.start("run", path, "--only", "generate")
    wait_for(lambda: steps(cli) >= 2)
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "generate is saving its state" in err
    assert re.search(rf"Continue with: .*tunesmith'? run '{re.escape(str(path))}' --only generate", err)
    assert "Traceback" not in err
    saved = steps(cli)
    assert "Stopped" in cli("status").stdout
    assert 2 <= saved < 40
    for step in range(saved, 38):  # the rest of a long stage
        next(cli.store.glob("*/generate/*/steps")).joinpath(str(step)).touch()
    assert ran(cli.json("run", path, "--only", "generate")) == ["generate"]


def test_a_second_ctrl_c_ends_a_stage_that_does_not_listen(cli):
    path = cli.write(toy={"generate": {"TOY_STEPS": "1", "TOY_SECONDS": "60"}})
    process = cli.start("run", path)
    wait_for(lambda: list(cli.store.glob("*/generate/*/tries/0")))
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "was ended before it had saved its state" in err


def test_sigterm_stops_cleanly_with_143(cli):
    process = cli.start("run", cli.write(toy={"generate": SLOW}))
    wait_for(lambda: steps(cli) >= 1)
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 143


def test_a_killed_runner_takes_its_stage_along_and_the_next_run_goes_on(cli):
    path = cli.write(toy={"generate": {"TOY_STEPS": "40", "TOY_SECONDS": "4"}})
    process = cli.start("run", path, "--only", "generate")
    wait_for(lambda: steps(cli) >= 2)
    process.kill()
    process.communicate()
    time.sleep(1)
    saved = steps(cli)
    time.sleep(0.5)
    assert steps(cli) == saved < 40, "the stage goes on without its runner"
    assert ran(cli.json("run", path, "--only", "generate")) == ["generate"]
    assert tries(cli) == 2


def test_a_second_run_follows_the_first_and_ends_as_it_does(cli):
    path = cli.write(toy={"generate": {"TOY_STEPS": "10", "TOY_SECONDS": "2"}, "train": {"TOY_CODES": "65"}})
    first = cli.start("run", path)
    wait_for(lambda: steps(cli) >= 1)
    second = cli.start("run", path)
    outs = [process.communicate(timeout=30) for process in (first, second)]
    assert [process.returncode for process in (first, second)] == [65, 65]
    assert f"is running already (process {first.pid}); following it" in outs[1][1]
    assert "toy fault 65" in outs[1][1]
    assert len(list(cli.store.glob("*/generate/*/attempts/*"))) == 1


def test_a_follower_takes_over_when_the_first_is_killed(cli):
    path = cli.write(toy={"generate": {"TOY_STEPS": "20", "TOY_SECONDS": "8"}})
    first = cli.start("run", path, "--only", "generate")
    wait_for(lambda: steps(cli) >= 1)
    second = cli.start("run", path, "--only", "generate", "--json")
    assert "following it" in second.stderr.readline()
    first.kill()
    first.communicate()
    out, err = second.communicate(timeout=60)
    assert second.returncode == 0
    assert "continuing from what it saved" in err
    assert ran(json.loads(out)) == ["generate"]


def test_a_deadline_ends_a_stage_and_says_which_field_to_raise(cli):
    path = cli.write(changes={"stages": {"generate": {"activeDeadlineSeconds": 1}}}, toy={"generate": SLOW})
    answer = cli("run", path, expect=75)
    assert "stages.generate.activeDeadlineSeconds" in answer.stderr


def test_several_requests_run_one_after_another_until_one_fails(cli):
    cli.write("one", toy={"generate": {"TOY_CODES": "65"}})
    path = cli.write("two")
    answer = cli("run", path, "--json", expect=65)
    assert [json.loads(line)["run"] for line in answer.stdout.splitlines()] == ["one"]
    assert "--run names one run" in cli("run", path, "--run", "x", expect=64).stderr


def test_a_suspended_request_does_not_run(cli):
    assert "suspend" in cli("run", cli.write(changes={"suspend": True}), expect=78).stderr


def test_logs_follow_a_run_across_its_stages(cli):
    path = cli.write(
        toy={
            "generate": {"TOY_SAY": "one \x1b[31m", "TOY_SECONDS": "1.5"},
            "train": {"TOY_SAY": "two", "TOY_SECONDS": "0.5"},
        }
    )
    run = cli.start("run", path)
    wait_for(lambda: list(cli.store.glob("*/generate/*/tries/0")))
    followed = cli("logs", "toy", "-f").stdout.splitlines()
    run.communicate(timeout=30)
    assert [line for line in followed if "| ---" not in line][:2] == ["generate| one ", "train| two"]
    assert "two" in cli("logs", "toy", "--stage", "train").stdout
    for file in (cli.folder / "home/.local/state").rglob("*.log"):
        file.unlink()
    assert "two" in cli("logs", "toy", "--stage", "train").stdout, "what the store keeps"


def test_the_real_generate_stage_reads_own_data_beside_the_request(cli):
    tiny_model(cli.folder / "a model")
    rows = "".join(
        json.dumps({"prompt": f"What is {n} plus {n * n}?", "response": f"{n + n * n}"}) + "\n"
        for n in range(10, 40)
    )
    (cli.folder / "rows.jsonl").write_text(rows)
    data = {"source": {"uri": "rows.jsonl"}, "systemMessage": "Add.", "nearDuplicates": 1.0}
    path = cli.write(changes={"model": {"base": "a model"}, "data": data})
    answer = cli("run", path, "--only", "generate", "--json", real=True, cwd=cli.folder.parent)
    place = json.loads(answer.stdout)["places"]["dataset"]
    assert len((Path(unquote(urlsplit(place).path)) / "train.jsonl").read_text().splitlines()) == 27


def test_a_store_that_cannot_be_written_is_named(cli):
    (cli.folder / "file").write_text("")
    answer = cli("run", cli.write(), "--store", cli.folder / "file" / "store", expect=78)
    assert "file/store" in answer.stderr
    assert "Traceback" not in answer.stderr
