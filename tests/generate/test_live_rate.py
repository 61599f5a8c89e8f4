"""A limit on requests that changes while the stage runs, told by a file."""

import asyncio
import time

import pytest
from scripted import spec, teacher

from tunesmith.wire import TEACHER_RATE_FILE
from tunesmith_jobs.generate import live_rate
from tunesmith_jobs.generate.limiter import make_limiter
from tunesmith_jobs.generate.work import generate

TEXTS = {"90": 90, "0": 0, " 12\n": 12, "": None, "-1": None, "many": None, "1.5": None}


@pytest.mark.parametrize(("text", "rate"), TEXTS.items())
def test_a_rate_is_a_whole_number_or_nothing(text, rate, tmp_path):
    (tmp_path / "rate").write_text(text)
    assert live_rate.read_rate(tmp_path / "rate") == rate


def test_no_file_says_nothing(tmp_path):
    assert live_rate.read_rate(tmp_path / "rate") is None


def starts(limiter, since, until):
    """Moments at which requests could start, one after another."""
    now, moments = since, []
    while now < until:
        if (wait := limiter.wait(now, 1)) > 0:
            now += wait + 1e-6
            continue
        limiter.release(now, limiter.start(now, 1), reserved=1, used=1)
        moments.append(now)
    return moments


def test_a_limit_holds_from_now_on_beside_the_requests_own_until_it_is_lifted():
    limiter = make_limiter(0.0, most=10, requests_per_minute=600)
    assert len(starts(limiter, 0.0, 60.0)) == pytest.approx(600, abs=2)
    limiter.limit_requests(60.0, 60)
    assert len(starts(limiter, 60.0, 120.0)) == pytest.approx(60, abs=2)
    limiter.limit_requests(120.0, 240)
    assert len(starts(limiter, 120.0, 180.0)) == pytest.approx(240, abs=2)
    limiter.limit_requests(180.0, 6000)
    assert len(starts(limiter, 180.0, 240.0)) == pytest.approx(600, abs=2), (
        "the request's own limit holds too"
    )
    limiter.limit_requests(240.0, 0)
    assert limiter.live is None


def test_a_file_that_changes_is_followed_and_one_that_breaks_keeps_what_was(tmp_path, monkeypatch):
    file, told = tmp_path / "rate", []
    file.write_text("30")
    monkeypatch.setenv(TEACHER_RATE_FILE, str(file))

    async def change():
        following = asyncio.create_task(live_rate.follow(told.append, lambda _: None, seconds=0.01))
        for text in ("30", "15", "", "0"):
            file.write_text(text)
            await asyncio.sleep(0.1)
        following.cancel()

    asyncio.run(change())
    assert told == [30, 15, 0]


def test_without_a_file_there_is_nothing_to_follow(monkeypatch):
    monkeypatch.delenv(TEACHER_RATE_FILE, raising=False)
    asyncio.run(
        asyncio.wait_for(live_rate.follow(lambda _: pytest.fail("told a rate"), print, seconds=0.01), 1)
    )


def test_the_stage_obeys_the_file_from_its_first_request_on(stage_for, tmp_path, monkeypatch):
    (tmp_path / "rate").write_text("300")
    monkeypatch.setenv(TEACHER_RATE_FILE, str(tmp_path / "rate"))
    begun = time.monotonic()
    with teacher() as server:
        stage_for(spec(server.url, 20))
        generate(stage_for(spec(server.url, 20)))
    assert server.answered == 22
    assert time.monotonic() - begun >= 21 / 5, "22 requests at 5 a second"
