"""Manifests as another process hands them over, which has read them from a store that others may write to."""

from typing import Any

from pydantic import TypeAdapter, ValidationError

from tunesmith.errors import Gone
from tunesmith.manifest import Manifest, why_unreadable

_MANIFESTS: TypeAdapter[list[Manifest]] = TypeAdapter(list[Manifest])


def read_manifests(documents: Any) -> list[Manifest]:
    """The manifests in a JSON document. Raises Gone if one of them cannot be used."""
    try:
        return _MANIFESTS.validate_python(documents)
    except ValidationError as error:
        raise unreadable("a manifest of the run", error) from error


def unreadable(what: str, error: ValidationError) -> Gone:
    """The error for a document that names what it must not, or that another release wrote."""
    return Gone(
        f"{what} cannot be used: {why_unreadable(error)}",
        reason="ManifestUnreadable",
        remedy="use the release that wrote it, or run the stage again",
    )
