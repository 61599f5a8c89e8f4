"""How blocks become passages."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith_jobs.documents.block import Block
from tunesmith_jobs.documents.passages import LEAST, MOST, passages_of, short_names, size

ENGLISH = "The valve {} opens when the pressure falls below two bar. "
CHINESE = "当压力低于两巴时阀门{}打开。"
ARABIC = "عندما ينخفض الضغط يفتح الصمام {} الكبير۔ "


def written(sentence, count, begin=0):
    return "".join(sentence.format(number) for number in range(begin, begin + count))


def texts(*blocks):
    return [passage.text for passage in passages_of([("a.md", blocks)])]


def names(*blocks):
    return [passage.name for passage in passages_of([("/x/a.md", blocks)])]


def test_short_sections_go_together_and_long_ones_do_not():
    long, other = written(ENGLISH, 8), written(ENGLISH, 8, 50)
    assert len(texts(Block("one", ("A",)), Block("two", ("B",)))) == 1
    assert len(texts(Block(long, ("A",)), Block(other, ("B",)))) == 2
    assert len(texts(Block(long, ("A",)), Block(other, ("A",)))) == 1


def test_the_heading_of_a_section_within_a_passage_is_in_its_text():
    [text] = texts(
        Block("one", ("Guide", "A")), Block("two", ("Guide", "B", "C")), Block("three", ("Guide",))
    )
    assert text.split("\n\n") == ["one", "B", "C", "two", "three"]


def test_a_rest_goes_with_what_is_before_it():
    found = texts(
        Block(written(ENGLISH, 31), ("A",)),
        Block("This is the end of it, and there is nothing behind it.", ("A",)),
    )
    assert len(found) == 1
    assert MOST < size(found[0]) <= MOST + LEAST


@pytest.mark.parametrize("sentence", [ENGLISH, CHINESE, "¿Qué pasa con {}? ", ARABIC])
def test_a_long_paragraph_is_cut_between_sentences(sentence):
    found = texts(Block(written(sentence, 300)))
    assert len(found) > 2
    parts = [part for text in found for part in re.split(r"(?<=[.?。۔])\s*", text) if part]
    assert parts == [sentence.format(number).strip() for number in range(300)]


def test_a_text_without_blanks_is_cut_all_the_same():
    for alphabet in ("abcdefg", "水火木金土日月", "กขคงจฉช"):
        text = "".join(alphabet[number * number % 7 + number % 3 - number % 2] for number in range(20_000))
        found = texts(Block(text[:9000] + "1" + text[9000:]))
        assert set("".join(found)) - {"\n"} == {*text, "1"}
        assert all(size(text) <= MOST + LEAST for text in found)


def test_an_abbreviation_ends_no_sentence():
    text = texts(Block(written("Use oil {}, e.g. grease of the maker, at all times. ", 60)))
    assert len(text) > 1
    assert all(each.strip().endswith("times.") for each in text)


def test_names_lead_back_to_the_place():
    assert names(Block("x", ("Installing", "Linux"))) == ["a.md, Installing > Linux"]
    assert names(Block("x", ("G", "A")), Block("y", ("G", "B"))) == ["a.md, G > A … B"]
    assert names(Block("x", page=3), Block("y", page=4)) == ["a.md, pages 3-4"]
    assert names(Block("x", line=7)) == ["a.md, line 7"]
    long = [Block(written(ENGLISH, 30, 30 * number), ("A",)) for number in range(3)]
    assert names(*long) == ["a.md, A", "a.md, A (2)", "a.md, A (3)"]


def test_names_of_files_are_those_below_the_folder_that_all_are_in():
    assert short_names(["/a/b/c.md", "/a/d/c.md"]) == ["b/c.md", "d/c.md"]
    assert short_names(["s3://bucket/x/manual.pdf"]) == ["manual.pdf"]
    assert short_names(["c.md", "d/e.md"]) == ["c.md", "d/e.md"]


def test_the_same_text_is_one_passage():
    block = [Block("The same words.", ("A",))]
    assert [p.name for p in passages_of([("a.md", block), ("b.md", block)])] == ["a.md, A"]


TEXTS = st.text(st.sampled_from("ab. \n水。ก,é1"), max_size=4000)
BLOCKS = st.lists(
    st.builds(Block, TEXTS, st.lists(st.sampled_from("ABC"), max_size=2).map(tuple), line=st.integers(1, 9)),
    max_size=6,
)


@settings(deadline=None, max_examples=60)
@given(BLOCKS)
def test_no_letter_is_lost_and_none_is_in_two_passages(blocks):
    found = passages_of([("a.md", [Block(b.text, line=b.line) for b in blocks])])
    given = "".join(block.text for block in blocks)
    written = "".join(passage.text for passage in found)
    assert len(found) == len({passage.text for passage in found})
    if len(found) == len({b.text for b in blocks}):
        assert len(re.sub(r"\s", "", written)) <= len(re.sub(r"\s", "", given))
    assert set(re.sub(r"\s", "", written)) == set(re.sub(r"\s", "", given))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(st.sampled_from("ab. \n水。ก,é1"), min_size=1, max_size=3000), max_size=6))
def test_every_passage_is_bounded_and_its_name_is_its_own(parts):
    blocks = [Block(f"{number} {part}") for number, part in enumerate(parts)]
    found = passages_of([("a.md", blocks)])
    assert all(0 < size(passage.text) <= MOST + LEAST for passage in found)
    assert len({passage.name for passage in found}) == len(found)
    bare = re.sub(r"\s", "", "".join(block.text for block in blocks))
    assert re.sub(r"\s", "", "".join(passage.text for passage in found)) == bare
