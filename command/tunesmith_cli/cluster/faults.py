"""Errors of the API server, each with what to do. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from tunesmith.errors import BadRequest, Gone, Problem, Refused, TryAgain, TunesmithError
from tunesmith.wire import GROUP, PLURAL

_VERBS: Mapping[str, str] = {
    "GET": "get",
    "POST": "create",
    "PATCH": "patch",
    "PUT": "update",
    "DELETE": "delete",
}
_PASSES = frozenset({408, 429, 500, 502, 503, 504})
_WORDS: Mapping[str, str] = {
    PLURAL: "request",
    "pods": "pod",
    "configmaps": "ConfigMap",
    "jobs": "Job",
    "events": "events",
}


class Conflict(TunesmithError):
    """Somebody else changed the object meanwhile, or manages the field."""

    default_reason = "Conflict"


class NotFound(Gone):
    """One object does not exist; its kind and its namespace do."""

    default_reason = "NotFound"


class OtherRelease(TunesmithError):
    """A document of another release of Tunesmith, which this one cannot read. `what`: the document."""

    default_reason = "OtherRelease"

    def __init__(self, what: str) -> None:
        super().__init__(
            f"this release cannot read {what}",
            remedy="use the `tunesmith` of the controller's release; `tunesmith version` shows this one's",
        )


def fault(code: int, body: bytes, *, method: str, path: str, server: str) -> TunesmithError:
    """The error for an answer that is not 2xx.

    `path`: of the request; `server`: the API server's address, for messages.
    """
    status = _status(body)
    message = str(status.get("message") or body[:300].decode("utf-8", "replace").strip() or f"HTTP {code}")
    details = status.get("details") or {}
    reason = str(status.get("reason") or "")
    if code == 401:
        return Refused(
            f"{server} does not accept your credentials",
            reason="Unauthorized",
            remedy="log in again; `kubectl auth whoami` shows who you are",
        )
    if code == 403:
        return _forbidden(message, method, path)
    if code == 404:
        return _not_found(message, details, path, server)
    problems = [
        Problem(str(cause.get("field", "")).lstrip("."), str(cause.get("message", "")))
        for cause in details.get("causes") or ()
    ]
    if code in (400, 422):
        return BadRequest(
            f"the API server refuses {_what(path)}" if problems else message,
            reason=reason or "Invalid",
            remedy="correct the fields it names",
            problems=problems,
        )
    if code == 409:
        return Conflict(
            message.partition(": ")[0] if problems else message,
            reason=reason or "Conflict",
            problems=problems,
        )
    if code in _PASSES:
        return TryAgain(
            f"{server}: {message}", reason="ServerUnavailable", remedy="run the same command again later"
        )
    return TunesmithError(f"{server} answered {code}: {message}", reason=reason or "UnknownAnswer")


def _status(body: bytes) -> Mapping[str, Any]:
    try:
        status = json.loads(body)
    except ValueError:
        return {}
    return status if isinstance(status, Mapping) else {}


def _forbidden(message: str, method: str, path: str) -> Refused:
    namespace, resource, name, sub = parts(path)
    verb = "list" if method == "GET" and not name else _VERBS.get(method, method.lower())
    what = f"{resource}/{sub}" if sub else resource
    where = f"in namespace {namespace}" if namespace else "in all namespaces"
    check = f"kubectl auth can-i {verb} {what}" + (f" -n {namespace}" if namespace else " -A")
    if "is forbidden: User" not in message:  # an admission plugin: quota, Pod Security, a webhook
        return Refused(
            message,
            reason="Forbidden",
            remedy="the message says which rule of the cluster refuses it; ask those who run the cluster",
        )
    role = "view" if verb in ("get", "list", "watch") and resource != "secrets" else "edit"
    if not namespace:
        return Refused(
            f"you may not {verb} {what} {where}",
            reason="Forbidden",
            remedy="name a namespace with -n; all of them need a ClusterRole",
        )
    return Refused(
        f"you may not {verb} {what} {where}",
        reason="Forbidden",
        remedy=(
            f"ask for the role {role!r} in {namespace} (a RoleBinding to ClusterRole {role}); "
            f"check with `{check}`"
        ),
    )


def _not_found(message: str, details: Mapping[str, Any], path: str, server: str) -> Gone:
    namespace, resource, name, _ = parts(path)
    if details.get("kind") == "namespaces":
        return Gone(
            f"there is no namespace {details.get('name') or namespace!r}",
            reason="NoNamespace",
            remedy="create it, or name another with -n; `kubectl get namespaces` lists them",
        )
    if f"/apis/{GROUP}/" in path and not details.get("name"):
        return Gone(
            f"{server} does not know TrainingRequests",
            reason="NotInstalled",
            remedy=(
                "install the chart (or the CRD alone: `tunesmith crd | kubectl apply -f -`), "
                "or choose another cluster with --context"
            ),
        )
    if name:
        return NotFound(f"there is no {_WORDS.get(resource, resource)} {name!r} in namespace {namespace}")
    return NotFound(message)


def _what(path: str) -> str:
    namespace, resource, name, _ = parts(path)
    where = f"in namespace {namespace}" if namespace else ""
    return " ".join(filter(None, [_WORDS.get(resource, resource), name, where]))


def parts(path: str) -> tuple[str, str, str, str]:
    """Namespace, resource, name and subresource of a path of the API; empty where it has none."""
    steps = path.partition("?")[0].strip("/").split("/")
    steps = steps[2:] if steps[0] == "api" else steps[3:]
    namespace = ""
    if steps[:1] == ["namespaces"] and len(steps) > 2:
        namespace, steps = steps[1], steps[2:]
    padded = [*steps, "", "", ""]
    return namespace, padded[0], padded[1], padded[2]
