"""What goes into a batch, how its files are read, what a run writes down of it."""

import asyncio
import json

import pytest

from tunesmith.errors import TryAgain
from tunesmith_jobs.generate.batch_patience import BatchPatience, lasting, pause
from tunesmith_jobs.generate.batch_records import AskedLine, Records
from tunesmith_jobs.generate.batch_rules import few_enough, files_of, refusal, too_much
from tunesmith_jobs.generate.batch_waiting import WaitingCalls
from tunesmith_jobs.generate.journal import Journal
from tunesmith_jobs.storage import open_store
from tunesmith_jobs.teacher.batches import Batch, BatchError, Line, Reply, batch_of, replies_of
from tunesmith_jobs.teacher.calls import Call
from tunesmith_jobs.teacher.endpoint import Absent, Passing, Throttled

FEW = {  # calls that wait, live answers, answers of batches -> whether they are asked live
    "the first of all": ((1, 2, 0), False),
    "two of 98, after a plan, a system message and a first row": ((1, 3, 98), True),
    "three of them": ((2, 3, 98), False),
    "fifty of a thousand": ((47, 3, 1000), True),
    "more": ((48, 3, 1000), False),
    "in a run that was begun live": ((1, 500, 1000), False),
}


@pytest.mark.parametrize(("counts", "live"), FEW.values(), ids=FEW)
def test_a_twentieth_at_the_most_is_asked_live(counts, live):
    waiting, before, batched = counts
    assert few_enough(waiting, live=before, batched=batched) is live


FILES = {  # lengths of lines, lines and bytes of a file at the most -> lengths in each file
    "none": ([], 3, 100, []),
    "all in one": ([1, 2, 3], 3, 100, [[1, 2, 3]]),
    "too many lines": ([1, 2, 3, 4], 3, 100, [[1, 2, 3], [4]]),
    "too many bytes, with the ends of lines": ([4, 4, 4], 9, 10, [[4, 4], [4]]),
    "a line that is too long": ([3, 30, 3], 9, 10, [[3], [30], [3]]),
}


@pytest.mark.parametrize(("lengths", "lines", "size", "expected"), FILES.values(), ids=FILES)
def test_lines_go_into_as_few_files_as_may_be(lengths, lines, size, expected):
    asked = [Line(str(number), b"x" * length, None) for number, length in enumerate(lengths)]
    files = list(files_of(asked, lines, size))
    assert [[len(line.data) for line in file] for file in files] == expected


def errors(*data):
    return {"object": "list", "data": list(data)}


BATCHES = {  # what the endpoint shows -> what it is
    "just made": (
        {"id": "b", "status": "validating", "request_counts": {"total": 0, "completed": 0, "failed": 0}},
        Batch("b", "validating"),
    ),
    "under way": (
        {"id": "b", "status": "in_progress", "request_counts": {"total": 9, "completed": 4, "failed": 1}},
        Batch("b", "in_progress", 9, 5),
    ),
    "all lines are errors: no file of answers (litellm 33987)": (
        {"id": "b", "status": "completed", "output_file_id": None, "error_file_id": "e"},
        Batch("b", "completed", files=("e",)),
    ),
    "an empty name of a file is none (kaibo 93)": (
        {"id": "b", "status": "completed", "output_file_id": "o", "error_file_id": ""},
        Batch("b", "completed", files=("o",)),
    ),
    "one file for both": (
        {"id": "b", "status": "completed", "output_file_id": "o", "error_file_id": "o"},
        Batch("b", "completed", files=("o",)),
    ),
    "in capitals (Together)": ({"id": "b", "status": "COMPLETED"}, Batch("b", "completed")),
    "refused": (
        {"id": "b", "status": "failed", "errors": errors({"code": "c", "line": 2, "message": "m"})},
        Batch("b", "failed", errors=(BatchError("c", "m", 2),)),
    ),
    "refused in one word (Novita)": (
        {"id": "b", "status": "failed", "errors": "bad file"},
        Batch("b", "failed", errors=(BatchError("", "bad file"),)),
    ),
    "nonsense in every member": (
        {"id": "b", "status": None, "request_counts": 3, "errors": {"data": None}, "output_file_id": 7},
        Batch("b", ""),
    ),
}


@pytest.mark.parametrize(("shown", "batch"), BATCHES.values(), ids=BATCHES)
def test_a_batch_is_read(shown, batch):
    assert batch_of(shown) == batch


@pytest.mark.parametrize("shown", [None, [], {}, {"id": ""}, {"id": 3}, {"error": {"message": "x"}}])
def test_what_is_no_batch_is_told(shown):
    with pytest.raises(ValueError, match="not a batch"):
        batch_of(shown)


def response(status, body):
    return {"custom_id": "k", "response": {"status_code": status, "body": body}, "error": None}


REPLIES = {  # a line -> what its call got; None if it was not asked, or the line is no line
    "an answer": (response(200, {"choices": []}), Reply(200, '{"choices": []}')),
    "an answer in a string": (response(200, "text"), Reply(200, "text")),
    "an error": (
        response(429, {"error": {"code": "rate_limit_exceeded", "message": "slow"}}),
        Reply(
            429,
            '{"error": {"code": "rate_limit_exceeded", "message": "slow"}}',
            "rate_limit_exceeded",
            "slow",
        ),
    ),
    "an error without a response": (
        {"custom_id": "k", "response": None, "error": {"code": "server_error", "message": "m"}},
        Reply(500, "", "server_error", "m"),
    ),
    "of the call": (
        {"custom_id": "k", "error": {"code": "context_length_exceeded", "message": "m"}},
        Reply(400, "", "context_length_exceeded", "m"),
    ),
    "of the rate, in words": (
        {"custom_id": "k", "error": {"code": "x", "message": "Rate limit reached"}},
        Reply(429, "", "x", "Rate limit reached"),
    ),
    "with the status as its code": (
        {"custom_id": "k", "error": {"code": "503", "message": "m"}},
        Reply(503, "", "503", "m"),
    ),
    "too late (OpenAI)": (
        {"custom_id": "k", "response": None, "error": {"code": "batch_expired", "message": "window"}},
        None,
    ),
    "cancelled": (
        {"custom_id": "k", "response": None, "error": {"code": "batch_cancelled", "message": "cancelled"}},
        None,
    ),
    "nothing at all": ({"custom_id": "k"}, None),
    "no name": ({"response": {"status_code": 200, "body": {}}}, None),
    "a list": ([], None),
}


@pytest.mark.parametrize(("line", "reply"), REPLIES.values(), ids=REPLIES)
def test_a_line_of_a_file_is_read(line, reply):
    assert list(replies_of(json.dumps(line).encode())) == ([("k", reply)] if reply else [])


def test_a_torn_file_gives_the_lines_that_are_whole():
    whole = json.dumps(response(200, {}))
    data = f"{whole}\n\n{whole[:20]}\n\xff{whole}".encode("latin-1")
    assert [key for key, _ in replies_of(data)] == ["k"]


TOO_MUCH = {
    "tokens that wait (openai-python 2084)": (
        BatchError("token_limit_exceeded", "Enqueued token limit"),
        True,
    ),
    "lines (Azure)": (BatchError("too_many_tasks", "The number of requests"), True),
    "a line that is wrong": (BatchError("invalid_json_line", "not parseable", 3), False),
}


@pytest.mark.parametrize(("error", "much"), TOO_MUCH.values(), ids=TOO_MUCH)
def test_what_is_too_much_is_told_from_what_is_wrong(error, much):
    assert too_much(Batch("b", "failed", errors=(error,))) is much
    assert not too_much(Batch("b", "completed", errors=(error,)))


def test_a_refusal_tells_the_first_errors_and_how_many_there_are():
    many = tuple(BatchError("invalid_json_line", "m", line) for line in range(1, 100))
    error = refusal(Batch("b", "failed", errors=many), "http://x/v1")
    assert "99 errors" in error.message
    assert [problem.path for problem in error.problems][:2] == ["line 1 of the batch", "line 2 of the batch"]
    assert len(error.problems) == 10


def test_looks_become_rarer_and_are_spread_by_chance():
    patience = BatchPatience()
    assert [round(pause(looks, 0.0, patience)) for looks in (0, 1, 2, 5, 10)] == [5, 8, 11, 38, 60]
    assert pause(0, 1.0, patience) == 6.25
    a_day = [pause(looks, 0.5, patience) for looks in range(1500)]
    assert sum(a_day) > 86_400, "a batch of a day takes less than 1,500 looks"


BRISK = BatchPatience(first_look=0.01, most_between_looks=0.01, lost=0.3, making=0.1)


def asked(*faults):
    """What `lasting` comes to after these faults."""
    left = list(faults)

    async def ask():
        if left:
            raise left.pop(0)
        return "found"

    return asyncio.run(lasting(ask, BRISK, lambda: "gone"))


def test_faults_are_outlasted():
    assert asked(Passing("503"), Throttled("429", 0.05), Absent("404")) == "found"


def test_what_stays_absent_is_gone_and_an_endpoint_that_stays_away_is_told():
    assert asked(*[Absent("404")] * 1000) == "gone"
    with pytest.raises(TryAgain, match="has said nothing about a batch"):
        asked(*[Passing("503")] * 1000)
    with pytest.raises(TryAgain, match="has said nothing about a batch"):
        asked(Throttled("429", 3600.0))


LINES = (AskedLine("k1", "m", 0, 0, 100, 20), AskedLine("k2", "m", 1, 0, 100, 20))


def test_a_batch_is_unread_until_all_is_had_of_it(tmp_path):
    records = Records(open_store(tmp_path.as_uri()), "run")
    assert records.unread() == []
    first = records.add("mark", "sha", 1.5, "http://x/v1", LINES)
    second = records.add("other", "sha", 2.5, "http://x/v1", LINES[:1])
    assert [first.number, second.number] == [1, 2]
    assert Records(open_store(tmp_path.as_uri()), "run").unread() == [first, second]
    assert records.name_of(first) == ""
    records.made(first, "batch_1")
    records.made(first, "another, too late")
    assert records.name_of(first) == "batch_1"
    records.read(first, "completed")
    assert records.unread() == [second]


def test_two_processes_never_write_down_the_same_batch(tmp_path):
    store, late = open_store(tmp_path.as_uri()), open_store(tmp_path.as_uri())
    late.list = lambda path: iter(())  # it has listed before the other has written
    assert Records(store, "run").add("mark", "sha", 1.0, "u", LINES) is not None
    assert Records(late, "run").add("other", "sha", 1.0, "u", LINES) is None
    assert [record.mark for record in Records(store, "run").unread()] == ["mark"]


def test_a_foreign_object_among_the_records_harms_nothing(tmp_path):
    store = open_store(tmp_path.as_uri())
    records = Records(store, "run")
    store.write("run/generate/batches/000001-asked.json", b"{}")
    store.write("run/generate/batches/notes.txt", b"x")
    record = records.add("mark", "sha", 1.0, "u", LINES)
    assert record is not None
    assert records.unread() == [record]


def test_calls_that_wait_end_with_the_error_and_so_do_later_ones(tmp_path):
    journal = Journal(open_store(tmp_path.as_uri()), "r", "a", read_answer=lambda raw: raw)

    async def ask():
        waiting = WaitingCalls(journal, BRISK)
        call = Call("m", (("user", "x"),), 0.0, 10, "pairs")
        asking = [asyncio.create_task(waiting.answer_to(call)) for _ in range(2)]
        await asyncio.sleep(0)
        assert len(list(waiting)) == 1, "who asks the same call waits for the same answer"
        waiting.fail(TryAgain("first"))
        waiting.fail(TryAgain("second"))
        return await asyncio.gather(*asking, waiting.answer_to(call), return_exceptions=True)

    assert [str(error) for error in asyncio.run(ask())] == ["first"] * 3
