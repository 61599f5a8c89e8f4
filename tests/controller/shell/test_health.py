"""The probes, the metrics' text, and log lines."""

import json
import logging
import urllib.error
import urllib.request

import pytest
from control_plane import free_ports
from controller.shell.played_server import until

from tunesmith.crd import custom_resource_definition
from tunesmith.status import FinishedStage, StageStatus, Status
from tunesmith_controller import health
from tunesmith_controller.caches import Caches
from tunesmith_controller.decide.model import Decision
from tunesmith_controller.installed import missing_fields
from tunesmith_controller.logs import JsonLines, TextLines
from tunesmith_controller.metrics import Metrics


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_probes_say_what_is_wrong() -> None:
    port, wrong = free_ports(1)[0], ["reflector-jobs has not listed yet"]
    server = health.serve(f":{port}", Metrics().registry, list, lambda: wrong)
    try:
        assert get(port, "/healthz") == (200, "ok\n")
        assert get(port, "/readyz") == (503, "reflector-jobs has not listed yet\n")
        wrong.clear()
        assert get(port, "/readyz?verbose") == (200, "ok\n")
        assert get(port, "/")[0] == 404
        assert "tunesmith_build_info{" in get(port, "/metrics")[1]
    finally:
        server.shutdown()
        server.server_close()


def test_a_probe_that_fails_itself_is_answered_and_counted_and_the_server_goes_on() -> None:
    port, counted = free_ports(1)[0], list[str]()

    def fails() -> list[str]:
        raise RuntimeError("dictionary changed size during iteration")

    server = health.serve(f":{port}", Metrics().registry, fails, list, counted.append)
    try:
        assert get(port, "/healthz")[0] == 500
        assert get(port, "/readyz") == (200, "ok\n")
        until(lambda: counted == ["health"])  # it is counted once the answer has gone
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("text", "parsed"), [(":80", ("", 80)), ("127.0.0.1:80", ("127.0.0.1", 80)), ("[::1]:80", ("::1", 80))]
)
def test_addresses(text: str, parsed: tuple[str, int]) -> None:
    assert health.parse_address(text) == parsed


def test_a_stage_is_counted_when_it_newly_ended_and_not_again() -> None:
    metrics, caches = Metrics(), Caches()
    metrics.watch_caches(caches, lambda: 3, ["default"])
    before = {
        "metadata": {"name": "r", "namespace": "a", "uid": "u", "resourceVersion": "1"},
        "spec": {},
        "status": {},
    }
    caches.requests.put(before)
    status = Status(
        phase="Failed",
        finished=(
            FinishedStage(stage="generate", key="k", seconds=42.0),
            FinishedStage(stage="train", key="held already"),
        ),
        stages=(StageStatus(name="merge", key="m", phase="Failed", attempt=1, reason="OOMKilled"),),
    )
    after = {**before, "status": status.model_dump(mode="json", by_alias=True)}
    metrics.decided(before, Decision(status))
    metrics.decided(after, Decision(status))

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(name, labels)

    assert value("tunesmith_stage_duration_seconds_sum", stage="generate") == 42
    assert value("tunesmith_stage_duration_seconds_count", stage="generate") == 1
    assert value("tunesmith_stage_duration_seconds_count", stage="train") is None, (
        "the store held it: nothing was run"
    )
    assert value("tunesmith_stage_failures_total", stage="merge", reason="OOMKilled") == 1
    assert value("tunesmith_requests", phase="Pending", profile="default") == 1
    assert value("tunesmith_cache_objects", kind="trainingrequests") == 1
    assert value("tunesmith_queue_depth") == 3


def test_every_metric_has_the_prefix_and_none_names_a_request() -> None:
    for family in Metrics().registry.collect():
        assert family.name.startswith("tunesmith_")
        assert family.documentation.endswith(".")
        for sample in family.samples:
            assert not sample.labels.keys() & {"uid", "pod", "request", "name", "namespace"}


def test_missing_fields_are_named_with_their_paths() -> None:
    installed = custom_resource_definition()
    assert missing_fields(installed) == []
    root = installed["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    del root["spec"]["properties"]["training"]["properties"]["loraAlpha"]
    del root["status"]["properties"]["conditions"]["items"]["properties"]["reason"]
    assert missing_fields(installed) == ["spec.training.loraAlpha", "status.conditions[].reason"]


def test_log_lines_carry_the_same_keys_in_both_forms() -> None:
    record = logging.LogRecord(
        "tunesmith_controller.executor", logging.INFO, "", 0, "Job %s is made", ("r-train-1",), None
    )
    record.__dict__.update(namespace="a", request="r", stage="train", attempt="2")
    line = json.loads(JsonLines().format(record))
    assert {name: line[name] for name in line if name != "time"} == {
        "level": "info",
        "logger": "tunesmith_controller.executor",
        "message": "Job r-train-1 is made",
        "namespace": "a",
        "request": "r",
        "stage": "train",
        "attempt": "2",
    }
    assert TextLines().format(record).endswith(" INFO a/r/train/2: Job r-train-1 is made")
