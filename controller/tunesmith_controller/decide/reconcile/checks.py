"""The checks that a request must pass before it runs.

They are made again at each look, so that it is enough to fix what is wrong.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith import policy
from tunesmith.errors import BadRequest, Problem
from tunesmith.profile import Profile
from tunesmith.request import TrainingRequest, parse
from tunesmith_controller.decide.model import Config, Object
from tunesmith_controller.decide.objects import unreadable


class NotAccepted(Exception):
    """The request cannot run as it is. `reason`: one CamelCase word."""

    def __init__(self, reason: str, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.reason = reason


@dataclass(frozen=True)
class Waiting(Exception):
    """The request has to wait for another one."""

    reason: str
    message: str


def read(request: Object) -> TrainingRequest:
    """The request in an object. Raises NotAccepted with every problem."""
    if left_out := unreadable(request):
        remedy = "mend it or leave it out, and apply the request again"
        raise NotAccepted("Unreadable", [Problem(path, why, remedy=remedy) for path, why in left_out.items()])
    meta = request["metadata"]
    document = {
        "apiVersion": request.get("apiVersion"),
        "kind": request.get("kind"),
        "metadata": {"name": meta["name"], "namespace": meta.get("namespace", "default")},
        "spec": request.get("spec"),
    }
    try:
        return parse(document)
    except BadRequest as error:
        raise NotAccepted("BadRequest", error.problems or [Problem("spec", error.message)]) from error


def known(profile: Profile | None, request: TrainingRequest, config: Config) -> Profile:
    """The profile, if there is one and it has a store. Raises NotAccepted."""
    name = request.spec.profile
    if profile is None:
        names = ", ".join(sorted(config.profiles)) or "none"
        why = f"there is no profile of this name (available: {names})"
        close = difflib.get_close_matches(name, config.profiles, 1)
        hint = f"did you mean {close[0]}? " if close else ""
        remedy = (
            f"{hint}The profile of a request cannot be changed: delete the request and apply it with an "
            "available profile, or ask the platform team for this one"
        )
        raise NotAccepted("UnknownProfile", [Problem("spec.profile", why, name, remedy)])
    if not profile.store.url:
        why = "the profile has no store to keep runs in"
        raise NotAccepted(
            "ProfileWithoutStore",
            [Problem("spec.profile", why, name, f"the platform team sets profiles.{name}.store.url")],
        )
    return profile


def allowed(request: TrainingRequest, profile: Profile, config: Config) -> None:
    """Raises NotAccepted with everything that the profile does not allow the request to set."""
    problems = policy.not_allowed(request, profile, config.profiles.values())
    if problems:
        raise NotAccepted("NotAllowed", problems)


def same_run(run: str, before: str) -> None:
    """Raises NotAccepted if a request that has started names another run than the one with its results."""
    if before and run != before:
        why = "the run of a request that has started cannot be changed"
        remedy = f"set it to {before} again, or apply a request with another name"
        raise NotAccepted("RunChanged", [Problem("spec.run", why, run, remedy)])


def same_store(store: str, before: str) -> None:
    """Raises NotAccepted if a request has lost its snapshot, and its results lie in another store."""
    if before and store != before:
        why = (
            f"what this request has finished lies in {before}, but its snapshot is gone, "
            f"and its profile now keeps runs in {store}"
        )
        remedy = (
            "apply a request with another name, or ask the platform team for a profile with the first store"
        )
        raise NotAccepted("StoreChanged", [Problem("spec.profile", why, remedy=remedy)])
