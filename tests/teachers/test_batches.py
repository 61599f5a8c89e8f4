"""Rows that come in batches: the same rows for half the price, and no line is paid for twice."""

import asyncio
from dataclasses import replace

import pytest
from aiohttp import web
from scripted import PATIENT, spec
from teachers.batch_zoo import AtAzure, BatchProvider, Habits, NoBatches, NoFiles
from teachers.zoo import serving

from tunesmith.errors import BadData, BadRequest, TryAgain
from tunesmith.settings import Data
from tunesmith_jobs.generate.batch_patience import BatchPatience
from tunesmith_jobs.generate.from_teacher import dataset_from_teacher
from tunesmith_jobs.teacher import openai_batch
from tunesmith_jobs.teacher.kinds import check_teacher

ROWS = 40
BRISK = BatchPatience(
    quiet=0.1, first_look=0.02, most_between_looks=0.05, making=0.3, listed=0.2, lost=5.0, rounds=4
)
BRISKLY = replace(PATIENT, batch=BRISK)


def document(provider, rows=ROWS, mode="batch", **data):
    return spec(provider.url, rows, teacher={"model": provider.model, "mode": mode}, **data)


def rows_of(stage, patience=BRISKLY):
    return asyncio.run(dataset_from_teacher(stage, patience))


def texts(dataset):
    return [(row.id, row.prompt, row.response) for row in dataset.rows]


@pytest.fixture(scope="module")
def live_rows(tmp_path_factory):
    """What the same request gives live."""
    from stages import snapshot_for

    from tunesmith_jobs.attempt import Attempt
    from tunesmith_jobs.storage import open_store

    folder = tmp_path_factory.mktemp("live")
    with serving(BatchProvider()) as provider:
        snapshot = snapshot_for(document(provider, mode="live"))
        return texts(rows_of(Attempt("generate", snapshot, open_store(folder.as_uri()), folder, "a")))


HABITS = {  # what the server does otherwise -> batches that this takes at the most
    "nothing": (Habits(), 1),
    "answers in any order": (Habits(shuffled=True), 1),
    "lines that are in no file (litellm)": (Habits(missing=6), 2),
    "errors of lines that pass": (
        Habits(
            errors=((500, "server_error", "The server had an error"), (429, "rate_limit_exceeded", "Slow"))
            * 3
        ),
        2,
    ),
    "expired with a part (curator 226)": (Habits(expired=0.5), 2),
    "nothing of it in time": (Habits(expired=1.0), 2),
    "away while it is looked at": (Habits(away=8), 1),
    "files readable a little later": (Habits(late=3), 1),
    "the answer to its making lost before": (Habits(lost="before"), 1),
    "and after it was made (litellm-docs 1408)": (Habits(lost="after"), 1),
    "the same among other people's, by pages": (Habits(lost="after", others=7, page=3), 1),
    "capitals, and empty names of files (kaibo 93)": (Habits(capitals=True), 1),
    "a file that is not ready at once (Azure)": (Habits(slow_files=3), 1),
}


@pytest.mark.parametrize(("habits", "most"), HABITS.values(), ids=HABITS)
def test_a_batch_gives_the_rows_that_calls_give(habits, most, stage_for, live_rows):
    with serving(BatchProvider(replace(habits))) as provider:
        dataset = rows_of(stage_for(document(provider)))
    assert texts(dataset) == live_rows
    assert len(provider.batches) <= most
    assert max(provider.paid.values()) == 1, "a line was paid for twice"
    assert provider.calls <= 3 + ROWS // 20, "the plan, the system message, a first row, and a few last ones"
    assert sum(provider.paid.values()) >= 0.9 * ROWS


def test_a_batch_costs_half(stage_for):
    prices = {"usdPerMillionInputTokens": 100.0, "usdPerMillionOutputTokens": 100.0}
    with serving(BatchProvider()) as provider:
        live = rows_of(stage_for(document(provider, mode="live", budget=prices), run="live")).figures
        batch = rows_of(stage_for(document(provider, budget=prices), run="batch")).figures
        again = rows_of(stage_for(document(provider, budget=prices), run="batch")).figures
    assert 0.5 * live["usd"] < batch["usd"] < 0.6 * live["usd"], "three calls and a few rows were asked live"
    assert (again["calls"], again["usd"]) == (0, batch["usd"]), "the journal knows what came in a batch"


def test_a_budget_is_reserved_for_a_whole_batch_and_cuts_it(stage_for, capsys):
    call = 2000  # tokens at the most, of which far fewer are used
    with serving(BatchProvider()) as provider:
        budget = {"maxTokens": 12 * call}
        dataset = rows_of(stage_for(document(provider, rows=20, budget=budget)))
    sent = [len(made.lines) for made in provider.batches.values()]
    assert len(dataset.rows) == 20
    assert len(sent) > 1
    assert max(sent) <= 12
    assert "the budget allows" in capsys.readouterr().out


def test_a_budget_that_is_spent_ends_the_run_and_keeps_what_is_paid(stage_for):
    with serving(BatchProvider()) as provider:
        with pytest.raises(BadData, match="the budget is spent"):
            rows_of(stage_for(document(provider, budget={"maxRequests": 10})))
        assert provider.calls + sum(provider.paid.values()) <= 10
        assert len(rows_of(stage_for(document(provider))).rows) == ROWS
    assert max(provider.paid.values()) == 1


def test_a_run_goes_on_in_the_other_mode_with_the_same_journal(stage_for, live_rows):
    with serving(BatchProvider()) as provider:
        with pytest.raises(BadData):
            rows_of(stage_for(document(provider, mode="live", budget={"maxRequests": 20})))
        assert texts(rows_of(stage_for(document(provider)))) == live_rows
        lines = sum(len(made.lines) for made in provider.batches.values())
        assert lines <= ROWS - 17, "what was paid for live is not asked again"
        before = provider.calls
        dataset = rows_of(stage_for(document(provider, mode="live")))
    assert texts(dataset) == live_rows
    assert (provider.calls, len(provider.batches)) == (before, 1)


def test_a_batch_under_way_is_cancelled_by_a_run_that_goes_on_live(stage_for, live_rows):
    impatient = replace(PATIENT, batch=replace(BRISK, longest=0.3))
    with serving(BatchProvider(Habits(never=True))) as provider:
        with pytest.raises(TryAgain, match="has not ended"):
            rows_of(stage_for(document(provider)), impatient)
        dataset = rows_of(stage_for(document(provider, mode="live")))
    assert texts(dataset) == live_rows
    assert provider.cancelled == 1
    assert sum(provider.paid.values()) == len(provider.batches["batch_0"].lines) // 2
    assert provider.calls <= ROWS + 3 - sum(provider.paid.values())


def test_a_batch_deployment_of_azure_is_asked_nothing_live(stage_for, monkeypatch):
    monkeypatch.setattr(openai_batch, "at_azure", lambda url: True)
    with serving(AtAzure()) as provider:
        made = document(provider)
        made["data"]["teacher"] |= {"model": "our-batch", "systemMessageModel": "our-ordinary"}
        dataset = rows_of(stage_for(made))
    assert len(dataset.rows) == ROWS
    assert provider.calls == 2
    lines = [line for batch in provider.batches.values() for line in batch.lines]
    assert {line["url"] for line in lines} == {"/chat/completions"}


def test_a_batch_that_does_not_pass_validation_says_why_by_line(stage_for):
    errors = (
        {"code": "invalid_json_line", "line": 3, "message": "This line is not parseable as valid JSON."},
        {"code": "model_not_found", "message": "The provided model is not supported by the Batch API."},
    )
    with serving(BatchProvider(Habits(refused=errors))) as provider, pytest.raises(BadRequest) as raised:
        rows_of(stage_for(document(provider)))
    assert raised.value.reason == "TeacherBatchFailed"
    assert [(each.path, each.why) for each in raised.value.problems] == [
        ("line 3 of the batch", "This line is not parseable as valid JSON. (invalid_json_line)"),
        ("", "The provided model is not supported by the Batch API. (model_not_found)"),
    ]
    assert "mode to live" in raised.value.remedy
    assert len(provider.batches) == 1, "it would not pass a second time"


def test_what_is_too_much_at_a_time_is_sent_in_smaller_batches(stage_for, live_rows):
    with serving(BatchProvider(Habits(too_much=12))) as provider:
        dataset = rows_of(stage_for(document(provider)))
    assert texts(dataset) == live_rows
    assert max(provider.paid.values()) == 1
    assert len(provider.batches) <= 8


@pytest.mark.parametrize(("size", "taken"), [(40_000, True), (1_500, False)])
def test_a_gateway_that_takes_no_large_files_gets_smaller_ones(size, taken, stage_for, live_rows):
    class Gateway(BatchProvider):
        async def _upload(self, request):
            if request.content_length > size:
                raise web.HTTPRequestEntityTooLarge(size, request.content_length)
            return await super()._upload(request)

    with serving(Gateway()) as provider:
        if taken:
            assert texts(rows_of(stage_for(document(provider)))) == live_rows
            assert 1 < len(provider.batches) <= 5
        else:
            with pytest.raises(BadRequest, match=r"takes no file of [\d,]+ bytes, which is one call"):
                rows_of(stage_for(document(provider)))
            assert not provider.batches


def test_an_endpoint_that_takes_no_batch_at_all_now_ends_the_attempt(stage_for):
    enqueued = ({"code": "token_limit_exceeded", "message": "Enqueued token limit reached"},)
    with (
        serving(BatchProvider(Habits(refused=enqueued))) as provider,
        pytest.raises(TryAgain, match="not even of one call"),
    ):
        rows_of(stage_for(document(provider)))
    assert len(provider.batches) <= 7


def test_lines_that_are_never_answered_end_the_attempt(stage_for):
    class Broken(BatchProvider):
        def _answered(self, body):
            return {"status_code": 500, "body": {"error": {"message": "The server had an error"}}}

    with serving(Broken()) as provider, pytest.raises(TryAgain, match="have not answered a call"):
        rows_of(stage_for(document(provider)))
    assert len(provider.batches) == BRISK.rounds


def test_a_line_that_is_withheld_costs_its_cell(stage_for):
    errors = ((400, "content_filter", "The response was filtered"),)
    with serving(BatchProvider(Habits(errors=errors))) as provider:
        dataset = rows_of(stage_for(document(provider)))
    assert len(dataset.rows) == ROWS
    assert dataset.reasons()["filtered"] == 1


def test_credit_that_runs_out_within_a_batch_ends_the_run_and_keeps_the_answers(stage_for):
    from tunesmith.errors import Refused

    errors = ((429, "insufficient_quota", "You exceeded your current quota"),) * 5
    with serving(BatchProvider(Habits(errors=errors))) as provider:
        with pytest.raises(Refused, match="used up"):
            rows_of(stage_for(document(provider)))
        assert len(rows_of(stage_for(document(provider))).rows) == ROWS
    assert max(provider.paid.values()) == 1


@pytest.mark.parametrize(
    ("kind", "path"), [(NoBatches, "/batches"), (NoFiles, "/files")], ids=["no batches", "no files"]
)
def test_an_endpoint_without_batches_is_refused_before_anything_is_spent(kind, path):
    with serving(kind()) as provider:
        errors = check_teacher(Data.model_validate(document(provider)["data"]))
        assert check_teacher(Data.model_validate(document(provider, mode="live")["data"])) == []
    assert [error.reason for error in errors] == ["TeacherHasNoBatches"]
    assert path in errors[0].message
    assert provider.calls == 0


def test_an_endpoint_with_batches_passes_the_check():
    with serving(BatchProvider()) as provider:
        assert check_teacher(Data.model_validate(document(provider)["data"])) == []


def test_what_the_request_adds_to_a_body_is_in_each_line(stage_for):
    class Tuned(BatchProvider):
        members = BatchProvider.members | {"top_p", "reasoning_effort"}

    with serving(Tuned()) as provider:
        made = document(provider)
        made["data"]["teacher"] |= {"body": {"top_p": 0.9}, "reasoningEffort": "low"}
        rows_of(stage_for(made))
    lines = [line["body"] for batch in provider.batches.values() for line in batch.lines]
    assert {(body["top_p"], body["reasoning_effort"]) for body in lines} == {(0.9, "low")}


def test_whoever_asks_is_told_to_the_endpoint_with_everything_about_a_batch(stage_for, monkeypatch, capsys):
    monkeypatch.setenv("TUNESMITH_SECRET_TEACHER_HEADER_X_KEY", "of-this-test-0123456789")
    seen = {}

    class Told(BatchProvider):
        def app(self):
            app = super().app()
            app.middlewares.append(self.listen)
            return app

        @web.middleware
        async def listen(self, request, handler):
            kind = request.path.removeprefix(self.path).split("/")[1]
            seen.setdefault(kind, set()).add((request.headers.get("X-Key"), request.query.get("v")))
            return await handler(request)

    with serving(Told()) as provider:
        made = document(provider)
        made["data"]["teacher"] |= {"secretHeaders": {"X-Key": {"name": "s"}}, "query": {"v": "2"}}
        stage = stage_for(made)
        rows_of(stage)
    assert seen == {kind: {("of-this-test-0123456789", "2")} for kind in ("chat", "files", "batches")}
    kept = [stage.store.read(entry.path) for entry in stage.store.list("")]
    assert not any(b"of-this-test" in data for data in kept)
    told = capsys.readouterr().out
    assert "of-this-test" not in told
    assert '"unit":"calls answered","phase":"waiting for batch_0"' in told


def test_a_judge_and_harder_pairs_are_asked_in_batches_too(stage_for):
    further = {"evolve": 0.3, "judge": {"threshold": 3}}
    with serving(BatchProvider()) as provider:
        live = rows_of(stage_for(document(provider, mode="live", **further), run="live"))
        calls = provider.calls
        batch = rows_of(stage_for(document(provider, **further), run="batch"))
        asked_live = provider.calls - calls
    assert texts(batch) == texts(live)
    assert asked_live <= 2 + 2 + 5, "plan, system message, a call of each kind, and one in twenty"
    assert asked_live + sum(provider.paid.values()) <= 1.05 * calls
    assert max(provider.paid.values()) == 1
