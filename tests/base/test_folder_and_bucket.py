"""Base models in a folder and in a bucket (a real SeaweedFS)."""

import hashlib
import os
import time
from pathlib import Path

import pytest
from tiny import tiny_model

from tunesmith.errors import BadRequest, Gone, Refused, TryAgain
from tunesmith_jobs.base import find_base, inspect_base, open_base


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    folder = tiny_model(tmp_path_factory.mktemp("a model") / "tiny model", shards=2)
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    (folder / "notes.txt").write_text("not part of the model")
    return folder


@pytest.fixture
def own_model(model: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    folder = tmp_path / "own model"
    folder.mkdir()
    for path in model.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.fixture
def bucket(s3, model: Path, monkeypatch) -> str:
    """The model's address in a bucket."""
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    url = s3.new_url().removesuffix("/runs") + "/models/tiny"
    _, _, place = url.partition("://")
    name, _, prefix = place.partition("/")
    for path in model.iterdir():
        s3.client().put_object(Bucket=name, Key=f"{prefix}/{path.name}", Body=path.read_bytes())
    return url


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


WHOLE = {
    *("LICENSE", "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"),
    *("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"),
}


@pytest.mark.parametrize("form", ["file://{}", "{}"])
def test_a_folder_is_opened_in_place_with_the_models_files_only(model: Path, tmp_path, form):
    opened = open_base(find_base(form.format(model)), tmp_path)
    assert names(opened) == WHOLE
    assert (opened / "config.json").resolve() == (model / "config.json").resolve()


def test_a_relative_path_is_taken_from_the_current_folder(model: Path, tmp_path, monkeypatch):
    monkeypatch.chdir(model.parent)
    pin = find_base("tiny model")
    assert pin.revision == find_base(f"file://{model}").revision
    assert names(open_base(pin, tmp_path)) == WHOLE


def test_a_copy_of_a_folder_has_the_same_pin_and_other_content_another(model: Path, own_model: Path):
    assert find_base(str(own_model)).revision == find_base(str(model)).revision
    config = (own_model / "config.json").read_bytes()
    (own_model / "config.json").write_bytes(config.replace(b"silu", b"gelu"))
    assert find_base(str(own_model)).revision != find_base(str(model)).revision


def test_files_that_are_no_part_of_the_model_may_come_and_go(own_model: Path, tmp_path):
    pin = find_base(str(own_model))
    (own_model / "notes.txt").unlink()
    (own_model / "NOTICE").write_text("new")
    assert names(open_base(pin, tmp_path)) == WHOLE


CHANGES = {
    "a byte": lambda folder: (folder / "config.json").write_bytes(
        (folder / "config.json").read_bytes() + b" "
    ),
    "a file": lambda folder: (folder / "model-00002-of-00002.safetensors").unlink(),
    "everything": lambda folder: [path.unlink() for path in folder.iterdir()],
    "the folder": lambda folder: folder.rename(folder.with_name("elsewhere")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_folder_that_changed_since_it_was_pinned_is_gone(own_model: Path, tmp_path, change):
    pin = find_base(str(own_model))
    CHANGES[change](own_model)
    with pytest.raises(Gone, match="own model"):
        open_base(pin, tmp_path / "work")


def test_a_missing_folder_is_named_and_a_hub_name_is_suspected(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadRequest, match=str(tmp_path)) as caught:
        find_base("HuggingFaceTB/SmolLM2-135M-Instruct")
    assert "hf://HuggingFaceTB/SmolLM2-135M-Instruct" in caught.value.remedy


@pytest.fixture
def nobody():
    """Not root, who may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


def test_a_folder_that_may_not_be_read_is_refused(own_model: Path, request):
    (own_model / "config.json").chmod(0)
    request.getfixturevalue("nobody")
    with pytest.raises(Refused, match="may not be read"):
        find_base(str(own_model))


def test_a_bucket_is_opened_as_a_copy_with_the_models_files_only(bucket, model: Path, tmp_path):
    pin = find_base(bucket)
    opened = open_base(pin, tmp_path)
    assert names(opened) == WHOLE
    assert all((opened / name).read_bytes() == (model / name).read_bytes() for name in WHOLE)
    assert pin.size == sum((model / name).stat().st_size for name in WHOLE)


def test_bucket_and_folder_give_the_same_facts(bucket, model: Path):
    stored, local = inspect_base(find_base(bucket)), inspect_base(find_base(str(model)))
    assert (stored.tensors, stored.config, stored.chat_template) == (
        local.tensors,
        local.config,
        local.chat_template,
    )
    assert (stored.total_bytes, stored.license) == (local.total_bytes, local.license)


def test_a_bucket_that_changed_since_it_was_pinned_is_gone(bucket, s3, tmp_path):
    pin = find_base(bucket)
    name, _, prefix = bucket.removeprefix("s3://").partition("/")
    s3.client().put_object(Bucket=name, Key=f"{prefix}/config.json", Body=b"{}")
    with pytest.raises(Gone, match=bucket):
        open_base(pin, tmp_path)
    s3.client().delete_object(Bucket=name, Key=f"{prefix}/config.json")
    for call in (lambda: open_base(pin, tmp_path), lambda: inspect_base(pin)):
        with pytest.raises(Gone, match=r"config\.json"):
            call()


def test_an_empty_prefix_and_a_missing_bucket_are_named(bucket, s3):
    with pytest.raises(BadRequest, match="nothing-here") as caught:
        find_base(f"s3://{s3.bucket}/nothing-here")
    assert caught.value.reason == "ModelNotFound"
    with pytest.raises(Refused, match="no-such-bucket"):
        find_base("s3://no-such-bucket/tiny")


def test_an_s3_server_that_is_away_is_a_passing_fault(bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    with pytest.raises(TryAgain, match=r"127\.0\.0\.1:9|s3://"):
        find_base(bucket)


def test_an_untouched_folder_is_not_hashed_again_and_a_touched_one_is(tmp_path, monkeypatch):
    folder = tiny_model(tmp_path / "m")
    time.sleep(2.1)  # a folder written just now is hashed in any case
    pin = find_base(f"file://{folder}")
    hashed = []
    file_digest = hashlib.file_digest

    def watched(file, name):
        hashed.append(Path(file.name).name)
        return file_digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", watched)
    open_base(pin, tmp_path / "one")
    assert hashed == []
    weights = folder / "model.safetensors"
    stat = weights.stat()
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    # The same size and the same time: only the inode's own time tells.
    os.utime(weights, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(Gone, match="has changed since"):
        open_base(pin, tmp_path / "two")
    assert "model.safetensors" in hashed
