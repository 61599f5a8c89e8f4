"""Whether a request may set what it sets: its own values against the `allow` of its profile. Pure.

The profile's own values are never judged, only what `request.spec` itself says. URLs are compared part by
part (url_patterns.py), never as text, so that no way of writing one leads past a pattern.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.errors import Problem
from tunesmith.forbidden_variables import is_forbidden
from tunesmith.profile import Profile
from tunesmith.request import StageSettings, TrainingRequest
from tunesmith.rule import mapping
from tunesmith.settings import SecretKey
from tunesmith.url_patterns import Malformed, Url, like, matches, parse_url

_OPENAI = "https://api.openai.com/v1"
_SECRETS_IN_DEFAULTS = (("data", "teacher", "secret"), ("model", "tokenSecret"))
_MAPS_OF_SECRETS_IN_DEFAULTS = (("data", "teacher", "secretHeaders"), ("data", "teacher", "secretQuery"))


@dataclass(frozen=True)
class _Rules:
    """The patterns of one field of the profile's `allow`, for one namespace."""

    profile: str
    field: str
    patterns: tuple[str, ...]

    def allow(self, name: str) -> bool:
        """Whether a name matches one of the patterns."""
        return any(like(name, pattern) for pattern in self.patterns)

    def allow_url(self, url: Url) -> bool:
        """Whether a URL lies within one of the patterns."""
        return any(matches(url, pattern) for pattern in self.patterns)

    @property
    def refusal(self) -> str:
        """Why a value is refused."""
        return f"the profile {self.profile!r} does not allow it"

    @property
    def request_to_team(self) -> str:
        """How to have the value allowed."""
        return f"ask the platform team to add it to `allow.{self.field}` of the profile"


def not_allowed(request: TrainingRequest, profile: Profile, others: Iterable[Profile] = ()) -> list[Problem]:
    """Everything in the request that its profile does not allow, each by its path, with what to ask for.

    `others` are all profiles that exist. Their Secrets may lie in the request's namespace too, and the
    request must not send them anywhere.
    """
    problems = [
        *_teacher(request, profile),
        *_members(request, profile),
        *_base(request, profile),
        *_files(request, profile),
        *_output(request, profile),
        *_secrets(request, [profile, *others]),
        *_references_to_itself(request),
        *_trackers(request, profile),
    ]
    for name, stage in request.spec.stages:
        problems += _stage(f"spec.stages.{name}", stage, profile, request.metadata.namespace)
    return problems


def _rules(field: str, patterns: Iterable[str], *, profile: Profile, namespace: str) -> _Rules:
    in_namespace = tuple(pattern.replace("{namespace}", namespace) for pattern in patterns)
    return _Rules(profile.name, field, in_namespace)


def _teacher(request: TrainingRequest, profile: Profile) -> Iterator[Problem]:
    """An endpoint that the request gives; an empty one stands for OpenAI's own, in place of the profile's."""
    teacher = request.spec.data.teacher
    if "base_url" not in teacher.model_fields_set:
        return
    path = "spec.data.teacher.baseURL"
    namespace = request.metadata.namespace
    rules = _rules("endpoints", profile.allow.endpoints, profile=profile, namespace=namespace)
    yield from _outside(rules, path, teacher.base_url or _OPENAI)
    profile_has_key = profile.teacher_secret is not None or bool(_secrets_in_defaults(profile))
    brings_key = teacher.secret is not None or bool(teacher.secret_headers or teacher.secret_query)
    if not brings_key and profile_has_key:
        yield Problem(
            path,
            "comes without a secret, and the profile's key is sent to the profile's endpoint only",
            teacher.base_url,
            "name your own Secret in data.teacher.secret, or leave baseURL out to use the profile's teacher",
        )


def _members(request: TrainingRequest, profile: Profile) -> Iterator[Problem]:
    """What the request has sent beside the call, by name. The case of a name does not count."""
    teacher, allow = request.spec.data.teacher, profile.allow
    for field, names, patterns in (
        ("headers", teacher.headers, allow.headers),
        ("secretHeaders", teacher.secret_headers, allow.headers),
        ("query", teacher.query, allow.query),
        ("secretQuery", teacher.secret_query, allow.query),
        ("body", teacher.body, allow.body),
    ):
        in_allow = field.removeprefix("secret").lower()
        rules = _Rules(profile.name, in_allow, patterns)
        for name in names:
            if not any(like(name.lower(), pattern.lower()) for pattern in patterns):
                yield _refused(rules, f"spec.data.teacher.{field}.{name}")


def _base(request: TrainingRequest, profile: Profile) -> Iterator[Problem]:
    base = request.spec.model.base
    if base in profile.models:
        return
    namespace = request.metadata.namespace
    rules = _rules("bases", profile.allow.bases, profile=profile, namespace=namespace)
    yield from _outside(rules, "spec.model.base", base, names=profile.models)


def _files(request: TrainingRequest, profile: Profile) -> Iterator[Problem]:
    data, namespace = request.spec.data, request.metadata.namespace
    rules = _rules("sources", profile.allow.sources, profile=profile, namespace=namespace)
    for field, files in (("source", data.source), ("documents", data.documents)):
        if files is not None:
            yield from _outside(rules, f"spec.data.{field}.uri", files.uri)


def _output(request: TrainingRequest, profile: Profile) -> Iterator[Problem]:
    if request.spec.output:
        namespace = request.metadata.namespace
        rules = _rules("outputs", profile.allow.outputs, profile=profile, namespace=namespace)
        yield from _outside(rules, "spec.output", request.spec.output)


def _outside(rules: _Rules, path: str, value: str, *, names: Iterable[str] = ()) -> Iterator[Problem]:
    """A problem unless the URL `value` lies within one of the patterns. `names`: what is allowed
    in addition.
    """
    try:
        url = parse_url(value)
    except Malformed as error:
        why = f"cannot be compared with what the profile {rules.profile!r} allows: {error}"
        yield Problem(path, why, value, "write it plainly")
        return
    if rules.allow_url(url):
        return
    allowed = [*names, *rules.patterns]
    remedy = (
        f"allowed: {', '.join(allowed)}; or {rules.request_to_team}" if allowed else rules.request_to_team
    )
    yield Problem(path, _why_outside(url, rules), value, remedy)


def _why_outside(url: Url, rules: _Rules) -> str:
    if url.scheme in ("", "file"):
        return f"is a path, and the pods of a cluster cannot see your folders; {rules.refusal}"
    return rules.refusal


def _secrets(request: TrainingRequest, profiles: list[Profile]) -> Iterator[Problem]:
    """A request names only Secrets that its profile lets it, and never one of any profile's: those go only
    where their profile says.
    """
    owners: dict[str, str] = {}
    for profile in reversed(profiles):  # the request's own profile comes first, and is named
        owners |= dict.fromkeys(_secrets_of(profile), profile.name)
    own, namespace = profiles[0], request.metadata.namespace
    rules = _rules("secrets", own.allow.secrets, profile=own, namespace=namespace)
    for path, secret in _named_secrets(request):
        if secret.name in owners:
            why = (
                f"is a Secret of the profile {owners[secret.name]!r}, which goes only where the profile says"
            )
            remedy = "leave it out to use the profile's, or name a Secret of your own"
            yield Problem(path, why, secret.name, remedy)
        elif not rules.allow(secret.name):
            yield _refused(rules, path, secret.name)


def _named_secrets(request: TrainingRequest) -> Iterator[tuple[str, SecretKey]]:
    """Every Secret that a request names, with the path of its name."""
    teacher = request.spec.data.teacher
    if teacher.secret is not None:
        yield "spec.data.teacher.secret.name", teacher.secret
    for name, secret in teacher.secret_headers.items():
        yield f"spec.data.teacher.secretHeaders.{name}.name", secret
    for name, secret in teacher.secret_query.items():
        yield f"spec.data.teacher.secretQuery.{name}.name", secret
    if request.spec.model.token_secret is not None:
        yield "spec.model.tokenSecret.name", request.spec.model.token_secret


def _secrets_of(profile: Profile) -> frozenset[str]:
    keys = (profile.teacher_secret, profile.hub_secret, *profile.tracker_secrets.values())
    names = [key.name for key in keys if key is not None]
    names += [profile.store.secret, *profile.images.pull_secrets]
    return frozenset(filter(None, names)) | _secrets_in_defaults(profile)


def _secrets_in_defaults(profile: Profile) -> frozenset[str]:
    """Names of Secrets that `defaults` give in the way that a request would."""
    secrets = [_at(profile.defaults, path) for path in _SECRETS_IN_DEFAULTS]
    for path in _MAPS_OF_SECRETS_IN_DEFAULTS:
        secrets += mapping(_at(profile.defaults, path)).values()
    names = [mapping(secret).get("name") for secret in secrets]
    return frozenset(name for name in names if isinstance(name, str))


def _at(part: Any, path: Iterable[str]) -> Any:
    for step in path:
        part = part.get(step) if isinstance(part, Mapping) else None
    return part


def _references_to_itself(request: TrainingRequest) -> Iterator[Problem]:
    references = (
        ("spec.data.from", request.spec.data.from_),
        ("spec.training.from", request.spec.training.from_),
    )
    for path, reference in references:
        if reference is not None and reference.request == request.metadata.name:
            why = "names this very request, which would wait for itself"
            yield Problem(f"{path}.request", why, reference.request, "name another one")


def _trackers(request: TrainingRequest, profile: Profile) -> Iterator[Problem]:
    rules = _Rules(profile.name, "trackers", profile.allow.trackers)
    lists: list[tuple[str, Any]] = [("spec.training.reportTo", request.spec.training.report_to)]
    for number, variant in enumerate(request.spec.training.variants):
        path = f"spec.training.variants[{number}].overrides.reportTo"
        lists.append((path, variant.overrides.get("reportTo")))
    for path, trackers in lists:
        for tracker in trackers if isinstance(trackers, list | tuple) else ():
            if tracker not in rules.patterns:
                yield _refused(rules, path, tracker)


def _stage(path: str, stage: StageSettings, profile: Profile, namespace: str) -> Iterator[Problem]:
    allow = profile.allow
    env = _rules("env", allow.env, profile=profile, namespace=namespace)
    tolerations = _rules("tolerations", allow.tolerations, profile=profile, namespace=namespace)
    labels = _rules("nodeSelector", allow.node_selector, profile=profile, namespace=namespace)
    priorities = _rules(
        "priorityClassNames", allow.priority_class_names, profile=profile, namespace=namespace
    )
    for name, value in stage.env.items():
        yield from _variable(env, f"{path}.env.{name}", name, value)
    for number, toleration in enumerate(stage.tolerations):
        if not tolerations.allow(toleration.key):
            yield _refused(tolerations, f"{path}.tolerations[{number}].key", toleration.key)
    for label in stage.node_selector:
        if not labels.allow(label):
            yield _refused(labels, f"{path}.nodeSelector.{label}")
    if stage.priority_class_name and not priorities.allow(stage.priority_class_name):
        yield _refused(priorities, f"{path}.priorityClassName", stage.priority_class_name)


def _variable(rules: _Rules, path: str, name: str, value: str) -> Iterator[Problem]:
    if is_forbidden(name):
        why = "decides where secrets go or what is run; no request may set it"
        yield Problem(path, why, remedy="leave it out; the platform team can set it in `env` of the profile")
    elif not rules.allow(name):
        yield _refused(rules, path)
    elif "$(" in value:
        why = "holds `$(`, which Kubernetes replaces by the value of another variable, possibly a secret"
        yield Problem(path, why, remedy="write the value itself")


def _refused(rules: _Rules, path: str, value: object = None) -> Problem:
    if rules.patterns:
        remedy = f"allowed: {', '.join(rules.patterns)}; or {rules.request_to_team}"
    else:
        remedy = f"leave it out, or {rules.request_to_team}"
    return Problem(path, rules.refusal, value, remedy)
