"""Documents in a bucket: a folder, a pattern or one object; what was read is pinned, and its end is said."""

import asyncio

import pytest
from scripted import PATIENT, spec
from small_pdf import small_pdf
from teachers.zoo import Provider, serving

from tunesmith.contents import DOCUMENTS
from tunesmith.errors import BadData
from tunesmith.settings import Documents
from tunesmith_jobs.documents.read import documents_in
from tunesmith_jobs.generate.from_teacher import dataset_from_teacher
from tunesmith_jobs.source_notes import note_on_source, source_read
from tunesmith_jobs.storage import open_parent

TEXT = "# {0}\n\nThe {0} is opened with a key of twelve millimetres. Close the {0} before the engine runs.\n"


@pytest.fixture
def bucket(s3, monkeypatch):
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    return s3.new_url()


def put(url, data):
    store, path = open_parent(url)
    store.write(path, data if isinstance(data, bytes) else data.encode())


def test_folders_patterns_and_objects_are_read(bucket):
    put(f"{bucket}/docs/a.md", TEXT.format("valve"))
    put(f"{bucket}/docs/deep/b.pdf", small_pdf([["The hatch is at the left side of the engine."]]))
    put(f"{bucket}/docs/rows.csv", "a,b")

    def names(uri):
        return [passage.name for passage in documents_in(Documents(uri=f"{bucket}/{uri}")).passages]

    assert names("docs/") == ["a.md, valve", "deep/b.pdf, page 1"]
    assert names("docs/**/*.pdf") == ["b.pdf, page 1"]
    assert names("docs/a.md") == ["a.md, valve"]
    assert "rows.csv" in " ".join(documents_in(Documents(uri=f"{bucket}/docs/")).findings)
    for uri in ("gone.md", "none/", "docs/*.txt"):
        with pytest.raises(BadData, match=r"spec\.data\.documents\.uri"):
            names(uri)


def test_what_was_read_is_pinned_and_what_it_has_become_is_said(stage_for, bucket):
    put(f"{bucket}/a.md", TEXT.format("valve"))
    documents = {"uri": f"{bucket}/a.md"}
    with serving(Provider()) as provider:
        teacher = {"model": provider.model}
        stage = stage_for(spec(provider.url, 2, "Answer.", teacher, documents=documents, nearDuplicates=1.0))
        asyncio.run(dataset_from_teacher(stage, PATIENT))
    assert stage.pins[DOCUMENTS].detail["etag"]
    manifest, _ = stage.commit(_nothing())
    assert source_read(manifest).startswith(f"read {bucket}/a.md: sha256 ")
    assert note_on_source(stage) == ""
    put(f"{bucket}/a.md", TEXT.format("hatch"))
    assert "holds other bytes by now" in note_on_source(stage)


def _nothing():
    from tunesmith_jobs.attempt import Outcome

    return Outcome(metrics={}, details={})
