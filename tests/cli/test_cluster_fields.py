"""Fields that only a cluster acts on: a run on this machine says that they have no effect."""

import pytest
from requests_for_tests import document

from tunesmith.request import parse
from tunesmith_cli.local.cluster_fields import note

QUEUE = "spec.queueName has no effect on this machine; it is for a cluster"
NOTES = {  # changes of the spec -> the note
    "nothing of the kind": ({"stages.train.retries": 1, "output": "s3://b/p", "run": "r"}, ""),
    "a queue": ({"queueName": "gpus"}, QUEUE),
    "the built-in value says nothing": ({"profile": "default", "deleteWhenExpired": False}, ""),
    "several": (
        {
            "profile": "team-a",
            "ttlSecondsAfterFinished": 0,
            "deleteWhenExpired": True,
            "queueName": "gpus",
            "retry": "x",
        },
        "spec.profile, spec.ttlSecondsAfterFinished, spec.deleteWhenExpired, spec.queueName and spec.retry"
        " have no effect on this machine; they are for a cluster",
    ),
    "of a stage": (
        {
            "stages.train": {
                "resources": {"limits": {"nvidia.com/gpu": "1"}},
                "nodeSelector": {"gpu": "a"},
                "tolerations": [{"key": "gpu", "operator": "Exists"}],
                "priorityClassName": "high",
                "env": {"MY_FLAG": "1"},
                "retries": 1,
                "activeDeadlineSeconds": 5,
            }
        },
        "spec.stages.train.resources, spec.stages.train.nodeSelector, spec.stages.train.tolerations"
        " and spec.stages.train.priorityClassName have no effect on this machine; they are for a cluster",
    ),
}


@pytest.mark.parametrize(("changes", "expected"), NOTES.values(), ids=NOTES)
def test_fields_for_a_cluster_are_named(changes, expected):
    assert note(parse(document(changes)).spec) == expected


def test_run_and_validate_say_so_on_standard_error(cli):
    path = cli.write(changes={"queueName": "gpus"})
    for command in (["validate", path], ["run", path, "--dry-run"]):
        done = cli(*command)
        assert done.stderr.splitlines() == [f"warning: {path}: {QUEUE}"]
        assert QUEUE not in done.stdout


def test_a_request_without_them_is_not_commented_on(cli):
    assert cli.inline("validate", cli.write()).stderr == ""
