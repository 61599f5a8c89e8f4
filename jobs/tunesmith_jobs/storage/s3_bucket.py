"""Calls to one bucket: the client, and the only place that tries again.

Endpoint, region, credentials, proxies and CA bundle are boto3's own settings (AWS_ variables and files).
Settings that boto3 reads from files only have variables of Tunesmith's own: the S3_ variables of
tunesmith/wire.py. botocore's own retries are off, because they handle neither conditional puts nor bodies
that break off.
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
from tunesmith_jobs.storage.base import StoreUnusable
from tunesmith_jobs.storage.s3_faults import FAULTS, Target, fault, passes

T = TypeVar("T")

_DELAYS = (0.25, 0.5, 1, 2, 4, 8, 8)
"""Seconds between tries. Each is shortened by up to a half, at random."""
_FIRST_DELAYS = _DELAYS[:2]
"""The same for an endpoint that has never answered: its address is more likely wrong than the server busy."""
_CONFIG = Config(
    signature_version="s3v4",
    retries={"mode": "standard", "total_max_attempts": 1},
    connect_timeout=10,
    read_timeout=60,
    max_pool_connections=32,
)
_STYLES = ("auto", "path", "virtual")
_CREATING = frozenset({"put_object", "copy_object", "create_multipart_upload"})
"""Operations that make an object, and so may say how it is encrypted."""


def client_config(environ: Mapping[str, str]) -> Config:
    """Settings of the client. Raises StoreUnusable for an unknown addressing style."""
    style = environ.get(wire.S3_ADDRESSING_STYLE, "")
    if not style:
        return _CONFIG  # boto3 then uses path style if AWS_ENDPOINT_URL_S3 names another server than AWS
    if style not in _STYLES:
        raise StoreUnusable(
            f"{wire.S3_ADDRESSING_STYLE} is {style!r}",
            remedy="set it to path or virtual",
        )
    return _CONFIG.merge(Config(s3={"addressing_style": style}))


def encryption(environ: Mapping[str, str]) -> dict[str, str]:
    """The arguments that ask the server to encrypt a new object."""
    variables = {"ServerSideEncryption": wire.S3_ENCRYPTION, "SSEKMSKeyId": wire.S3_KMS_KEY}
    return {argument: environ[name] for argument, name in variables.items() if environ.get(name)}


class Bucket:
    """One bucket, through one client that all threads share."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._answered = False
        self._lock = threading.Lock()

    @cached_property
    def client(self) -> Any:
        """The client of boto3. Raises StoreError if its settings are wrong."""
        with self._lock:  # making a client is not safe from several threads, using one is
            try:
                return boto3.session.Session().client("s3", config=client_config(os.environ))
            except BotoCoreError as error:
                raise self._raised(error) from error
            except ValueError as error:  # the endpoint is not a URL
                raise StoreUnusable(
                    f"bucket {self.name} cannot be reached: {error}",
                    remedy="check AWS_ENDPOINT_URL_S3",
                ) from error

    def once(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """One call, without another try. Raises what boto3 raises."""
        encrypted = encryption(os.environ) if operation in _CREATING else {}
        call = getattr(self.client, operation)
        answer: dict[str, Any] = call(Bucket=self.name, **encrypted, **arguments)
        self._answered = True
        return answer

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """A call that can be repeated without harm. Raises the errors of a store."""
        return self.retried(lambda: self.once(operation, **arguments), key=arguments.get("Key", ""))

    def get(self, key: str, **arguments: Any) -> bytes:
        """All bytes of a GET. A body that breaks off is asked for again."""

        def whole() -> bytes:
            answer = self.once("get_object", Key=key, **arguments)
            with contextlib.closing(answer["Body"]) as body:
                return bytes(body.read())

        return self.retried(whole, key=key)

    def retried(
        self, attempt: Callable[[], T], *, key: str = "", worth_it: Callable[[Exception], bool] = passes
    ) -> T:
        """The result of `attempt`, called again while its error is `worth_it`.

        Raises the errors of a store.
        """
        tries = 0
        while True:
            try:
                return attempt()
            except FAULTS as error:
                delays = _DELAYS if self._answered else _FIRST_DELAYS
                if tries >= len(delays) or not worth_it(error):
                    raise self._raised(error, key) from error
                time.sleep(delays[tries] * random.uniform(0.5, 1))
                tries += 1

    def _raised(self, error: Exception, key: str = "") -> Exception:
        return fault(error, Target(self.name, self.endpoint, key))

    @property
    def endpoint(self) -> str:
        """The server's address, for messages."""
        client = self.__dict__.get("client")  # making one here could raise the error that is being described
        return str(client.meta.endpoint_url) if client else "S3"
