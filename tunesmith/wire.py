"""Every name that two programs must agree on: the API, labels, annotations, variables, files, and reasons
read back as state.

Pure.

A name that only one program knows stays in that program.
"""

import re
from collections.abc import Mapping

# The API.
GROUP = "tunesmith.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "TrainingRequest"
PLURAL = "trainingrequests"

# Where messages say the documentation is: an address that ends with a slash, before the path of a page in the
# repository. Empty: the path alone. The chart's value `documentationURL` is the same for alerts.
DOCUMENTATION = ""

# Labels of children: Jobs, pods, the snapshot's ConfigMap.
MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "tunesmith"
REQUEST = f"{GROUP}/request"  # name of the request
STAGE = f"{GROUP}/stage"
KEY = f"{GROUP}/key"  # the stage's key
ATTEMPT = f"{GROUP}/attempt"  # the controller's attempt, from 1
PROFILE = f"{GROUP}/profile"
SESSION = f"{GROUP}/session"  # what a pod of the command line is for

# Annotations.
TEMPLATE = f"{GROUP}/template"  # of a Job: hash of its pod template, which tells whether an edit concerns it
GENERATION = f"{GROUP}/generation"  # of a Job: generation of the request that it was made for
RETRY = f"{GROUP}/retry"  # of a Job: `spec.retry` then
TEACHER_RATE = (
    f"{GROUP}/teacher-requests-per-minute"  # of a generate pod, which the stage reads as a file while it runs
)

# Containers and files.
CONTAINER = "stage"  # the container of a stage's pod
SNAPSHOT_FILE = "request.json"  # in the ConfigMap and at the top of a run: the snapshot
FROZEN_FILE = "frozen.json"  # in the ConfigMap: the profile, and what of the request it was frozen for
TERMINATION_LOG = "/dev/termination-log"  # where the kubelet reads a container's last word

# Every kind of store by the scheme of its URLs, and how they look; tunesmith_jobs/storage opens them.
STORE_FORMS: Mapping[str, str] = {"s3": "s3://bucket/prefix", "file": "file:///folder"}

# Environment variables of a stage's process.
ATTEMPT_NAME = "TUNESMITH_ATTEMPT"  # begins the name of the attempt in the store
TERMINATION_LOG_FILE = "TUNESMITH_TERMINATION_LOG"  # the file for the result, in place of the kubelet's
# 1: the end of standard input stops the stage, so that it does not outlive its runner.
STOP_ON_EOF = "TUNESMITH_STOP_ON_EOF"
KEEP_REQUEST = "TUNESMITH_KEEP_REQUEST"  # 1: the stage keeps the snapshot in the store, where no runner does
LOG_FORMAT = "TUNESMITH_LOG_FORMAT"  # json: lines for people as JSON
TEACHER_API_KEY = "TUNESMITH_TEACHER_API_KEY"
TEACHER_HEADER = "TUNESMITH_SECRET_TEACHER_HEADER_"  # begins the variable of a header whose value is a secret
TEACHER_QUERY = "TUNESMITH_SECRET_TEACHER_QUERY_"  # and that of a member of the query
TEACHER_RATE_FILE = "TUNESMITH_TEACHER_RATE_FILE"  # names the file that TEACHER_RATE is mounted as
TEACHER_TIMEOUT = "TUNESMITH_TEACHER_TIMEOUT"  # seconds that one request to the teacher may take
OVER_BUDGET = "TUNESMITH_OVER_BUDGET"  # 1: the user wants it though the estimate is over the budget
S3_ADDRESSING_STYLE = "TUNESMITH_S3_ADDRESSING_STYLE"  # path or virtual
S3_ENCRYPTION = "TUNESMITH_S3_ENCRYPTION"  # AES256 or aws:kms
S3_KMS_KEY = "TUNESMITH_S3_KMS_KEY"
SESSION_DIGEST = "TUNESMITH_SESSION"  # sha256 of the token that a session's pod answers to


def member_variable(prefix: str, name: str) -> str:
    """The variable with the value of a header, or of a member of the query, that is a secret.

    `prefix`: TEACHER_HEADER or TEACHER_QUERY. A rule sees to it that no two names have one variable.
    """
    return prefix + re.sub(r"[^A-Z0-9]", "_", name.upper())


# The variables that the clients of stores read, in addition to those of AWS.
STORE_VARIABLES = (S3_ADDRESSING_STYLE, S3_ENCRYPTION, S3_KMS_KEY)

# Environment variables that people set, too.
STORE = "TUNESMITH_STORE"
SECRET_PREFIX = "TUNESMITH_SECRET_"  # noqa: S105 - the beginning of a variable's name: TUNESMITH_SECRET_<NAME>_<KEY>

# Variables that keep libraries from phoning home.
TELEMETRY_OFF: Mapping[str, str] = {"HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}

# Reasons of a status that are read back as state.
WAITING_FOR_GPU = "WaitingForGPU"
GATE_NOT_PASSED = "GateNotPassed"
