"""A base model from a hub: pinned by the run, whatever happens to its branch."""

import json
from pathlib import Path

from tiny import tiny_model


def manifest(bench, stage):
    [path] = Path(bench.store.removeprefix("file://")).glob(f"{bench.name}/{stage}/*/manifest.json")
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_branch_that_moves_between_train_and_merge_does_not_move_the_run(bench, hub, tmp_path):
    first = hub.push("org/tiny", tiny_model(tmp_path / "one", seed=1))
    bench.spec["model"]["base"] = "hf://org/tiny"
    bench.env = {"HF_ENDPOINT": hub.url}
    bench.run("--only", "generate")
    bench.run("--only", "train")
    hub.push("org/tiny", tiny_model(tmp_path / "two", seed=2))
    bench.run()
    assert [manifest(bench, stage)["pins"]["base"]["revision"] for stage in ("train",)] == [first]
    asked = {path.split("/resolve/")[1].split("/")[0] for _, path, _ in hub.requests if "/resolve/" in path}
    assert asked == {first}, "merge and evaluate opened what train had pinned"


def test_a_gated_model_without_a_token_is_refused_before_anything_is_paid(bench, hub, tmp_path):
    hub.push("org/tiny", tiny_model(tmp_path / "one"), gated=True)
    bench.spec["model"]["base"] = "hf://org/tiny"
    bench.env = {"HF_ENDPOINT": hub.url}
    output = bench.run(expect=78)
    assert "org/tiny" in output
    assert "HF_TOKEN" in output
    assert bench.teacher.calls() == 0
