"""What is read from a Job or a pod to tell why it does not get on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.events import Result, parse
from tunesmith.wire import CONTAINER
from tunesmith_controller.decide.model import Event, Object

_LONGEST = 400  # characters of a message of somebody else's


@dataclass(frozen=True)
class Finding:
    """What happened, in which pod, and what to do. `final`: no further try of this attempt can help."""

    reason: str
    message: str
    remedy: str
    pod: str = ""
    final: bool = False


@dataclass(frozen=True)
class PodFacts:
    """A pod of a stage. `events`: about it, the oldest first."""

    pod: Object
    stage: str
    events: tuple[Event, ...] = ()

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.pod["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return str(self.pod["metadata"].get("namespace", "default"))

    @property
    def status(self) -> Mapping[str, Any]:
        """Its status, empty if it has none yet."""
        return self.pod.get("status") or {}

    @property
    def alive(self) -> bool:
        """Whether it may still work."""
        return self.status.get("phase", "Pending") not in ("Succeeded", "Failed")

    @property
    def running(self) -> bool:
        """Whether the stage's container runs."""
        return "running" in self._state

    @property
    def succeeded(self) -> bool:
        """Whether it has done its work."""
        return self.status.get("phase") == "Succeeded"

    @property
    def waiting(self) -> Mapping[str, Any]:
        """Why the stage's container waits: `reason`, `message`."""
        return self._state.get("waiting") or {}

    @property
    def terminated(self) -> Mapping[str, Any]:
        """How the stage's container ended: `exitCode`, `reason`, `message`."""
        return self._state.get("terminated") or {}

    @property
    def result(self) -> Result | None:
        """What the stage itself said at its end: its termination message, or a line in the end of its log."""
        for line in reversed(str(self.terminated.get("message") or "").splitlines()):
            if isinstance(found := parse(line.strip()), Result):
                return found
        return None

    @property
    def container(self) -> Mapping[str, Any]:
        """The stage's container as it was asked for."""
        listed = (self.pod.get("spec") or {}).get("containers") or ()
        return next((one for one in listed if one.get("name") == CONTAINER), {})

    @property
    def node(self) -> str:
        """The node that it is, or was, on."""
        return str((self.pod.get("spec") or {}).get("nodeName") or "")

    def condition(self, kind: str, status: str) -> Mapping[str, Any]:
        """A condition with this status, empty if there is none."""
        listed = self.status.get("conditions") or ()
        return next((one for one in listed if one.get("type") == kind and one.get("status") == status), {})

    def event(self, *reasons: str) -> str:
        """Message of the newest event with one of these reasons, empty if there is none."""
        return next((event.message for event in reversed(self.events) if event.reason in reasons), "")

    def finding(self, reason: str, message: str, remedy: str, *, final: bool = False) -> Finding:
        """A finding about this pod."""
        return Finding(reason, message, remedy, pod=self.name, final=final)

    @property
    def _state(self) -> Mapping[str, Any]:
        listed = self.status.get("containerStatuses") or ()
        return next((one.get("state") or {} for one in listed if one.get("name") == CONTAINER), {})


@dataclass(frozen=True)
class JobFacts:
    """A Job of a stage. `events`: about it, the oldest first."""

    job: Object
    stage: str
    events: tuple[Event, ...] = ()

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return str(self.job["metadata"].get("namespace", "default"))

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.job["metadata"]["name"])

    @property
    def complete(self) -> bool:
        """Whether it has done its work."""
        return bool(self._condition("Complete"))

    @property
    def failed(self) -> bool:
        """Whether it has given up."""
        return bool(self._condition("Failed"))

    @property
    def reason(self) -> str:
        """Kubernetes' word for why it has given up."""
        return str(self._condition("Failed").get("reason") or "")

    @property
    def message(self) -> str:
        """Kubernetes' sentence for why it has given up."""
        return str(self._condition("Failed").get("message") or "")

    @property
    def failures(self) -> int:
        """Pods that failed and were counted."""
        return int((self.job.get("status") or {}).get("failed") or 0)

    def event(self, reason: str) -> str:
        """Message of the newest event with this reason, empty if there is none."""
        return next((event.message for event in reversed(self.events) if event.reason == reason), "")

    def _condition(self, kind: str) -> Mapping[str, Any]:
        listed = (self.job.get("status") or {}).get("conditions") or ()
        return next((one for one in listed if one.get("type") == kind and one.get("status") == "True"), {})


def shortened(text: str) -> str:
    """Somebody else's message on one line, cut."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
