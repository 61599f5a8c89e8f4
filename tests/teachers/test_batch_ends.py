"""Whatever ends a run that waits for a batch, the next one finds it: none is made or paid for twice."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from teachers.batch_zoo import BatchProvider
from teachers.test_batches import ROWS, document, live_rows, rows_of, texts
from teachers.zoo import serving, with_thoughts

from tunesmith.errors import Stopped, TryAgain
from tunesmith_jobs.generate import journal

__all__ = ["live_rows"]
TESTS = Path(__file__).parents[1]
STAGE = """
import asyncio, json, sys
from pathlib import Path
from stages import snapshot_for
from teachers.test_batches import BRISKLY
from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.generate.from_teacher import dataset_from_teacher
from tunesmith_jobs.storage import open_store
store, document, attempt = sys.argv[1:]
stage = Attempt("generate", snapshot_for(json.loads(document)), open_store(store), Path("/nowhere"), attempt)
asyncio.run(dataset_from_teacher(stage, BRISKLY))
"""


def started(store, request, attempt):
    """A process that makes the dataset."""
    command = [sys.executable, "-c", STAGE, store, json.dumps(request), attempt]
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def stopped_while_it_waits(stage, provider):
    """A run that is stopped while it waits for its batch, which then goes on."""
    provider.hold, provider.habits.never = "look", True

    def stop():
        provider.holding.wait(30)
        stage.stop()

    stopping = threading.Thread(target=stop)
    stopping.start()
    with pytest.raises(Stopped):
        rows_of(stage)
    stopping.join()
    provider.hold, provider.habits.never = "", False


STEPS = {  # the request during which the process is killed
    "while it hands over the file": "upload",
    "after the file was handed over": "ready",
    "while it asks for the batch": "create",
    "before it hears that there is a batch": "created",
    "while it waits": "look",
    "while it reads the answers": "read",
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_a_killed_process_never_makes_a_second_batch_nor_pays_a_line_twice(
    step, tmp_path, stage_for, live_rows
):
    with serving(BatchProvider()) as provider:
        provider.hold = step
        process = started((tmp_path / "store").as_uri(), document(provider), "killed")
        reached = provider.holding.wait(60)
        process.send_signal(signal.SIGKILL)
        _, errors = process.communicate()
        assert reached, errors
        provider.hold = ""
        dataset = rows_of(stage_for(document(provider)))
        again = rows_of(stage_for(document(provider)))
    assert texts(dataset) == texts(again) == live_rows
    assert len(provider.batches) == 1
    assert max(provider.paid.values()) == 1
    assert provider.calls + sum(provider.paid.values()) <= 2 + ROWS + 2, "calls that a kill repeats"


@pytest.mark.parametrize("segment", [1, 3])
def test_answers_that_were_being_stored_when_the_store_went_away_are_read_again(
    segment, stage_for, monkeypatch, live_rows
):
    monkeypatch.setattr(journal, "SEGMENT_ANSWERS", 8)
    with serving(BatchProvider()) as provider:
        stage = stage_for(document(provider))
        create, left = stage.store.create, [segment]

        def failing(path, data):
            if b"inBatch" in data:
                left[0] -= 1
                if left[0] < 0:
                    raise TryAgain("the store is away")
            return create(path, data)

        stage.store.create = failing
        with pytest.raises(TryAgain, match="the store is away"):
            rows_of(stage)
        dataset = rows_of(stage_for(document(provider)))
    assert texts(dataset) == live_rows
    assert len(provider.batches) == 1
    assert max(provider.paid.values()) == 1
    assert dataset.figures["calls"] == 0, "all was paid for before"


def test_a_run_that_is_stopped_leaves_its_batch_to_the_next_one(stage_for, live_rows):
    with serving(BatchProvider()) as provider:
        stage = stage_for(document(provider))
        stopped_while_it_waits(stage, provider)
        dataset = rows_of(stage_for(document(provider)))
    assert texts(dataset) == live_rows
    assert (provider.cancelled, len(provider.batches)) == (0, 1)


def test_a_batch_that_has_ended_meanwhile_is_read_whole_by_a_run_that_goes_on_live(stage_for, live_rows):
    with serving(BatchProvider()) as provider:
        stopped_while_it_waits(stage_for(document(provider)), provider)
        [made] = provider.batches.values()
        provider.finish(made, "completed", len(made.lines))
        calls = provider.calls
        dataset = rows_of(stage_for(document(provider, mode="live")))
    assert texts(dataset) == live_rows
    assert (provider.calls, provider.cancelled) == (calls, 0)


def test_two_processes_of_one_run_share_a_batch(tmp_path, stage_for, live_rows):
    """A pod on a lost node may still run when its successor starts."""
    with serving(BatchProvider()) as provider:
        provider.hold = "look"
        first = started((tmp_path / "store").as_uri(), document(provider), "first")
        assert provider.holding.wait(60)
        releasing = threading.Timer(1.0, lambda: setattr(provider, "hold", ""))
        releasing.start()
        dataset = rows_of(stage_for(document(provider)))
        first.communicate(timeout=60)
    assert first.returncode == 0
    assert texts(dataset) == live_rows
    assert len(provider.batches) == 1
    assert max(provider.paid.values()) == 1


def test_a_batch_that_is_there_no_more_is_said_and_asked_anew(stage_for, capsys, live_rows):
    with serving(BatchProvider()) as provider:
        stage = stage_for(document(provider))
        stopped_while_it_waits(stage, provider)
        lost = provider.batches.pop("batch_0")
        provider.batches["other"] = lost
        dataset = rows_of(stage_for(document(provider)))
    assert texts(dataset) == live_rows
    assert "is not there any more" in capsys.readouterr().out


def test_what_a_model_thinks_too_long_in_a_batch_left_behind_is_asked_again_with_more_room(stage_for):
    class Thinking(BatchProvider):
        def answer(self, body, text):
            completion = super().answer(body, text)
            long = "Example number 7:" in json.dumps(body["messages"])
            return with_thoughts(completion, body, 3000) if long else completion

    with serving(Thinking()) as provider:
        stage = stage_for(document(provider))
        stopped_while_it_waits(stage, provider)
        dataset = rows_of(stage_for(document(provider)))
    assert len(dataset.rows) == ROWS
    assert "cutOff" not in dataset.reasons()
    assert any(row.id.startswith("c000006") for row in dataset.rows)
