"""Alerts and dashboard query metrics that the controller has; each alert leads to a page that exists."""

import json
import re

import pytest
from rendering import CHART, ROOT, STORE, objects

from tunesmith.status import Phase
from tunesmith_controller.caches import Caches
from tunesmith_controller.metrics import Metrics

RULES = {
    "metrics": {
        "prometheusRule": {
            "enabled": True,
            "labels": {"release": "p"},
            "alertLabels": {"team": "ml"},
            "queueMinutes": 90,
        }
    }
}
BOARD = json.loads((CHART / "files/dashboard.json").read_text(encoding="utf-8"))
QUERIES = {panel["title"]: [target["expr"] for target in panel["targets"]] for panel in BOARD["panels"]}
TARGET = {"namespace", "le"}  # labels that Prometheus adds: of the target, of a histogram's bucket
TEMPLATE = (CHART / "templates/metrics/prometheusrule.yaml").read_text(encoding="utf-8")
NAMES = re.findall(
    r'dict "alert" "(\w+)"', TEMPLATE
)  # read there, so that collecting the tests needs no helm
METRIC = re.compile(r"\b(tunesmith_\w+)(?:\{([^}]*)\})?")
GROUPING = re.compile(r"\bby \(([^)]*)\)")


def alerts(values=RULES):
    [group] = objects(values)["PrometheusRule", "tunesmith-controller"]["spec"]["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


@pytest.fixture(scope="module")
def samples():
    """The labels of each sample that the controller exposes, by the sample's name."""
    metrics = Metrics()
    known = {}
    for family in metrics.registry.collect():
        collector = metrics.registry._names_to_collectors[family.name]
        labels = set(getattr(collector, "_labelnames", ()))
        suffixes = {
            "counter": ("_total",),
            "histogram": ("_bucket", "_sum", "_count"),
            "info": ("_info",),
        }.get(family.type, ("",))
        known |= {family.name + suffix: labels for suffix in suffixes}
    return known | {"tunesmith_requests": {"phase", "profile"}, "tunesmith_cache_objects": {"kind"}}


def unknown(query, samples):
    """The metrics and labels of a query that the controller does not have."""
    used = METRIC.findall(query)
    assert used, query
    labels = set()
    for name, matchers in used:
        if name not in samples:
            yield name
            continue
        labels |= samples[name] | TARGET
        yield from (
            f"{name}{{{label}}}"
            for label in re.findall(r"(\w+)\s*[!=]", matchers)
            if label not in samples[name] | TARGET
        )
    for group in GROUPING.findall(query):
        yield from (f"by ({label})" for label in group.replace(" ", "").split(",") if label not in labels)


def test_the_check_of_queries_can_fail(samples):
    assert list(unknown("rate(tunesmith_nothing_total[5m])", samples)) == ["tunesmith_nothing_total"]
    assert list(unknown('sum by (uid) (tunesmith_requests{pod="x"})', samples)) == [
        "tunesmith_requests{pod}",
        "by (uid)",
    ]


def test_the_gauges_of_the_caches_have_the_names_and_labels_that_this_file_says(samples):
    metrics = Metrics()
    caches = Caches()
    caches.requests.put(
        {"metadata": {"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "1"}, "spec": {}}
    )
    metrics.watch_caches(caches, lambda: 0, ["default"])
    families = {family.name: family for family in metrics.registry.collect()}
    assert {"tunesmith_requests", "tunesmith_cache_objects"} <= set(families)
    assert {label for sample in families["tunesmith_requests"].samples for label in sample.labels} == samples[
        "tunesmith_requests"
    ]
    assert {
        label for sample in families["tunesmith_cache_objects"].samples for label in sample.labels
    } == samples["tunesmith_cache_objects"]


def test_there_are_alerts_and_panels():
    assert list(alerts()) == NAMES
    assert len(NAMES) >= 8
    assert len(QUERIES) >= 12


@pytest.mark.parametrize("name", NAMES)
def test_an_alert_asks_for_what_the_controller_has(name, samples):
    assert list(unknown(alerts()[name]["expr"], samples)) == []


@pytest.mark.parametrize("title", QUERIES)
def test_a_panel_asks_for_what_the_controller_has(title, samples):
    assert [name for query in QUERIES[title] for name in unknown(query, samples)] == []


def test_phases_that_are_asked_for_exist():
    texts = [rule["expr"] for rule in alerts().values()] + [
        query for queries in QUERIES.values() for query in queries
    ]
    named = {phase for text in texts for phase in re.findall(r'phase="(\w+)"', text)}
    assert named
    assert named <= set(Phase.__args__)


def test_reasons_that_are_asked_for_are_given():
    named = {
        reason
        for rule in alerts().values()
        for text in re.findall(r'reason=~"([\w|]+)"', rule["expr"])
        for reason in text.split("|")
    }
    assert named == {"OOMKilled", "OutOfMemory"}
    code = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("controller", "jobs")
        for path in (ROOT / folder).rglob("*.py")
    )
    assert [reason for reason in named if f'"{reason}"' not in code] == []


@pytest.mark.parametrize("name", NAMES)
def test_an_alert_says_how_bad_it_is_what_it_is_and_where_to_read_on(name):
    rule = alerts()[name]
    assert rule["labels"] == {"severity": rule["labels"]["severity"], "team": "ml"}
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert len(rule["annotations"]["summary"]) > 30
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    text = (ROOT / page).read_text(encoding="utf-8")
    assert anchor in [heading.lower() for heading in re.findall(r"^## (\w+)$", text, re.MULTILINE)]


@pytest.mark.parametrize(
    ("documentation", "runbook", "page"),
    [
        (
            "https://git.example.com/t/blob/main",
            "",
            "https://git.example.com/t/blob/main/docs/reference/alerts.md",
        ),
        ("https://git.example.com/t/", "", "https://git.example.com/t/docs/reference/alerts.md"),
        ("https://git.example.com/t", "https://wiki.example.com/alerts", "https://wiki.example.com/alerts"),
    ],
)
def test_one_value_says_where_the_documentation_is_and_another_names_a_page_of_your_own(
    documentation, runbook, page
):
    rules = {"enabled": True, "runbookURL": runbook}
    links = [
        rule["annotations"]["runbook_url"]
        for rule in alerts({"documentationURL": documentation, "metrics": {"prometheusRule": rules}}).values()
    ]
    assert links == [f"{page}#{name.lower()}" for name in NAMES]


def test_the_chart_names_no_address_of_the_project():
    """The API group has the form of a domain, but the project has no server under that name."""
    texts = {path: path.read_text(encoding="utf-8") for path in CHART.rglob("*") if path.is_file()}
    assert len(texts) > 20
    assert [
        path for path, text in texts.items() if re.search(r"://[\w.]*tunesmith\.dev|@tunesmith", text)
    ] == []


def test_every_alert_of_the_page_is_one_of_the_chart():
    text = (ROOT / "docs/reference/alerts.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\w+)$", text, re.MULTILINE) == list(alerts())


def test_braces_and_quotes_of_a_query_pair_up():
    texts = [rule["expr"] for rule in alerts().values()] + [
        query for queries in QUERIES.values() for query in queries
    ]
    for text in texts:
        assert all(text.count(left) == text.count(right) for left, right in ("()", "[]", "{}")), text
        assert text.count('"') % 2 == 0, text
        assert "%!" not in text, text


def test_the_time_that_a_queue_may_stand_still_is_the_values():
    assert "[90m]" in alerts()["TunesmithQueueStuck"]["expr"]
    assert "90m" in alerts()["TunesmithQueueStuck"]["annotations"]["summary"]


def test_the_rules_carry_the_labels_that_prometheus_looks_for():
    assert objects(RULES)["PrometheusRule", "tunesmith-controller"]["metadata"]["labels"]["release"] == "p"


def test_the_monitor_finds_the_service():
    rendered = objects({**STORE, "metrics": {"serviceMonitor": {"enabled": True}}})
    spec = rendered["ServiceMonitor", "tunesmith-controller"]["spec"]
    service = rendered["Service", "tunesmith-controller-metrics"]
    assert spec["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert {endpoint["port"] for endpoint in spec["endpoints"]} <= {
        port["name"] for port in service["spec"]["ports"]
    }
    assert spec["namespaceSelector"]["matchNames"] == [service["metadata"]["namespace"]]
    pods = rendered["Deployment", "tunesmith-controller"]["spec"]["template"]
    assert service["spec"]["selector"].items() <= pods["metadata"]["labels"].items()
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= {
        port["name"] for port in pods["spec"]["containers"][0]["ports"]
    }


def test_the_dashboard_is_one_that_grafana_reads():
    data = objects({"metrics": {"dashboard": {"enabled": True}}})["ConfigMap", "tunesmith-dashboard"]["data"]
    assert json.loads(data["tunesmith.json"]) == BOARD
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    places = [tuple(panel["gridPos"].values()) for panel in BOARD["panels"]]
    assert all(x + width <= 24 for x, _, width, _ in places)
    boxes = [{(x + i, y + j) for i in range(width) for j in range(height)} for x, y, width, height in places]
    assert sum(map(len, boxes)) == len(set().union(*boxes)), "panels overlap"
