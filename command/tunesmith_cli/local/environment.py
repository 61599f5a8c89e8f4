"""The environment that a stage's process gets: what it needs, and no secret of another source. Pure.

OPENAI_API_KEY goes to OpenAI, or to OPENAI_BASE_URL; a request that names its own endpoint names its own
secret too, or none is sent (tunesmith.credentials).
"""

import re
from collections.abc import Mapping

from tunesmith import wire
from tunesmith.credentials import Source, hub_token, teacher_key, teacher_secrets, tracker_prefixes
from tunesmith.errors import BadRequest, Problem, Refused
from tunesmith.forbidden_variables import is_forbidden
from tunesmith.resolve import Snapshot
from tunesmith.settings import SecretKey
from tunesmith.stages import STAGES

ENVIRONMENT = "environment"  # provenance of a value that an environment variable gave
_PASSED = frozenset(
    [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "LANG",
        "LANGUAGE",
        "TZ",
        "TMPDIR",
        "TERM",
        "LD_LIBRARY_PATH",
        "VIRTUAL_ENV",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        "all_proxy",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "HF_HOME",
        "HF_HUB_CACHE",
        "HF_ENDPOINT",
        "HF_HUB_OFFLINE",
        "TRANSFORMERS_OFFLINE",
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "PYTORCH_CUDA_ALLOC_CONF",
        "PYTORCH_ALLOC_CONF",
        *wire.STORE_VARIABLES,
    ]
)
_PASSED_PREFIXES = ("AWS_", "CUDA_", "NVIDIA_", "LC_")
_ALWAYS = {
    **wire.TELEMETRY_OFF,
    "PYTHONUNBUFFERED": "1",
    "PYTHONSAFEPATH": "1",  # a user's folder may hold a random.py
    "PYTHONUTF8": "1",
    "PYDANTIC_DISABLE_PLUGINS": "__all__",
    wire.STOP_ON_EOF: "1",  # a runner that is killed takes its stage along
}


def plain_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process that only opens the store."""
    passed = {
        name: value for name, value in environ.items() if name in _PASSED or name.startswith(_PASSED_PREFIXES)
    }
    return passed | _ALWAYS


def stage_environment(stage: str, snapshot: Snapshot, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a stage.

    Raises Refused if it lacks a secret that the stage needs, BadRequest for a variable that
    `stages.<name>.env` may not set.
    """
    env = plain_environment(environ)
    prefixes = tracker_prefixes(snapshot.spec)
    env |= {name: value for name, value in environ.items() if name.startswith(prefixes)}
    env |= _requested(stage, snapshot)
    secrets = STAGES[stage].secrets
    if "teacher" in secrets and (key := _teacher_key(snapshot, environ)):
        env[wire.TEACHER_API_KEY] = key
    if "teacher" in secrets:
        env |= _further_secrets(snapshot, environ)
    if "hub" in secrets and (token := _hub_token(snapshot, environ)):
        env["HF_TOKEN"] = token
    return env


def secret_variable(secret: SecretKey) -> str:
    """The variable that holds a secret on this machine: TUNESMITH_SECRET_<NAME>_<KEY>."""
    return re.sub(r"[^A-Z0-9]", "_", f"{wire.SECRET_PREFIX}{secret.name}_{secret.key}".upper())


def _requested(stage: str, snapshot: Snapshot) -> Mapping[str, str]:
    """`stages.<name>.env` of the request. Raises BadRequest for what it may not set."""
    requested: Mapping[str, str] = getattr(snapshot.spec.stages, stage).env
    forbidden = sorted(name for name in requested if is_forbidden(name))
    if forbidden:
        problems = [
            Problem(f"spec.stages.{stage}.env.{name}", "decides where secrets go or what is run")
            for name in forbidden
        ]
        raise BadRequest(
            "a request may not set these variables",
            remedy="set them where you start `tunesmith run`",
            problems=problems,
        )
    return requested


def _teacher_key(snapshot: Snapshot, environ: Mapping[str, str]) -> str:
    """The key for the teacher; empty if none may be sent, or none is needed."""
    data = snapshot.spec.data
    source = teacher_key(snapshot, ENVIRONMENT)
    if source is Source.SPEC and data.teacher.secret is not None:
        return _secret(data.teacher.secret, environ, "spec.data.teacher.secret")
    # A request that gives an empty endpoint means OpenAI, as one that gives none does.
    openai = data.from_ is None and not data.teacher.base_url
    if source is Source.NOWHERE and not openai:
        return ""
    is_for_another = source is Source.NOWHERE and bool(environ.get("OPENAI_BASE_URL"))
    key = "" if is_for_another else environ.get("OPENAI_API_KEY", "")
    elsewhere = data.teacher.base_url or data.teacher.secret_headers or data.teacher.secret_query
    if key or elsewhere or data.source is not None:
        return key  # a local endpoint may want none; own data may need no teacher, and the stage knows
    if is_for_another:
        raise Refused(
            "data.teacher.baseURL is empty, which means OpenAI, but OPENAI_API_KEY is for OPENAI_BASE_URL",
            reason="TeacherKeyMissing",
            remedy="name the key for OpenAI in data.teacher.secret, or leave baseURL out",
        )
    raise Refused(
        f"the teacher {data.teacher.model} needs an API key, and OPENAI_API_KEY is not set",
        reason="TeacherKeyMissing",
        remedy=(
            "set OPENAI_API_KEY; or name another endpoint with data.teacher.baseURL, "
            "and its key with data.teacher.secret"
        ),
    )


def _further_secrets(snapshot: Snapshot, environ: Mapping[str, str]) -> dict[str, str]:
    """The values of headers and of the query that are secrets. Own data may need none of them."""
    secrets = teacher_secrets(snapshot, ENVIRONMENT)
    if snapshot.spec.data.source is not None:
        found = {variable: environ.get(secret_variable(secret)) for variable, (_, secret) in secrets.items()}
        return {variable: value for variable, value in found.items() if value}
    return {variable: _secret(secret, environ, field) for variable, (field, secret) in secrets.items()}


def _hub_token(snapshot: Snapshot, environ: Mapping[str, str]) -> str:
    """The token for the hub; empty if there is none, or none may be sent."""
    source, secret = hub_token(snapshot.spec), snapshot.spec.model.token_secret
    if source is Source.SPEC and secret is not None:
        return _secret(secret, environ, "spec.model.tokenSecret")
    return environ.get("HF_TOKEN", "") if source is Source.PLACE else ""


def _secret(secret: SecretKey, environ: Mapping[str, str], field: str) -> str:
    variable = secret_variable(secret)
    if value := environ.get(variable):
        return value
    raise Refused(
        f"{field} names the secret {secret.name!r}, key {secret.key!r}, and {variable} is not set",
        reason="TeacherKeyMissing",
        remedy=f"set {variable} where you start tunesmith",
    )
