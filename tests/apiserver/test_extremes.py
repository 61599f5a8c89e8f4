"""From the CRD's schema: what the API server takes at its bounds is parsed, or refused by name; and what is
parsed can be resolved, frozen and planned, and its Jobs, its snapshot and its status are taken too.

TUNESMITH_EXAMPLES=5000 looks for longer, at other specs each time.
"""

import copy
import math
import os
import threading

import kubernetes
import pytest
from apiserver.extremes import LEAVES, at_once, specs
from hypothesis import HealthCheck, given, settings
from requests_for_tests import LEAST, document
from small_cluster import Cluster, config, profile

from tunesmith.errors import BadRequest
from tunesmith.profile import Allow
from tunesmith.request import parse
from tunesmith.wire import GROUP, PLURAL, VERSION
from tunesmith_controller.applied import status_json

EXAMPLES = int(os.environ.get("TUNESMITH_EXAMPLES", "0"))
NAME = "n" * 39  # the longest
EVERYTHING = ("*", "s3://*", "hf://*", "https://*", "http://*")
LENIENT = profile(
    allow=Allow(
        endpoints=EVERYTHING,
        headers=EVERYTHING,
        query=EVERYTHING,
        body=EVERYTHING,
        bases=EVERYTHING,
        sources=EVERYTHING,
        outputs=EVERYTHING,
        env=EVERYTHING,
        tolerations=EVERYTHING,
        priorityClassNames=EVERYTHING,
        trackers=("tensorboard", "wandb", "mlflow", "trackio"),
    )
)


class Dry:
    """The API server, asked whether it would store what the controller writes."""

    def __init__(self, server):
        client = server._api.api_client
        self.batch, self.core, self.custom = (
            kubernetes.client.BatchV1Api(client),
            kubernetes.client.CoreV1Api(client),
            kubernetes.client.CustomObjectsApi(client),
        )
        server.plane.kubectl("create", "namespace", "team")
        server.create(document(name=NAME, namespace="team"))

    def take(self, item):
        create = {
            "Job": self.batch.create_namespaced_job,
            "ConfigMap": self.core.create_namespaced_config_map,
        }[item["kind"]]
        create("team", item, dry_run="All", field_validation="Strict", _preload_content=False)

    def take_status(self, status):
        body = {"status": status_json(status)}
        self.custom.patch_namespaced_custom_object_status(
            GROUP, VERSION, "team", PLURAL, NAME, body, dry_run="All", field_validation="Strict"
        )


@pytest.fixture(scope="module")
def dry(server):
    return Dry(server)


def run(spec, dry):
    """Play a spec to its end; whatever is written meanwhile is taken by the API server."""
    name = spec.get("profile", "default")
    cluster = Cluster(name=NAME, settings=config(**{name: LENIENT.model_copy(update={"name": name})}))
    cluster.kept["request"][NAME]["spec"] = copy.deepcopy(spec)
    for _ in range(12):
        decision = cluster.look()
        dry.take_status(decision.status)
        for item in decision.creates:
            dry.take(item)
        wait = decision.requeue_after
        assert wait is None or (math.isfinite(wait) and 0 < wait <= threading.TIMEOUT_MAX)
        if cluster.request is None or decision.status.phase in ("Succeeded", "Failed", "Suspended"):
            return decision.status
        if cluster.jobs():
            cluster.later(60)
            cluster.complete(
                {"lossGainLow": 1e300, "lossGain": 1e300, "formatValidGainLow": 1.0, "baseBytes": 1e12}
            )
        elif decision.status.phase == "Pending":  # it waits for another request
            return decision.status
    raise AssertionError(f"no end: {decision.status}")


def check(spec, server, dry):
    request = {**LEAST, "metadata": {"name": NAME}, "spec": spec}
    theirs = server.faults(request)
    try:
        parse(request)
        ours = ()
    except BadRequest as error:
        ours = error.problems
        assert all(problem.path for problem in ours)
    if theirs:
        assert ours, theirs
        return None
    status = run(spec, dry)
    assert bool(ours) <= (status.reason == "BadRequest"), (ours, status.message)
    return status


COMMON = settings(
    max_examples=EXAMPLES or 80,
    deadline=None,
    derandomize=not EXAMPLES,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.filterwarnings("ignore:Generating overly large repr")  # of a spec that fails
@COMMON
@given(spec=specs())
def test_what_the_api_server_takes_is_run_or_refused_by_name(spec, server, dry):
    check(spec, server, dry)


@pytest.mark.parametrize("end", ["minimum", "maximum"])
def test_everything_at_its_bound_at_once_runs_to_its_end(end, server, dry):
    spec = at_once(end)
    spec["data"].pop("source")
    spec["data"].pop("from")
    spec["training"].pop("from")
    spec["evaluation"] |= {"format": {"regex": spec["evaluation"]["format"]["regex"]}}
    spec["rerun"] = {"from": "train", "id": "ü" * 64}
    spec["task"] = "ü" * 1000
    spec["suspend"] = False
    status = check(spec, server, dry)
    assert status.phase in ("Succeeded", "Failed"), status.message
    assert status.reason in ("Complete", "GateNotPassed"), status.message


def test_the_extremes_reach_most_of_the_fields():
    assert len(LEAVES) > 150
