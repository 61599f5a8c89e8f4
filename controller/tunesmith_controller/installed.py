"""Compares the installed CustomResourceDefinition with the controller's: an older one drops new fields."""

import logging
from collections.abc import Mapping
from typing import Any

from tunesmith.crd import custom_resource_definition, field_paths, schema_in
from tunesmith_controller.api import Api, ApiError, Call, Forbidden, NotFound, Unreachable
from tunesmith_controller.rights import DEFINITIONS

log = logging.getLogger(__name__)


def missing_fields(installed: Mapping[str, Any]) -> list[str]:
    """Paths of fields (`spec.training.loraAlpha`) that the controller's own schema has and another lacks.

    Pure.
    """
    expected = set(field_paths(schema_in(custom_resource_definition())))
    return sorted(expected - set(field_paths(schema_in(installed))))


def check_installed(api: Api) -> list[str]:
    """Paths of the fields that the installed definition lacks; logs them, and what to do."""
    name = custom_resource_definition()["metadata"]["name"]
    try:
        installed = api.send(Call("get", DEFINITIONS, name=name))
    except NotFound:
        text = (
            "the CustomResourceDefinition %s is not installed, so no request can be created; "
            "install it from the chart (crds.enabled)"
        )
        log.error(text, name)  # noqa: TRY400 (what to do is in the line)
        return []
    except Forbidden:
        text = (
            "the CustomResourceDefinition %s may not be read, so it is not known whether it is this version's"
        )
        log.warning(text, name)
        return []
    except (ApiError, Unreachable) as error:
        log.warning("the CustomResourceDefinition %s could not be compared: %s", name, error)
        return []
    missing = missing_fields(installed)
    if missing:
        text = (
            "the installed CustomResourceDefinition %s is older than this controller and silently drops "
            "%d fields: %s; install this version's, from the chart (crds.enabled) or with `tunesmith crd`, "
            "and restart the controller"
        )
        names = ", ".join(missing[:40]) + (" …" if len(missing) > 40 else "")
        log.warning(text, name, len(missing), names)
    return missing
