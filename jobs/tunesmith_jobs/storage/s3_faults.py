"""What an error of boto3 means for a stage: which are worth another try, and what to say of the others. Pure."""

from dataclasses import dataclass

from botocore import exceptions as boto
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from tunesmith.errors import BadRequest, Gone, Refused, TryAgain, TunesmithError
from tunesmith_jobs.storage.base import NotFound

FAULTS = (BotoCoreError, ClientError, ResponseParserError)  # all that boto3 raises for a call
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
_PASSING = frozenset(  # of these some come with status 200 or 400
    {
        "SlowDown",
        "RequestTimeout",
        "Throttling",
        "ThrottlingException",
        "RequestLimitExceeded",
        "OperationAborted",
    }
    | {"InternalError", "ServiceUnavailable"}
)
_FULL = frozenset(
    {
        "QuotaExceeded",
        "InsufficientStorage",
        "InsufficientCapacity",
        "XMinioStorageFull",
        "EntityTooLarge",
        "507",
    }
)
_WRONG_REGION = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"}
)
_OLD_TOKEN = frozenset(
    {"ExpiredToken", "InvalidToken", "TokenRefreshRequired", "ExpiredTokenException"}
)  # with status 400
_NO_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.ProfileNotFound,
)
_RIGHTS = "s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload, s3:ListBucket, s3:ListBucketMultipartUploads"


@dataclass(frozen=True)
class Place:
    """What a message names: the bucket, the server, and the object that was meant."""

    bucket: str
    endpoint: str
    path: str = ""

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.path}".rstrip("/")


def code(error: Exception) -> str:
    """The server's word for an error (`NoSuchKey`; of a HEAD only the status, `404`); empty if it did not answer."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def status(error: Exception) -> int:
    """HTTP status, or 0 if there was no answer."""
    return (
        int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if isinstance(error, ClientError)
        else 0
    )


def passes(error: Exception) -> bool:
    """Whether the same call may succeed in a moment."""
    if isinstance(error, ClientError):
        http = status(error)
        return code(error) in _PASSING or (
            code(error) not in _FULL and (http in {408, 429, 500} or 501 < http != 507)
        )
    return isinstance(error, _TRANSPORT) and not isinstance(error, boto.SSLError | boto.ProxyConnectionError)


def fault(error: Exception, place: Place) -> TunesmithError | NotFound:
    """The exception to raise for an error of boto3."""
    if isinstance(error, ClientError):
        return _answered(error, place)
    text = " ".join(str(error).split())
    if isinstance(error, _NO_CREDENTIALS):
        return Refused(
            f"no credentials for bucket {place.bucket} at {place.endpoint}: {text}",
            reason="StoreRefused",
            remedy="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
        )
    if isinstance(error, boto.SSLError):
        return TryAgain(
            f"no trusted connection to {place.endpoint} (bucket {place.bucket}): {text}",
            reason="StoreUntrusted",
            remedy="if it has a certificate of your own authority, set AWS_CA_BUNDLE to its file",
        )
    if isinstance(error, _TRANSPORT):
        return TryAgain(
            f"{place.endpoint} cannot be reached (bucket {place.bucket}): {text}",
            reason="StoreUnreachable",
            remedy="see that AWS_ENDPOINT_URL_S3 is right and the server runs; then run again",
        )
    if isinstance(error, ResponseParserError):
        return TryAgain(
            f"{place.endpoint} does not answer as S3 does (bucket {place.bucket}): {text}",
            reason="StoreUnreachable",
        )
    return BadRequest(
        f"{place} cannot be used: {text}",
        reason="StoreUnusable",
        remedy="check the store's URL and the AWS_ variables",
    )


def _answered(error: ClientError, place: Place) -> TunesmithError | NotFound:
    found, http = code(error), status(error)
    said = f"{found or http}: {error.response.get('Error', {}).get('Message') or 'no reason given'}"
    if found == "NoSuchBucket":
        return Refused(
            f"there is no bucket {place.bucket} at {place.endpoint}",
            reason="BucketMissing",
            remedy=f"make it (`aws s3 mb s3://{place.bucket} --endpoint-url {place.endpoint}`), or correct the store's URL",
        )
    if found in ABSENT and error.operation_name in {"GetObject", "HeadObject"}:
        return NotFound(str(place))
    if found == "NoSuchUpload":
        return TryAgain(
            f"the upload of {place} was dropped",
            reason="UploadDropped",
            remedy="another attempt finished first; run again to use it",
        )
    if found == "RequestTimeTooSkewed":
        return Refused(
            f"{place.endpoint} refuses this machine's clock: {said}",
            reason="ClockWrong",
            remedy="set the clock, then run again",
        )
    if found in _WRONG_REGION:
        return BadRequest(
            f"bucket {place.bucket} is in another region: {said}",
            reason="StoreRegion",
            remedy="set AWS_REGION to its region",
        )
    if found in _FULL or http == 507:
        return TryAgain(
            f"bucket {place.bucket} is full: {said}",
            reason="StoreFull",
            remedy="free space there, then run again",
        )
    if found == "InvalidObjectState":
        return Gone(f"{place} is archived: {said}", reason="Archived", remedy="restore it, then run again")
    if http in {401, 403} or found in _OLD_TOKEN:
        return Refused(
            f"{place.endpoint} refuses these credentials for bucket {place.bucket}: {said}",
            reason="StoreRefused",
            remedy=f"check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the key's rights on the bucket: {_RIGHTS}",
        )
    if passes(error) or found in LOST_RACE:
        return TryAgain(
            f"{place.endpoint} cannot serve bucket {place.bucket} now: {said}",
            reason="StoreBusy",
            remedy="run again later",
        )
    return BadRequest(
        f"{place.endpoint} does not accept a call for {place}: {said}",
        reason="StoreUnusable",
        remedy="use another store",
    )
