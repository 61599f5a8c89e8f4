"""The journal: what was added is there for every later reader, whatever happened to the writer."""

import asyncio
import json

import pytest

from tunesmith.settings import Teacher
from tunesmith_jobs.generate.journal import SEGMENT_ANSWERS, Journal, read_entries
from tunesmith_jobs.storage import open_store
from tunesmith_jobs.teacher.calls import Call
from tunesmith_jobs.teacher.kinds import TEACHERS

read_answer = TEACHERS["openai"](Teacher(), 1.0).read_answer


def call(cell):
    return Call("m", (("user", "x"),), 0.5, 100, "pairs", cell=cell)


def answer(text):
    raw = json.dumps(
        {
            "choices": [{"finish_reason": "stop", "message": {"content": text}}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2},
        }
    )
    return read_answer(raw, seconds=0.25)


@pytest.fixture
def store(tmp_path):
    return open_store((tmp_path / "store").as_uri())


def journal_of(store, attempt):
    return Journal(store, "r", attempt, read_answer=read_answer)


def added(store, attempt, cells, text="t"):
    async def add():
        journal = journal_of(store, attempt)
        journal.load()
        await asyncio.gather(*(journal.add(call(cell), answer(f"{text}{cell}")) for cell in cells))
        return journal

    return asyncio.run(add())


def loaded(store):
    journal = journal_of(store, "reader")
    journal.load()
    return journal


def test_every_answer_is_found_by_its_call(store):
    added(store, "a", range(150))
    journal = loaded(store)
    assert [journal.find(call(cell)).content for cell in range(150)] == [f"t{cell}" for cell in range(150)]
    assert journal.find(call(0)).fresh is False
    assert journal.find(call(150)) is None
    sizes = [len(list(read_entries(store.read(entry.path)))) for entry in store.list("r/generate/journal/")]
    assert max(sizes) <= SEGMENT_ANSWERS
    assert sum(sizes) == 150


def test_an_answer_is_stored_before_its_waiter_goes_on(store):
    async def add():
        journal = journal_of(store, "a")
        await journal.add(call(1), answer("one"))
        return loaded(store).find(call(1)).content

    assert asyncio.run(add()) == "one"


def test_two_pods_with_one_attempt_name_overwrite_nothing(store):
    async def both():
        journals = [journal_of(store, "a"), journal_of(store, "a")]
        for journal in journals:
            journal.load()
        await asyncio.gather(
            *(journal.add(call(cell), answer(str(cell))) for cell, journal in enumerate(journals))
        )

    asyncio.run(both())
    assert len(list(loaded(store).answers())) == 2


def test_the_first_segment_by_name_decides_for_all_readers(store):
    added(store, "b", [1], "later")
    added(store, "a", [1], "earlier")
    assert loaded(store).find(call(1)).content == "earlier1"


def test_a_torn_line_is_left_out_and_the_rest_read(store):
    added(store, "a", [1, 2, 3])
    path = next(store.list("r/generate/journal/")).path
    data = store.read(path)
    store.write(path, data[: data.rindex(b"{")] + b'{"key": "ab')
    assert [loaded(store).find(call(cell)) is not None for cell in (1, 2, 3)].count(True) == len(
        list(read_entries(data))
    ) - 1


def test_a_store_that_fails_fails_the_waiter(store, tmp_path):
    (tmp_path / "store" / "r").mkdir(parents=True)
    (tmp_path / "store" / "r" / "generate").write_text("in the way")
    with pytest.raises(Exception, match="generate"):
        added(store, "a", [1])


def test_the_key_knows_content_cell_and_sample_but_no_address():
    keys = {
        call(1).key,
        call(2).key,
        Call("m", (("user", "x"),), 0.5, 100, "pairs", cell=1, sample=1).key,
        Call("n", (("user", "x"),), 0.5, 100, "pairs", cell=1).key,
    }
    assert len(keys) == 4
    assert (
        call(1).key == "ebcf7fa3940b864a268a608bad94f90ad99ed8df5fb10ab0c8abfef2d5073cc2"
    )  # another key would pay anew
