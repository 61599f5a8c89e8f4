"""A session: the short-lived pod is made, waited for, asked, and deleted, whatever happens in between."""

import contextlib
import hashlib
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from tunesmith.errors import ExitCode, Gone, Refused, TryAgain, TunesmithError
from tunesmith.profile import Profile
from tunesmith.resolve import Snapshot
from tunesmith_cli.cluster.api import Api, Object, absent
from tunesmith_cli.cluster.pod import CONTAINER, PORT, Purpose, pod
from tunesmith_cli.cluster.remote import RemoteRuns
from tunesmith_cli.cluster.tunnel import PodConnection

Say = Callable[[str], None]
_POLL_SECONDS = 0.5
_STUCK_SECONDS = 30.0  # that an image which cannot be pulled, or a Secret that is missing, is waited for
_SILENT_SECONDS = 60.0  # that a running pod may take to its first answer
_STUCK = {
    "ErrImagePull": "the image cannot be pulled",
    "ImagePullBackOff": "the image cannot be pulled",
    "InvalidImageName": "the image's name is none",
    "CreateContainerConfigError": "the container cannot be made",
    "CreateContainerError": "the container cannot be made",
    "RunContainerError": "the container cannot be started",
}


@dataclass(frozen=True)
class RunData:
    """Which run's data, and who may read it: the request, its snapshot, and the profile that was frozen with it."""

    request: Mapping[str, Any]
    snapshot: Snapshot
    profile: Profile
    store: str

    @property
    def namespace(self) -> str:
        """Namespace of the request, and of the pod."""
        return str(self.request["metadata"]["namespace"])


@contextlib.contextmanager
def session(
    api: Api, data: RunData, purpose: Purpose, say: Say, *, owned: bool = True
) -> Iterator[RemoteRuns]:
    """The runs, through a pod that lives as long as the `with` block. `say` hears what is waited for."""
    token = secrets.token_urlsafe(32)
    name = f"{data.request['metadata']['name']}-{purpose}-{secrets.token_hex(4)}"
    digest = hashlib.sha256(token.encode()).hexdigest()
    path = f"/api/v1/namespaces/{data.namespace}/pods"
    body = pod(name, purpose, data.request, data.snapshot, data.profile, data.store, digest, owned=owned)
    runs = RemoteRuns(data.store, lambda: PodConnection(api, data.namespace, name, PORT), token)
    with _on_sigterm():
        try:
            api.create(path, body)
            _wait(api, f"{path}/{name}", runs, say)
            yield runs
        finally:
            runs.close()
            _delete(api, f"{path}/{name}")


def _wait(api: Api, path: str, runs: RemoteRuns, say: Say) -> None:
    """Until the pod answers. Raises what keeps it from that."""
    stuck_since: float | None = None
    silent_since: float | None = None
    said = ""
    while True:
        seen = api.get(path)
        why, remedy = waiting(seen)
        if why and why != said:
            said = why
            say(f"waiting for pod {seen['metadata']['name']}: {why}")
        phase = (seen.get("status") or {}).get("phase")
        if phase in ("Failed", "Succeeded"):
            raise _failed(api, path, seen)
        if remedy:
            stuck_since = stuck_since or time.monotonic()
            if time.monotonic() - stuck_since > _STUCK_SECONDS:
                raise TryAgain(
                    f"pod {seen['metadata']['name']} does not start: {why}", reason="PodStuck", remedy=remedy
                )
        elif phase == "Running":
            trouble = runs.trouble()
            if not trouble:
                return
            silent_since = silent_since or time.monotonic()
            if time.monotonic() - silent_since > _SILENT_SECONDS:
                raise TryAgain(
                    f"pod {seen['metadata']['name']} runs and does not answer: {trouble}", reason="PodSilent"
                )
        time.sleep(_POLL_SECONDS)


def waiting(seen: Object) -> tuple[str, str]:
    """What a pod waits for, and, where waiting alone will hardly help, what to do. Both empty: nothing. Pure."""
    status = seen.get("status") or {}
    for container in status.get("containerStatuses") or ():
        state = (container.get("state") or {}).get("waiting") or {}
        reason, message = state.get("reason", ""), " ".join(str(state.get("message", "")).split())
        if reason in _STUCK:
            remedy = f"check image, Secrets and ConfigMaps of the profile: `kubectl describe pod {seen['metadata']['name']}`"
            return f"{_STUCK[reason]}: {message or reason}", remedy
        if reason:
            return f"{reason}{f': {message}' if message else ''}", ""
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"no node for it yet: {condition.get('message') or condition.get('reason')}", ""
    if status.get("phase") == "Running":
        return "", ""
    return ("its container", "") if status.get("conditions") else ("a node", "")


def _failed(api: Api, path: str, seen: Object) -> TunesmithError:
    name = seen["metadata"]["name"]
    with contextlib.suppress(TunesmithError):
        lines = [
            line.decode("utf-8", "replace")
            for line in api.lines(f"{path}/log", [("container", CONTAINER), ("tailLines", "8")], seconds=10)
        ]
        if lines:
            text, _, remedy = "\n".join(lines).partition("\nWhat to do: ")
            return Refused(f"pod {name} ended: {text}", reason="SessionFailed", remedy=remedy)
    status = seen.get("status") or {}
    return TryAgain(
        f"pod {name} ended: {status.get('message') or status.get('reason') or 'no log'}",
        reason="SessionFailed",
    )


def _delete(api: Api, path: str) -> None:
    """At once; a Ctrl-C in this moment has to wait."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    try:
        api.delete(path, {"gracePeriodSeconds": 1})
    except Gone as error:
        if not absent(error):
            raise
    except TunesmithError as error:
        raise TryAgain(
            f"the session's pod {path.rpartition('/')[2]} could not be deleted: {error.message}",
            remedy="it ends by itself within minutes; `kubectl delete pod` removes it now",
        ) from error
    finally:
        if main:
            signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _on_sigterm() -> Iterator[None]:
    """SIGTERM and a closed terminal end the `with` block as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, _end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(_signal: int, _frame: object) -> NoReturn:
    raise SystemExit(ExitCode.STOPPED)
