"""Kubeconfigs as kubectl takes them, and servers that answer as none should: a line says what to do."""

import re
import time

import pytest
import yaml
from cluster_cli.scripted_api import Raw, config
from cluster_cli.statuses import condition

from tunesmith.errors import TryAgain
from tunesmith_cli.cluster.api import connect

REQUESTS = "/apis/tunesmith.dev/v1alpha1/namespaces/team/trainingrequests"
ONE = f"{REQUESTS}/riddles"


def request(version="1", phase="Running", conditions=(), **spec):
    metadata = {
        "name": "riddles",
        "namespace": "team",
        "uid": "u1",
        "generation": 1,
        "resourceVersion": version,
    }
    metadata["creationTimestamp"] = "2026-01-02T03:04:05Z"
    status = {"observedGeneration": 1, "phase": phase, "conditions": list(conditions)}
    return {
        "metadata": metadata,
        "spec": {"task": "riddles", "model": {"base": "hf://org/model"}} | spec,
        "status": status,
    }


def listed(*items):
    return {"metadata": {"resourceVersion": "7"}, "items": list(items)}


CONTEXTS = {"none": None, "an empty one": "", "one that is not there": "dangling"}


@pytest.mark.parametrize("current", CONTEXTS.values(), ids=CONTEXTS)
def test_a_context_that_is_named_needs_no_current_one(tmp_path, current):
    (tmp_path / "config").write_text(yaml.safe_dump(config("http://127.0.0.1:1", current)))
    assert connect(str(tmp_path / "config"), "other").namespace == "elsewhere"


CURRENT = {
    "none": (config("http://c", None), "has no current context.*--context one of main, other"),
    "an empty one": (config("http://c", ""), "has no current context.*--context one of main, other"),
    "one that is not there": (
        config("http://c", "dangling"),
        "has no context 'dangling', its current one.*main, other",
    ),
}


@pytest.mark.parametrize(("document", "said"), CURRENT.values(), ids=CURRENT)
def test_without_a_current_context_those_there_are_named(scripted, tmp_path, document, said):
    (tmp_path / "config").write_text(yaml.safe_dump(document))
    text = scripted("status", "--kubeconfig", tmp_path / "config", expect=64).stderr
    assert re.search(said, text.replace("\n", " ")), text


def test_of_several_kubeconfigs_the_first_with_a_current_context_has_it(tmp_path, monkeypatch):
    for name, current in (("a", None), ("b", "other"), ("c", "main")):
        (tmp_path / name).write_text(yaml.safe_dump(config("http://127.0.0.1:1", current)))
    monkeypatch.setenv("KUBECONFIG", ":".join(str(tmp_path / name) for name in "abc"))
    assert connect().namespace == "elsewhere"


@pytest.mark.parametrize(
    "text", ["a: [1\nb: 2", "[1, 2]", "just words", "contexts: 5", "contexts: [{}]", "\x00"]
)
def test_what_is_no_kubeconfig_is_a_wrong_command_line(scripted, tmp_path, text):
    (tmp_path / "config").write_text(text)
    said = scripted("status", "--kubeconfig", tmp_path / "config", expect=64).stderr
    assert f"{tmp_path}/config" in said
    assert "Traceback" not in said


ANSWERS = {
    "cut off": (Raw(b'{"items": [', missing=500), "broke off"),
    "a proxy's page": (
        Raw(b"<html><body>Please log in</body></html>"),
        "<html><body>Please log in</body></html>",
    ),
    "JSON that is no object": (Raw(b'"hello"'), "did not answer as an API server does"),
    "nothing": (Raw(b""), "nothing"),
}


@pytest.mark.parametrize(("answer", "said"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_is_none_is_said_and_may_be_tried_again(scripted, answer, said):
    scripted.answers[ONE] = answer
    text = scripted("status", "riddles", expect=75).stderr
    assert said in text
    assert "Traceback" not in text


def test_an_object_nested_too_deep_is_said_without_a_traceback(scripted):
    scripted.answers[ONE] = Raw(b'{"a": ' * 5000 + b"1" + b"}" * 5000)
    text = scripted("status", "riddles", expect=78).stderr
    assert "is nested too deep to be read" in text
    assert "Traceback" not in text


def test_an_event_that_is_cut_off_ends_the_watch(scripted):
    scripted.answers[REQUESTS] = Raw(b'{"type": "ADDED", "object": {}}\n{"type": "MODI')
    assert len(list(connect(str(scripted.plane.kubeconfig)).watch(REQUESTS, (), "7", 5))) == 1


def test_wait_without_time_looks_once(scripted):
    scripted.answers[ONE] = request(conditions=[condition("Complete")])
    assert scripted("wait", "riddles", "--timeout", "0").stdout == "riddles is complete\n"
    scripted.answers[ONE] = request()
    assert "has not ended within 0" in scripted("wait", "riddles", "--timeout", "0", expect=75).stderr


def test_a_silent_watch_is_not_waited_for_longer_than_was_asked(scripted):
    scripted.answers[ONE] = request()
    scripted.answers[REQUESTS] = lambda query: Raw(silence=20) if "watch" in query else listed(request())
    began = time.monotonic()
    scripted("wait", "riddles", "--timeout", "1s", expect=75)
    assert time.monotonic() - began < 8


def test_a_silent_list_is_not_waited_for_longer_than_was_asked(scripted):
    scripted.answers[ONE] = request()
    scripted.answers[REQUESTS] = Raw(silence=20)
    began = time.monotonic()
    scripted("wait", "riddles", "--timeout", "1s", expect=75)
    assert time.monotonic() - began < 8


@pytest.mark.parametrize("answer", [Raw(), 503], ids=["ends every watch at once", "is away"])
def test_a_server_that_gives_nothing_is_asked_less_and_less_often(scripted, answer):
    scripted.answers[ONE] = request()
    scripted.answers[REQUESTS] = lambda query: answer if "watch" in query else listed(request())
    scripted("wait", "riddles", "--timeout", "3s", expect=75)
    assert 2 <= scripted.plane.times(REQUESTS, watch="1") <= 5


def test_wait_goes_on_over_a_server_that_is_away_for_a_while(scripted):
    scripted.answers[ONE] = request()
    scripted.answers[REQUESTS] = [503, 502, listed(request("9", conditions=[condition("Complete")]))]
    assert scripted("wait", "riddles", "--timeout", "20s").stdout == "riddles is complete\n"


def test_a_namespace_that_is_not_there_is_said(cluster):
    said = cluster("submit", cluster.write(), "-n", "nope", here=False, expect=66).stderr
    assert "there is no namespace 'nope'" in said


def test_a_missing_namespace_is_not_a_missing_request():
    from tunesmith_cli.cluster.faults import fault

    body = (
        b'{"details": {"name": "nope", "kind": "namespaces"}, "message": "namespaces \\"nope\\" not found"}'
    )
    error = fault(404, body, method="PATCH", path=ONE, server="https://c")
    assert (str(error.reason), isinstance(error, TryAgain)) == ("NoNamespace", False)
