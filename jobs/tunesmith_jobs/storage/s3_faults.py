"""What an error of boto3 means for a store: whether another try may help, and the error to raise. Pure."""

from dataclasses import dataclass
from http import HTTPStatus

from botocore import exceptions as boto
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from tunesmith.errors import BadRequest, Gone, TunesmithError
from tunesmith_jobs.storage.base import (
    NotFound,
    StoreAway,
    StoreError,
    StoreRefused,
    StoreUnusable,
    UploadDropped,
)

FAULTS = (BotoCoreError, ClientError, ResponseParserError)
"""Everything that boto3 raises for a call."""
ABSENT = frozenset({"NoSuchKey", "404", "NotFound"})
LOST_RACE = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "409"})

_TRANSPORT = (
    boto.ConnectionError,
    boto.ConnectionClosedError,
    boto.HTTPClientError,
    boto.IncompleteReadError,
    boto.ReadTimeoutError,
    boto.ResponseStreamingError,
)
_PASSING = frozenset(  # some of these come with status 200 or 400
    {
        "InternalError",
        "OperationAborted",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
    }
)
_FULL = frozenset(
    {
        "507",
        "EntityTooLarge",
        "InsufficientCapacity",
        "InsufficientStorage",
        "QuotaExceeded",
        "XMinioStorageFull",
    }
)
_WRONG_REGION = frozenset(
    {"301", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"}
)
_OLD_TOKEN = frozenset(  # these come with status 400
    {"ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired"}
)
_NO_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.ProfileNotFound,
)
_RIGHTS = ", ".join(
    (
        "s3:GetObject",
        "s3:PutObject",
        "s3:DeleteObject",
        "s3:AbortMultipartUpload",
        "s3:ListBucket",
        "s3:ListBucketMultipartUploads",
    )
)


class PastTheEnd(BadRequest):
    """The requested range begins where the object has already ended."""


@dataclass(frozen=True)
class Target:
    """What a call was about: the bucket, the server, and the key of the object, if the call was about one."""

    bucket: str
    endpoint: str
    key: str = ""

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}".rstrip("/")


def code(error: Exception) -> str:
    """The server's code for an error, such as `NoSuchKey`.

    It is only the status (`404`) if the call was a HEAD, and empty if the server did not answer.
    """
    if not isinstance(error, ClientError):
        return ""
    return str(error.response.get("Error", {}).get("Code", ""))


def status(error: Exception) -> int:
    """The HTTP status, or 0 if there was no answer."""
    if not isinstance(error, ClientError):
        return 0
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def passes(error: Exception) -> bool:
    """Whether the same call may succeed in a moment."""
    if not isinstance(error, ClientError):
        hopeless = boto.SSLError | boto.ProxyConnectionError
        return isinstance(error, _TRANSPORT) and not isinstance(error, hopeless)
    if code(error) in _PASSING:
        return True
    if code(error) in _FULL:
        return False
    return _passing_status(status(error))


def _passing_status(http: int) -> bool:
    if http in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.INTERNAL_SERVER_ERROR}:
        return True
    return http > HTTPStatus.NOT_IMPLEMENTED and http != HTTPStatus.INSUFFICIENT_STORAGE


def fault(error: Exception, target: Target) -> TunesmithError | NotFound:
    """The error to raise for an error of boto3."""
    if isinstance(error, ClientError):
        return _answered(error, target)
    text = " ".join(str(error).split())
    if isinstance(error, _NO_CREDENTIALS):
        return StoreRefused(
            f"no credentials for bucket {target.bucket} at {target.endpoint}: {text}",
            remedy="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
        )
    if isinstance(error, boto.SSLError):
        return StoreAway(
            f"no trusted connection to {target.endpoint} (bucket {target.bucket}): {text}",
            reason="StoreUntrusted",
            remedy="if its certificate is from an authority of your own, set AWS_CA_BUNDLE to its file",
        )
    if isinstance(error, _TRANSPORT):
        return StoreAway(
            f"{target.endpoint} cannot be reached (bucket {target.bucket}): {text}",
            remedy="check AWS_ENDPOINT_URL_S3 and that the server is running, then run again",
        )
    if isinstance(error, ResponseParserError):
        return StoreAway(
            f"{target.endpoint} does not answer as an S3 server does (bucket {target.bucket}): {text}",
        )
    return StoreUnusable(
        f"{target} cannot be used: {text}",
        remedy="check the store's URL and the AWS_ variables",
    )


def _answered(error: ClientError, target: Target) -> TunesmithError | NotFound:
    """The error to raise for an answer of the server."""
    if code(error) in ABSENT and error.operation_name in {"GetObject", "HeadObject"}:
        return NotFound(str(target))
    message = error.response.get("Error", {}).get("Message") or "no reason given"
    why = f"{code(error) or status(error)}: {message}"
    return _about_the_object(error, target, why) or _about_the_bucket(error, target, why)


def _about_the_object(error: ClientError, target: Target, why: str) -> TunesmithError | None:
    if status(error) == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return PastTheEnd(f"{target} ends before the range that was asked for: {why}")
    if code(error) == "NoSuchUpload":
        return UploadDropped(
            f"the upload of {target} was dropped",
            remedy="another attempt finished first; run again to use its result",
        )
    if code(error) == "InvalidObjectState":
        return Gone(f"{target} is archived: {why}", reason="Archived", remedy="restore it, then run again")
    return None


def _about_the_bucket(error: ClientError, target: Target, why: str) -> StoreError:
    if code(error) == "NoSuchBucket":
        command = f"aws s3 mb s3://{target.bucket} --endpoint-url {target.endpoint}"
        return StoreRefused(
            f"there is no bucket {target.bucket} at {target.endpoint}",
            reason="BucketMissing",
            remedy=f"create it (`{command}`), or correct the store's URL",
        )
    if code(error) == "RequestTimeTooSkewed":
        return StoreRefused(
            f"{target.endpoint} refuses this machine's clock: {why}",
            reason="ClockWrong",
            remedy="set the clock, then run again",
        )
    if code(error) in _WRONG_REGION:
        return StoreUnusable(
            f"bucket {target.bucket} is in another region: {why}",
            reason="StoreRegion",
            remedy="set AWS_REGION to its region",
        )
    if code(error) in _FULL or status(error) == HTTPStatus.INSUFFICIENT_STORAGE:
        return StoreAway(
            f"bucket {target.bucket} is full: {why}",
            reason="StoreFull",
            remedy="free space in it, then run again",
        )
    if status(error) in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN} or code(error) in _OLD_TOKEN:
        return StoreRefused(
            f"{target.endpoint} refuses these credentials for bucket {target.bucket}: {why}",
            remedy="check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the key's rights on the bucket:"
            f" {_RIGHTS}",
        )
    if passes(error) or code(error) in LOST_RACE:
        return StoreAway(
            f"{target.endpoint} cannot serve bucket {target.bucket} now: {why}",
            reason="StoreBusy",
            remedy="run again later",
        )
    return StoreUnusable(
        f"{target.endpoint} does not accept a call for {target}: {why}",
        remedy="use another store",
    )
