"""Plans carried out on a real API server."""

import json
import time
from collections import Counter
from typing import Any

import pytest
from control_plane import ControlPlane
from controller.shell import real

from tunesmith.status import Condition, StageStatus, Status
from tunesmith.wire import TEACHER_RATE
from tunesmith_controller.api import AlreadyExists, Call, Conflict, NotFound
from tunesmith_controller.caches import Caches
from tunesmith_controller.decide.model import Decision, Delete, Note, Share
from tunesmith_controller.decide.objects import UNREADABLE
from tunesmith_controller.event_writer import EventWriter
from tunesmith_controller.executor import GRACE, Executor, NotLeading
from tunesmith_controller.rights import JOBS, REQUESTS
from tunesmith_controller.salvage import read_page
from tunesmith_controller.snapshot_reader import SnapshotReader

NOW = "2026-11-23T10:00:00Z"


class Shell:
    """An executor on the real API server, with the number of calls by (verb, resource, code)."""

    def __init__(self, plane: ControlPlane) -> None:
        real.install(plane)
        self.plane, self.leads = plane, True
        self.calls: Counter[tuple[str, str, str]] = Counter()
        self.api = real.real_api(plane, observe=self._count)
        self.caches = Caches()
        self.notes = EventWriter(self.api, "test", rate=50.0)
        self.notes.start()
        self.executor = Executor(
            self.api, self.caches, SnapshotReader(self.api), self.notes, lambda: self.leads
        )

    def request(self, name: str, namespace: str = "", **spec: Any) -> dict[str, Any]:
        request = real.apply(self.plane, namespace or self.plane.namespace(), name, **spec)
        self.caches.requests.put(request)
        return request

    def again(self, request: dict[str, Any], kind: str = "treq", name: str = "") -> dict[str, Any]:
        return real.get(
            self.plane, request["metadata"]["namespace"], kind, name or request["metadata"]["name"]
        )

    def _count(self, verb: str, resource: str, code: str) -> None:
        self.calls[verb, resource, code] += 1


@pytest.fixture(scope="module")
def shell(control_plane: ControlPlane) -> Shell:
    return Shell(control_plane)


def status(**fields: Any) -> Status:
    condition = Condition(
        type="Complete", status="Unknown", reason="Pending", lastTransitionTime=NOW, observedGeneration=1
    )
    row = StageStatus(name="generate", key="abc", metrics={"loss": 2.0})
    values: dict[str, Any] = {
        "observedGeneration": 1,
        "phase": "Pending",
        "stages": (row,),
        "conditions": (condition,),
        **fields,
    }
    return Status(**values)


def test_a_status_is_written_once_and_the_same_again_costs_no_call(shell: Shell) -> None:
    request = shell.request("once")
    shell.executor.carry_out(request, Decision(status(message="first")))
    written = shell.caches.requests.get((request["metadata"]["namespace"], "once"))
    assert written is not None
    assert written["status"] == {
        "observedGeneration": 1,
        "phase": "Pending",
        "progress": 0,
        "message": "first",
        "stages": [
            {
                "name": "generate",
                "key": "abc",
                "phase": "Pending",
                "attempt": 0,
                "failures": 0,
                "failedGeneration": 0,
                "progress": 0,
            }
            | {"metrics": {"loss": 2}}
        ],
        "conditions": [
            {
                "type": "Complete",
                "status": "Unknown",
                "reason": "Pending",
                "lastTransitionTime": NOW,
                "observedGeneration": 1,
            }
        ],
    }
    before = shell.calls.total()
    shell.executor.carry_out(written, Decision(status(message="first")))
    assert shell.calls.total() == before
    fresh = shell.again(request)
    shell.executor.carry_out(fresh, Decision(status(message="first")))
    assert shell.calls.total() == before, (
        "what the API server gives back must compare equal to what was written"
    )


def test_a_status_is_written_for_a_request_that_cannot_be_read_and_costs_no_whole_answer(
    shell: Shell,
) -> None:
    namespace = shell.plane.namespace()
    head = {"apiVersion": "tunesmith.dev/v1alpha1", "kind": "TrainingRequest"}
    spec = {
        "task": "x" * 30_000,
        "model": {"base": "hf://org/base"},
        "evaluation": {"format": {"jsonSchema": 1}},
    }
    body = json.dumps({**head, "metadata": {"name": "deep", "namespace": namespace}, "spec": spec})
    deep = '{"items": ' * 1500 + "{}" + "}" * 1500
    shell.plane.kubectl("create", "-f", "-", stdin=body.replace('"jsonSchema": 1', f'"jsonSchema": {deep}'))
    (request,) = shell.api.send(Call("list", REQUESTS, namespace), read=read_page)["items"]
    assert set(request[UNREADABLE]) == {"spec.evaluation.format.jsonSchema"}
    shell.caches.requests.put(request)
    answers: list[int] = []

    send = shell.api.send

    def counted(call: Call, read: Any) -> Any:
        return send(call, read=lambda text: answers.append(len(text)) or read(text))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shell.api, "send", counted)
        shell.executor.carry_out(request, Decision(status(message="refused")))
    cached = shell.caches.requests.get((namespace, "deep"))
    assert cached is not None
    assert cached["status"]["message"] == "refused"
    assert cached[UNREADABLE] == request[UNREADABLE]
    assert "managedFields" not in cached["metadata"]
    (again,) = shell.api.send(Call("list", REQUESTS, namespace), read=read_page)["items"]
    assert again["status"] == cached["status"]
    assert again["metadata"]["resourceVersion"] == cached["metadata"]["resourceVersion"]
    (size,) = answers
    assert size < 60_000, "managedFields are as deep, but the task is not in the answer"


def test_a_field_that_is_no_longer_written_goes_away(shell: Shell) -> None:
    request = shell.request("shrinks")
    shell.executor.carry_out(request, Decision(status(message="waits", reason="Waiting")))
    shell.executor.carry_out(shell.again(request), Decision(status()))
    assert not {"message", "reason"} & shell.again(request)["status"].keys()


def test_a_status_for_an_old_version_is_refused_and_nothing_is_made(shell: Shell) -> None:
    request = shell.request("stale")
    shell.executor.carry_out(request, Decision(status(message="another leader was here")))
    with pytest.raises(Conflict):
        shell.executor.carry_out(
            request,
            Decision(status(message="late"), creates=(real.job_manifest(request, "stale-generate-1"),)),
        )
    assert real.listed(shell.plane, request["metadata"]["namespace"], "jobs") == []
    assert shell.again(request)["status"]["message"] == "another leader was here"


def test_a_status_for_a_request_that_was_made_again_under_its_name_is_refused(shell: Shell) -> None:
    request = shell.request("reborn")
    shell.plane.kubectl("delete", "treq", "reborn", "-n", request["metadata"]["namespace"])
    real.apply(shell.plane, request["metadata"]["namespace"], "reborn")
    with pytest.raises(Conflict):
        shell.executor.carry_out(request, Decision(status(message="for the first one")))


def test_a_job_that_is_there_already_and_ours_is_taken_as_made(shell: Shell) -> None:
    request = shell.request("twice")
    decision = Decision(status(), creates=(real.job_manifest(request, "twice-generate-1"),))
    shell.executor.carry_out(request, decision)
    assert shell.executor.carry_out(shell.again(request), decision) is None
    jobs = real.listed(shell.plane, request["metadata"]["namespace"], "jobs")
    assert [job["metadata"]["name"] for job in jobs] == ["twice-generate-1"]
    assert shell.calls["create", "jobs", "409"] >= 1
    assert [job["metadata"]["uid"] for job in shell.caches.jobs_of(request)] == [jobs[0]["metadata"]["uid"]]


def test_a_job_of_somebody_else_under_the_name_is_said_by_name_and_left_alone(shell: Shell) -> None:
    request = shell.request("foreign")
    other = real.apply(shell.plane, request["metadata"]["namespace"], "other")
    real_job = real.job_manifest(request, "foreign-generate-1", uid=other["metadata"]["uid"])
    real_job["metadata"]["ownerReferences"][0]["name"] = "other"
    shell.plane.kubectl("create", "-f", "-", stdin=json.dumps(real_job))
    again = shell.executor.carry_out(
        request, Decision(status(), creates=(real.job_manifest(request, "foreign-generate-1"),))
    )
    assert again == 0.0
    assert shell.executor.refusals.message(request["metadata"]["uid"]) == (
        "Job foreign-generate-1 cannot be created: "
        "NameConflict: a Job named foreign-generate-1 exists already and is not this request's; "
        "delete it, or apply the request under another name"
    )
    assert (
        shell.again(request, "job", "foreign-generate-1")["metadata"]["ownerReferences"][0]["name"] == "other"
    )


def test_a_quota_that_forbids_a_job_is_recorded_and_the_next_try_waits(shell: Shell) -> None:
    request = shell.request("poor")
    namespace = request["metadata"]["namespace"]
    shell.plane.kubectl("create", "quota", "none", "--hard=count/jobs.batch=0", "-n", namespace)
    decision = Decision(status(), creates=(real.job_manifest(request, "poor-generate-1"),))

    def refused() -> bool:  # the quota's own controller needs a moment
        shell.executor.carry_out(shell.again(request), decision)
        if shell.executor.refusals.message(request["metadata"]["uid"]):
            return True
        shell.plane.kubectl("delete", "job", "--all", "-n", namespace)
        return False

    real.until("the quota refuses", refused)
    text = shell.executor.refusals.message(request["metadata"]["uid"])
    assert text.startswith("Job poor-generate-1 cannot be created: Forbidden: ")
    assert "exceeded quota: none" in text
    before = shell.calls["create", "jobs", "403"]
    again = shell.executor.carry_out(shell.again(request), decision)
    assert again is not None
    assert 0 < again <= 5
    assert shell.calls["create", "jobs", "403"] == before, (
        "events about the request must not make the tries come faster"
    )
    edited = {**shell.again(request), "metadata": {**shell.again(request)["metadata"], "generation": 2}}
    assert shell.executor.carry_out(edited, decision) == 0.0
    assert shell.calls["create", "jobs", "403"] == before + 1, "an edit is tried at once"


def test_an_old_view_deletes_nothing(shell: Shell) -> None:
    request = shell.request("overtaken")
    shell.executor.carry_out(
        request, Decision(status(), creates=(real.job_manifest(request, "overtaken-generate-1"),))
    )
    seen = shell.again(request)
    job = shell.again(request, "job", "overtaken-generate-1")
    shell.plane.kubectl(
        "patch",
        "treq",
        "overtaken",
        "-n",
        request["metadata"]["namespace"],
        "--type=merge",
        '-p={"spec":{"retry":"1"}}',
    )
    gone = Delete("overtaken-generate-1", job["metadata"]["uid"])
    for decision in (Decision(status(), deletes=(gone,)), Decision(status(), delete_request=True)):
        with pytest.raises(Conflict):
            shell.executor.carry_out(seen, decision)
    assert "deletionTimestamp" not in shell.again(request, "job", "overtaken-generate-1")["metadata"]
    assert shell.again(request)["spec"]["retry"] == "1"


def test_a_delete_for_another_uid_leaves_the_job(shell: Shell) -> None:
    request = shell.request("kept")
    shell.executor.carry_out(
        request, Decision(status(), creates=(real.job_manifest(request, "kept-generate-1"),))
    )
    wrong = Delete("kept-generate-1", "00000000-0000-0000-0000-000000000000")
    shell.executor.carry_out(
        shell.again(request), Decision(status(), deletes=(wrong, Delete("never-was", "1")))
    )
    job = shell.again(request, "job", "kept-generate-1")
    assert "deletionTimestamp" not in job["metadata"]
    shell.executor.carry_out(
        shell.again(request), Decision(status(), deletes=(Delete("kept-generate-1", job["metadata"]["uid"]),))
    )
    real.until(
        "the Job goes", lambda: real.listed(shell.plane, request["metadata"]["namespace"], "jobs") == []
    )


def test_a_job_that_is_being_deleted_is_known_as_such_at_once(shell: Shell) -> None:
    request = shell.request("going")
    shell.executor.carry_out(
        request, Decision(status(), creates=(real.job_manifest(request, "going-generate-1"),))
    )
    (job,) = shell.caches.jobs_of(request)
    shell.executor.carry_out(
        shell.again(request),
        Decision(status(), deletes=(Delete("going-generate-1", job["metadata"]["uid"]),)),
    )
    (going,) = shell.caches.jobs_of(request)
    assert "deletionTimestamp" in going["metadata"]
    assert "foregroundDeletion" in going["metadata"]["finalizers"]


def test_notes_are_seen_in_describe_once(shell: Shell) -> None:
    request = shell.request("told")
    note = Note(
        "Warning",
        "GateNotPassed",
        "The gain is 1 %, the gate asks for 5 %: lower evaluation.gate, or train longer. 字" + "x" * 2000,
    )
    for _ in range(3):
        shell.executor.carry_out(shell.again(request), Decision(status(), notes=(note,)))
    describe = ("describe", "treq", "told", "-n", request["metadata"]["namespace"])
    text = real.until(
        "the Event", lambda: (text := shell.plane.kubectl(*describe).stdout).count("GateNotPassed") and text
    )
    time.sleep(1)
    assert shell.plane.kubectl(*describe).stdout.count("GateNotPassed") == 1
    assert "The gain is 1 %" in text
    assert "tunesmith.dev/controller" in text


def test_an_expired_request_is_deleted_by_its_uid_only(shell: Shell) -> None:
    request = shell.request("expired")
    namespace = request["metadata"]["namespace"]
    shell.executor.carry_out(request, Decision(status(), delete_request=True))
    assert shell.plane.kubectl("get", "treq", "-n", namespace, "-o", "name").stdout == ""


def test_nothing_is_written_without_the_lease(shell: Shell) -> None:
    request = shell.request("idle")
    shell.leads = False
    try:
        with pytest.raises(NotLeading):
            shell.executor.carry_out(
                request,
                Decision(status(message="x"), creates=(real.job_manifest(request, "idle-generate-1"),)),
            )
    finally:
        shell.leads = True
    assert "message" not in shell.again(request)["status"]


def test_errors_have_the_class_of_what_is_done_about_them(shell: Shell) -> None:
    request = shell.request("classes")
    namespace = request["metadata"]["namespace"]
    manifest = real.job_manifest(request, "classes-generate-1")
    shell.api.send(Call("create", JOBS, namespace, body=manifest))
    with pytest.raises(AlreadyExists, match=r'jobs\.batch "classes-generate-1" already exists'):
        shell.api.send(Call("create", JOBS, namespace, body=manifest))
    with pytest.raises(NotFound, match=r"nowhere"):
        shell.api.send(
            Call(
                "create",
                JOBS,
                "nowhere",
                body={**manifest, "metadata": {"name": "a", "namespace": "nowhere"}},
            )
        )


def test_a_pod_is_told_its_share_of_the_teacher_and_another_one_of_its_name_is_not(shell: Shell) -> None:
    request = shell.request("shares")
    namespace = request["metadata"]["namespace"]
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "generate", "annotations": {TEACHER_RATE: "60", "mine": "kept"}},
        "spec": {"containers": [{"name": "stage", "image": "reg.example/generate:1"}]},
    }
    shell.plane.kubectl("create", "-n", namespace, "-f", "-", stdin=json.dumps(manifest))
    pod = shell.again(request, "pod", "generate")
    ours, others = (
        Share("generate", pod["metadata"]["uid"], 30),
        Share("generate", "00000000-0000-0000-0000-000000000000", 5),
    )
    shell.executor.carry_out(
        shell.again(request), Decision(status(), shares=(ours, others, Share("gone", "u", 5)))
    )
    assert shell.again(request, "pod", "generate")["metadata"]["annotations"] == {
        TEACHER_RATE: "30",
        "mine": "kept",
    }


def test_a_pod_that_lives_on_is_deleted_and_another_one_of_its_name_is_not(shell: Shell) -> None:
    request = shell.request("lives-on")
    namespace = request["metadata"]["namespace"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": namespace, "finalizers": ["example.com/stays"]},
        "spec": {"containers": [{"name": "stage", "image": "localhost/none:1"}]},
    }
    shell.plane.kubectl("create", "-f", "-", stdin=json.dumps(pod))
    uid = real.get(shell.plane, namespace, "pod", "p")["metadata"]["uid"]
    shell.executor.carry_out(
        request, Decision(status(), pods=(Delete("p", "another-uid"), Delete("no", "x")))
    )
    assert "deletionTimestamp" not in real.get(shell.plane, namespace, "pod", "p")["metadata"]
    shell.executor.carry_out(shell.again(request), Decision(status(), pods=(Delete("p", uid),)))
    assert "deletionTimestamp" in real.get(shell.plane, namespace, "pod", "p")["metadata"]
    known = shell.caches.pods.get((namespace, "p"))
    assert known is not None
    assert "deletionTimestamp" in known["metadata"], "so it is not deleted again"


def test_a_pod_that_lives_on_is_told_how_long_it_has_before_its_job_goes(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, sent, send = shell.request("in-order"), list[Call](), shell.api.send

    def recorded(call: Call, *arguments: Any, **options: Any) -> Any:
        sent.append(call)
        return send(call, *arguments, **options)

    monkeypatch.setattr(shell.api, "send", recorded)
    decision = Decision(status(), deletes=(Delete("j", "1"),), pods=(Delete("p", "2"),))
    shell.executor.carry_out(request, decision)
    deletes = [call for call in sent if call.verb == "delete"]
    assert [call.resource.plural for call in deletes] == ["pods", "jobs"]
    assert [(call.body or {}).get("gracePeriodSeconds") for call in deletes] == [GRACE, None]
