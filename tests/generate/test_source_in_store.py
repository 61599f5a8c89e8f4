"""Own data in a bucket: what was read is pinned, and what has become of it since is said."""

import hashlib
import json
import secrets

import pytest

from tunesmith.errors import BadData, BadRequest
from tunesmith.settings import Source
from tunesmith_jobs.generate.work import generate
from tunesmith_jobs.own_data.pinned import difference
from tunesmith_jobs.own_data.read import check_source
from tunesmith_jobs.source_notes import note_on_source, source_read
from tunesmith_jobs.storage import open_parent, open_store


@pytest.fixture
def url(s3, monkeypatch):
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    return f"{s3.new_url()}/rows.jsonl"


@pytest.fixture
def versioned(s3, monkeypatch):
    """The URL of an object in a bucket that keeps versions."""
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    bucket, client = f"versions-{secrets.token_hex(4)}", s3.client()
    client.create_bucket(Bucket=bucket)
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return f"s3://{bucket}/rows.jsonl"


def rows(count):
    pairs = [
        {"prompt": f"word{number} other{number} third{number}", "response": "r"} for number in range(count)
    ]
    return "".join(json.dumps(pair) + "\n" for pair in pairs).encode()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def put(url, data):
    store, path = open_parent(url)
    store.write(path, data)
    return store.state(path)


def own(url, **source):
    return {"data": {"source": {"uri": url, **source}}}


def test_what_was_read_is_pinned_with_what_the_store_tells_it_by(stage_for, url):
    state = put(url, rows(12))
    assert state["etag"]
    manifest, _ = (stage := stage_for(own(url))).commit(generate(stage))
    pin = manifest.pins["source"]
    assert (pin.revision, pin.size, pin.detail) == (sha256(rows(12)), len(rows(12)), state)
    assert source_read(manifest) == f"read {url}: sha256 {pin.revision}, {pin.size:,} bytes"


SINCE = {  # what happens to the name -> what a later pod says of it
    "nothing": (lambda url: None, ""),
    "the same bytes, stored again": (lambda url: put(url, rows(12)), ""),
    "other bytes": (lambda url: put(url, rows(13)), f"holds other bytes by now (sha256 {sha256(rows(13))})"),
    "it goes": (lambda url: open_parent(url)[0].delete(["rows.jsonl"]), "is not there any more"),
}


@pytest.mark.parametrize(("act", "what"), SINCE.values(), ids=SINCE)
def test_a_later_pod_says_what_has_become_of_the_name(stage_for, url, act, what):
    put(url, rows(12))
    first = stage_for(own(url))
    manifest, _ = first.commit(generate(first))
    act(url)
    kept = f"{url} {what}; this run keeps what it has read: sha256 {sha256(rows(12))}"
    assert note_on_source(stage_for(own(url))) == (kept if what else "")
    assert difference(Source(uri=url), manifest.pins["source"]) == what


def test_a_pod_before_the_data_was_read_says_nothing(stage_for, url):
    put(url, rows(12))
    assert note_on_source(stage_for(own(url))) == ""


def test_a_store_that_does_not_tell_stops_no_stage(stage_for, url, monkeypatch):
    put(url, rows(12))
    first = stage_for(own(url))
    first.commit(generate(first))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    assert note_on_source(stage_for(own(url))) == ""


def test_a_digest_is_checked_when_the_data_is_read(stage_for, url):
    put(url, rows(12))
    generate(stage_for(own(url, sha256=sha256(rows(12)))))
    wrong = own(url, sha256=sha256(rows(13)))
    with pytest.raises(BadData, match="does not hold what the request names") as caught:
        generate(stage_for(wrong))
    assert (caught.value.reason, caught.value.exit_code) == ("SourceMismatch", 65)
    [problem] = caught.value.problems
    assert (problem.path, sha256(rows(12)) in problem.why) == ("spec.data.source.sha256", True)
    with pytest.raises(BadData, match="does not hold"):
        check_source(Source(**wrong["data"]["source"]))


def test_a_version_is_read_whatever_the_name_holds_by_now(stage_for, versioned):
    old = put(versioned, rows(12))["version"]
    put(versioned, rows(13))
    first = stage_for(own(versioned, version=old))
    manifest, _ = first.commit(generate(first))
    assert manifest.metrics["rows"] == 12
    assert source_read(manifest).endswith(f", version {old}")
    assert note_on_source(stage_for(own(versioned, version=old))) == ""
    assert generate(stage_for(own(versioned))).metrics["rows"] == 13
    [problem] = check_source(Source(uri=versioned, version="none"))
    assert problem.path.startswith("spec.data.source")


def test_a_folder_keeps_no_versions(tmp_path):
    store = open_store(tmp_path.as_uri())
    assert store.state("rows.jsonl") == {}
    with pytest.raises(BadRequest, match="keeps none"):
        store.read_version("rows.jsonl", "1")
