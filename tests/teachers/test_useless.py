"""Calls that give no row: each costs its cell, and too many in a row stop the spending, over restarts too."""

import asyncio
import json
from typing import Any, ClassVar

import pytest
from aiohttp import web
from scripted import PATIENT, spec
from teachers.zoo import Provider, refused, serving

from tunesmith.errors import TryAgain
from tunesmith_jobs.generate.from_teacher import dataset_from_teacher
from tunesmith_jobs.generate.usable_answers import USELESS_MOST


class Withholding(Provider):
    """Answers the plan and the system message, and some pairs only."""

    every: ClassVar[int] = 1  # of so many pairs, one is withheld

    def check(self, request: web.Request, body: dict[str, Any]) -> None:
        super().check(request, body)
        about = json.dumps(body["messages"])
        if "Example number" in about and self.calls % self.every == 0:
            raise refused(400, "Invalid prompt: it was flagged", "invalid_prompt")


class Some(Withholding):
    every = 3


class Cut(Provider):
    """Never comes to the end of a pair."""

    def answer(self, body: dict[str, Any], text: str) -> dict[str, Any]:
        completion = super().answer(body, text)
        if "Example number" in json.dumps(body["messages"]):
            choice = completion["choices"][0]
            choice["finish_reason"], choice["message"]["content"] = "length", text[:20]
        return completion


def document(provider):
    return spec(provider.url, 60, teacher={"model": provider.model, "maxConcurrency": 1})


def test_what_is_withheld_costs_its_cell(stage_for):
    with serving(Some()) as provider:
        dataset = asyncio.run(dataset_from_teacher(stage_for(document(provider)), PATIENT))
    assert len(dataset.rows) == 60
    assert dataset.reasons().keys() == {"filtered"}


@pytest.mark.parametrize("kind", [Withholding, Cut])
def test_useless_answers_in_a_row_stop_the_spending_over_restarts_too(stage_for, kind):
    with serving(kind()) as provider:
        calls = []
        for _ in range(3):
            with pytest.raises(TryAgain, match="of no use") as error:
                asyncio.run(dataset_from_teacher(stage_for(document(provider)), PATIENT))
            assert error.value.reason == "TeacherUnusable"
            calls.append(provider.calls)
    first, second, third = calls
    assert USELESS_MOST <= first <= USELESS_MOST + 2 + 4, "four cells are under way for one request at a time"
    assert third - second <= second - first <= 5, "each attempt pays for one call or a few to find out"
