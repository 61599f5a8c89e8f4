"""Base models on the hub: the real client against a loopback hub."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from hub import STRANGER, TOKEN, Hub
from huggingface_hub import close_session
from tiny import tiny_model
from tiny_gguf import write_gguf

from tunesmith.errors import BadRequest, ExitCode, Gone, Refused, Stopped, TryAgain, TunesmithError
from tunesmith_jobs.base import find_base, inspect_base, open_base

NAME = "org/tiny"
URI = f"hf://{NAME}"


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> dict[str, bytes]:
    folder = tiny_model(tmp_path_factory.mktemp("hub") / "tiny", shards=2)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Tiny\n")
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    (folder / "original").mkdir()
    (folder / "original" / "consolidated.safetensors").write_bytes(b"?")
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.fixture
def impatient(monkeypatch):
    """The client's waits between tries are for people, not for tests."""
    from huggingface_hub import file_download
    from huggingface_hub.utils import _http

    for module in (file_download, _http):
        monkeypatch.setattr(module.time, "sleep", lambda _: None)


def test_a_model_is_pinned_to_the_commit_and_opened_whole(hub: Hub, files, tmp_path):
    commit = hub.push(NAME, files)
    pin = find_base(URI)
    folder = open_base(pin, tmp_path / "work")
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    assert (pin.uri, pin.revision) == (URI, commit)
    assert {"config.json", "tokenizer.json", "LICENSE", "README.md", "model.safetensors.index.json"} <= names
    assert not {name for name in names if name.endswith(".bin") or name.startswith("original")}
    assert all((folder / name).read_bytes() == files[name] for name in names)
    assert pin.size == sum(len(files[name]) for name in names)


def test_a_download_can_be_watched_and_ended_between_files(hub: Hub, files, tmp_path):
    hub.push(NAME, files)
    pin = find_base(URI)
    seen: list[tuple[int, int]] = []
    open_base(pin, tmp_path / "one", watch=lambda *bytes_: seen.append(bytes_))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (pin.size, pin.size)

    def stop(done: int, total: int) -> None:
        raise Stopped("told to stop")

    with pytest.raises(Stopped):
        open_base(pin, tmp_path / "two", watch=stop)


def test_finding_and_inspecting_fetches_no_weights(hub: Hub, files):
    hub.push(NAME, files)
    facts = inspect_base(find_base(URI))
    assert facts.license.name == "apache-2.0"
    assert facts.parameters == sum(tensor.elements for tensor in facts.tensors.values()) > 90_000
    assert {name.rpartition(".")[2] for name in facts.linear_modules} == {
        *("q_proj", "k_proj", "v_proj", "o_proj"),
        *("gate_proj", "up_proj", "down_proj"),
    }
    shard = next(name for name in files if name.startswith("model-00001"))
    assert hub.bytes_sent(shard), "the head was read"
    assert all(wanted.startswith("bytes=0-") for wanted in hub.bytes_sent(shard))


def test_a_main_that_moves_after_the_pin_changes_nothing(hub: Hub, files, tmp_path):
    first = hub.push(NAME, files)
    pin = find_base(URI)
    second = hub.push(NAME, files | {"README.md": b"other"})
    assert find_base(URI).revision == second != first
    assert (open_base(pin, tmp_path) / "README.md").read_bytes() == files["README.md"]


def test_a_revision_may_be_a_branch_or_a_commit(hub: Hub, files):
    first = hub.push(NAME, files)
    second = hub.push(NAME, files | {"README.md": b"other"}, branch="dev")
    assert [find_base(f"{URI}@{name}").revision for name in ("main", "dev", first)] == [first, second, first]


def test_a_cut_connection_is_taken_up_where_it_broke_off(hub: Hub, files, tmp_path, impatient, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1024)  # what is kept; 10 MB at home
    hub.push(NAME, files)
    shard = next(name for name in files if name.startswith("model-00002"))
    hub.cuts[shard] = 2
    folder = open_base(find_base(URI), tmp_path)
    assert (folder / shard).read_bytes() == files[shard]
    kept = len(files[shard]) // 2 // 1024 * 1024
    assert hub.bytes_sent(shard)[:2] == ["", f"bytes={kept}-"]


def test_a_file_that_is_always_cut_off_is_a_passing_fault_and_whole_files_are_kept(
    hub: Hub, files, tmp_path, impatient
):
    hub.push(NAME, files)
    shard = next(name for name in files if name.startswith("model-00002"))
    pin = find_base(URI)
    hub.cuts["tokenizer.json"] = 1000
    with pytest.raises(TryAgain, match="could not be read") as caught:
        open_base(pin, tmp_path)
    assert caught.value.reason == "HubUnreachable"
    hub.cuts.clear()
    before = len(hub.bytes_sent(shard))
    assert (open_base(pin, tmp_path) / "tokenizer.json").read_bytes() == files["tokenizer.json"]
    assert len(hub.bytes_sent(shard)) == before


def test_what_the_cache_holds_needs_no_hub(hub: Hub, files, tmp_path):
    hub.push(NAME, files)
    pin = find_base(URI)
    open_base(pin, tmp_path / "one")
    asked = len(hub.requests)
    open_base(pin, tmp_path / "two")
    assert len(hub.requests) == asked


def test_offline_the_cache_is_enough_for_a_pin_and_not_for_a_name(hub: Hub, files, tmp_path, monkeypatch):
    hub.push(NAME, files)
    pin = find_base(URI)
    open_base(pin, tmp_path / "one")
    other = pin.model_copy(update={"revision": hub.push(NAME, files | {"README.md": b"other"})})
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    close_session()
    assert (open_base(pin, tmp_path / "two") / "config.json").is_file()
    for call in (lambda: find_base(URI), lambda: open_base(other, tmp_path / "three")):
        with pytest.raises(BadRequest, match="HF_HUB_OFFLINE"):
            call()


def test_a_pinned_commit_that_is_gone_is_gone(hub: Hub, files, tmp_path):
    hub.push(NAME, files)
    pin = find_base(URI)
    hub.repos[NAME].commits.clear()
    for call in (lambda: open_base(pin, tmp_path), lambda: inspect_base(pin)):
        with pytest.raises(Gone, match=pin.revision) as caught:
            call()
        assert caught.value.exit_code == ExitCode.GONE


CASES = {
    "missing": ({}, "hf://org/missing", None, BadRequest, "ModelNotFound", "org/missing"),
    "missing, token given": ({}, "hf://org/missing", TOKEN, BadRequest, "ModelNotFound", "org/missing"),
    "unknown revision": ({}, f"{URI}@v9", None, BadRequest, "ModelNotFound", "v9"),
    "gated, no token": ({"gated": True}, URI, None, BadRequest, "ModelGated", "HF_TOKEN"),
    "gated, token without access": ({"gated": True}, URI, STRANGER, Refused, "ModelGated", f"/{NAME}"),
    "private, no token": ({"private": True}, URI, None, BadRequest, "ModelNotFound", "HF_TOKEN"),
    "bad token": ({}, URI, "hf_wrong", Refused, "TokenRefused", "token"),
    "no hub name": ({}, "hf://tiny", None, BadRequest, "BadModelURI", "organisation/name"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_be_had_is_said_with_the_way_out(hub: Hub, files, case):
    how, uri, token, kind, reason, says = CASES[case]
    hub.push(NAME, files, **how)
    with pytest.raises(TunesmithError) as caught:
        find_base(uri, token=token)
    assert type(caught.value) is kind
    assert caught.value.reason == reason
    assert says in str(caught.value)


@pytest.mark.parametrize("how", [{"gated": True}, {"private": True}])
def test_the_right_token_opens_gated_and_private_models_and_goes_to_no_other_host(
    hub: Hub, files, tmp_path, how
):
    hub.push(NAME, files, **how)
    pin = find_base(URI, token=TOKEN)
    inspect_base(pin, token=TOKEN)
    assert (open_base(pin, tmp_path, token=TOKEN) / "config.json").is_file()
    elsewhere = [headers for _, path, headers in hub.requests if path.startswith("/cdn/")]
    assert elsewhere
    assert not [headers for headers in elsewhere if "authorization" in headers]


def test_no_token_of_the_users_own_is_sent_unasked(hub: Hub, files, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.push(NAME, files)
    find_base(URI)
    assert not [headers for _, _, headers in hub.requests if "authorization" in headers]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_hub_in_trouble_is_a_passing_fault(hub: Hub, files, status):
    hub.push(NAME, files)
    hub.failures = [status] * 20
    with pytest.raises(TryAgain, match=f"hf://{NAME}"):
        find_base(URI)


def test_a_hub_that_cannot_be_reached_is_a_passing_fault(hub: Hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(TryAgain, match=r"http://127\.0\.0\.1:9") as caught:
        find_base(URI)
    assert isinstance(caught.value.__cause__, httpx.ConnectError)


@pytest.mark.parametrize(
    ("left_out", "added", "says"),
    [
        (("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"), {}, "safetensors only"),
        (("model-00002-of-00002.safetensors",), {}, "model-00002-of-00002.safetensors"),
        (("config.json",), {"adapter_config.json": b"{}"}, "is an adapter"),
        (("config.json",), {"tiny.Q4.gguf": b"GGUF"}, "tiny.Q4.gguf"),
    ],
)
def test_a_repository_without_what_is_needed_says_what_it_has(hub: Hub, files, left_out, added, says):
    hub.push(NAME, {name: data for name, data in files.items() if name not in left_out} | added)
    with pytest.raises(BadRequest, match=says):
        find_base(URI)


def test_a_gguf_file_is_inspected_by_its_head_alone(hub: Hub, tmp_path):
    data = write_gguf(tmp_path / "tiny.gguf").read_bytes()
    hub.push("org/gguf", {"tiny.gguf": data + bytes(3_000_000), "other.gguf": b"?", "LICENSE": b"free"})
    pin = find_base("hf://org/gguf@main/tiny.gguf")
    assert pin.detail["files"].split() == ["LICENSE", "tiny.gguf"]
    facts = inspect_base(pin)
    assert (facts.model_type, facts.gguf, facts.license.files) == ("llama", True, ("LICENSE",))
    assert set(hub.bytes_sent("tiny.gguf")) == {"bytes=0-1048575"}
    with pytest.raises(BadRequest, match=r"other\.gguf, tiny\.gguf"):
        find_base("hf://org/gguf@main/tiny.Q4.gguf")


_ELSEWHERE = """
import sys
from pathlib import Path
from tunesmith_jobs.base import find_base, open_base
pin = find_base(sys.argv[1], token=None)
print(pin.revision, *sorted(path.name for path in open_base(pin, Path(sys.argv[2])).iterdir()))
assert "torch" not in sys.modules and "transformers" not in sys.modules
"""


def test_a_process_finds_the_hub_by_the_environment_and_asks_it_for_nothing_else(hub: Hub, files, tmp_path):
    commit = hub.push(NAME, files)
    command = [sys.executable, "-c", _ELSEWHERE, URI, str(tmp_path / "work")]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == commit
    assert "model-00002-of-00002.safetensors" in done.stdout
    assert {path.split("/")[1] for _, path, _ in hub.requests} == {"api", "org", "cdn"}
    assert {path for _, path, _ in hub.requests if path.startswith("/api")} == {
        f"/api/models/{NAME}/revision/main"
    }
    assert Path(os.environ["HF_HOME"]).is_dir()
