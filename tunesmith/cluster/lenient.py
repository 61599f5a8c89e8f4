"""What a newer controller has frozen, read by an older command line: the fields that it does not know are left out. Pure."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from tunesmith.errors import TunesmithError
from tunesmith.profile import Profile
from tunesmith.resolve import Snapshot

Model = TypeVar("Model", bound=BaseModel)


def frozen(data: Mapping[str, str], name: str) -> tuple[Snapshot, Profile]:
    """Snapshot and profile in the ConfigMap of a request. Raises TunesmithError for what this release cannot read."""
    try:
        return _read(Snapshot, json.loads(data["request.json"])), _read(Profile, json.loads(data["frozen.json"])["profile"])
    except (ValueError, LookupError, TypeError) as error:
        raise TunesmithError(
            f"the snapshot of {name} is none that this release can read",
            reason="OtherRelease",
            remedy="use the `tunesmith` of the controller's release; `tunesmith version` shows this one's",
        ) from error


def _read(model: type[Model], document: Any) -> Model:
    try:
        return model.model_validate_json(json.dumps(document))
    except ValidationError as error:
        for details in error.errors(include_url=False):
            if details["type"] == "extra_forbidden":
                _remove(document, details["loc"])
    return model.model_validate_json(json.dumps(document))


def _remove(document: Any, path: tuple[int | str, ...]) -> None:
    *folders, last = path
    for step in folders:
        document = document[step]
    del document[last]
