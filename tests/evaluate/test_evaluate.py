"""The stage as a process, over a run that lacks only its evaluation."""

import json
import re
import signal
import time
from functools import partial

import pytest
from finished_runs import ROWS, SYSTEM, fabricate, snapshot
from stages import Ran, run_module, start_module

from tunesmith.events import Progress, parse
from tunesmith_jobs.answer_format.bounded import answer_check
from tunesmith_jobs.evaluate import work
from tunesmith_jobs.finished import read_manifest
from tunesmith_jobs.stage import run_stage
from tunesmith_jobs.storage import open_store


@pytest.fixture(scope="module")
def evaluated(models, tmp_path_factory):
    """(process, store, manifest) of one evaluation."""
    folder = tmp_path_factory.mktemp("evaluated")
    shot, url = snapshot(models), f"file://{folder / 'store'}"
    fabricate(shot, models, url, folder)
    ran = run_module("tunesmith_jobs.evaluate", shot, url, folder)
    assert ran.returncode == 0, ran.stderr
    store = open_store(url)
    return ran, store, read_manifest(store, shot.run, "evaluate", shot.key("evaluate"))


def test_a_model_that_knows_the_answers_is_better_in_every_figure(evaluated):
    _, _, manifest = evaluated
    metrics = manifest.metrics
    assert (metrics["exactMatchBase"], metrics["exactMatchMerged"], metrics["exactMatchGainLow"]) == (0, 1, 1)
    assert (metrics["formatValidBase"], metrics["formatValidMerged"]) == (0, 1)
    assert metrics["lossMerged"] < 0.1 < 4 < metrics["lossBase"]
    assert 4 < metrics["lossGainLow"] < metrics["lossGain"] < metrics["lossGainHigh"] < 8
    assert (metrics["rows"], metrics["answers"]) == (6, 6)
    assert manifest.details["verdict"]["level"] == "better"
    assert set(manifest.inputs) == {"generate", "train", "merge"}
    assert manifest.pins["base"].uri.startswith("file://")


def test_it_leaves_page_figures_answers_and_card(evaluated):
    _, store, manifest = evaluated
    assert [file.path for file in manifest.files] == [
        "README.md",
        "answers.jsonl",
        "report.html",
        "report.json",
    ]
    report = json.loads(store.read(f"{manifest.folder}/report.json"))
    assert {figure["metric"]: figure["merged"] for figure in report["figures"]}["exactMatch"] == 1
    assert report["systemMessage"] == SYSTEM
    assert [file["path"] for file in report["modelFiles"] if file["path"].endswith(".safetensors")] == [
        "model/model.safetensors"
    ]
    assert "exactly right | 6 | 0 | 1 | 1 |" in store.read(f"{manifest.folder}/README.md").decode()


def test_the_answers_file_has_test_rows_first_and_then_the_requests_prompts(evaluated):
    _, store, manifest = evaluated
    rows = [json.loads(line) for line in store.read(f"{manifest.folder}/answers.jsonl").decode().splitlines()]
    assert [row["prompt"] for row in rows] == [*(row.prompt for row in ROWS), "What now?"]
    assert [row["merged"] for row in rows[:-1]] == [row.response for row in ROWS]
    assert "expected" not in rows[-1]
    assert all(row["base"] != row["merged"] for row in rows)


def test_the_base_models_turn_ends_before_the_new_ones_begins(evaluated):
    """Two models at once may not fit into memory."""
    ran, _, _ = evaluated
    phases = [event.phase.split(",")[0] for event in ran.events if isinstance(event, Progress)]
    assert phases == sorted(phases)
    assert set(phases) == {"base model", "new model"}


def test_nothing_partial_is_left(evaluated):
    _, store, manifest = evaluated
    assert not list(store.list(f"{manifest.run}/evaluate/{manifest.key}/partial/"))


def test_told_to_stop_it_ends_with_143_and_a_restart_asks_nothing_twice(models, tmp_path):
    shot = snapshot(models, {"maxNewTokens": 100, "perDeviceEvalBatchSize": 1})
    url = f"file://{tmp_path / 'store'}"
    fabricate(shot, models, url, tmp_path)
    with start_module("tunesmith_jobs.evaluate", shot, url, tmp_path) as process:
        for line in process.stdout:
            event = parse(line)
            if isinstance(event, Progress) and event.phase == "base model, answers":
                process.send_signal(signal.SIGTERM)
                break
        began = time.monotonic()
        rest, _ = process.communicate(timeout=60)
    assert process.returncode == 143, rest
    assert time.monotonic() - began < 10, "it ran to the end of an answer, or longer"
    store = open_store(url)
    partial = [entry.path for entry in store.list(f"{shot.run}/evaluate/") if "/partial/" in entry.path]
    kept = [json.loads(line) for path in partial for line in store.read(path).splitlines()]
    assert len([result for result in kept if result["kind"] == "loss"]) == len(ROWS)
    assert 1 <= len([result for result in kept if result["kind"] == "test"]) < len(ROWS)

    ran = run_module("tunesmith_jobs.evaluate", shot, url, tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert f"{len(kept)} of 26 results are there" in ran.stdout
    first = next(event for event in ran.events if isinstance(event, Progress))
    assert (first.phase, first.done) == ("base model, answers", len(kept) + 1)
    assert ran.result.metrics["exactMatchMerged"] == 1


@pytest.fixture
def evaluate_here(capfd, tmp_path):
    """Runs the stage in this process, where torch is loaded already."""

    def run(shot, url):
        request = tmp_path / "snapshot.json"
        request.write_text(shot.to_json(), encoding="utf-8")
        code = run_stage("evaluate", work.work, ["--request", str(request), "--store", url])
        return Ran(code, *capfd.readouterr())

    return run


BAD = {  # what is wrong -> spec parts, exit code, reason
    "a GPU that is not there": ({"training": {"device": "cuda"}}, 75, "NoGPU"),
    "an invalid schema": (
        {"evaluation": {"format": {"jsonSchema": {"type": "nonsense"}}}},
        78,
        "BadSchema",
    ),
    "a regular expression that is none": ({"evaluation": {"format": {"regex": "(?i)("}}}, 78, "BadRegex"),
}


@pytest.mark.parametrize(("spec", "code", "reason"), BAD.values(), ids=BAD)
def test_it_fails_with(evaluate_here, spec, code, reason, models, tmp_path):
    shot, url = snapshot(models, **spec), f"file://{tmp_path / 'store'}"
    fabricate(shot, models, url, tmp_path)
    ran = evaluate_here(shot, url)
    assert (ran.returncode, ran.result.reason) == (code, reason), ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_form_that_takes_for_ever_on_an_answer_holds_nothing_up(
    evaluate_here, models, tmp_path, monkeypatch
):
    monkeypatch.setattr(work, "answer_check", partial(answer_check, each=0.05))
    evaluation = {"format": {"regex": "(.+)+~"}, "prompts": []}
    shot, url = snapshot(models, evaluation), f"file://{tmp_path / 'store'}"
    fabricate(shot, models, url, tmp_path)
    ran = evaluate_here(shot, url)
    assert ran.returncode == 0, ran.stderr
    assert ran.result.metrics["formatValidMerged"] == 0
    report = json.loads(next((tmp_path / "store").rglob("report.json")).read_text(encoding="utf-8"))
    [note] = [note for note in report["notes"] if "not checked" in note]
    given_up = [answer for answer in report["answers"] if "not checked" in answer["wrongFormMerged"]]
    assert len(given_up) >= 1
    assert re.match(r"The form of \d+ answers? (was|were) not checked", note)


def test_a_flipped_byte_in_the_merged_model_is_found(evaluate_here, models, tmp_path):
    shot, url = snapshot(models), f"file://{tmp_path / 'store'}"
    fabricate(shot, models, url, tmp_path)
    weights = next((tmp_path / "store").rglob("merge/*/attempts/*/model/model.safetensors"))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    ran = evaluate_here(shot, url)
    assert ran.returncode == 66
    assert re.search(r"model\.safetensors is not what was stored", ran.result.message)


def test_without_test_rows_the_prompts_are_still_answered(evaluate_here, models, tmp_path):
    shot, url = snapshot(models), f"file://{tmp_path / 'store'}"
    fabricate(shot, models, url, tmp_path, rows=[])
    ran = evaluate_here(shot, url)
    assert ran.returncode == 0, ran.stderr
    assert ran.result.metrics == {"rows": 0, "answers": 0}
    assert "Nothing was compared" in ran.stdout
