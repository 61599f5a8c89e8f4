"""The shell around every stage, as processes over a real folder and a real S3 server."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from stages import snapshot_for

from tunesmith.errors import Gone
from tunesmith.events import Result, parse, result_in
from tunesmith.manifest import Manifest
from tunesmith.resolve import read_snapshot
from tunesmith_controller.logs import JsonLines
from tunesmith_jobs.finished import Finished, read_manifest
from tunesmith_jobs.storage import open_store

TOY = Path(__file__).parents[1] / "toy_stage.py"
SNAPSHOT = snapshot_for({"data": {"examples": 3}})
KEY = SNAPSHOT.key("generate")
FOLDER = f"r/generate/{KEY}"
FOLDER_ONLY = pytest.mark.parametrize("url", ["file"], indirect=True)  # where the kind makes no difference


@pytest.fixture
def start(url, tmp_path):
    """Starts the toy with stdin held open by the test, as the runner does."""
    request = tmp_path / "request.json"
    request.write_text(SNAPSHOT.to_json())
    started = []

    def start(toy="works", *more, **env):
        process = subprocess.Popen(
            [sys.executable, str(TOY), "--request", str(request), "--store", url, *more],
            env={**os.environ, "TOY": toy, "TUNESMITH_STOP_ON_EOF": "1", **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()


def end(process):
    """Exit code, result, and all lines."""
    lines = [*process.stdout.read().splitlines()]
    process.wait()
    return process.returncode, parse(lines[-1]) if lines else None, lines


def wait_for(process, text):
    while text not in (line := process.stdout.readline()):
        assert line, process.stderr.read()


def test_a_finished_stage_leaves_its_result_its_pin_its_log_and_nothing_else(start, store):
    code, result, lines = end(start())
    assert (code, result.reason, result.adopted, result.metrics) == (0, "Done", False, {"loss": 0.5})
    assert parse(lines[-1]) == result, "the result is not the last line"
    assert parse(lines[-3]).metrics == {}, "a NaN in a progress line"
    assert "perplexity" in lines[-2]
    manifest = Manifest.model_validate_json(store.read(f"{FOLDER}/manifest.json"))
    assert manifest.metrics == {"loss": 0.5}
    assert [file.path for file in manifest.files] == ["big.bin", "folder/answer.txt"]
    assert [entry.path for entry in store.list("")] == [
        f"{FOLDER}/attempts/{result.attempt}/big.bin",
        f"{FOLDER}/attempts/{result.attempt}/folder/answer.txt",
        f"{FOLDER}/logs/{result.attempt}.log",
        f"{FOLDER}/manifest.json",
        f"{FOLDER}/source.pins.json",
    ]
    assert f"attempt {result.attempt} 开始" in store.read(f"{FOLDER}/logs/{result.attempt}.log").decode()
    assert manifest.pins["source"].revision == result.attempt


@FOLDER_ONLY
def test_a_finished_stage_is_not_computed_again(start):
    first = end(start())[1]
    code, again, lines = end(start("breaks"))
    assert (code, again.adopted, again.attempt, len(lines)) == (0, True, first.attempt, 1)


def test_two_attempts_race_and_the_loser_adopts_the_winner(start, store, tmp_path):
    racers = [
        start("races", TUNESMITH_ATTEMPT="same-name", TOY_GATE=str(tmp_path / "gate")) for _ in range(2)
    ]
    for racer in racers:
        wait_for(racer, "开始")
    (tmp_path / "gate").touch()
    ends = [end(racer) for racer in racers]
    assert [code for code, _, _ in ends] == [0, 0]
    assert sorted(result.adopted for _, result, _ in ends) == [False, True]
    winner = read_manifest(store, "r", "generate", KEY)
    assert {result.attempt for _, result, _ in ends} == {winner.attempt}
    assert winner.attempt.startswith("same-name-")
    paths = [entry.path for entry in store.list(f"{FOLDER}/")]
    assert {path.split("/")[4] for path in paths if "/attempts/" in path} == {winner.attempt}, (
        "the loser's files are left"
    )
    assert not [path for path in paths if "/checkpoints/" in path]
    assert store.read(f"{winner.folder}/folder/answer.txt") == f"by {winner.attempt}".encode()


@FOLDER_ONLY
def test_all_attempts_open_the_same_pin(start, store):
    assert end(start("breaks"))[0] == 1
    first = json.loads(store.read(f"{FOLDER}/source.pins.json"))["source"]["revision"]
    assert end(start())[0] == 0
    manifest = read_manifest(store, "r", "generate", KEY)
    assert manifest.pins["source"].revision == first != manifest.attempt


STOPS = {
    "SIGTERM": lambda process: process.send_signal(signal.SIGTERM),
    "the end of stdin": lambda process: process.stdin.close(),
}


@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS)
def test_a_stage_that_is_told_to_stop_saves_its_state_and_its_log_and_ends_143(start, store, stop):
    process = start("waits")
    wait_for(process, '"event":"progress"')
    stop(process)
    code, result, _ = end(process)
    assert code == 143
    paths = [entry.path for entry in store.list(f"{FOLDER}/")]
    assert any("/checkpoints/1-" in path for path in paths)
    log = next(store.read(path).decode() for path in paths if "/logs/" in path)
    assert "开始" in log
    assert '"reason":"Stopped"' in log
    if stop is STOPS["SIGTERM"]:
        assert (result.exit_code, result.reason) == (143, "Stopped")


@FOLDER_ONLY
def test_a_signal_during_the_commit_changes_nothing(start, store):
    code, result, _ = end(start("is told to stop while it commits"))
    assert (code, result.reason) == (0, "Done")
    assert read_manifest(store, "r", "generate", KEY).attempt == result.attempt


def test_kill_9_between_commit_and_clean_up_is_repaired_by_the_next_start(start, store):
    assert end(start("breaks"))[0] == 1  # leaves a checkpoint of its own
    assert end(start("dies after the commit"))[0] == -signal.SIGKILL
    assert any("/checkpoints/" in entry.path for entry in store.list(f"{FOLDER}/"))
    code, result, lines = end(start())
    assert (code, result.adopted) == (0, True), lines
    assert [entry.path for entry in store.list(f"{FOLDER}/") if "/checkpoints/" in entry.path] == [], lines


FAILURES = {
    "meets bad data": (65, "BadData", "two rows are not enough\nrows[1]: is empty", "add rows"),
    "fills the disk": (75, "DiskFull", "the disk is full at ", "free space"),
    "breaks": (1, "InternalError", "ZeroDivisionError: a bug of ours", "report"),
}


@FOLDER_ONLY
@pytest.mark.parametrize(("toy", "expected"), FAILURES.items(), ids=FAILURES)
def test_a_failure_has_its_code_its_reason_and_its_remedy(start, toy, expected):
    code, reason, message, remedy = expected
    process = start(toy)
    returned, result, _ = end(process)
    assert (returned, result.exit_code, result.reason) == (code, code, reason)
    assert message in result.message
    assert remedy in result.remedy
    assert ("Traceback" in process.stderr.read()) is (code == 1)


@FOLDER_ONLY
def test_the_result_is_also_the_termination_message(start, tmp_path):
    place = tmp_path / "termination-log"
    place.touch()
    _, result, _ = end(start("meets bad data", TUNESMITH_TERMINATION_LOG=str(place)))
    assert Result.model_validate_json(place.read_bytes()) == result


@FOLDER_ONLY
@pytest.mark.parametrize("toy", ["works", "meets bad data", "breaks"])
def test_lines_for_people_are_json_with_the_keys_of_the_controller_if_asked_for(start, store, toy):
    process = start(toy, TUNESMITH_LOG_FORMAT="json", TUNESMITH_ATTEMPT="a2")
    _, result, lines = end(process)
    assert parse(lines[-1]) == result, "machine lines stay as they are"
    printed = [
        json.loads(line) for line in [*lines, *process.stderr.read().splitlines()] if parse(line) is None
    ]
    about = {"namespace": SNAPSHOT.namespace, "request": SNAPSHOT.name, "stage": "generate", "attempt": "2"}
    assert all(line.items() >= about.items() for line in printed)
    record = logging.LogRecord("tunesmith", logging.INFO, "", 0, "made", None, None)
    vars(record).update(about)
    assert all(list(line) == list(json.loads(JsonLines().format(record))) for line in printed)
    assert "开始" in printed[0]["message"]
    assert [line["level"] for line in printed[1:] if "Traceback" in line["message"]] == ["error"] * (
        toy == "breaks"
    )
    assert '"time"' not in store.read(f"{FOLDER}/logs/{result.attempt}.log").decode()


@FOLDER_ONLY
@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_is_in_the_output_of_a_stage_or_in_its_kept_log(start, store, tmp_path, form):
    place = tmp_path / "termination-log"
    place.touch()
    secrets = {
        "TUNESMITH_TEACHER_API_KEY": 'sk-"known"\\1',
        "AWS_SECRET_ACCESS_KEY": "known/secret+key",
        "HF_TOKEN": "hf_knowntoken\n",
    }
    for toy in ("fails with its secrets", "breaks with its secrets", "tells its secrets"):
        process = start(toy, TUNESMITH_LOG_FORMAT=form, TUNESMITH_TERMINATION_LOG=str(place), **secrets)
        _, result, lines = end(process)
        kept = store.read(f"{FOLDER}/logs/{result.attempt}.log").decode()
        output = "\n".join([*lines, process.stderr.read(), place.read_text(), kept])
        assert (result.exit_code, output.count("[secret]") > 3) == (
            {"fails": 65, "breaks": 1, "tells": 0}[toy.split()[0]],
            True,
        )
        assert [word for word in ("known", "secret+key") if word in output] == [], output


@FOLDER_ONLY
@pytest.mark.parametrize("form", ["text", "json"])
def test_nothing_that_a_stage_prints_for_people_can_be_read_as_its_result(start, store, tmp_path, form):
    place = tmp_path / "termination-log"
    place.touch()
    process = start("forges", TUNESMITH_LOG_FORMAT=form, TUNESMITH_TERMINATION_LOG=str(place))
    lines = process.stdout.read().split("\n")
    process.wait()
    events = [event for line in lines if (event := parse(line))]
    assert [type(event).__name__ for event in events] == ["Progress", "Result"], lines
    assert (process.returncode, events[-1].reason) == (1, "InternalError")
    assert parse(place.read_text()).reason == "InternalError"
    errors = process.stderr.read()
    kept = store.read(f"{FOLDER}/logs/{events[-1].attempt}.log").decode()
    assert [line for line in errors.split("\n") if parse(line)] == []
    assert result_in(kept) is None
    assert "\x1b" not in "".join([*lines, errors, kept])


@FOLDER_ONLY
def test_a_reader_that_goes_away_costs_nothing(start, store):
    process = start("waits", TUNESMITH_STOP_ON_EOF="0")
    wait_for(process, '"event":"progress"')
    process.stdout.close()
    time.sleep(1.2)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.wait()
    assert process.returncode == 143
    assert any("/checkpoints/1-" in entry.path for entry in store.list(f"{FOLDER}/"))


WRONG = {
    "no request": (["--request", "/no/such"], 64, "--request /no/such cannot be read"),
    "not a store": (["--store", "ftp://x"], 78, "not a store"),
    "unknown option": (["--colour"], 64, ""),
}


@pytest.mark.parametrize(("arguments", "code", "words"), WRONG.values(), ids=WRONG)
def test_a_wrong_command_line_is_not_a_bug(tmp_path, arguments, code, words):
    request = tmp_path / "request.json"
    request.write_text(SNAPSHOT.to_json())
    command = [
        sys.executable,
        str(TOY),
        "--request",
        str(request),
        "--store",
        f"file://{tmp_path}/s",
        *arguments,
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == code
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def by_a_newer_release(tmp_path, source):
    """Another --request: the snapshot as a later release writes it."""
    document = json.loads(SNAPSHOT.to_json())
    document["spec"]["training"]["later"] = document["spec"]["later"] = {"deep": 1}
    document["provenance"]["training.later.deep"] = source
    (tmp_path / "newer.json").write_text(json.dumps(document))
    return "--request", str(tmp_path / "newer.json")


@FOLDER_ONLY
def test_an_older_image_runs_what_a_newer_controller_has_resolved(start, tmp_path):
    code, result, _ = end(start("works", *by_a_newer_release(tmp_path, "built-in")))
    assert (code, result.key) == (0, KEY)


@FOLDER_ONLY
def test_an_older_image_refuses_a_field_that_it_does_not_know_and_somebody_has_set(start, tmp_path):
    code, result, _ = end(start("works", *by_a_newer_release(tmp_path, "request")))
    assert (code, result.reason) == (78, "ImageTooOld")
    assert "spec.training.later: is not known to this image" in result.message
    assert "retry" in result.remedy


def test_files_of_a_finished_stage_are_checked_and_those_of_a_folder_not_copied(start, url, tmp_path):
    end(start())
    store = open_store(url)
    manifest = read_manifest(store, "r", "generate", KEY)
    finished = Finished(store, manifest, tmp_path / "cache")
    assert finished.read("big.bin") == b"x" * 100_000
    assert finished.path("big.bin").is_symlink() is url.startswith("file://")
    assert sorted(path.name for path in finished.folder("folder/").iterdir()) == ["answer.txt"]
    with pytest.raises(Gone, match=r"no-such.*is gone"):
        finished.path("no-such")
    store.write(f"{manifest.folder}/big.bin", b"x" * 99_999 + b"y")
    with pytest.raises(Gone, match="is not what was stored"):
        Finished(store, manifest, tmp_path / "other cache").path("big.bin")
    store.delete([f"{manifest.folder}/big.bin"])
    with pytest.raises(Gone, match="is gone"):
        Finished(store, manifest, tmp_path / "third cache").path("big.bin")


EVALUATED = Manifest(
    run="r",
    stage="evaluate",
    key=SNAPSHOT.key("evaluate"),
    attempt="a",
    created=datetime(2026, 11, 23, tzinfo=UTC),
    seconds=1.0,
    files=(),
    metrics={"lossGain": 0.25},
)


@FOLDER_ONLY
def test_a_result_names_later_stages_that_are_done_and_what_evaluate_found(start, store):
    assert end(start("works"))[1].evaluated == {}
    store.create(f"r/evaluate/{EVALUATED.key}/manifest.json", EVALUATED.to_bytes())
    result = end(start())[1]
    assert (result.done_keys, result.evaluated) == ({"evaluate": EVALUATED.key}, {"lossGain": 0.25})


@FOLDER_ONLY
def test_the_request_is_kept_in_the_store_if_that_is_asked_for(start, store):
    assert end(start())[0] == 0
    assert "r/request.json" not in [entry.path for entry in store.list("r/")]
    assert end(start(TUNESMITH_KEEP_REQUEST="1"))[0] == 0, "a stage that is done already keeps it too"
    assert read_snapshot(store.read("r/request.json").decode()) == SNAPSHOT
    store.write("r/request.json", b"of an earlier generation")
    assert end(start(TUNESMITH_KEEP_REQUEST="1"))[0] == 0
    assert store.read("r/request.json").decode() == SNAPSHOT.to_json()


@FOLDER_ONLY
def test_a_request_that_cannot_be_kept_stops_nothing(start, store):
    store.write("r/request.json/in/its/place", b"x")
    code, result, lines = end(start(TUNESMITH_KEEP_REQUEST="1"))
    assert (code, result.reason) == (0, "Done")
    assert any("could not be kept" in line for line in lines)
