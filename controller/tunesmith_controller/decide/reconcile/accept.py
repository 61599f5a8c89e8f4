"""Whether a request can run at all: everything that is wrong with it, by path. Judged anew every time, so mending anything is enough."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith import policy
from tunesmith.errors import BadRequest, Problem
from tunesmith.profile import Profile
from tunesmith.request import TrainingRequest, parse
from tunesmith_controller.decide.model import Config, Object


class NotAccepted(Exception):
    """The request cannot run as it is. `reason`: one CamelCase word."""

    def __init__(self, reason: str, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.reason = reason


@dataclass(frozen=True)
class Waiting(Exception):
    """The request has to wait for something that is not its own."""

    reason: str
    message: str


def read(request: Object) -> TrainingRequest:
    """The request in an object. Raises NotAccepted with every problem."""
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
        there = ", ".join(sorted(config.profiles)) or "none"
        why = f"there is no such profile (there are: {there})"
        meant = difflib.get_close_matches(name, config.profiles, 1)
        mean = f"did you mean {meant[0]}? " if meant else ""
        remedy = (
            f"{mean}A profile cannot be edited: delete the request and apply it with one that there is, "
            "or ask the platform team for it"
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
    if problems := policy.not_allowed(request, profile, config.profiles.values()):
        raise NotAccepted("NotAllowed", problems)


def same_run(run: str, before: str) -> None:
    """Raises NotAccepted if a request that has begun is to go on in another run: what it has finished lies in the first one."""
    if before and run != before:
        remedy = f"set it to {before} again, or apply a request with another name"
        raise NotAccepted(
            "RunChanged",
            [Problem("spec.run", "the run of a request that has begun cannot be changed", run, remedy)],
        )


def same_store(store: str, before: str) -> None:
    """Raises NotAccepted if the snapshot of a request that has begun is lost, and its profile now has another store."""
    if before and store != before:
        why = f"what this request has finished lies in {before}; its snapshot is gone, and the profile keeps runs in {store} now"
        remedy = (
            "apply a request with another name, or ask the platform team for a profile with the first store"
        )
        raise NotAccepted("StoreChanged", [Problem("spec.profile", why, remedy=remedy)])
