"""The cache: what a late answer to a write may and may not do, and the indexes."""

import json
import tracemalloc
from typing import Any

import pytest
from reconcile_steps import look, play, stage_done

from tunesmith.children import job_name
from tunesmith_controller.cache import Cache
from tunesmith_controller.caches import Caches, pod_belongs, references
from tunesmith_controller.decide.objects import owner_uids
from tunesmith_controller.trim import WHOLE, trim_job, trim_request


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


def a_request(spec: dict[str, Any], **status: Any) -> dict[str, Any]:
    metadata = {"name": "r", "namespace": "a", "uid": "u", "resourceVersion": "1", "generation": 2}
    others = {"managedFields": [{}], "labels": {"team": "x" * 1000}, "annotations": {"notes": "x" * 1000}}
    return {
        "apiVersion": "v",
        "kind": "k",
        "metadata": {**metadata, **others},
        "spec": spec,
        "status": status,
    }


SPEC = {
    "task": "answer riddles",
    "profile": "gpu",
    "run": "shared",
    "data": {"from": {"request": "first"}, "seeds": ["a"]},
    "training": {"from": {"run": "second-1"}},
}
STANDING = {"profile": "gpu", "run": "shared", "data": {"from": {"request": "first"}}}


def test_a_cached_request_holds_what_every_decision_reads_and_its_whole_spec_until_the_first_one() -> None:
    metadata = {"name": "r", "namespace": "a", "uid": "u", "resourceVersion": "1", "generation": 2}
    new, seen = trim_request(a_request(SPEC)), trim_request(a_request(SPEC, observedGeneration=2))
    assert new == {
        "apiVersion": "v",
        "kind": "k",
        "metadata": metadata,
        "spec": SPEC,
        "status": {},
        "whole": True,
    }
    assert seen == {**new, "spec": STANDING, "status": {"observedGeneration": 2}, "whole": False}
    long = trim_request(a_request(SPEC | {"task": "x" * WHOLE}))
    assert (long["spec"], long["whole"]) == (STANDING, False)


@pytest.mark.parametrize(
    "spec", [None, {"data": "text"}, {"data": {"from": None}}, {"training": {"from": []}}]
)
def test_a_spec_that_is_older_than_its_schema_is_kept_as_far_as_it_says_anything(spec: Any) -> None:
    kept = trim_request(a_request(spec, observedGeneration=2))
    assert kept["spec"] == {}
    assert list(references(kept)) == []


def test_what_is_packed_comes_back_as_it_was_and_is_found_by_the_same_values() -> None:
    kept = Cache(trim_job, {"owner": owner_uids}, packed=lambda _job: True)
    kept.put(job(5))
    assert kept.get(("a", "j")) == trim_job(job(5))
    assert kept.by("owner", "r1") == [trim_job(job(5))] == kept.all()
    kept.put(job(6, owner="r2"))
    assert [kept.by("owner", owner) for owner in ("r1", "r2")] == [[], [trim_job(job(6, owner="r2"))]]


def test_ten_thousand_finished_requests_with_their_jobs_and_pods_fit_into_a_fraction_of_the_limit() -> None:
    """A tenth of them: 1,000 requests, 4,000 Jobs, 4,000 pods."""
    cluster, _ = play([look, [stage_done() for _ in range(4)]])
    items = {kind: json.dumps(list(cluster.kept[kind].values())) for kind in ("request", "job", "pod")}
    tracemalloc.start()
    try:
        caches = Caches()
        kinds = {"request": caches.requests, "job": caches.jobs, "pod": caches.pods}
        for number in range(1000):
            for kind, text in items.items():
                own = text.replace("riddles", f"riddles-{number}").replace("00000000-0000-", f"{number:08}-")
                for item in json.loads(own):
                    kinds[kind].put(item)
        mib = tracemalloc.get_traced_memory()[0] / 2**20
    finally:
        tracemalloc.stop()
    assert [len(cache) for cache in kinds.values()] == [1000, 4000, 4000]
    assert mib < 18, f"{mib:.1f} MiB"


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
