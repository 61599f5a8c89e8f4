"""Estimates held against what the stage asks and pays, and the few answers that narrow them."""

import asyncio
import json

import pytest
from scripted import PATIENT, SUPPORT, spec
from stages import run_module, snapshot_for
from teachers.zoo import OpenAIReasoning, Provider, serving

from tunesmith.cost import ASKING_BYTES, ROOM, estimate
from tunesmith.errors import TryAgain
from tunesmith.request import Spec
from tunesmith_jobs.generate import prompts
from tunesmith_jobs.generate.dataset_plan import Cell, DatasetPlan
from tunesmith_jobs.generate.from_teacher import dataset_from_teacher
from tunesmith_jobs.generate.judge import judge_calls
from tunesmith_jobs.generate.parse_answers import Pair
from tunesmith_jobs.generate.patience import Patience
from tunesmith_jobs.generate.trial import MOST_PAID, ask_few
from tunesmith_jobs.storage import open_store
from tunesmith_jobs.teacher import forms
from tunesmith_jobs.teacher.openai_dialect import FIRST_ROOM

SPEC = Spec.model_validate({"task": "-", "model": {"base": "-"}, "data": {"judge": {"threshold": 4}}})
EMPTY = Cell(0, "", (), "")
CALLS = {
    "plan": prompts.plan_call(SPEC, 0),
    "text": prompts.system_message_call(SPEC, 0),
    "pairs": prompts.cell_call(SPEC, DatasetPlan(prompts="-", responses="-", topics=("-",)), EMPTY),
    "chain": prompts.chain_call(SPEC, 0, []),
    "verdict": judge_calls(SPEC, "", Pair(prompt="", response=""), 0)[0],
}


@pytest.mark.parametrize(("kind", "call"), CALLS.items(), ids=CALLS)
def test_the_sizes_that_an_estimate_knows_are_those_of_the_prompts(kind, call):
    written = "".join(text for _, text in call.messages) + forms.instruction(call.shape, "json_schema")
    assert len(written.encode()) == pytest.approx(ASKING_BYTES[kind], rel=0.1)


def test_so_is_the_room_for_thoughts():
    assert ROOM == FIRST_ROOM


PLAN = {"prompts": "messages", "responses": "JSON", "topics": ["lamps", "radios"]}
RUNS = {  # provider, the request's data
    "a plan": (Provider, {}),
    "several pairs a call": (Provider, {"pairsPerCall": 3}),
    "a chain": (Provider, {"strategy": "chain"}),
    "a judge, harder pairs": (
        Provider,
        {"judge": {"threshold": 1}, "evolve": 0.3, "plan": PLAN},
    ),
    "a model that thinks": (OpenAIReasoning, {}),
}


@pytest.mark.parametrize(("kind", "data"), RUNS.values(), ids=RUNS)
def test_what_a_run_takes_is_within_the_estimate(stage_for, kind, data):
    with serving(kind()) as provider:
        document = spec(provider.url, 30, teacher={"model": provider.model}, **data)
        stage = stage_for(document)
        figures = asyncio.run(dataset_from_teacher(stage, PATIENT)).figures
    expected = estimate(stage.spec)
    assert expected.calls.low <= figures["calls"] <= expected.calls.high
    assert expected.input_tokens.low <= figures["inputTokens"] <= expected.input_tokens.high
    assert expected.output_tokens.low <= figures["outputTokens"] <= expected.output_tokens.high
    assert expected.usd.low <= figures["usd"] <= expected.usd.high
    assert figures["seconds"] <= expected.minutes.high * 60, "no endpoint is as fast as a stub"


class Cutting(Provider):
    """Every answer is cut off by thoughts, however much room there is: each try is paid for."""

    def answer(self, body, text):
        completion = super().answer(body, text)
        completion["choices"][0] |= {"finish_reason": "length", "message": {"content": ""}}
        return completion


def asked(provider, tmp_path, rows=30, **data):
    snapshot = snapshot_for(spec(provider.url, rows, teacher={"model": provider.model}, **data))
    store = open_store((tmp_path / "store").as_uri())
    return snapshot, asyncio.run(ask_few(snapshot, store, PATIENT)).seen


def test_a_few_answers_narrow_the_estimate_and_the_run_does_not_pay_for_them_again(stage_for, tmp_path):
    with serving(OpenAIReasoning()) as provider:
        snapshot, seen = asked(provider, tmp_path)
        assert provider.billed == MOST_PAID
        assert sorted(one.shape for one in seen) == ["pairs", "pairs", "pairs", "plan", "text"]
        _, again = asked(provider, tmp_path)
        assert provider.billed == MOST_PAID, "the journal has them"
        assert [one.input_tokens for one in again] == [one.input_tokens for one in seen]
        document = spec(provider.url, 30, teacher={"model": provider.model})
        dataset = asyncio.run(dataset_from_teacher(stage_for(document), PATIENT))
        assert provider.billed == 32 + sum(dataset.reasons().values())
    before, after = estimate(snapshot.spec), estimate(snapshot.spec, seen)
    figures = dataset.figures
    assert after.output_tokens.low <= figures["outputTokens"] <= after.output_tokens.high
    assert after.tokens.high - after.tokens.low < (before.tokens.high - before.tokens.low) / 2


FEW = [{"strategy": "chain"}, {"pairsPerCall": 4}, {"systemMessage": "s"}, {"budget": {"maxRequests": 2}}]


@pytest.mark.parametrize("data", FEW)
def test_never_more_than_five_are_paid_for_and_never_more_than_the_budget(tmp_path, data):
    with serving(Provider()) as provider:
        _, seen = asked(provider, tmp_path, **data)
    assert 0 < len(seen) <= MOST_PAID
    assert provider.billed <= data.get("budget", {}).get("maxRequests", MOST_PAID)


def test_answers_that_are_of_no_use_are_no_more_than_five_either(tmp_path):
    with serving(Cutting()) as provider:
        with pytest.raises(TryAgain, match="none is whole"):
            asked(provider, tmp_path)
        assert provider.billed <= MOST_PAID


def test_a_small_request_is_not_asked_for_more_than_it_wants(tmp_path):
    with serving(Provider()) as provider:
        _, seen = asked(provider, tmp_path, rows=2)
    assert len(seen) == 4


def test_the_process_prints_figures_or_says_what_is_wrong(tmp_path):
    with serving(Provider()) as provider:
        snapshot = snapshot_for(spec(provider.url, 5, teacher={"model": provider.model}, task=SUPPORT))
        ran = run_module("tunesmith_jobs.generate.trial", snapshot, (tmp_path / "s").as_uri(), tmp_path)
        assert ran.returncode == 0, ran.stderr
        answers = json.loads(ran.stdout)["answers"]
        assert {"shape", "input_tokens", "output_tokens", "seconds"} == set(answers[0])
        other = snapshot_for(spec(provider.url, 5, teacher={"model": "gone"}))
        ran = run_module("tunesmith_jobs.generate.trial", other, (tmp_path / "t").as_uri(), tmp_path)
    assert ran.returncode == 78
    assert "does not know model 'gone'" in ran.stderr
    assert Patience().request == 180.0
