"""Only what changed runs, and only what is new is paid for; on a folder and on a real S3 server."""

import json
import re

import pytest


def stages_run(output: str) -> dict:
    """What the last run did with each stage, from `--json`."""
    return {row["name"]: row for row in json.loads(output)["stages"]}


def ran(bench, *arguments, expect=0):
    document = json.loads(bench.run("--json", *arguments, expect=expect).splitlines()[-1])
    return [row["name"] for row in document["stages"] if not row["reused"]]


def test_only_what_changed_runs(bench):
    assert ran(bench) == ["generate", "train", "merge", "evaluate"]
    paid = bench.teacher.calls()
    assert ran(bench) == []
    bench.spec["merge"] = {"dtype": "float16"}
    assert ran(bench) == ["merge", "evaluate"]
    del bench.spec["merge"]
    assert ran(bench) == []
    bench.spec["evaluation"]["gate"] = {"metric": "loss", "leastGain": -100.0}
    assert ran(bench) == []
    bench.spec["evaluation"]["gate"] = {"metric": "loss", "leastGain": 100.0}
    assert ran(bench, expect=1) == []
    assert bench.teacher.calls() == paid


def test_more_examples_pay_only_for_the_new_ones(bench):
    bench.spec["data"]["examples"] = 60
    bench.run("--only", "generate")
    first = bench.teacher.calls()
    bench.spec["data"]["examples"] = 80
    bench.run("--only", "generate")
    more = bench.teacher.calls() - first
    assert first >= 60
    assert 20 <= more <= 24, "20 rows, and replacements of near-duplicates"


def test_the_same_on_s3_with_keys_in_the_environment_only(bench, s3):
    bench.store = s3.new_url()
    bench.env = dict(s3.env)
    output = bench.run()
    assert "merged" in output.lower()
    assert ran(bench) == []
    for secret in (s3.env["AWS_SECRET_ACCESS_KEY"], "scripted-key"):
        assert secret not in output
    bench.command("fetch", bench.name, "--store", bench.store, "--to", str(bench.folder / "fetched"))
    assert list((bench.folder / "fetched").rglob("model*.safetensors"))


@pytest.mark.parametrize("variable", ["NO_COLOR", ""])
def test_without_a_terminal_not_one_escape_byte(bench, variable):
    bench.env = {variable: "1"} if variable else {"TERM": "xterm-256color"}
    output = bench.run("--only", "generate")
    assert not re.search(r"\x1b|\r", output)
