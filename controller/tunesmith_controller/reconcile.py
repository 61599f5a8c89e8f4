"""The decision about one request. Pure: everything it looks at is an argument, everything it wants is in the Plan."""

from datetime import datetime

from tunesmith_controller.model import Config, Plan, World


def reconcile(world: World, now: datetime, config: Config) -> Plan:
    """What to do about a request, given what is."""
    raise NotImplementedError(world, now, config)
