"""The environment that a stage's process gets: what it needs, and no secret of another source. Pure.

A secret travels only with the endpoint of the same source. OPENAI_API_KEY goes to OpenAI, or to OPENAI_BASE_URL; a request that
names its own endpoint names its own secret too, or none is sent.
"""

import re
from collections.abc import Mapping

from tunesmith import wire
from tunesmith.errors import BadRequest, Problem, Refused
from tunesmith.forbidden_variables import is_forbidden
from tunesmith.resolve import Snapshot
from tunesmith.settings import SecretKey
from tunesmith.stages import STAGES
from tunesmith.trackers import TRACKERS

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
    ]
)
_PASSED_PREFIXES = ("AWS_", "TUNESMITH_S3_", "CUDA_", "NVIDIA_", "LC_")
_ALWAYS = {
    **wire.TELEMETRY_OFF,
    "PYTHONUNBUFFERED": "1",
    "PYTHONSAFEPATH": "1",  # a user's folder may hold a random.py
    "PYTHONUTF8": "1",
    "PYDANTIC_DISABLE_PLUGINS": "__all__",
    wire.STOP_ON_EOF: "1",  # a runner that is killed takes its stage along
}


def plain_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """For a process that only opens the store."""
    return {
        name: value for name, value in environ.items() if name in _PASSED or name.startswith(_PASSED_PREFIXES)
    } | _ALWAYS


def stage_environment(stage: str, snapshot: Snapshot, environ: Mapping[str, str]) -> dict[str, str]:
    """For a stage. Raises Refused if a secret that it needs is not in the environment, BadRequest for a forbidden `stages.<name>.env`."""
    env = plain_environment(environ)
    env |= {
        name: value
        for name, value in environ.items()
        if name.startswith(tuple(TRACKERS[to].variables for to in snapshot.spec.training.report_to))
    }
    own = getattr(snapshot.spec.stages, stage).env
    if forbidden := sorted(name for name in own if is_forbidden(name)):
        problems = [
            Problem(f"spec.stages.{stage}.env.{name}", "decides where secrets go or what is run")
            for name in forbidden
        ]
        raise BadRequest(
            "a request may not set these variables",
            remedy="set them where you start `tunesmith run`",
            problems=problems,
        )
    env |= own
    if "teacher" in STAGES[stage].secrets and (key := _teacher_key(snapshot, environ)):
        env[wire.TEACHER_API_KEY] = key
    if "hub" in STAGES[stage].secrets and (token := _hub_token(snapshot, environ)):
        env["HF_TOKEN"] = token
    return env


def secret_variable(secret: SecretKey) -> str:
    """The variable that holds a secret locally: TUNESMITH_SECRET_<NAME>_<KEY>."""
    return re.sub(r"[^A-Z0-9]", "_", f"{wire.SECRET_PREFIX}{secret.name}_{secret.key}".upper())


def _teacher_key(snapshot: Snapshot, environ: Mapping[str, str]) -> str:
    data = snapshot.spec.data
    if data.from_ is not None:
        return ""  # no teacher is asked
    if data.teacher.secret is not None:
        return _secret(data.teacher.secret, environ, "spec.data.teacher.secret")
    if data.teacher.base_url and snapshot.provenance.get("data.teacher.baseURL") != "environment":
        return ""  # the request's own endpoint: the user's key for OpenAI is none of its business
    key = environ.get("OPENAI_API_KEY", "")
    if key or data.teacher.base_url or data.source is not None:
        return key  # a local endpoint may want none; own data may need no teacher, and the stage knows
    raise Refused(
        f"the teacher {data.teacher.model} needs an API key, and OPENAI_API_KEY is not set",
        reason="TeacherKeyMissing",
        remedy="set OPENAI_API_KEY; or name another endpoint by data.teacher.baseURL, with its key by data.teacher.secret",
    )


def _hub_token(snapshot: Snapshot, environ: Mapping[str, str]) -> str:
    model = snapshot.spec.model
    if model.token_secret is not None:
        return _secret(model.token_secret, environ, "spec.model.tokenSecret")
    return environ.get("HF_TOKEN", "") if model.base.startswith("hf://") else ""


def _secret(secret: SecretKey, environ: Mapping[str, str], field: str) -> str:
    variable = secret_variable(secret)
    if value := environ.get(variable):
        return value
    raise Refused(
        f"{field} names the secret {secret.name!r}, key {secret.key!r}, and {variable} is not set",
        reason="TeacherKeyMissing",
        remedy=f"set {variable} where you start tunesmith",
    )
