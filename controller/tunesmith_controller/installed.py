"""Compares the installed CustomResourceDefinition with the controller's own: an older one silently prunes what it does not know."""

import logging
from collections.abc import Mapping
from typing import Any

from tunesmith.crd import custom_resource_definition, field_paths, schema_in
from tunesmith_controller.api import Api, ApiError, Call, Forbidden, NotFound, Unreachable
from tunesmith_controller.rights import DEFINITIONS

log = logging.getLogger(__name__)


def missing_fields(installed: Mapping[str, Any]) -> list[str]:
    """Paths of fields (`spec.training.loraAlpha`) that our schema has and the installed one lacks. Pure."""
    return sorted(
        set(field_paths(schema_in(custom_resource_definition()))) - set(field_paths(schema_in(installed)))
    )


def check_installed(api: Api) -> int:
    """How many fields the installed definition lacks; logs their names, and what to do."""
    own = custom_resource_definition()["metadata"]["name"]
    try:
        installed = api.send(Call("get", DEFINITIONS, name=own))
    except NotFound:
        text = "the CustomResourceDefinition %s is not installed: no request can be made; install it from the chart (crds.enabled)"
        log.error(text, own)  # noqa: TRY400 (what to do is in the line)
        return 0
    except Forbidden:
        log.warning(
            "the CustomResourceDefinition %s may not be read, so it is not known whether it is this version's",
            own,
        )
        return 0
    except (ApiError, Unreachable) as error:
        log.warning("the CustomResourceDefinition %s could not be compared: %s", own, error)
        return 0
    missing = missing_fields(installed)
    if missing:
        log.warning(
            "the installed CustomResourceDefinition %s is older than this controller and drops %d fields silently: %s; "
            "install this version's, from the chart (crds.enabled) or with `make crd`",
            own,
            len(missing),
            ", ".join(missing[:40]) + (" …" if len(missing) > 40 else ""),
        )
    return len(missing)
