"""The JSON files of a model, and the error for a file that cannot be read."""

import json
from typing import Any

from tunesmith.errors import BadRequest
from tunesmith_jobs.base.model_files import ModelFiles
from tunesmith_jobs.base.needed_files import INDEX


def read_json(uri: str, files: ModelFiles, name: str) -> dict[str, Any]:
    """The JSON object in a file. Raises BadRequest if it is not one, KeyError if the file is missing."""
    try:
        value = json.loads(files.read(name))
    except ValueError as error:
        raise unreadable(uri, name, f"it is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise unreadable(uri, name, "it is not a JSON object")
    return value


def read_index(uri: str, files: ModelFiles) -> dict[str, str]:
    """Which file holds which tensor, by the index of a model in several files."""
    table = read_json(uri, files, INDEX).get("weight_map")
    return table if isinstance(table, dict) else {}


def unreadable(uri: str, name: str, why: str) -> BadRequest:
    """The error for a damaged file of a model."""
    return BadRequest(
        f"{uri}: {name} cannot be read: {why}",
        reason="ModelUnreadable",
        remedy="copy the model again, or choose another",
    )
