"""Documents on this machine: known by their content, looked at before anything is paid for.

The stage generate runs for real, against the scripted teacher.
"""

import json
import shutil

import pytest
from scripted import teacher
from small_pdf import small_pdf
from tiny import tiny_model

GUIDE = """# Guide

## Start

The pump starts ten seconds after the green key was pressed. The lamp at its side goes on when it is ready.

## Stop

Press the red key for three seconds to stop the pump. Wait until the lamp is out before you open the cover.
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def url():
    with teacher() as server:
        yield server.url


@pytest.fixture
def write(cli, model, url):
    """Writes a request with documents at a place; returns its file."""

    def written(uri, rows=4, **data):
        (cli.folder / "request.yaml").unlink(missing_ok=True)
        asked = {
            "examples": rows,
            "documents": {"uri": str(uri)},
            "nearDuplicates": 1.0,
            "teacher": {"model": "scripted", "baseURL": url},
        }
        return cli.write(changes={"data": asked | data, "model": {"base": str(model)}})

    return written


def generated(cli, request):
    """Whether generate ran, and how many answers were paid for and were there."""
    said = cli("run", request, "--only", "generate", "--json", real=True).stdout
    stage = json.loads(said)["stages"][0]
    return not stage["reused"], int(stage["metrics"]["calls"]), int(stage["metrics"]["callsReused"])


def test_an_edit_runs_again_and_another_name_or_place_does_not(cli, write):
    docs = cli.folder / "docs"
    docs.mkdir()
    (docs / "guide.md").write_text(GUIDE)
    ran, paid, _ = generated(cli, write("docs"))
    assert (ran, paid >= 6) == (True, True)
    assert not generated(cli, write("docs"))[0]

    (docs / "guide.md").rename(docs / "handbook.md")
    docs.rename(cli.folder / "moved")
    assert not generated(cli, write("moved"))[0]
    shutil.copy(cli.folder / "moved" / "handbook.md", cli.folder / "one.md")
    assert not generated(cli, write("moved/*.md"))[0]

    with (cli.folder / "moved" / "handbook.md").open("a") as out:
        out.write(
            "\n## Care\n\nWipe the housing of the pump with a soft cloth once a month, never with alcohol.\n"
        )
    assert generated(cli, write("moved"))[0]

    said = cli("status", "toy", "--check-sources").stdout
    assert f"read {cli.folder / 'moved'}: sha256" in " ".join(said.split())
    assert "holds the same by now" in said
    (cli.folder / "moved" / "handbook.md").unlink()
    assert "is not there any more" in cli("status", "toy", "--check-sources").stdout


def test_validate_names_every_file_that_cannot_be_read(cli, write):
    docs = cli.folder / "docs"
    docs.mkdir()
    (docs / "locked.pdf").write_bytes(small_pdf([["x"]], password="p"))
    (docs / "scanned.pdf").write_bytes(small_pdf([[]]))
    (docs / "guide.md").write_text(GUIDE)
    told = cli("validate", write("docs"), expect=78, real=True).stderr
    assert "locked.pdf: is encrypted" in told
    assert "scanned.pdf: has no text" in told
    assert "guide.md" not in told
    found = json.loads(cli("validate", write("docs"), "--json", expect=78, real=True).stdout)
    assert [problem["path"] for problem in found["problems"]] == ["locked.pdf", "scanned.pdf"]


MISSING = {  # uri -> what is said
    "nothing": ("gone.pdf", "No such file"),
    "a folder without documents": ("empty", "no file in it ends with .txt"),
    "a pattern of nothing": ("*.pdf", "no file matches it"),
    "an address of a page": ("https://example.org/manual.html", "documents are not read from"),
    "the hub": ("hf://datasets/org/name", "documents are not read from"),
    "no bucket": ("s3://", "names no bucket"),
}


@pytest.mark.parametrize(("uri", "says"), MISSING.values(), ids=MISSING)
def test_validate_says_what_is_not_there(cli, write, uri, says):
    (cli.folder / "empty").mkdir()
    (cli.folder / "empty" / "rows.csv").write_text("a,b")
    told = cli("validate", write(uri), expect=78).stderr
    assert "spec.data.documents.uri" in told
    assert says in told


TOGETHER = {
    "a chain": {"strategy": "chain"},
    "own data": {"source": {"uri": "s3://b/rows.jsonl"}},
    "another run's": {"from": {"run": "other"}},
}


@pytest.mark.parametrize("data", TOGETHER.values(), ids=TOGETHER)
def test_documents_are_for_rows_by_a_plan(cli, write, data):
    told = cli("validate", write("s3://b/docs/", **data), expect=78).stderr
    assert "`documents` are for rows that a teacher writes by a plan" in told


def test_validate_warns_of_more_rows_than_passages_bear(cli, write):
    (cli.folder / "guide.md").write_text(GUIDE)
    assert (
        "11 examples of 1 passage are more than 10"
        in cli("validate", write("guide.md", 11), real=True).stderr
    )
    assert "passage" not in cli("validate", write("guide.md", 10), real=True).stderr


def test_preview_shows_the_passage_and_its_words_and_estimate_counts_them(cli, write):
    (cli.folder / "guide.md").write_text(GUIDE)
    request = write("guide.md", 6)
    shown = cli("preview", request, real=True).stdout
    assert "  passage: guide.md, Guide > Start … Stop\n" in shown
    rows = json.loads(cli("preview", request, "--json", real=True).stdout)["rows"]
    assert all(row["evidence"] in " ".join(GUIDE.split()) for row in rows)
    told = cli("estimate", request, "--ask", real=True).stdout
    assert "from 5 answers" in told
