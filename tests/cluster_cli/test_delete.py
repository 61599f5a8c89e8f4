"""`delete --data`: whatever goes wrong in between, the run is removed, or it is said what is left and how to
remove it.
"""

import contextlib
import json
from types import SimpleNamespace

import pytest
from cluster_cli.finished_run import MADE
from cluster_cli.scripted_api import Raw
from cluster_cli.test_api import ONE, REQUESTS, listed, request

from tunesmith.errors import TryAgain
from tunesmith.profile import Profile
from tunesmith_cli.cluster.remote import RemoteRuns
from tunesmith_cli.cluster.requests import users_of_run
from tunesmith_cli.cluster.tunnel import NoPortForward
from tunesmith_cli.commands.delete import TIMING

GONE = Raw(json.dumps({"details": {"name": "riddles"}}).encode(), 404)
PLACE = "s3://b/team/riddles-1/"


def with_run(uid="u1", name="riddles", **spec):
    whole = request(**spec)
    whole["metadata"] |= {"uid": uid, "name": name}
    whole["status"] |= {"run": "riddles-1", "store": "s3://b/team", "snapshot": "frozen"}
    return whole


class Runs:
    """The runs of a store, through a session that may end."""

    def __init__(self):
        self.opened, self.asked, self.removed, self.dies, self.fault = 0, 0, [], False, None

    def trouble(self):
        self.asked += 1
        return "no such pod" if self.dies and self.opened == 1 else ""

    def delete(self, run):
        if self.fault:
            raise self.fault
        self.removed.append(run)
        return 6


@pytest.fixture
def runs(scripted, monkeypatch):
    runs = Runs()

    @contextlib.contextmanager
    def opened(*_, **__):
        runs.opened += 1
        yield runs

    def run_data(*_):
        return SimpleNamespace(snapshot=MADE, profile=Profile())

    monkeypatch.setattr("tunesmith_cli.cluster.runs.opened", opened)
    monkeypatch.setattr("tunesmith_cli.cluster.run_data.run_data", run_data)
    monkeypatch.setattr(TIMING, "poll", 0.01)
    monkeypatch.setattr(TIMING, "keep", 0.0)
    scripted.answers |= {
        ONE: [with_run(), with_run(), GONE],
        f"DELETE {ONE}": with_run(),
        REQUESTS: listed(with_run()),
    }
    return runs


def left(scripted, done):
    """Whether it was said what is left, and how to remove it."""
    assert f"not removed from the store: {PLACE}" in done.stderr
    assert "tunesmith submit FILE --set run=riddles-1 --set suspend=true -n team" in done.stderr
    assert "tunesmith delete riddles --data -n team" in done.stderr
    return True


def test_a_server_that_is_away_meanwhile_is_waited_for_and_the_session_kept(scripted, runs):
    scripted.answers[ONE] = [with_run(), 503, with_run(), 502, GONE]
    done = scripted("delete", "riddles", "--data", "--yes")
    assert done.stdout.splitlines() == [
        "trainingrequest.tunesmith.dev/riddles deleted",
        f"{PLACE} removed: 6 objects",
    ]
    assert runs.removed == ["riddles-1"]
    assert runs.asked >= 3, "a session that nobody asks would have ended"


def test_a_session_that_has_ended_meanwhile_is_opened_anew(scripted, runs):
    runs.dies = True
    scripted("delete", "riddles", "--data", "--yes")
    assert (runs.opened, runs.removed) == (2, ["riddles-1"])


def test_what_could_not_be_removed_is_said(scripted, runs):
    runs.fault = TryAgain("the store does not answer")
    done = scripted("delete", "riddles", "--data", "--yes", expect=75)
    assert left(scripted, done)
    assert done.stdout == "trainingrequest.tunesmith.dev/riddles deleted\n"


def test_an_interrupted_wait_says_what_is_left(scripted, runs, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    scripted.answers[ONE] = with_run()
    monkeypatch.setattr(TIMING, "sleep", interrupted)
    assert left(scripted, scripted("delete", "riddles", "--data", "--yes", expect=130))


def test_a_request_that_does_not_go_says_what_is_left(scripted, runs, monkeypatch):
    monkeypatch.setattr(TIMING, "gone", -1e6)
    scripted.answers[ONE] = with_run()
    done = scripted("delete", "riddles", "--data", "--yes", expect=75)
    assert "still there after" in done.stderr
    assert left(scripted, done)


@pytest.mark.parametrize("more", [(), ("--dry-run",)], ids=["at once", "dry run"])
def test_a_run_that_another_request_has_is_not_removed(scripted, runs, more):
    scripted.answers[REQUESTS] = listed(with_run(), with_run("u2", "riddles-again"))
    said = scripted("delete", "riddles", "--data", "--yes", *more, expect=64).stderr
    assert "it is the run of riddles-again too" in said
    assert not [one for one in scripted.plane.asked if one[1] == "DELETE"]


def test_a_request_that_takes_the_run_up_meanwhile_keeps_it(scripted, runs):
    scripted.answers[REQUESTS] = [listed(with_run()), listed(with_run("u2", "riddles-again"))]
    done = scripted("delete", "riddles", "--data", "--yes", expect=64)
    assert "it is the run of riddles-again too" in done.stderr
    assert runs.removed == []
    assert "--set run=" not in done.stderr, "it is not left behind: the other request has it"


def test_a_request_that_was_not_seen_may_have_a_run(scripted, runs):
    fresh = request()
    fresh["status"] = {"observedGeneration": -1}
    scripted.answers[ONE] = fresh
    assert "has not seen riddles yet" in scripted("delete", "riddles", "--data", "--yes", expect=75).stderr
    assert not [one for one in scripted.plane.asked if one[1] == "DELETE"]


USERS = {
    "itself": ([with_run()], []),
    "another run": ([request() | {"metadata": {"uid": "u2", "name": "b"}}], []),
    "one that has it": ([with_run("u2", "b")], ["b"]),
    "one that will take it up": (
        [{"metadata": {"uid": "u2", "name": "b"}, "spec": {"run": "riddles-1"}}],
        ["b"],
    ),
    "a run of that name in another store": (
        [with_run("u2", "b") | {"status": {"run": "riddles-1", "store": "s3://c/team"}}],
        [],
    ),
}


@pytest.mark.parametrize(("requests", "expected"), USERS.values(), ids=USERS)
def test_who_has_a_run(requests, expected):
    assert users_of_run(requests, "riddles-1", "s3://b/team", "u1") == expected


def test_a_port_forward_that_cannot_be_opened_at_once_is_tried_again():
    tries = []

    def connect():
        tries.append(1)
        raise NoPortForward("the API server is away")

    with pytest.raises(TryAgain, match="the API server is away") as caught:
        RemoteRuns("s3://b", connect, "token", delays=(0.0, 0.0)).delete("riddles-1")
    assert (len(tries), caught.value.reason) == (3, "SessionLost")
