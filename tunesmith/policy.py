"""Whether a request may set what it sets: its own wishes against the `allow` of its profile. Pure.

The profile's own values are never judged; only what `request.spec` itself says.
"""

from tunesmith.errors import Problem
from tunesmith.profile import Profile
from tunesmith.request import TrainingRequest


def not_allowed(request: TrainingRequest, profile: Profile) -> list[Problem]:
    """Everything in the request that its profile does not allow, each by its path, with what to ask of the platform team."""
    raise NotImplementedError(request, profile)
