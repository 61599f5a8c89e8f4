"""What a request's run was asked to do, and by which profile: the controller froze both in a ConfigMap."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.errors import Gone
from tunesmith.profile import Profile
from tunesmith.pruning import read_pruned
from tunesmith.resolve import Snapshot
from tunesmith.wire import FROZEN_FILE, SNAPSHOT_FILE
from tunesmith_cli.cluster.api import Api
from tunesmith_cli.cluster.faults import NotFound, OtherRelease
from tunesmith_cli.cluster.requests import status_of


class NoRun(Gone):
    """The controller has not given the request a run yet."""

    default_reason = "NoRun"


@dataclass(frozen=True)
class RunData:
    """A request with its frozen snapshot and profile, which say what its data is and how it is reached."""

    request: Mapping[str, Any]
    snapshot: Snapshot
    profile: Profile
    store: str

    @property
    def name(self) -> str:
        """Name of the request."""
        return str(self.request["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Namespace of the request."""
        return str(self.request["metadata"]["namespace"])


def run_data(api: Api, request: Mapping[str, Any]) -> RunData:
    """Snapshot and profile of a request, as they were frozen. Raises NoRun while there are none."""
    metadata, status = request["metadata"], status_of(request)
    if not status.snapshot:
        why = f": {status.message}" if status.message else ""
        raise NoRun(f"{metadata['name']} has no run yet{why}", remedy="`status -w` shows when it starts")
    try:
        frozen = api.get(f"/api/v1/namespaces/{metadata['namespace']}/configmaps/{status.snapshot}")
    except NotFound as error:
        raise Gone(
            f"the snapshot {status.snapshot} of {metadata['name']} is gone",
            reason="NoSnapshot",
            remedy="edit or retry it",
        ) from error
    snapshot, profile = read_frozen(frozen.get("data") or {}, metadata["name"])
    return RunData(request, snapshot, profile, status.store)


def read_frozen(data: Mapping[str, str], name: str) -> tuple[Snapshot, Profile]:
    """Snapshot and profile in the ConfigMap of a request, without what only a newer release knows.

    Raises OtherRelease.
    """
    try:
        profile = json.loads(data[FROZEN_FILE])["profile"]
        return read_pruned(Snapshot, data[SNAPSHOT_FILE]), read_pruned(Profile, json.dumps(profile))
    except (ValueError, LookupError, TypeError) as error:
        raise OtherRelease(f"the snapshot of {name}") from error
