"""`-o json` on this machine: the members are those of docs/reference/json.md, no more and no less."""

import json

import pytest
from json_members import wrong

from tunesmith.events import Progress
from tunesmith_cli.commands.json_members import DOCUMENTS
from tunesmith_jobs.evaluate.report import Report


def test_a_member_that_is_renamed_or_dropped_is_seen():
    whole = {
        "format": 1,
        "valid": True,
        "requests": [
            {
                "name": "a",
                "run": "a",
                "source": "f",
                "stages": [{"name": "train", "key": "k"}],
                "warnings": [],
            }
        ],
    }
    assert wrong(whole, "valid") == []
    whole["requests"][0]["stages"][0] = {"name": "train", "hash": "k"}
    assert wrong(whole, "valid") == [
        ".requests[].stages[].hash is not documented",
        ".requests[].stages[].key is missing",
    ]


def test_validate(cli):
    path = cli.write()
    for more in ([], ["--resolved"]):
        document = json.loads(cli.inline("validate", path, "-o", "json", *more).stdout)
        assert wrong(document, "valid") == []
        assert ("spec" in document["requests"][0]) == bool(more)
    bad = cli.write(changes={"training": {"learning_rate": 1}}, file="bad.yaml")
    document = json.loads(cli.inline("validate", bad, "-o", "json", expect=78).stdout)
    assert document["problems"]
    assert wrong(document, "invalid") == []


ROWS = {
    "good": ('{"prompt": "a", "response": "b"}\n', 0, "data"),
    "bad": ('{"prompt": "a", "response": "b"}\nno\n', 65, "data"),
    "unreadable": (None, 65, "unreadable data"),
}


@pytest.mark.parametrize(("rows", "code", "which"), ROWS.values(), ids=ROWS)
def test_data_check(cli, rows, code, which):
    path = cli.folder / "rows.jsonl"
    if rows:
        path.write_text(rows, encoding="utf-8")
    document = json.loads(cli("data", "check", path, "-o", "json", expect=code).stdout)
    assert wrong(document, which) == []
    assert bool(document.get("problems")) == (which == "data" and code == 65)


def test_a_run_and_what_is_asked_about_it(cli):
    path = cli.write()
    dry = cli.json("run", path, "--dry-run")
    done = cli.json("run", path, "--only", "generate")
    edited = cli.json("run", path, "--dry-run", "--set", "data.examples=3")
    documents = {
        "run": [done],
        "dry run": [dry, edited],
        "runs": [cli.json("status")],
        "status": [cli.json("status", "toy")],
    }
    documents["fetch"] = [cli.json("fetch", "toy", "--to", "out")]
    assert done["stages"]
    assert edited["changes"]
    assert {
        which: [wrong(one, which) for one in printed]
        for which, printed in documents.items()
        if any(wrong(one, which) for one in printed)
    } == {}


def test_version(cli):
    for more in ([], ["--client"]):
        assert wrong(json.loads(cli("version", "-o", "json", *more).stdout), "version") == []


def test_progress_of_a_stage_at_work():
    aliases = {field.alias or name for name, field in Progress.model_fields.items()} - {"event"}
    assert aliases == {
        path.split(".")[1] for path in DOCUMENTS["status"].members if path.startswith("progress.")
    }


def test_report():
    aliases = {field.alias for field in Report.model_fields.values()}
    assert aliases == set(DOCUMENTS["report"].members)
