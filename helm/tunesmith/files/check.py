"""What `helm test` runs in the controller's image: prints a line per check, and exits with 1 if any fails."""  # noqa: INP001

import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import kubernetes.client
import kubernetes.config

GROUP, VERSION, PLURAL = "tunesmith.dev", "v1alpha1", "trainingrequests"
REQUEST = {
    "apiVersion": f"{GROUP}/{VERSION}",
    "kind": "TrainingRequest",
    "metadata": {"name": "helm-test"},
    "spec": {"task": "Answer politely.", "model": {"base": "hf://HuggingFaceTB/SmolLM2-135M-Instruct"}},
}
LEASE_IS_OLD = timedelta(seconds=60)
UNKNOWN_AUTHORITY = (18, 19, 20, 21)  # OpenSSL's codes: the certificate's authority is its only fault


def get(path: str) -> dict[str, Any]:
    """An object of the API server. Raises ApiException."""
    return call("GET", path)


def call(
    method: str, path: str, body: object = None, query: tuple[tuple[str, str], ...] = ()
) -> dict[str, Any]:
    """One request to the API server. Raises ApiException."""
    client = kubernetes.client.ApiClient()
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    prepared = client.param_serialize(
        method=method,
        resource_path=path,
        query_params=list(query),
        header_params=headers,
        body=body,
        auth_settings=["BearerToken"],
    )
    response = client.call_api(*prepared, _request_timeout=10)
    response.read()
    if response.status >= 400:
        raise kubernetes.client.ApiException(status=response.status, reason=response.data.decode()[:400])
    answer: dict[str, Any] = json.loads(response.data)
    return answer


def the_crd_is_served() -> str:
    """The CustomResourceDefinition is established, with the version that the chart brings."""
    crd = get(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{PLURAL}.{GROUP}")
    conditions = {entry["type"]: entry["status"] for entry in crd["status"]["conditions"]}
    served = [version["name"] for version in crd["spec"]["versions"] if version["served"]]
    assert conditions.get("Established") == "True", (
        f"conditions {conditions}; look at `kubectl describe crd {PLURAL}.{GROUP}`"
    )
    assert VERSION in served, f"served are {served}; upgrade the chart with crds.enabled=true"
    return f"{VERSION} served"


def the_controller_leads() -> str:
    """At least one replica is ready, and one of them renews the lease."""
    namespace, name = os.environ["NAMESPACE"], os.environ["CONTROLLER"]
    status = get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}").get("status", {})
    ready = status.get("readyReplicas", 0)
    assert ready, (
        f"no replica of deployment {name} is ready; look at `kubectl -n {namespace} logs deploy/{name}`"
    )
    spec = get(f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{os.environ['LEASE']}")["spec"]
    renewed = datetime.fromisoformat(spec["renewTime"])
    assert spec.get("holderIdentity"), "nobody holds the lease"
    assert datetime.now(UTC) - renewed < LEASE_IS_OLD, (
        f"the lease of {spec['holderIdentity']} was last renewed at {renewed}"
    )
    return f"{ready} ready, {spec['holderIdentity']} leads"


def a_request_is_accepted() -> str:
    """The API server accepts a request, checked strictly, as a dry run. Nothing is created."""
    path = f"/apis/{GROUP}/{VERSION}/namespaces/{os.environ['NAMESPACE']}/{PLURAL}"
    call("POST", path, REQUEST, (("dryRun", "All"), ("fieldValidation", "Strict")))
    return "dry run accepted"


def store_answers(url: str, *, proxy: dict[str, str] | None = None, own_ca: bool = False) -> str:
    """A server at `url` answers by HTTP; whether it accepts the keys, the first stage of a request finds out.

    `proxy`: the profile's; `own_ca`: stages trust the profile's CA bundle, which this pod does not have.
    """
    given = {"http": (proxy or {}).get("http", ""), "https": (proxy or {}).get("https", "")}
    around = urllib.request.proxy_bypass(
        urllib.parse.urlsplit(url).netloc, {"no": (proxy or {}).get("noProxy", "")}
    )
    used = {} if around else {scheme: place for scheme, place in given.items() if place}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(used))
    try:
        request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - http or https by the schema
        with opener.open(request, timeout=10) as answer:
            return f"{url} answers {answer.status}"
    except urllib.error.HTTPError as answer:
        return f"{url} answers {answer.code}"
    except OSError as error:
        if own_ca and getattr(getattr(error, "reason", None), "verify_code", 0) in UNKNOWN_AUTHORITY:
            known = "stages know it by profiles.<name>.caBundle"
            return f"{url} answers, with a certificate that this pod does not know; {known}"
        through = f" through {', '.join(used.values())}" if used else ""
        remedy = "look at profiles.<name>.store.endpoint, proxy and caBundle, and NetworkPolicies"
        raise AssertionError(f"{url} does not answer{through}: {error}; {remedy}") from error


def secret_is_there(variable: str, secret: str, key: str) -> str:
    """The kubelet has put it into the environment: the Secret exists in this namespace and has the key."""
    namespace = os.environ["NAMESPACE"]
    assert os.environ.get(variable), (
        f"Secret {secret} in namespace {namespace} is missing, or has no key {key}; create it there"
    )
    return f"Secret {secret} has {key}"


def checks(wanted: list[dict[str, str]]) -> Iterator[tuple[str, bool, str]]:
    """The name of each check, whether it passed, and what it saw."""
    known = {
        check.__name__: check
        for check in (
            the_crd_is_served,
            the_controller_leads,
            a_request_is_accepted,
            store_answers,
            secret_is_there,
        )
    }
    for arguments in wanted:
        name = arguments.pop("check")
        try:
            yield name, True, known[name](**arguments)
        except AssertionError as failed:
            yield name, False, str(failed)
        except kubernetes.client.ApiException as error:
            yield name, False, f"the API server says {error.status}: {error.reason}"


def main() -> int:
    """Run the checks that CHECKS lists; returns the exit code."""
    wanted = json.loads(os.environ["CHECKS"])
    if os.environ.get("KUBERNETES", "") == "true":
        kubernetes.config.load_incluster_config()
    results = list(checks(wanted))
    for name, passed, seen in results:
        print(f"{'ok  ' if passed else 'FAIL'} {name.replace('_', ' ')}: {seen}")
    return 0 if results and all(passed for _, passed, _ in results) else 1


if __name__ == "__main__":
    sys.exit(main())
