"""Calls to one bucket: the client, and the only place that tries again.

Endpoint, region, credentials, addressing style, proxies and CA bundle are boto3's own settings (AWS_ variables and files); with an
endpoint of one's own boto3 uses path style unless told otherwise. What boto3 reads from files only has variables of our own:
TUNESMITH_S3_ADDRESSING_STYLE (path, virtual), TUNESMITH_S3_ENCRYPTION (AES256, aws:kms), TUNESMITH_S3_KMS_KEY. botocore's retries are
off: they know nothing of conditional puts and nothing of bodies that break off.
"""

import contextlib
import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from tunesmith import wire
from tunesmith.errors import BadRequest
from tunesmith_jobs.storage.s3_faults import FAULTS, Place, fault, passes

T = TypeVar("T")

_DELAYS = (
    0.25,
    0.5,
    1.0,
    2.0,
    4.0,
    8.0,
    8.0,
)  # seconds between tries, each shortened by up to half at random
_FIRST_DELAYS = _DELAYS[:2]  # an endpoint that has never answered is rather misspelt than busy
_CONFIG = Config(
    signature_version="s3v4",
    retries={"mode": "standard", "total_max_attempts": 1},
    connect_timeout=10,
    read_timeout=60,
    max_pool_connections=32,
)


_ENCRYPTED = frozenset(
    {"put_object", "copy_object", "create_multipart_upload"}
)  # operations that say how an object is encrypted


def client_config(environ: Mapping[str, str]) -> Config:
    """Settings of the client. Raises BadRequest for an addressing style that there is none of."""
    style = environ.get(wire.S3_ADDRESSING_STYLE, "")
    if style not in ("", "auto", "path", "virtual"):
        raise BadRequest(
            f"{wire.S3_ADDRESSING_STYLE} is {style!r}",
            reason="StoreUnusable",
            remedy="set it to path or virtual",
        )
    return _CONFIG.merge(Config(s3={"addressing_style": style})) if style else _CONFIG


def encryption(environ: Mapping[str, str]) -> dict[str, str]:
    """Arguments by which every new object is asked to be encrypted on the server."""
    given = {"ServerSideEncryption": wire.S3_ENCRYPTION, "SSEKMSKeyId": wire.S3_KMS_KEY}
    return {argument: environ[name] for argument, name in given.items() if environ.get(name)}


class Bucket:
    """One bucket, through one client that all threads share."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._answered = False
        self._lock = threading.Lock()

    @cached_property
    def _client(self) -> Any:
        with self._lock:  # making a client is not safe from several threads, using one is
            try:
                return boto3.session.Session().client("s3", config=client_config(os.environ))
            except BotoCoreError as error:
                raise self.raised(error) from error
            except ValueError as error:  # an endpoint that is no URL
                raise BadRequest(
                    f"bucket {self.name} cannot be reached: {error}",
                    reason="StoreUnusable",
                    remedy="check AWS_ENDPOINT_URL_S3",
                ) from error

    def once(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """One call, untried before. Raises what boto3 raises."""
        asked = encryption(os.environ) if operation in _ENCRYPTED else {}
        answer: dict[str, Any] = getattr(self._client, operation)(Bucket=self.name, **asked, **arguments)
        self._answered = True
        return answer

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """A call that may be repeated without harm. Raises the exceptions of a store."""
        return self.retried(lambda: self.once(operation, **arguments), path=arguments.get("Key", ""))

    def get(self, path: str, **arguments: Any) -> tuple[bytes, dict[str, Any]]:
        """All bytes of a GET, and its answer. A body that breaks off is asked for again."""

        def whole() -> tuple[bytes, dict[str, Any]]:
            answer = self.once("get_object", Key=path, **arguments)
            with contextlib.closing(answer["Body"]) as body:
                return body.read(), answer

        return self.retried(whole, path=path)

    def retried(
        self, attempt: Callable[[], T], *, path: str = "", worth_it: Callable[[Exception], bool] = passes
    ) -> T:
        """`attempt`, again and again while its error is `worth_it`. Raises the exceptions of a store."""
        tries = 0
        while True:
            try:
                return attempt()
            except FAULTS as error:
                delays = _DELAYS if self._answered else _FIRST_DELAYS
                if tries >= len(delays) or not worth_it(error):
                    raise self.raised(error, path) from error
                time.sleep(delays[tries] * random.uniform(0.5, 1))
                tries += 1

    def raised(self, error: Exception, path: str = "") -> Exception:
        """The exception of a store for an error of boto3."""
        return fault(error, Place(self.name, self.endpoint, path))

    @property
    def endpoint(self) -> str:
        """The server's address, for messages."""
        client = self.__dict__.get("_client")
        return str(client.meta.endpoint_url) if client else "S3"
