"""What a newer controller has frozen, read by an older command line: the fields that it does not know are left out. Pure."""

import json
from collections.abc import Mapping

from tunesmith.errors import TunesmithError
from tunesmith.profile import Profile
from tunesmith.pruning import read_pruned
from tunesmith.resolve import Snapshot
from tunesmith.wire import FROZEN_FILE, SNAPSHOT_FILE


def frozen(data: Mapping[str, str], name: str) -> tuple[Snapshot, Profile]:
    """Snapshot and profile in the ConfigMap of a request. Raises TunesmithError for what this release cannot read."""
    try:
        profile = json.loads(data[FROZEN_FILE])["profile"]
        return read_pruned(Snapshot, data[SNAPSHOT_FILE]), read_pruned(Profile, json.dumps(profile))
    except (ValueError, LookupError, TypeError) as error:
        raise TunesmithError(
            f"the snapshot of {name} is none that this release can read",
            reason="OtherRelease",
            remedy="use the `tunesmith` of the controller's release; `tunesmith version` shows this one's",
        ) from error
