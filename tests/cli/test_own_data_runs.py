"""Own data on this machine is known by its content: an edit runs again, another name or place runs nothing.

The stage generate runs for real.
"""

import hashlib
import json
import shutil

import pytest
from json_members import wrong
from tiny import tiny_model

from tunesmith.data_files import OWN_DATA, digest_of
from tunesmith_cli.local.local_inputs import digest, with_inputs


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny")


def rows(count, first="p"):
    pairs = [{"prompt": f"{first}{number} alpha beta gamma", "response": "r"} for number in range(count)]
    return "".join(json.dumps(pair) + "\n" for pair in pairs)


def write(cli, model, uri, folder="", **source):
    (cli.folder / folder).mkdir(exist_ok=True)
    path = cli.folder / folder / "request.yaml"
    path.unlink(missing_ok=True)
    data = {"source": {"uri": str(uri), **source}, "nearDuplicates": 1.0}
    return cli.write(
        changes={"data": data, "model": {"base": str(model)}}, file=path.relative_to(cli.folder).as_posix()
    )


def generated(cli, request, expect=0):
    """Whether generate ran, and how many rows there are."""
    document = json.loads(
        cli("run", request, "--only", "generate", "--json", expect=expect, real=True).stdout
    )
    stage = document["stages"][0]
    return not stage["reused"], stage["metrics"].get("rows")


def test_an_edit_runs_again_and_neither_a_name_nor_a_place_nor_a_link_does(cli, model):
    data = cli.folder / "rows.jsonl"
    data.write_text(rows(8))
    request = write(cli, model, "rows.jsonl")
    assert generated(cli, request) == (True, 8)
    assert generated(cli, request) == (False, 8)

    data.write_text(rows(9))
    assert generated(cli, request) == (True, 9)
    data.write_text(rows(8))
    assert generated(cli, request) == (False, 8)

    data.rename(cli.folder / "renamed.jsonl")
    assert generated(cli, write(cli, model, "renamed.jsonl")) == (False, 8)
    (cli.folder / "linked.jsonl").symlink_to("renamed.jsonl")
    assert generated(cli, write(cli, model, "linked.jsonl")) == (False, 8)
    request = write(cli, model, "rows.jsonl", folder="elsewhere")
    shutil.move(cli.folder / "renamed.jsonl", request.parent / "rows.jsonl")
    assert generated(cli, request) == (False, 8)
    assert generated(cli, write(cli, model, f"file://{request.parent / 'rows.jsonl'}")) == (False, 8)

    (request.parent / "rows.jsonl").write_text(rows(7))
    (cli.folder / "linked.jsonl").unlink()
    (cli.folder / "linked.jsonl").symlink_to(request.parent / "rows.jsonl")
    assert generated(cli, write(cli, model, "linked.jsonl")) == (True, 7)


def test_a_dry_run_says_what_an_edit_changes_and_that_a_move_changes_nothing(cli, model):
    (cli.folder / "a.jsonl").write_text(rows(8))
    (cli.folder / "b.jsonl").write_text(rows(8))
    cli("run", write(cli, model, "a.jsonl"), "--only", "generate", real=True)
    moved = cli("run", write(cli, model, "b.jsonl"), "--dry-run", real=True).stdout
    [line] = [line for line in moved.splitlines() if "data.source" in line]
    assert line.endswith("(changes no result)")
    assert "reuse" in moved
    (cli.folder / "a.jsonl").write_text(rows(9))
    edited = cli("run", write(cli, model, "a.jsonl"), "--dry-run", real=True).stdout
    assert "data.source: {'sha256': '" in edited
    assert "(moves the key of generate)" in edited


def test_a_file_that_is_edited_after_the_run_began_is_refused_by_the_stage(cli, model):
    data = cli.folder / "rows.jsonl"
    data.write_text(rows(8))
    cli("run", write(cli, model, "rows.jsonl"), "--only", "generate", real=True)
    data.write_text(rows(9))
    said = cli("rerun", "toy", "--from", "generate", expect=65, real=True)
    assert "SourceMismatch: " in said.stderr
    assert "spec.data.source.sha256: is not that of" in said.stderr
    assert "`tunesmith run FILE`" in said.stderr


def located(folder, source):
    return with_inputs({"data": {"source": source}}, folder)


def test_the_digest_that_a_request_names_is_checked_at_once(tmp_path):
    (tmp_path / "rows.jsonl").write_text(rows(3))
    right = hashlib.sha256(rows(3).encode()).hexdigest()
    assert located(tmp_path, {"uri": "rows.jsonl", "sha256": right})[1] == []
    [problem] = located(tmp_path, {"uri": "rows.jsonl", "sha256": "0" * 64})[1]
    assert (problem.path, right in problem.why) == ("spec.data.source.sha256", True)


def test_data_elsewhere_is_known_by_its_name(tmp_path):
    spec, problems = located(tmp_path, {"uri": "s3://bucket/rows.jsonl"})
    assert (spec["data"]["source"], problems) == ({"uri": "s3://bucket/rows.jsonl"}, [])


MISSING = {  # uri -> why
    "nothing": ("rows.jsonl", "cannot be read: No such file or directory"),
    "a link to nothing": ("gone.jsonl", "cannot be read: No such file or directory"),
    "a pipe": ("pipe", "cannot be read: is no file"),
    "below a file": ("file/rows.jsonl", "cannot be read: Not a directory"),
}


@pytest.mark.parametrize(("uri", "why"), MISSING.values(), ids=MISSING)
def test_own_data_that_cannot_be_read_is_named(tmp_path, uri, why):
    import os

    (tmp_path / "gone.jsonl").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("")
    [problem] = located(tmp_path, {"uri": uri})[1]
    assert (problem.path, problem.why, problem.value) == (
        "spec.data.source.uri",
        why,
        str(tmp_path / uri),
    )


def test_a_folder_is_known_by_the_contents_of_its_files_in_the_order_of_their_names(tmp_path):
    folder = tmp_path / "data"
    (folder / "b").mkdir(parents=True)
    (folder / "a.jsonl").write_text("1")
    (folder / "b" / "c.jsonl").write_text("2")
    first = digest(folder)
    one, two = (hashlib.sha256(text).hexdigest() for text in (b"1", b"2"))
    assert first == digest_of([one, two])

    folder.rename(tmp_path / "moved")
    folder = tmp_path / "moved"
    (folder / "a.jsonl").rename(folder / "a0.jsonl")
    (folder / ".DS_Store").write_text("x")
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_text("x")
    (tmp_path / "link").symlink_to(folder)
    assert {digest(folder), digest(tmp_path / "link")} == {first}

    (folder / "a0.jsonl").rename(folder / "z.jsonl")
    assert digest(folder) != first, "another order gives other rows"
    (folder / "z.jsonl").rename(folder / "a.jsonl")
    (folder / "b" / "c.jsonl").write_text("3")
    assert digest(folder) != first
    (folder / "b" / "c.jsonl").unlink()
    (folder / "b" / "c.jsonl").symlink_to("../a.jsonl")
    assert digest(folder) == digest_of([one, one])


NAMES = {
    "a.jsonl": True,
    "b/c.csv": True,
    ".hidden": False,
    "b/.ipynb_checkpoints/x.jsonl": False,
    "a..b.jsonl": True,
    "notes.txt": False,
}


@pytest.mark.parametrize(("name", "counts"), NAMES.items(), ids=NAMES)
def test_hidden_files_and_those_of_no_known_form_are_no_data(name, counts):
    assert OWN_DATA.takes(name) is counts


BASES = {  # as written, what lies there -> what the problem says, if there is one
    "a folder": ("models/small", True, None),
    "no folder": ("models/small", False, "did you mean hf://models/small"),
    "a name of the hub": ("meta-llama/Llama-3.2-1B", False, "did you mean hf://meta-llama/Llama-3.2-1B,"),
    "with its revision": ("org/name@main", False, "did you mean hf://org/name@main,"),
    "a folder that has such a name": ("org/name", True, None),
    "a path with a dot": ("./org/name", False, "give the path of a folder or a .gguf file"),
    "an absolute path": ("/nowhere/at/all", False, "give the path of a folder"),
    "a URL": ("file:///nowhere/at/all", False, "give the path of a folder"),
    "a model of the hub": ("hf://org/name", False, None),
    "a model in a bucket": ("s3://b/name", False, None),
}


@pytest.mark.parametrize(("base", "exists", "says"), BASES.values(), ids=BASES)
def test_a_base_model_that_is_not_there_is_named(tmp_path, base, exists, says):
    if exists:
        (tmp_path / base).mkdir(parents=True)
    problems = with_inputs({"model": {"base": base}}, tmp_path)[1]
    assert [problem.path for problem in problems] == ["spec.model.base"] * (says is not None)
    for problem in problems:
        assert says in problem.remedy
        assert problem.value == base


def test_status_says_what_was_read_and_what_has_become_of_it(cli, model):
    data = cli.folder / "rows.jsonl"
    data.write_text(rows(8))
    cli("run", write(cli, model, "rows.jsonl"), "--only", "generate", real=True)
    sha256 = hashlib.sha256(rows(8).encode()).hexdigest()

    def checked():
        document = cli.json("status", "toy", "--check-sources")
        assert wrong(document, "status") == []
        return document["source"]

    said = cli("status", "toy", "--check-sources").stdout
    assert f"sha256 {sha256}, {len(rows(8))} bytes" in said
    assert "its name holds the same by now" in said
    assert (checked()["sha256"], checked()["since"]) == (sha256, "")
    data.write_text(rows(9))
    assert checked()["since"].startswith("holds other bytes by now (sha256 ")
    data.unlink()
    assert checked()["since"] == "is not there any more"
    assert "source" not in cli.json("status", "toy")
    assert "--check-sources looks once" in cli("status", "--check-sources", expect=64).stderr


def test_a_run_without_own_data_has_read_none(cli):
    cli("run", cli.write(), "--only", "generate")
    assert "this run has read no own data" in cli("status", "toy", "--check-sources").stdout
    assert cli.json("status", "toy", "--check-sources")["source"] is None
