"""`python -m tunesmith_jobs.runs` and the stage `deliver`, over a real folder and a real S3 server."""

import contextlib
import hashlib
import json
import subprocess
import sys

import pytest
from stages import run_module, snapshot_for

from tunesmith.errors import BadRequest, Gone
from tunesmith.manifest import Manifest
from tunesmith.stages import ORDER
from tunesmith_jobs.attempt import Attempt, Outcome, new_attempt
from tunesmith_jobs.deliver.work import work as deliver
from tunesmith_jobs.runs.command import main
from tunesmith_jobs.storage import open_store

FILES = {
    "generate": {
        "train.jsonl": b"{}\n",
        "test.jsonl": b"",
        "system_message.txt": "猜灯谜".encode(),
        "report.json": b"{}",
    },
    "train": {
        "adapter/adapter_config.json": b"{}",
        "adapter/adapter_model.safetensors": b"lora" * 1000,
        "history.jsonl": b"{}\n",
    },
    "merge": {
        "model/config.json": b"{}",
        "model/model.safetensors": b"weights" * 100_000,
        "model/README.md": b"card",
        "report.json": b"{}",
    },
    "evaluate": {
        "report.html": b"<html>",
        "report.json": b"{}",
        "answers.jsonl": b"{}\n",
        "README.md": b"card with table",
    },
}


@pytest.fixture
def ask(capfdbinary, url, monkeypatch):
    """Run a subcommand in this process; its output, and its exit code checked."""

    def ask(*arguments, code=0):
        assert main(["--store", url, *arguments]) == code
        out, err = capfdbinary.readouterr()
        assert b"Traceback" not in err
        assert bool(err) is (code != 0)
        return out if code == 0 else err.decode()

    return ask


@pytest.fixture
def finish(store, tmp_path):
    """Put finished stages into the store, as if they had run."""

    def finish(*names, spec=None, files=FILES):
        snapshot = snapshot_for(spec or {})
        for name in names:
            attempt = Attempt(name, snapshot, store, tmp_path / "work", new_attempt())
            attempt.keep(f"{name} 开始")
            for path, data in files[name].items():
                attempt.put_bytes(path, data)
            attempt.commit(Outcome(metrics={"rows": 3}))
            attempt.keep_log()
        file = tmp_path / f"{snapshot.key('generate')}.json"
        file.write_text(snapshot.to_json())
        return snapshot, file

    return finish


def test_the_snapshot_of_a_run_is_kept_and_read_back(ask, url):
    document = '{"任务": 1}'.encode()
    command = [sys.executable, "-m", "tunesmith_jobs.runs", "--store", url]
    subprocess.run(
        [*command, "write", "--path", "r/request.json"], input=document, check=True, capture_output=True
    )
    assert (
        subprocess.run([*command, "cat", "--path", "r/request.json"], check=True, capture_output=True).stdout
        == document
    )
    assert "r/none.json is not there" in ask("cat", "--path", "r/none.json", code=66)


def test_manifests_by_their_keys_and_all_of_a_run(ask, finish):
    old, _ = finish("generate", spec={"data": {"examples": 5}})
    snapshot, file = finish("generate", "train")
    by_key = [
        Manifest.model_validate(item)
        for item in json.loads(ask("manifests", "--run", "r", "--snapshot", str(file)))
    ]
    assert [(manifest.stage, manifest.key) for manifest in by_key] == [
        (name, snapshot.key(name)) for name in ("generate", "train")
    ]
    every = [Manifest.model_validate(item) for item in json.loads(ask("manifests", "--run", "r"))]
    assert [(manifest.stage, manifest.key) for manifest in every] == [
        ("generate", snapshot.key("generate")),
        ("generate", old.key("generate")),
        ("train", snapshot.key("train")),
    ]
    assert json.loads(ask("manifests", "--run", "nobodys")) == []


def test_runs_are_listed_with_what_they_reached(ask, finish, store):
    assert json.loads(ask("list")) == []
    snapshot, file = finish("generate", "train")
    store.write("r/request.json", file.read_bytes())
    store.write("stray/file.txt", b"x")
    (row,) = json.loads(ask("list"))
    assert (row["run"], row["phase"], row["stage"], row["progress"], row["model"]) == (
        "r",
        "Incomplete",
        "train",
        "2/4",
        "hf://org/tiny",
    )
    assert row["stages"] == [{"name": name, "key": snapshot.key(name)} for name in ("generate", "train")]
    finish("merge", "evaluate")
    assert json.loads(ask("list"))[0]["phase"] == "Complete"


def test_a_folder_that_no_run_can_be_named_like_is_not_listed(ask, store, finish):
    for name in ("A", "a b", "\x1b[2J", ".."):
        with contextlib.suppress(BadRequest):
            store.write(f"{name}/generate/k/manifest.json", b"{}")
    assert json.loads(ask("list")) == []


LEADING_OUT = [
    "../../../../../escaped",
    "model/../../escaped",
    "/escaped",
    "C:/escaped",
    "model\\escaped",
    "model//escaped",
    "model/./escaped",
    "model/",
    "",
    "model/es\x00caped",
    "model/es\x1b[2Jcaped",
    "model/.tunesmith-lock",
    "model/CONFIG.json",
    "model/config.json/escaped",
    "x" * 300,
]


@pytest.mark.parametrize("path", LEADING_OUT)
def test_a_manifest_whose_files_belong_elsewhere_is_not_read(ask, finish, store, tmp_path, path):
    """Whoever may write to the bucket must not write to the machines of those who read it."""
    snapshot, file = finish(*ORDER[:4])
    place = f"r/merge/{snapshot.key('merge')}/manifest.json"
    manifest = json.loads(store.read(place))
    manifest["files"].append({"path": path, "size": 1, "sha256": "0" * 64})
    store.write(place, json.dumps(manifest).encode())
    before = sorted(tmp_path.rglob("*"))
    for arguments in (
        ("fetch", "--snapshot", str(file), "--to", str(tmp_path / "here")),
        ("manifests", "--snapshot", str(file)),
        ("manifests",),
    ):
        said = ask(*arguments, "--run", "r", code=66)
        assert place in said
        assert "\x1b" not in said
    assert sorted(tmp_path.rglob("*")) == before


OTHERS = {"run": "other", "stage": "train", "key": "f" * 16, "attempt": "../../../other/train/k/attempts/a"}


@pytest.mark.parametrize("member", OTHERS)
def test_a_manifest_that_leads_to_another_run_is_not_read(ask, finish, store, member):
    snapshot, file = finish("generate")
    place = f"r/generate/{snapshot.key('generate')}/manifest.json"
    store.write(place, json.dumps(json.loads(store.read(place)) | {member: OTHERS[member]}).encode())
    assert place in ask("manifests", "--run", "r", "--snapshot", str(file), code=66)


@pytest.mark.parametrize("module", ["tunesmith_jobs.deliver", "tunesmith_jobs.infer"])
def test_no_process_opens_a_manifest_whose_files_belong_elsewhere(finish, store, url, tmp_path, module):
    snapshot, _ = finish(*ORDER[:4], spec={"output": f"file://{tmp_path}/out"})
    place = f"r/merge/{snapshot.key('merge')}/manifest.json"
    manifest = json.loads(store.read(place))
    manifest["files"][0]["path"] = "model/../../../escaped"
    store.write(place, json.dumps(manifest).encode())
    request = tmp_path / "request.json"
    request.write_text(snapshot.to_json())
    more = ["--prompt", "x"] if module.endswith("infer") else []
    command = [sys.executable, "-m", module, "--request", str(request), "--store", url, *more]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 66, ran.stderr
    assert "model/../../../escaped" in ran.stderr
    assert not list(tmp_path.rglob("escaped"))


def test_fetch_copies_each_part_checked_and_takes_evaluates_card(ask, finish, tmp_path):
    _, file = finish(*ORDER[:4])
    to = tmp_path / "a folder"
    fetch = ("fetch", "--run", "r", "--snapshot", str(file), "--to", str(to))
    answer = json.loads(ask(*fetch))
    fetched = {str(path.relative_to(to)): path.read_bytes() for path in to.rglob("*") if path.is_file()}
    assert sorted(fetched) == [
        *("adapter/adapter_config.json", "adapter/adapter_model.safetensors"),
        *("dataset/report.json", "dataset/system_message.txt", "dataset/test.jsonl", "dataset/train.jsonl"),
        *("model/README.md", "model/config.json", "model/model.safetensors"),
        *("report/answers.jsonl", "report/report.html", "report/report.json"),
    ]
    assert fetched["model/README.md"] == b"card with table"
    assert {item["path"]: item["sha256"] for item in answer["files"]} == {
        path: hashlib.sha256(data).hexdigest() for path, data in fetched.items()
    }
    assert answer["kept"] == 0


def test_fetch_resumes_where_it_was_stopped(ask, finish, tmp_path):
    _, file = finish(*ORDER[:4])
    to = tmp_path / "to"
    fetch = ("fetch", "--run", "r", "--snapshot", str(file), "--to", str(to), "--only", "model")
    ask(*fetch)
    whole = to / "model" / "model.safetensors"
    before = whole.stat().st_mtime_ns
    (to / "model" / "config.json").write_bytes(b"[]")
    (to / "model" / ".tunesmith-1-dead").write_bytes(b"half")
    lines = ask(*fetch, "--progress").splitlines()
    assert json.loads(lines[-1])["kept"] == 2
    assert json.loads(lines[-2])["event"] == "progress"
    assert whole.stat().st_mtime_ns == before
    assert (to / "model" / "config.json").read_bytes() == b"{}"
    assert not list(to.rglob(".tunesmith-*"))


def test_fetch_says_what_is_not_done_damaged_or_not_writable(ask, finish, store, tmp_path):
    _, file = finish("generate")
    fetch = ("fetch", "--run", "r", "--snapshot", str(file))
    assert "merge not done" in ask(*fetch, "--to", str(tmp_path / "to"), "--only", "model", code=66)
    (entry,) = [entry for entry in store.list("r/") if entry.path.endswith("/system_message.txt")]
    store.write(entry.path, b"other bytes")
    assert "is not what was stored" in ask(*fetch, "--to", str(tmp_path / "to"), code=66)
    (tmp_path / "a file").write_text("x")
    assert "cannot be" in ask(*fetch, "--to", str(tmp_path / "a file"), code=77)


def test_log_delete_and_probe(ask, finish, store):
    snapshot, _ = finish("generate", "train")
    log = ("log", "--run", "r", "--stage", "train", "--key", snapshot.key("train"))
    assert "train 开始" in ask(*log).decode()
    store.write("other/request.json", b"{}")
    assert json.loads(ask("delete", "--run", "r"))["run"] == "r"
    assert [entry.path for entry in store.list("")] == ["other/request.json"]
    assert "holds no log" in ask(*log, code=66)
    assert "not the name of a run" in ask("delete", "--run", "..", code=78)
    assert json.loads(ask("probe"))["writable"] is True


def test_a_missing_bucket_has_the_texts_and_codes_of_a_stage(s3_env, capfd):
    assert main(["--store", "s3://nobodys/x", "probe"]) == 77
    assert "aws s3 mb s3://nobodys" in capfd.readouterr().err


def test_it_starts_without_torch_and_without_boto3(tmp_path):
    script = """
import sys
from tunesmith_jobs.runs.command import main
assert main(["--store", sys.argv[1], "list"]) == 0
assert not {"torch", "boto3", "openai", "transformers"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script, f"file://{tmp_path}"], check=True)


@pytest.mark.parametrize("to", ["folder", "s3"])
def test_deliver_copies_the_model_with_card_and_report_and_its_marker_last(finish, url, s3_env, tmp_path, to):
    output = f"file://{tmp_path}/delivered" if to == "folder" else s3_env.new_url()
    target = open_store(output)
    snapshot, _ = finish(*ORDER[:4], spec={"output": output})
    ended = run_module("tunesmith_jobs.deliver", snapshot, url, tmp_path)
    assert ended.returncode == 0, ended.stderr
    names = ["README.md", "config.json", "model.safetensors", "report.html"]
    assert [entry.path for entry in target.list("")] == [*names, "tunesmith-manifest.json"]
    marker = Manifest.model_validate_json(target.read("tunesmith-manifest.json"))
    assert {file.path: file.sha256 for file in marker.files} == {
        path: hashlib.sha256(target.read(path)).hexdigest() for path in names
    }
    assert target.read("README.md") == b"card with table"


def test_deliver_replaces_an_older_model_and_leaves_what_is_not_its_own(finish, store, tmp_path):
    output = f"file://{tmp_path}/delivered"
    target = open_store(output)
    target.write("my notes.txt", b"mine")
    old = FILES | {"merge": FILES["merge"] | {"model/model-00002.safetensors": b"second shard"}}
    for spec, files in (({"merge": {"dtype": "float32"}}, old), ({}, FILES)):
        snapshot, _ = finish(*ORDER[:4], spec={"output": output, **spec}, files=files)
        attempt = Attempt("deliver", snapshot, store, tmp_path / "work", new_attempt())
        outcome = deliver(attempt)
    assert outcome.metrics["files"] == 4
    assert [entry.path for entry in target.list("")] == [
        *(
            "README.md",
            "config.json",
            "model.safetensors",
            "my notes.txt",
            "report.html",
            "tunesmith-manifest.json",
        )
    ]


def test_deliver_never_copies_a_damaged_model(finish, store, tmp_path):
    snapshot, _ = finish(*ORDER[:4], spec={"output": f"file://{tmp_path}/delivered"})
    (entry,) = [
        entry
        for entry in store.list("r/")
        if entry.path.endswith("model.safetensors") and "/merge/" in entry.path
    ]
    store.write(entry.path, b"x" * entry.size)
    with pytest.raises(Gone, match="is not what was stored"):
        deliver(Attempt("deliver", snapshot, store, tmp_path / "work", new_attempt()))
    assert open_store(snapshot.spec.output).size("tunesmith-manifest.json") is None
