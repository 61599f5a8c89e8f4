"""The stage as a whole: duplicates go with their partners, the split is clean, topics are even."""

import json
import os
import random
import subprocess
import sys
from collections import Counter

from scripted import PATIENT, spec, teacher
from stages import snapshot_for

from tunesmith_jobs.generate.dataset_plan import DatasetPlan, cell_at
from tunesmith_jobs.generate.work import generate
from tunesmith_jobs.rows import read_rows

LAMP = "My lamp does not turn on any more since Monday, please send someone to repair it."
SAME = "Since Monday my lamp does not switch on any more; please send somebody to fix it."


def rows_file(folder):
    """60 rows, with an exact copy, a near one and one in other words of the first three."""
    rng = random.Random(4)
    # Each has a number of its own, so that none means the same as another
    prompts = [f"{number} {' '.join(rng.choices('abcdefghij', k=25))}" for number in range(57)]
    prompts = [LAMP, *prompts[:30], LAMP.upper(), prompts[0] + " soon", SAME, *prompts[30:]]
    path = folder / "rows.jsonl"
    lines = [{"prompt": prompt, "response": f"answer {at % 7}"} for at, prompt in enumerate(prompts)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def request_for(path, **data):
    return {"task": "Help.", "data": {"source": {"uri": str(path)}, "systemMessage": "Help.", **data}}


def files_of(stage):
    manifest, _ = stage.commit(generate(stage, PATIENT))
    return {file.path: stage.store.read(f"{manifest.folder}/{file.path}") for file in manifest.files}


def test_duplicates_of_own_data_go_with_their_partners_and_the_split_is_looked_at(stage_for, tmp_path, capfd):
    files = files_of(stage_for(request_for(rows_file(tmp_path), semanticDuplicates=0.8)))
    rejected = [json.loads(line) for line in files["rejected.jsonl"].splitlines()]
    assert [(row["id"], row["reason"], row["like"]) for row in rejected] == [
        ("l000032", "duplicate", "l000001"),
        ("l000033", "nearDuplicate", "l000002"),
        ("l000034", "semanticDuplicate", "l000001"),
    ]
    report = json.loads(files["report.json"])
    assert report["rejected"] == {"duplicate": 1, "nearDuplicate": 1, "semanticDuplicate": 1}
    assert report["duplicates"]["clusters"] == 2
    largest = report["duplicates"]["largest"][0]
    assert (largest["id"], largest["dropped"], largest["prompt"]) == ("l000001", 2, LAMP)
    assert [each["reason"] for each in largest["examples"]] == ["duplicate", "semanticDuplicate"]
    assert report["leakage"]["rows"] == report["rows"]["test"] == 6
    assert 0 <= report["leakage"]["p50"] <= report["leakage"]["p95"] <= report["leakage"]["max"] < 0.5
    assert report["leakage"]["overlap"].keys() == {"p50", "p95", "max"}
    test = {row.id for row in read_rows(files["test.jsonl"], "test")}
    assert {each["id"] for each in report["leakage"]["nearest"]} <= test
    assert "rejected: 1 duplicate, 1 nearDuplicate, 1 semanticDuplicate" in capfd.readouterr().out


CHILD = """
import sys
from tunesmith_jobs.generate.work import generate
from tunesmith_jobs.stage import run_stage
sys.exit(run_stage("generate", generate))
"""


def test_the_bytes_depend_on_no_hash_seed_and_no_number_of_threads(tmp_path):
    path = rows_file(tmp_path)
    snapshot = tmp_path / "snapshot.json"
    snapshot.write_text(snapshot_for(request_for(path, semanticDuplicates=0.8)).to_json(), encoding="utf-8")
    results = []
    for seed, threads in (("1", "1"), ("2", "2")):
        store = tmp_path / f"store{seed}"
        command = [sys.executable, "-c", CHILD, "--request", str(snapshot), "--store", store.as_uri()]
        settings = {"PYTHONHASHSEED": seed, "OPENBLAS_NUM_THREADS": threads}
        subprocess.run(command, env={**os.environ, **settings}, check=True, stdout=subprocess.DEVNULL)
        names = ("train.jsonl", "test.jsonl", "rejected.jsonl", "report.json")
        results.append({name: next(store.rglob(name)).read_bytes() for name in names})
    assert results[0] == results[1]


def test_each_topic_of_the_plan_has_its_share_of_the_test_split(stage_for):
    with teacher() as server:
        document = spec(server.url, 120, split={"test": 0.25})
        files = files_of(stage_for(document))
    plan = DatasetPlan.model_validate_json(files["plan.json"])
    topics = {
        name: Counter(
            cell_at(plan, 42, int(row.id[1:7])).topic for row in read_rows(files[f"{name}.jsonl"], name)
        )
        for name in ("train", "test")
    }
    for topic, count in (topics["train"] + topics["test"]).items():
        assert abs(topics["test"][topic] - count / 4) < 1


def test_copies_that_nobody_drops_stay_on_one_side(stage_for, tmp_path):
    rng = random.Random(2)
    words = [f"{first}{second}" for first in "abcdefghij" for second in "klmnopqrst"]
    prompts = [" ".join(rng.choice(words) for _ in range(20)) for _ in range(90)]
    prompts += [f"{prompt} {rng.choice(words)}" for prompt in prompts[:30]]
    path = tmp_path / "rows.jsonl"
    lines = [{"prompt": prompt, "response": f"answer {at % 90}"} for at, prompt in enumerate(prompts)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    files = files_of(stage_for(request_for(path, nearDuplicates=1.0)))
    sides = {
        row.response: name for name in ("train", "test") for row in read_rows(files[f"{name}.jsonl"], name)
    }
    for name in ("train", "test"):
        assert all(sides[row.response] == name for row in read_rows(files[f"{name}.jsonl"], name))
    assert len(read_rows(files["test.jsonl"], "test")) == 12
