"""The chart as `helm template` renders it, without a cluster."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest
import yaml
from cluster.programs import program

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "tunesmith"
RELEASE, NAMESPACE, KUBERNETES = "tunesmith", "tunesmith", "1.36.0"
STORE = {"profiles": {"default": {"store": {"url": "s3://bucket/prefix", "secret": "keys"}}}}
TRYOUT = {"tryout": {"enabled": True}}
EVERYTHING = {
    **STORE,
    "images": {"pullSecrets": ["mirror-login"]},
    "controller": {
        "podDisruptionBudget": {"enabled": True},
        "priorityClassName": "system-cluster-critical",
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": [{"key": "infra", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "podLabels": {"team": "ml"},
        "podAnnotations": {"note": "x"},
        "extraArgs": ["--workers=8"],
        "logFormat": "json",
        "extraEnv": [{"name": "TZ", "value": "Europe/Berlin"}],
    },
    "serviceAccount": {"annotations": {"note": "x"}},
    "metrics": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "prometheusRule": {
            "enabled": True,
            "labels": {"release": "prometheus"},
            "alertLabels": {"team": "ml"},
        },
        "dashboard": {"enabled": True, "annotations": {"grafana_folder": "ML"}},
        "service": {"annotations": {"prometheus.io/scrape": "true"}},
    },
    "networkPolicy": {
        "controller": {"enabled": True, "from": [{"namespaceSelector": {}}]},
        "jobs": {
            "enabled": True,
            "namespaces": ["team-a", "team-b"],
            "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}],
        },
    },
    "tests": {"namespaces": ["team-a"]},
    "extraObjects": [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-extra"}}
    ],
}


def helm_binary() -> str:
    """helm: among the test cluster's programs, or on the PATH.

    Without it the test is skipped, and fails with CI=true.
    """
    built = program("helm")
    helm = str(built) if built.exists() else shutil.which("helm")
    if helm is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(
            "no helm; scripts/parts.sh builds it (needs Go), or put it on the PATH"
        )
    return helm


def helm(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run helm with its own home folder, without the developer's repositories and plugins."""
    with tempfile.TemporaryDirectory() as home:
        own = {name: os.environ[name] for name in ("PATH",) if name in os.environ}
        own |= {
            "HOME": home,
            "HELM_CACHE_HOME": home,
            "HELM_CONFIG_HOME": home,
            "HELM_DATA_HOME": home,
            **(env or {}),
        }
        return subprocess.run(
            [helm_binary(), *arguments], capture_output=True, text=True, check=False, env=own, timeout=120
        )


def template(
    values: Mapping | None = None, *, namespace: str = NAMESPACE
) -> subprocess.CompletedProcess[str]:
    """`helm template` with these values."""
    return _template(json.dumps(values or {}, sort_keys=True), namespace)


@cache
def _template(values: str, namespace: str) -> subprocess.CompletedProcess[str]:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(values)
        file.flush()
        return helm(
            "template",
            RELEASE,
            str(CHART),
            "--namespace",
            namespace,
            "--kube-version",
            KUBERNETES,
            "--values",
            file.name,
        )


def objects(values: Mapping | None = None, *, namespace: str = NAMESPACE) -> dict[tuple[str, str], dict]:
    """All objects by kind and name; those outside the release's namespace by kind and namespace/name."""
    done = template(values, namespace=namespace)
    assert done.returncode == 0, done.stderr
    return _objects(done.stdout, namespace)


@cache
def _objects(text: str, namespace: str) -> dict[tuple[str, str], dict]:
    documents: dict[tuple[str, str], dict] = {}
    for document in yaml.load_all(
        text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    ):  # the CRD is long, and libyaml ten times as fast
        if document is None:
            continue
        metadata = document["metadata"]
        elsewhere = metadata.get("namespace", namespace) != namespace
        key = (
            document["kind"],
            f"{metadata['namespace']}/{metadata['name']}" if elsewhere else metadata["name"],
        )
        assert key not in documents, f"{key} is there twice"
        documents[key] = document
    return documents


def refusal(values: Mapping) -> str:
    """The message by which helm refuses values."""
    done = template(values)
    assert done.returncode != 0, "accepted"
    return done.stderr


def pod_specs(documents: Mapping[tuple[str, str], dict]) -> Iterator[tuple[str, dict]]:
    """Every pod of the chart, by name."""
    for (kind, name), document in documents.items():
        if kind == "Pod":
            yield name, document["spec"]
        elif kind in ("Deployment", "StatefulSet", "Job", "DaemonSet"):
            yield name, document["spec"]["template"]["spec"]


def controller(values: Mapping | None = None) -> dict:
    """The controller's Deployment."""
    return objects(values)["Deployment", "tunesmith-controller"]


def config(values: Mapping | None = None) -> str:
    """The controller's configuration file."""
    return objects(values)["ConfigMap", "tunesmith-controller"]["data"]["config.yaml"]


def images(documents: Mapping[tuple[str, str], dict]) -> set[str]:
    """All images: of the chart's own pods, and those in the configuration."""
    own = {container["image"] for _, spec in pod_specs(documents) for container in spec["containers"]}
    settings = yaml.safe_load(documents["ConfigMap", "tunesmith-controller"]["data"]["config.yaml"])["images"]
    return own | {settings[stage] for stage in ("generate", "train", "merge")}
