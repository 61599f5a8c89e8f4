"""Files of every form, as they are read."""

import gzip
import time

import pytest
from small_pdf import small_pdf

from tunesmith.errors import BadData
from tunesmith.settings import Documents
from tunesmith_jobs.documents.html import blocks_of_html
from tunesmith_jobs.documents.markdown import blocks_of_markdown
from tunesmith_jobs.documents.pdf import read_pdf
from tunesmith_jobs.documents.read import documents_in, too_few

PAGE = """<!doctype html><html><head><title>T</title><meta charset="iso-8859-2"><style>x</style></head><body>
<header><a>Home</a></header><nav>menu</nav><div class="main"><h1>Guide</h1>
<p>Intro <b>bold</b> wo<i>r</i>d<br>more</p><h2>Install</h2>
<ul><li>one<ul><li>sub</li></ul></li><li>two <a href=x>link</a></li></ul>
<table><tr><th>A</th><th>B</th></tr><tr><td>1</td><td>2 <i>x</i></td></tr></table>
<pre>code
  line</pre><!-- no comment --><div hidden>hidden</div>tail</div>
<footer>foot</footer><script>alert(1)</script></body></html>"""
MARKDOWN = """---
title: front
---
# Guide

Intro
text

```sh
# no heading
run
```

Setext `x`
------

- a
- b

<div>hi <b>there</b></div>

<!-- # no heading either -->

~~~
# nor this
~~~

## Sub {#sub}

| a | b |
|---|---|
| 1 | 2 |
"""


def blocks(found):
    return [(block.text, block.headings) for block in found]


def test_a_page_in_html_is_its_text_without_what_is_around_it():
    install = ("Guide", "Install")
    assert blocks(blocks_of_html(PAGE)) == [
        ("Intro bold word more", ("Guide",)),
        ("one", install),
        ("- sub", install),
        ("- two link", install),
        ("A | B", install),
        ("1 | 2 x", install),
        ("code\n  line", install),
        ("tail", install),
    ]


def test_of_a_page_with_a_main_part_that_is_read():
    page = "<div>Cookies?</div><main><header><h1>T</h1>by me</header><p>x</p></main><p>more</p></body>"
    assert blocks(blocks_of_html(page)) == [("by me", ("T",)), ("x", ("T",))]
    assert blocks(blocks_of_html("<main> </main><p>x</p>")) == [("x", ())]


def test_markdown_keeps_its_marks_and_a_listing_has_no_headings():
    assert blocks(blocks_of_markdown(MARKDOWN)) == [
        ("Intro\ntext", ("Guide",)),
        ("```sh\n# no heading\nrun\n```", ("Guide",)),
        ("- a\n- b", ("Guide", "Setext x")),
        ("hi there", ("Guide", "Setext x")),
        ("~~~\n# nor this\n~~~", ("Guide", "Setext x")),
        ("| a | b |\n|---|---|\n| 1 | 2 |", ("Guide", "Sub")),
    ]
    assert blocks_of_markdown(MARKDOWN)[0].line == 6


def test_a_pdf_is_its_paragraphs_without_headers_footers_and_hyphens():
    pages = [
        [
            "Pump manual",
            f"Page {n} says ten sec-",
            "onds are enough for the lamp to go on again.",
            f"Page {n} of 4",
        ]
        for n in range(1, 5)
    ]
    found = read_pdf(small_pdf([*pages, []]))
    assert [(block.text, block.page) for block in found.blocks] == [
        (f"Page {n} says ten seconds are enough for the lamp to go on again.", n) for n in range(1, 5)
    ]
    assert found.notes == ("no text on page 5",)


def test_a_pdf_that_only_its_owner_may_change_is_read():
    assert read_pdf(small_pdf([["Some text."]], owner="secret")).blocks[0].text == "Some text."


def folder(tmp_path, **files):
    for name, data in files.items():
        path = tmp_path / name.replace("__", ".")
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return Documents(uri=str(tmp_path))


def test_what_cannot_be_read_is_named_all_at_once_with_what_to_do(tmp_path):
    documents = folder(
        tmp_path,
        good__md="# A\n\ntext",
        locked__pdf=small_pdf([["x"]], password="p"),
        scanned__pdf=small_pdf([[], []]),
        cut__pdf=small_pdf([["x"]])[:300],
        not__pdf="plain text",
        word__txt=b"PK\x03\x04 word",
        noise__txt=bytes(range(1, 32)) * 9,
    )
    with pytest.raises(BadData) as caught:
        documents_in(documents)
    said = {problem.path: f"{problem.why}; {problem.remedy}" for problem in caught.value.problems}
    assert caught.value.reason == "BadDocuments"
    assert sorted(said) == ["cut.pdf", "locked.pdf", "noise.txt", "not.pdf", "scanned.pdf", "word.txt"]
    assert said["locked.pdf"] == "is encrypted, and opens with a password only; save it without one"
    assert "no text on its 2 pages" in said["scanned.pdf"]
    assert "ocrmypdf" in said["scanned.pdf"]
    assert "Word" in said["word.txt"]


def test_a_folder_gives_its_documents_and_names_the_rest(tmp_path):
    documents = folder(
        tmp_path,
        a__md="# A\n\ntext of a",
        b__html=PAGE,
        c__txt="text of c",
        d__docx="PK",
        e__pdf=small_pdf([["text of e"]]),
        f__txt="",
        g__md__gz=gzip.compress(b"# G\n\ntext of g"),
        _x__txt="x",
    )
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "h.txt").write_text("text of h")
    read = documents_in(documents)
    by_file = {passage.document: passage.text for passage in read.passages}
    assert sorted(by_file) == ["_x.txt", "a.md", "b.html", "c.txt", "e.pdf", "g.md.gz"]
    assert by_file["e.pdf"] == "text of e"
    assert by_file["g.md.gz"] == "text of g"
    assert "files of no known form, which are not read: d.docx" in read.findings
    assert "f.txt: has no text" in read.findings


def test_a_single_file_of_any_name_is_text(tmp_path):
    (tmp_path / "LICENSE").write_text("One paragraph.\n\nAnother one.")
    read = documents_in(Documents(uri=str(tmp_path / "LICENSE")))
    assert [passage.text for passage in read.passages] == ["One paragraph.\n\nAnother one."]
    assert read.passages[0].name == "LICENSE, line 1"


def test_the_encoding_is_what_the_page_says_if_it_is_not_utf_8(tmp_path):
    documents = folder(tmp_path, a__html=PAGE.replace("Intro", "Příliš žluťoučký").encode("iso-8859-2"))
    assert "Příliš žluťoučký" in documents_in(documents).passages[0].text


def test_one_bad_byte_is_said_and_left_out(tmp_path):
    read = documents_in(folder(tmp_path, a__txt="Größe und Maß, überall schön. ".encode() * 20 + b"\xe4 end"))
    assert "\ufffd" not in read.passages[0].text
    assert any("not UTF-8 (0xE4)" in line for line in read.findings)


def test_what_many_pages_repeat_is_read_once(tmp_path):
    files = {
        f"p{n}__html": f"<h1>P{n}</h1><p>Text number {n}.</p><p>Was this page of help?</p>" for n in range(4)
    }
    read = documents_in(folder(tmp_path, **files))
    assert sum("of help" in passage.text for passage in read.passages) == 1
    assert any("read once: 3" in line for line in read.findings)


def test_documents_without_any_text_are_refused(tmp_path):
    with pytest.raises(BadData, match="no text"):
        documents_in(folder(tmp_path, a__txt="  \n"))
    (tmp_path / "a.txt").unlink()
    with pytest.raises(BadData, match="known ending"):
        documents_in(folder(tmp_path, a__docx="x"))


def test_a_page_nested_without_end_is_named(tmp_path):
    with pytest.raises(BadData, match="cannot be read"):
        documents_in(folder(tmp_path, a__html="<div>" * 50_000 + "x"))


def test_a_long_text_is_read_in_a_moment(tmp_path):
    documents = folder(
        tmp_path,
        a__txt="word " * 100_000,
        b__md="# H\n\n* item\n" * 4_000,
        c__txt="x" * 200_000,
        d__md="[" * 20_000,
    )
    begun = time.process_time()
    documents_in(documents)
    assert time.process_time() - begun < 20


def test_few_passages_for_many_rows_are_worth_a_word():
    assert "101 examples of 10 passages" in too_few(101, 10)
    assert not too_few(100, 10)
