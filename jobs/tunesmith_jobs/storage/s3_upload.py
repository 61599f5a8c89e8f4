"""Stream an object to S3, with bounded memory.

A small object is one put, a larger one a multipart upload with several parts in flight.
"""

import contextlib
import hashlib
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, Self

from botocore.exceptions import ClientError

from tunesmith.errors import BadData, TunesmithError
from tunesmith.manifest import File
from tunesmith_jobs.storage.s3_bucket import Bucket
from tunesmith_jobs.storage.s3_faults import code

PART = 8 << 20  # bytes of a part if the size of the object is unknown
PARALLEL = 4  # parts in flight; one more is in memory
_MOST_PARTS = 10_000  # S3's own limit
_MIB = 1 << 20
_MOST_COPIED = 5 << 30  # S3's own limit for one copy


def part_size(size: int) -> int:
    """Bytes of each part of an object of `size` bytes: at least 8 MiB, and at most 10,000 parts."""
    least = -(-size // _MOST_PARTS)
    return max(PART, -(-least // _MIB) * _MIB)


def copy_object(bucket: Bucket, source: str, target: str, size: int, most: int = _MOST_COPIED) -> None:
    """Have the server copy `source` to `target`: in one call up to `most` bytes, else in such parts."""
    origin = {"Bucket": bucket.name, "Key": source}
    if size <= most:
        bucket.call("copy_object", Key=target, CopySource=origin)
        return
    upload = bucket.call("create_multipart_upload", Key=target)["UploadId"]
    try:
        parts = []
        for number, start in enumerate(range(0, size, most), start=1):
            span = f"bytes={start}-{min(start + most, size) - 1}"
            answer = bucket.call(
                "upload_part_copy",
                Key=target,
                UploadId=upload,
                PartNumber=number,
                CopySource=origin,
                CopySourceRange=span,
            )
            parts.append({"ETag": answer["CopyPartResult"]["ETag"], "PartNumber": number})
        bucket.call(
            "complete_multipart_upload", Key=target, UploadId=upload, MultipartUpload={"Parts": parts}
        )
    except BaseException:
        with contextlib.suppress(TunesmithError):
            bucket.call("abort_multipart_upload", Key=target, UploadId=upload)
        raise


class Upload:
    """An object that is being written.

    It appears when the `with` block ends; an exception leaves nothing behind.
    """

    def __init__(self, bucket: Bucket, key: str, part: int = PART) -> None:
        self.digest = File(path=key.rpartition("/")[2], size=0, sha256="")
        self._bucket, self._key, self._part = bucket, key, part
        self._buffer = bytearray()
        self._sha256 = hashlib.sha256()
        self._size = 0
        self._upload_id = ""
        self._pool: ThreadPoolExecutor | None = None
        self._pending: set[Future[None]] = set()
        self._parts: dict[int, dict[str, Any]] = {}
        self._count = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append `data`; waits while enough parts are in flight."""
        view = memoryview(data).cast("B")
        self._sha256.update(view)
        self._size += len(view)
        while len(view):
            taken = view[: self._part - len(self._buffer)]
            self._buffer += taken
            view = view[len(taken) :]
            if len(self._buffer) == self._part:
                self._send_part()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        except BaseException:
            self._abort()
            raise
        else:
            if kind is not None:
                self._abort()
        finally:
            if self._pool is not None:
                self._pool.shutdown(cancel_futures=True)

    def _send_part(self) -> None:
        if self._pool is None:
            answer = self._bucket.call("create_multipart_upload", Key=self._key)
            self._upload_id = answer["UploadId"]
            self._pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="upload")
        if self._count == _MOST_PARTS:
            raise BadData(
                f"{self._key} is over {_MOST_PARTS * self._part} bytes,"
                " more than a stream of unknown size can hold"
            )
        while len(self._pending) >= PARALLEL:
            self._settle()
        self._count += 1
        body, self._buffer = self._buffer, bytearray()
        self._pending.add(self._pool.submit(self._put_part, self._count, body))

    def _settle(self) -> None:
        done, self._pending = wait(self._pending, return_when=FIRST_COMPLETED)
        for part in done:
            part.result()

    def _put_part(self, number: int, body: bytearray) -> None:
        answer = self._bucket.call(
            "upload_part", Key=self._key, UploadId=self._upload_id, PartNumber=number, Body=body
        )
        # boto3 adds a checksum to each part (CRC32 by default), which the last call has to repeat.
        checksums = {
            name: value
            for name, value in answer.items()
            if name.startswith("Checksum") and name != "ChecksumType"
        }
        self._parts[number] = {"ETag": answer["ETag"], "PartNumber": number, **checksums}

    def _finish(self) -> None:
        if self._pool is None:
            self._bucket.call("put_object", Key=self._key, Body=self._buffer)
        else:
            if self._buffer:
                self._send_part()
            while self._pending:
                self._settle()
            self._complete()
        self.digest = File(path=self.digest.path, size=self._size, sha256=self._sha256.hexdigest())

    def _complete(self) -> None:
        parts = {"Parts": [self._parts[number] for number in sorted(self._parts)]}
        tries = 0

        def complete() -> None:
            nonlocal tries
            tries += 1
            try:
                self._bucket.once(
                    "complete_multipart_upload",
                    Key=self._key,
                    UploadId=self._upload_id,
                    MultipartUpload=parts,
                )
            except ClientError as error:
                # If the answer to an earlier try was lost, the upload is gone because the object is there.
                if code(error) != "NoSuchUpload" or tries == 1 or not self._is_there():
                    raise

        self._bucket.retried(complete, key=self._key)

    def _is_there(self) -> bool:
        with contextlib.suppress(ClientError):
            return bool(self._bucket.once("head_object", Key=self._key)["ContentLength"] == self._size)
        return False

    def _abort(self) -> None:
        """Leave nothing behind. Parts in flight are waited for, since they could arrive after the abort."""
        if self._pool is None:
            return
        self._pool.shutdown(cancel_futures=True)
        with contextlib.suppress(TunesmithError):
            self._bucket.call("abort_multipart_upload", Key=self._key, UploadId=self._upload_id)
