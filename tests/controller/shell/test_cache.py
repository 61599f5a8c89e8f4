"""The cache: what a late answer to a write may and may not do, and the indexes."""

from typing import Any

from tunesmith.children import job_name
from tunesmith_controller.cache import Cache
from tunesmith_controller.caches import pod_belongs
from tunesmith_controller.decide.objects import owner_uids
from tunesmith_controller.trim import trim_job, trim_request


def job(version: int, uid: str = "u1", owner: str = "r1") -> dict[str, Any]:
    references = [{"kind": "TrainingRequest", "name": "r", "uid": owner}]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "j",
            "namespace": "a",
            "uid": uid,
            "resourceVersion": str(version),
            "ownerReferences": references,
        },
    }


def cache() -> tuple[Cache, list[tuple[str | None, str | None]]]:
    made, changes = Cache(trim_job, {"owner": owner_uids}), list[tuple[str | None, str | None]]()

    def name(item: Any) -> str | None:
        return None if item is None else f"{item['metadata']['uid']}@{item['metadata']['resourceVersion']}"

    made.changed = lambda before, after: changes.append((name(before), name(after)))
    return made, changes


def version(kept: Cache) -> str | None:
    job = kept.get(("a", "j"))
    return None if job is None else job["metadata"]["resourceVersion"]


def test_an_answer_is_kept_if_it_is_newer_and_tells_nobody() -> None:
    kept, changes = cache()
    kept.put(job(5))
    kept.put_answer(job(9))
    assert version(kept) == "9"
    kept.put_answer(job(7))
    assert version(kept) == "9", "10 > 9 as numbers, and an older answer changes nothing"
    kept.put_answer(job(10))
    assert version(kept) == "10"
    assert changes == [(None, "u1@5")]
    kept.put(job(10))
    assert changes == [(None, "u1@5")], "the watch brings what we know already"


def test_an_event_older_than_an_answer_does_not_undo_it_but_is_told() -> None:
    kept, changes = cache()
    kept.put_event(job(5))
    kept.put_answer(job(9))
    kept.put_event(job(7))
    assert version(kept) == "9", "else the next write would be a conflict"
    assert changes == [(None, "u1@5"), ("u1@9", "u1@9")], "what the answer brought was told to nobody"
    kept.put(job(7))
    assert version(kept) == "7", "a list is right: the server may have been restored"
    kept.put_event(job(6, uid="u2"))
    assert version(kept) == "6", "another one under the name"


def test_an_answer_that_may_be_news_is_told() -> None:
    kept, changes = cache()
    kept.put_answer(job(5), tell=True)
    kept.put_answer(job(5), tell=True)
    assert changes == [(None, "u1@5")]


def test_an_answer_that_comes_after_the_deletion_brings_nothing_back() -> None:
    kept, changes = cache()
    kept.put(job(5))
    kept.remove(job(6))
    kept.put_answer(job(5))
    assert version(kept) is None
    assert changes == [(None, "u1@5"), ("u1@5", None)]
    kept.put_answer(job(8, uid="u2"))
    assert version(kept) == "8", "another one under the name is a new one"


def test_one_that_was_made_again_unseen_is_told_as_gone_and_new() -> None:
    kept, changes = cache()
    kept.put(job(5))
    kept.put(job(8, uid="u2", owner="r2"))
    assert changes == [(None, "u1@5"), ("u1@5", None), (None, "u2@8")]
    assert kept.by("owner", "r1") == []
    assert [item["metadata"]["uid"] for item in kept.by("owner", "r2")] == ["u2"]


def test_a_list_of_one_namespace_says_nothing_about_another() -> None:
    kept, _ = cache()
    kept.put(job(5))
    kept.keep_only("b", set())
    assert version(kept) == "5"
    kept.keep_only("a", set())
    assert version(kept) is None


def test_a_cached_request_holds_its_spec_and_status_but_not_what_kubectl_and_the_api_server_keep_in_it() -> (
    None
):
    metadata = {
        "name": "r",
        "namespace": "a",
        "uid": "u",
        "resourceVersion": "1",
        "managedFields": [{}],
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "x" * 1000, "mine": "kept"},
    }
    item = {
        "apiVersion": "v",
        "kind": "k",
        "metadata": metadata,
        "spec": {"task": "t"},
        "status": {"phase": "Running"},
    }
    kept = {
        "name": "r",
        "namespace": "a",
        "uid": "u",
        "resourceVersion": "1",
        "annotations": {"mine": "kept"},
    }
    assert trim_request(item) == {**item, "metadata": kept}


def test_a_pod_whose_job_is_gone_belongs_to_the_request_whose_uid_made_the_jobs_name() -> None:
    def pod(uid: str) -> dict[str, Any]:
        labels = {
            "tunesmith.dev/request": "r",
            "tunesmith.dev/stage": "train",
            "tunesmith.dev/key": "k",
            "tunesmith.dev/attempt": "2",
        }
        owner = {"kind": "Job", "name": job_name("r", uid, "train", "k", 2), "uid": "gone"}
        return {"metadata": {"name": "p", "namespace": "a", "labels": labels, "ownerReferences": [owner]}}

    request = {"metadata": {"name": "r", "namespace": "a", "uid": "now"}}
    assert pod_belongs(pod("now"), request, [])
    assert not pod_belongs(pod("earlier"), request, []), "of an earlier request of that name"
    assert pod_belongs(pod("earlier"), request, [{"metadata": {"uid": "gone"}}]), "its Job says so"
