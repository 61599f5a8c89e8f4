"""The stage as a process: a folder that serves, restarts, refusals with their exit codes."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
import torch
import yaml
from merging import SYSTEM, make_adapter, trained_run
from stages import run_module
from tiny import tiny_model

from tunesmith.errors import ExitCode
from tunesmith.manifest import MANIFEST, stage_folder
from tunesmith_jobs.attempt import Attempt
from tunesmith_jobs.finished import Finished, read_manifest
from tunesmith_jobs.merge.stream import write_shard
from tunesmith_jobs.merge.work import work as merge
from tunesmith_jobs.model_card import Facts, render
from tunesmith_jobs.storage import open_store

MODULE = "tunesmith_jobs.merge"


@pytest.fixture(scope="module")
def run(bases, tmp_path_factory):
    """A finished merge in a folder store: snapshot, store's URL, how the process ended."""
    folder = tmp_path_factory.mktemp("run with a space")
    url = f"file://{folder / 'store'}"
    adapter = make_adapter(bases("half"), folder / "adapter")
    snapshot = trained_run(url, bases("half"), adapter, folder)
    return snapshot, url, run_module(MODULE, snapshot, url, folder)


@pytest.fixture(scope="module")
def merged(run, tmp_path_factory):
    """The finished merge, to be read."""
    snapshot, url, _ = run
    manifest = read_manifest(open_store(url), "r", "merge", snapshot.key("merge"))
    assert manifest is not None
    return Finished(open_store(url), manifest, tmp_path_factory.mktemp("cache"))


def digests(url: str, snapshot) -> dict[str, str]:
    """Name -> sha256 of the model's files, as the manifest has them and as they are."""
    manifest = read_manifest(open_store(url), "r", "merge", snapshot.key("merge"))
    assert manifest is not None
    for file in manifest.files:
        assert (
            hashlib.sha256(open_store(url).read(f"{manifest.folder}/{file.path}")).hexdigest() == file.sha256
        )
    return {file.path: file.sha256 for file in manifest.files if file.path.startswith("model/")}


def test_the_folder_holds_all_that_serving_needs(run, merged, bases):
    assert run[2].returncode == 0, run[2].stderr
    names = {name.removeprefix("model/") for name in merged.names()}
    shards = {f"model-{index:05}-of-00003.safetensors" for index in (1, 2, 3)}
    copied = {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "LICENSE"}
    assert names == {
        *shards,
        *copied,
        "model.safetensors.index.json",
        "system_message.txt",
        "README.md",
        "report.json",
    }
    for name in copied:
        assert merged.read(f"model/{name}") == (bases("half") / name).read_bytes(), name
    assert merged.read("model/system_message.txt").decode() == SYSTEM


def test_the_folder_loads_and_generates(merged):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = merged.folder("model/")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
        tokenizer = AutoTokenizer.from_pretrained(folder)
    assert model.dtype == torch.bfloat16
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "?"}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    answer = model.generate(**prompt, max_new_tokens=4, do_sample=False)
    assert answer.shape[1] > prompt["input_ids"].shape[1]


def test_the_report_says_how_much_of_the_update_is_kept(run, merged):
    report = json.loads(merged.read("report.json"))
    assert (report["tensorsChanged"], report["tensors"], report["rounding"], report["dtypes"]) == (
        14,
        21,
        "stochastic",
        "BF16",
    )
    assert report["updateKeptShare"] == pytest.approx(1, abs=0.01)
    assert run[2].result.metrics["tensorsChanged"] == 14
    assert [event.unit for event in run[2].events[:-1]] == ["MB"] * (len(run[2].events) - 1)


def test_the_card_names_base_license_data_and_keys(merged, run):
    card = merged.read("model/README.md").decode()
    head = yaml.safe_load(card.split("---\n")[1])
    assert head["license"] == "unknown"
    assert "> [!WARNING]" in card
    for text in (
        SYSTEM,
        "> Answer.\n> In *two* lines.",
        "gpt-6.1-sol",
        "9 train, 1 test",
        run[0].key("train"),
        "`LICENSE`",
    ):
        assert text in card, text


def test_evaluate_can_render_the_same_card_from_the_manifest(merged):
    facts = Facts.model_validate(merged.manifest.details["modelCard"])
    assert render(facts).encode() == merged.read("model/README.md")


def test_a_finished_merge_is_not_done_again(run, tmp_path):
    snapshot, url, _ = run
    again = run_module(MODULE, snapshot, url, tmp_path)
    assert (again.returncode, again.result.adopted) == (0, True)


def test_the_stage_does_without_torch(tmp_path):
    code = (
        "import sys, tunesmith_jobs.merge.work;"
        " sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'peft')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("moment", [1, 2, 3])
def test_a_merge_that_was_killed_continues_at_the_first_missing_shard(moment, run, bases, tmp_path):
    """The first attempt dies like a process, within its `moment`-th shard: nothing is cleaned up."""
    whole, url, _ = run
    url_here = f"file://{tmp_path / 'store'}"
    adapter = Finished(
        open_store(url), read_manifest(open_store(url), "r", "train", whole.key("train")), tmp_path / "c"
    ).folder("adapter/")
    snapshot = trained_run(url_here, bases("half"), adapter, tmp_path)
    begun: list[str] = []

    def dies(shard, out, **settings):
        begun.append(shard.file)
        if len(begun) == moment:
            out.write(b"half")
            raise _Killed
        return write_shard(shard, out, **settings)

    with pytest.raises(_Killed):
        merge(Attempt("merge", snapshot, open_store(url_here), tmp_path / "one", "first"), dies)
    ended = run_module(MODULE, snapshot, url_here, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("is there already") == moment - 1
    assert digests(url_here, snapshot) == digests(url, whole)
    manifest = read_manifest(open_store(url_here), "r", "merge", snapshot.key("merge"))
    left = {
        entry.path
        for entry in open_store(url_here).list(f"{stage_folder('r', 'merge', snapshot.key('merge'))}/")
    }
    assert {path for path in left if "/attempts/" in path} == {
        f"{manifest.folder}/{file.path}" for file in manifest.files
    }
    assert not [path for path in left if "/shards/" in path]


class _Killed(BaseException):
    """Nothing catches this."""


def test_kill_9_at_any_moment_costs_nothing_but_time(tmp_path):
    base = tiny_model(tmp_path / "base", hidden=512, layers=6, shards=6, tie=False)
    adapter = make_adapter(base, tmp_path / "adapter")
    results = []
    for name, kill in (("undisturbed", False), ("killed", True)):
        url = f"file://{tmp_path / name}"
        snapshot = trained_run(url, base, adapter, tmp_path)
        if kill:
            marks = tmp_path / name / stage_folder("r", "merge", snapshot.key("merge")) / "shards"
            _kill_once(
                snapshot, url, tmp_path, lambda marks=marks: marks.exists() and any(marks.glob("*.json"))
            )
        ended = run_module(MODULE, snapshot, url, tmp_path)
        assert ended.returncode == 0, ended.stderr
        results.append(
            {path: digest for path, digest in digests(url, snapshot).items() if path != "model/README.md"}
        )
    assert results[0] == results[1]


def _kill_once(snapshot, url, tmp_path, when):
    request = tmp_path / "killed.json"
    request.write_text(snapshot.to_json())
    command = [
        sys.executable,
        "-m",
        MODULE,
        "--request",
        str(request),
        "--store",
        url,
        "--work",
        str(tmp_path / "work"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while process.poll() is None and not when():
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def test_sigterm_ends_with_143_and_nothing_half_in_the_store(bases, tmp_path, monkeypatch):
    url = f"file://{tmp_path / 'store'}"
    snapshot = trained_run(url, bases("half"), make_adapter(bases("half"), tmp_path / "adapter"), tmp_path)
    attempt = Attempt("merge", snapshot, open_store(url), tmp_path, "first")
    attempt.stop()
    with pytest.raises(Exception, match="told to stop") as stopped:
        merge(attempt)
    assert stopped.value.exit_code == ExitCode.STOPPED
    assert not list(open_store(url).list(f"{stage_folder('r', 'merge', snapshot.key('merge'))}/"))


def test_an_adapter_for_another_model_ends_with_78(bases, tmp_path):
    url = f"file://{tmp_path / 'store'}"
    adapter = make_adapter(bases("half"), tmp_path / "adapter")
    snapshot = trained_run(url, bases("gpt2"), adapter, tmp_path)
    ended = run_module(MODULE, snapshot, url, tmp_path)
    assert (ended.returncode, ended.result.reason) == (ExitCode.BAD_REQUEST, "AdapterMismatch")
    assert "model.layers.0.self_attn.q_proj.weight" in ended.result.message
    assert "Traceback" not in ended.stderr


def test_a_base_that_has_changed_since_the_training_ends_with_66(tmp_path):
    base = tiny_model(tmp_path / "base")
    url = f"file://{tmp_path / 'store'}"
    snapshot = trained_run(url, base, make_adapter(base, tmp_path / "adapter"), tmp_path)
    tiny_model(base, seed=1)
    ended = run_module(MODULE, snapshot, url, tmp_path)
    assert ended.returncode == ExitCode.GONE, ended.stdout


def test_merging_into_s3_gives_the_same_bytes(run, bases, s3, tmp_path, monkeypatch):
    whole, url, _ = run
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    there = s3.new_url()
    adapter = Finished(
        open_store(url), read_manifest(open_store(url), "r", "train", whole.key("train")), tmp_path / "c"
    ).folder("adapter/")
    snapshot = trained_run(there, bases("half"), Path(adapter), tmp_path)
    ended = run_module(MODULE, snapshot, there, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert digests(there, snapshot) == digests(url, whole)
    assert open_store(there).size(f"{stage_folder('r', 'merge', snapshot.key('merge'))}/{MANIFEST}")
