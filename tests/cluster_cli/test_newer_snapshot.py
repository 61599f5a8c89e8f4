"""A snapshot that a newer controller has frozen is read by an older command line, or said to be of another
release.
"""

import json

import pytest
from cluster_cli.finished_run import MADE
from cluster_cli.test_api import ONE, request

from tunesmith.errors import TunesmithError
from tunesmith.profile import Profile
from tunesmith_cli.cluster.run_data import read_frozen

PROFILE = Profile.model_validate(
    {
        "trackerSecrets": {"WANDB_API_KEY": {"name": "wandb", "key": "key"}},
        "defaults": {"data": {"novel": 1}},
    },
    strict=False,
)


def written(snapshot=None, profile=None, stages=None):
    made, plain = json.loads(MADE.to_json()), PROFILE.model_dump(mode="json", by_alias=True)
    made |= snapshot or {}
    made["spec"]["training"] |= {"novel": 1} if snapshot else {}
    made["stages"] += stages or []
    plain |= profile or {}
    return {"request.json": json.dumps(made), "frozen.json": json.dumps({"profile": plain})}


NEWER = {
    "the same release": written(),
    "new fields of the profile": written(
        profile={"novel": {"a": 1}, "store": {"url": "s3://b", "novel": True}}
    ),
    "new fields in a mapping": written(
        profile={"trackerSecrets": {"WANDB_API_KEY": {"name": "wandb", "key": "key", "novel": ""}}}
    ),
    "new fields of the snapshot": written(snapshot={"novel": []}),
}


@pytest.mark.parametrize("data", NEWER.values(), ids=NEWER)
def test_what_a_newer_controller_has_added_is_left_out(data):
    snapshot, profile = read_frozen(data, "riddles")
    assert snapshot == MADE
    assert (profile.tracker_secrets, profile.defaults) == (PROFILE.tracker_secrets, PROFILE.defaults)


def test_a_stage_that_only_a_newer_release_knows_is_kept():
    snapshot, _ = read_frozen(written(stages=[{"name": "distil", "key": "k"}]), "riddles")
    assert (snapshot.stages[:-1], snapshot.stages[-1].name) == (MADE.stages, "distil")


OTHER = {
    "a value that is not known": written(profile={"store": {"url": "s3://b", "addressingStyle": "novel"}}),
    "no profile": {"request.json": MADE.to_json()},
    "no JSON": written() | {"frozen.json": "{"},
}


@pytest.mark.parametrize("data", OTHER.values(), ids=OTHER)
def test_what_cannot_be_read_is_of_another_release(data):
    with pytest.raises(TunesmithError) as caught:
        read_frozen(data, "riddles")
    assert caught.value.reason == "OtherRelease"


@pytest.mark.parametrize(
    "words", [["report"], ["fetch", "--to", "x"], ["infer", "hello"], ["delete", "--data", "--yes"], ["logs"]]
)
def test_no_command_shows_a_traceback_for_it(scripted, words):
    whole = request()
    whole["status"]["snapshot"], whole["status"]["run"], whole["status"]["store"] = (
        "frozen",
        "riddles-1",
        "s3://b",
    )
    scripted.answers[ONE] = whole
    scripted.answers["/api/v1/namespaces/team/configmaps/frozen"] = {
        "data": OTHER["a value that is not known"]
    }
    scripted.answers["/api/v1/namespaces/team/pods"] = scripted.answers[
        "/apis/batch/v1/namespaces/team/jobs"
    ] = {"items": []}
    scripted.answers["/apis/tunesmith.dev/v1alpha1/namespaces/team/trainingrequests"] = {"items": [whole]}
    command, *more = words
    said = scripted(command, "riddles", *more, expect=1).stderr
    assert "use the `tunesmith` of the controller's release" in said
    assert "a bug" not in said
