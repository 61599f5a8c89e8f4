"""Whether a request may set what it sets: its own wishes against the `allow` of its profile. Pure.

The profile's own values are never judged; only what `request.spec` itself says. URLs are compared in their parts
(url_patterns.py), never as text, so that no way of writing one leads past a pattern.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tunesmith.errors import Problem
from tunesmith.forbidden_variables import is_forbidden
from tunesmith.profile import Profile
from tunesmith.request import StageSettings, TrainingRequest
from tunesmith.settings import SecretKey
from tunesmith.url_patterns import Malformed, Url, like, matches, parse_url

_OPENAI = "https://api.openai.com/v1"


def not_allowed(request: TrainingRequest, profile: Profile, others: Iterable[Profile] = ()) -> list[Problem]:
    """Everything in the request that its profile does not allow, each by its path, with what to ask of the platform team.

    `others`: all profiles that there are. Their Secrets may lie in the request's namespace too, and are not the request's to send.
    """
    return [
        *_teacher(request, profile),
        *_base(request, profile),
        *_own_places(request, profile),
        *_secrets(request, [profile, *others]),
        *_itself(request),
        *_trackers(request, profile),
        *(
            problem
            for name, stage in request.spec.stages
            for problem in _stage(f"spec.stages.{name}", stage, profile, request.metadata.namespace)
        ),
    ]


def _teacher(request: TrainingRequest, profile: Profile) -> Iterator[Problem]:
    """An endpoint that is said, the empty one too: it takes the url of the profile's, and means OpenAI's own."""
    teacher = request.spec.data.teacher
    if "base_url" not in teacher.model_fields_set:
        return
    path = "spec.data.teacher.baseURL"
    yield from _placed(
        path, teacher.base_url or _OPENAI, profile.allow.endpoints, request, profile, "endpoints"
    )
    if teacher.secret is None and (profile.teacher_secret is not None or _default_secrets(profile)):
        remedy = (
            "name your own Secret in data.teacher.secret, or leave baseURL out to use the profile's teacher"
        )
        yield Problem(
            path,
            "brings no secret, and the profile's key goes to the profile's endpoint only",
            teacher.base_url,
            remedy,
        )


def _base(request: TrainingRequest, profile: Profile) -> Iterator[Problem]:
    base = request.spec.model.base
    if base not in profile.models:
        yield from _placed(
            "spec.model.base", base, profile.allow.bases, request, profile, "bases", profile.models
        )


def _own_places(request: TrainingRequest, profile: Profile) -> Iterator[Problem]:
    if source := request.spec.data.source:
        yield from _placed(
            "spec.data.source.uri", source.uri, profile.allow.sources, request, profile, "sources"
        )
    if output := request.spec.output:
        yield from _placed("spec.output", output, profile.allow.outputs, request, profile, "outputs")


def _placed(
    path: str,
    value: str,
    patterns: tuple[str, ...],
    request: TrainingRequest,
    profile: Profile,
    what: str,
    names: Mapping[str, str] | None = None,
) -> Iterator[Problem]:
    """A problem unless a URL lies within one of the patterns."""
    allowed = [pattern.replace("{namespace}", request.metadata.namespace) for pattern in patterns]
    try:
        url = parse_url(value)
    except Malformed as error:
        yield Problem(
            path,
            f"cannot be compared with what the profile {profile.name!r} allows: {error}",
            value,
            "write it plainly",
        )
        return
    if any(matches(url, pattern) for pattern in allowed):
        return
    ask = f"ask the platform team to add it to `allow.{what}` of the profile"
    said = f"allowed: {', '.join([*(names or {}), *allowed])}; or {ask}" if allowed or names else ask
    yield Problem(path, _why(url, profile), value, said)


def _why(url: Url, profile: Profile) -> str:
    if url.scheme in ("", "file"):
        return f"is a path, and the pods of a cluster have no folders of yours; the profile {profile.name!r} does not allow it"
    return f"the profile {profile.name!r} does not allow it"


def _secrets(request: TrainingRequest, profiles: list[Profile]) -> Iterator[Problem]:
    """A Secret of a profile goes where that profile says, so a request cannot name it and send it elsewhere."""
    own: tuple[tuple[str, SecretKey | None], ...] = (
        ("spec.data.teacher.secret.name", request.spec.data.teacher.secret),
        ("spec.model.tokenSecret.name", request.spec.model.token_secret),
    )
    owners = {
        name: profile.name for profile in reversed(profiles) for name in _names_of_secrets(profile)
    }  # its own profile wins
    for path, secret in own:
        if secret is not None and secret.name in owners:
            why = (
                f"is a Secret of the profile {owners[secret.name]!r}, which goes only where the profile says"
            )
            yield Problem(
                path, why, secret.name, "leave it out to use the profile's, or name a Secret of your own"
            )


def _names_of_secrets(profile: Profile) -> frozenset[str]:
    keys = (profile.teacher_secret, profile.hub_secret, *profile.tracker_secrets.values())
    names = (
        profile.store.secret,
        *profile.images.pull_secrets,
        *(key.name for key in keys if key is not None),
    )
    return frozenset(filter(None, names)) | _default_secrets(profile)


def _default_secrets(profile: Profile) -> frozenset[str]:
    """Names of Secrets that `defaults` give as a request would."""
    found = (
        _at(profile.defaults, *path)
        for path in (("data", "teacher", "secret", "name"), ("model", "tokenSecret", "name"))
    )
    return frozenset(name for name in found if isinstance(name, str))


def _at(part: Any, *path: str) -> Any:
    for step in path:
        part = part.get(step) if isinstance(part, Mapping) else None
    return part


def _itself(request: TrainingRequest) -> Iterator[Problem]:
    for path, reference in (
        ("spec.data.from", request.spec.data.from_),
        ("spec.training.from", request.spec.training.from_),
    ):
        if reference is not None and reference.request == request.metadata.name:
            yield Problem(
                f"{path}.request",
                "names this very request, which would wait for itself",
                reference.request,
                "name another one",
            )


def _trackers(request: TrainingRequest, profile: Profile) -> Iterator[Problem]:
    asked: list[tuple[str, Any]] = [("spec.training.reportTo", request.spec.training.report_to)]
    for number, variant in enumerate(request.spec.training.variants):
        asked.append(
            (f"spec.training.variants[{number}].overrides.reportTo", variant.overrides.get("reportTo"))
        )
    for path, trackers in asked:
        for tracker in trackers if isinstance(trackers, list | tuple) else ():
            if tracker not in profile.allow.trackers:
                yield _refused(path, tracker, profile.allow.trackers, profile, "trackers")


def _stage(path: str, stage: StageSettings, profile: Profile, namespace: str) -> Iterator[Problem]:
    allow = profile.allow
    for name, value in stage.env.items():
        if is_forbidden(name):
            why = "decides where secrets go or what is run; no request may set it"
            yield Problem(
                f"{path}.env.{name}",
                why,
                remedy="leave it out; the platform team can set it in `env` of the profile",
            )
        elif not _one_of(name, allow.env, namespace):
            yield _refused(f"{path}.env.{name}", None, allow.env, profile, "env")
        elif "$(" in value:
            why = "holds `$(`, by which Kubernetes puts in the value of another variable, perhaps a secret"
            yield Problem(f"{path}.env.{name}", why, remedy="write the value itself")
    for number, toleration in enumerate(stage.tolerations):
        if not _one_of(toleration.key, allow.tolerations, namespace):
            yield _refused(
                f"{path}.tolerations[{number}].key", toleration.key, allow.tolerations, profile, "tolerations"
            )
    for label in stage.node_selector:
        if not _one_of(label, allow.node_selector, namespace):
            yield _refused(f"{path}.nodeSelector.{label}", None, allow.node_selector, profile, "nodeSelector")
    if (priority := stage.priority_class_name) and not _one_of(
        priority, allow.priority_class_names, namespace
    ):
        yield _refused(
            f"{path}.priorityClassName", priority, allow.priority_class_names, profile, "priorityClassNames"
        )


def _one_of(name: str, patterns: tuple[str, ...], namespace: str) -> bool:
    return any(like(name, pattern.replace("{namespace}", namespace)) for pattern in patterns)


def _refused(path: str, value: object, allowed: tuple[str, ...], profile: Profile, what: str) -> Problem:
    ask = f"ask the platform team to add it to `allow.{what}` of the profile"
    remedy = f"allowed: {', '.join(allowed)}; or {ask}" if allowed else f"leave it out, or {ask}"
    return Problem(path, f"the profile {profile.name!r} does not allow it", value, remedy)
