"""A session: a short-lived pod is made, waited for, asked, and deleted, whatever happens in between."""

import contextlib
import hashlib
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, NoReturn

from tunesmith.errors import ExitCode, Refused, TryAgain, TunesmithError, message_and_remedy
from tunesmith_cli.cluster.api import Api, Object
from tunesmith_cli.cluster.faults import NotFound
from tunesmith_cli.cluster.pod import CONTAINER, PORT, Purpose, pod
from tunesmith_cli.cluster.remote import RemoteRuns
from tunesmith_cli.cluster.run_data import RunData
from tunesmith_cli.cluster.tunnel import PodConnection

Say = Callable[[str], None]
_POLL_SECONDS = 0.5
_STUCK_SECONDS = 30.0  # how long an image that cannot be pulled, or a Secret that is missing, is waited for
_SILENT_SECONDS = 60.0  # how long a running pod may take to its first answer
_STUCK = {
    "ErrImagePull": "the image cannot be pulled",
    "ImagePullBackOff": "the image cannot be pulled",
    "InvalidImageName": "the image's name is not valid",
    "CreateContainerConfigError": "the container cannot be created",
    "CreateContainerError": "the container cannot be created",
    "RunContainerError": "the container cannot be started",
}


class Waiting(NamedTuple):
    """What a pod waits for.

    `remedy`: what to do if waiting alone will hardly help. Both are empty if it does not wait.
    """

    why: str = ""
    remedy: str = ""


@contextlib.contextmanager
def session(
    api: Api, data: RunData, purpose: Purpose, say: Say, *, owned: bool = True
) -> Iterator[RemoteRuns]:
    """The runs, through a pod that lives as long as the `with` block. `say` hears what is waited for."""
    token = secrets.token_urlsafe(32)
    name = f"{data.name}-{purpose}-{secrets.token_hex(4)}"
    path = f"/api/v1/namespaces/{data.namespace}/pods"
    body = pod(name, purpose, data, hashlib.sha256(token.encode()).hexdigest(), owned=owned)
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
    """Wait until the pod answers. Raises the reason why it never will."""
    name = path.rpartition("/")[2]
    stuck_since: float | None = None
    silent_since: float | None = None
    told = ""
    while True:
        state = api.get(path)
        waits = waiting(state)
        if waits.why and waits.why != told:
            told = waits.why
            say(f"waiting for pod {name}: {waits.why}")
        phase = (state.get("status") or {}).get("phase")
        if phase in ("Failed", "Succeeded"):
            raise _ended(api, path, state)
        if waits.remedy:
            stuck_since = stuck_since or time.monotonic()
            if time.monotonic() - stuck_since > _STUCK_SECONDS:
                raise TryAgain(
                    f"pod {name} does not start: {waits.why}", reason="PodStuck", remedy=waits.remedy
                )
        elif phase == "Running":
            trouble = runs.trouble()
            if not trouble:
                return
            silent_since = silent_since or time.monotonic()
            if time.monotonic() - silent_since > _SILENT_SECONDS:
                raise TryAgain(f"pod {name} runs and does not answer: {trouble}", reason="PodSilent")
        time.sleep(_POLL_SECONDS)


def waiting(state: Object) -> Waiting:
    """What a pod waits for. Pure."""
    status = state.get("status") or {}
    for container in status.get("containerStatuses") or ():
        waits = (container.get("state") or {}).get("waiting") or {}
        reason = waits.get("reason", "")
        message = " ".join(str(waits.get("message", "")).split())
        if reason in _STUCK:
            look = f"`kubectl describe pod {state['metadata']['name']}`"
            remedy = f"check image, Secrets and ConfigMaps of the profile: {look}"
            return Waiting(f"{_STUCK[reason]}: {message or reason}", remedy)
        if reason:
            return Waiting(f"{reason}: {message}" if message else reason)
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return Waiting(f"no node for it yet: {condition.get('message') or condition.get('reason')}")
    if status.get("phase") == "Running":
        return Waiting()
    return Waiting("its container" if status.get("conditions") else "a node")


def _ended(api: Api, path: str, state: Object) -> TunesmithError:
    """Why a pod has ended, by its log, else by its status."""
    name = state["metadata"]["name"]
    with contextlib.suppress(TunesmithError):
        log = api.lines(f"{path}/log", [("container", CONTAINER), ("tailLines", "8")], seconds=10)
        if text := "\n".join(line.decode("utf-8", "replace") for line in log):
            message, remedy = message_and_remedy(text)
            return Refused(f"pod {name} ended: {message}", reason="SessionFailed", remedy=remedy)
    status = state.get("status") or {}
    why = status.get("message") or status.get("reason") or "no log"
    return TryAgain(f"pod {name} ended: {why}", reason="SessionFailed")


def _delete(api: Api, path: str) -> None:
    """Delete the pod at once; a Ctrl-C has to wait for that."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if in_main_thread else None
    try:
        with contextlib.suppress(NotFound):
            api.delete(path, {"gracePeriodSeconds": 1})
    except TunesmithError as error:
        raise TryAgain(
            f"the session's pod {path.rpartition('/')[2]} could not be deleted: {error.message}",
            remedy="it ends by itself within minutes; `kubectl delete pod` removes it now",
        ) from error
    finally:
        if in_main_thread:
            signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _on_sigterm() -> Iterator[None]:
    """SIGTERM and a closed terminal end the `with` block as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, _exit) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit(_signal: int, _frame: object) -> NoReturn:
    raise SystemExit(ExitCode.STOPPED)
