"""The stage against the scripted teacher: same bytes, nothing paid twice, exactly the number asked for."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from scripted import PATIENT, QUICK, SUPPORT, spec, teacher
from stages import snapshot_for

from tunesmith.errors import BadData, Stopped
from tunesmith.events import parse
from tunesmith_jobs.generate.work import generate
from tunesmith_jobs.rows import read_rows
from tunesmith_jobs.storage import open_store

DATASET = ("plan.json", "system_message.txt", "test.jsonl", "train.jsonl", "rejected.jsonl")
RIDDLES = "一个能够接收中文中类似猜灯谜的问题,并用经过深思熟虑、逐步推理的方式以中文回答的模型。"


def made(stage, patience=PATIENT):
    """Commits the stage; returns all its files."""
    manifest, _ = stage.commit(generate(stage, patience))
    return {file.path: stage.store.read(f"{manifest.folder}/{file.path}") for file in manifest.files}


def dataset(files):
    return {name: files[name] for name in DATASET if name in files}


def test_a_task_becomes_exactly_the_rows_asked_for(stage_for):
    with teacher() as server:
        files = made(stage_for(spec(server.url, 134)))
    assert sorted(files) == [
        "README.md",
        "chat/test.jsonl",
        "chat/train.jsonl",
        "plan.json",
        "rejected.jsonl",
        "report.json",
        "system_message.txt",
        "test.jsonl",
        "train.jsonl",
    ]
    train, test = read_rows(files["train.jsonl"], "train"), read_rows(files["test.jsonl"], "test")
    assert (len(train), len(test)) == (121, 13)
    assert len({row.id for row in train + test}) == 134
    assert files["system_message.txt"].startswith(b"Given ")
    report = json.loads(files["report.json"])
    assert report["rows"]["accepted"] == 134
    assert report["leakage"]["max"] < 0.5
    assert report["coverage"]["topic"]["evenness"] > 0.99
    assert server.answered == 134 + 2  # plan and system message


def test_the_scripted_rows_say_what_they_mean(stage_for):
    with teacher() as server:
        files = made(stage_for(spec(server.url, 60)))
    for row in read_rows(files["train.jsonl"], "train"):
        answer = json.loads(row.response)
        assert list(answer) == ["category", "priority", "product"]
        assert answer["product"] in row.prompt
        assert row.response == json.dumps(answer, separators=(",", ":"))


def test_the_teacher_counts_apart_what_each_task_was_billed(stage_for):
    other = f"{SUPPORT} Of a shop."

    def billed(url, about):
        with urllib.request.urlopen(f"{url.removesuffix('/v1')}/stats?about={quote(about)}") as answer:
            return json.load(answer)["calls"]

    with teacher() as server:
        generate(stage_for(spec(server.url, 20, task=other)), PATIENT)
        assert (billed(server.url, other), billed(server.url, "")) == (22, 22)
        generate(
            stage_for(spec(server.url, 30, task="Translate English into French."), run="another"), PATIENT
        )
        assert (billed(server.url, other), billed(server.url, "into French"), billed(server.url, "")) == (
            22,
            32,
            54,
        )


def test_the_same_answers_give_the_same_bytes_whatever_their_order(stage_for):
    with teacher() as server:
        first = made(stage_for(spec(server.url), run="one"))
    with teacher("error,every=3", latency=0.01) as server:
        second = made(
            stage_for(spec(server.url, teacher={"maxConcurrency": 3}), run="two"), replace(QUICK, tries=30)
        )
    assert dataset(first) == dataset(second)


def test_more_rows_later_pay_only_for_what_is_new(stage_for):
    with teacher() as server:
        few = made(stage_for(spec(server.url, 60)))
        assert server.answered == 62
        many = made(stage_for(spec(server.url, 80)))
        assert server.answered == 82
    assert json.loads(many["report.json"])["teacher"]["callsReused"] == 62
    rows = {row.id for name in ("train", "test") for row in read_rows(many[f"{name}.jsonl"], name)}
    assert {row.id for name in ("train", "test") for row in read_rows(few[f"{name}.jsonl"], name)} < rows


def test_several_pairs_a_call_cost_fewer_calls(stage_for):
    with teacher() as server:
        files = made(stage_for(spec(server.url, 20, pairsPerCall=6)))
        assert server.answered == 4 + 2
    assert json.loads(files["report.json"])["rows"]["accepted"] == 20


def test_an_endpoint_that_shares_nothing_but_plain_text_is_asked_for_tags(stage_for):
    with teacher("nojson") as server:
        files = made(stage_for(spec(server.url, 10)))
        assert server.answered == 12
    assert (
        json.loads(files["report.json"])["teacher"]["faults"] <= 2 * 2
    )  # the ladder's two steps, and what was under way


def test_rejected_answers_are_replaced_and_named(stage_for):
    with teacher("refusal,after=6,every=4,count=3") as server:
        files = made(stage_for(spec(server.url, 20)))
    rejected = [json.loads(line) for line in files["rejected.jsonl"].splitlines()]
    assert [entry["reason"] for entry in rejected] == ["refused"] * 3
    assert json.loads(files["report.json"])["rows"]["accepted"] == 20


def test_an_unreadable_answer_is_asked_for_once_more(stage_for):
    with teacher("nonsense,after=5,count=1") as server:
        files = made(stage_for(spec(server.url, 10)))
        assert server.answered == 13
    assert files["rejected.jsonl"] == b""


def test_a_given_system_message_is_kept_to_the_byte_and_not_asked_for(stage_for):
    text = "  Given a message,\nyou will answer. 谜 "
    with teacher() as server:
        files = made(stage_for(spec(server.url, 5, systemMessage=text)))
        assert server.answered == 6
    assert files["system_message.txt"].decode() == text


def test_the_task_reaches_the_teacher_to_the_byte(stage_for):
    with teacher() as server:
        files = made(stage_for(spec(server.url, 3, task=RIDDLES)))
        assert all(RIDDLES in text for text in server.asked_for)
    assert b"(scripted" in files["train.jsonl"]


def test_a_chain_feeds_earlier_answers_back_one_after_another(stage_for):
    with teacher() as server:
        files = made(stage_for(spec(server.url, 12, strategy="chain", feedback=4)))
        assert server.most_in_flight == 1
        assert server.answered == 13
        shown = [text.count("\nassistant: ") for text in server.asked_for]
        assert sorted(shown)[-8:] == [4] * 8
    assert "plan.json" not in files


def test_a_chain_goes_on_where_it_stopped(stage_for):
    with teacher("quota,after=8") as server, pytest.raises(Exception, match="quota"):
        generate(stage_for(spec(server.url, 12, strategy="chain")), PATIENT)
    with teacher() as server:
        resumed = made(stage_for(spec(server.url, 12, strategy="chain")))
        assert server.answered == 13 - 8
        whole = made(stage_for(spec(server.url, 12, strategy="chain"), run="undisturbed"))
    assert dataset(resumed) == dataset(whole)


def test_duplicates_that_never_end_are_an_error_in_numbers(stage_for):
    # The least similarity that is near: one shared shingle, which all messages with one sentence of a kind
    # have.
    with teacher() as server, pytest.raises(BadData) as error:
        generate(stage_for(spec(server.url, 200, nearDuplicates=0.01)), PATIENT)
    assert "of 200 rows after 420 calls; rejected: " in error.value.message
    assert error.value.reason == "TooFewRows"


def test_progress_counts_rows_and_tells_cost(stage_for, capfd):
    with teacher() as server:
        document = spec(
            server.url, 5, budget={"usdPerMillionInputTokens": 1.0, "usdPerMillionOutputTokens": 2.0}
        )
        made(stage_for(document))
    last = [event for line in capfd.readouterr().out.splitlines() if (event := parse(line))][-1]
    assert (last.done, last.total, last.unit) == (5, 5, "rows")
    assert last.metrics.keys() >= {"usd", "tokens", "inFlight", "callsPerMinute"}
    assert last.metrics["usd"] > 0


def test_told_to_stop_it_keeps_what_is_under_way_and_goes_on_later(stage_for):
    with teacher(latency=0.3) as server:
        stage = stage_for(spec(server.url, 100, teacher={"maxConcurrency": 10}))
        threading.Timer(0.8, stage.stop).start()
        with pytest.raises(Stopped):
            generate(stage, QUICK)
        before = server.answered
        assert before < 60
        server.latency = 0.0
        made(stage_for(spec(server.url, 100)))
        assert server.answered == 102, "an answer that was paid for was asked for again"


def test_told_to_stop_it_does_not_wait_for_an_endpoint_that_hangs(stage_for):
    with teacher("hang,seconds=30,after=5") as server:
        stage = stage_for(spec(server.url, 10))
        threading.Timer(0.5, stage.stop).start()
        begun = time.monotonic()
        with pytest.raises(Stopped):
            generate(stage, replace(QUICK, request=60.0))
        assert time.monotonic() - begun < 20


CHILD = """
import sys
from tunesmith_jobs.generate.work import generate
from tunesmith_jobs.stage import run_stage
sys.exit(run_stage("generate", generate))
"""


@pytest.mark.parametrize(("store", "wanted_kills"), [("folder", 3), ("bucket", 1)])
def test_killed_at_random_moments_it_gives_the_same_bytes_and_pays_twice_for_no_more_than_was_under_way(
    store, wanted_kills, tmp_path, request, stage_for, monkeypatch
):
    width, rows = 8, 40
    environment = dict(os.environ)
    url = (tmp_path / "store").as_uri()
    if store == "bucket":
        s3 = request.getfixturevalue("s3")
        environment |= s3.env
        for name, value in s3.env.items():
            monkeypatch.setenv(name, value)
        url = s3.new_url()
    with teacher(latency=0.1) as server:
        document = spec(server.url, rows, teacher={"maxConcurrency": width})
        (tmp_path / "snapshot.json").write_text(snapshot_for(document).to_json(), encoding="utf-8")
        command = [sys.executable, "-c", CHILD, "--request", str(tmp_path / "snapshot.json"), "--store"]
        draw = random.Random(11)
        kills = 0
        for _ in range(wanted_kills):
            process = subprocess.Popen(
                [*command, url], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            reached, wanted = server.answered, draw.randint(4, 9)
            while process.poll() is None and server.answered < reached + wanted:
                time.sleep(0.005)
            kills += process.poll() is None
            process.send_signal(signal.SIGKILL)
            process.communicate()
        assert kills == wanted_kills
        done = subprocess.run([*command, url], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert server.answered <= rows + 2 + kills * width
        whole = made(stage_for(document, run="undisturbed"))
    opened = open_store(url)
    files = {
        entry.path.rsplit("/", 1)[1]: opened.read(entry.path)
        for entry in opened.list("r/generate/")
        if "/attempts/" in entry.path
    }
    assert dataset(files) == dataset(whole)


def test_the_support_task_is_the_one_the_scripted_teacher_knows():
    from tunesmith_tryout.scripted_teacher.support import is_support

    assert is_support(SUPPORT)
    assert not is_support(RIDDLES)


def test_the_scripted_rows_fit_the_quickstarts_format(stage_for):
    import jsonschema
    import yaml

    quickstart = yaml.safe_load(
        (Path(__file__).parents[2] / "examples" / "quickstart.yaml").read_text(encoding="utf-8")
    )["spec"]
    with teacher() as server:
        files = made(stage_for(spec(server.url, quickstart["data"]["examples"], task=quickstart["task"])))
    rows = read_rows(files["train.jsonl"], "train") + read_rows(files["test.jsonl"], "test")
    for row in rows:
        jsonschema.validate(json.loads(row.response), quickstart["evaluation"]["format"]["jsonSchema"])
    assert files["rejected.jsonl"] == b"", (
        "more than 95 % of the scripted messages must pass the filter of near-duplicates"
    )
