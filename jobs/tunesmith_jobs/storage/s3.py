"""A store in a bucket: `s3://`, on AWS or any server that speaks S3 and honours `If-None-Match: *`."""

import contextlib
import secrets
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from tunesmith.errors import BadRequest, TryAgain, TunesmithError
from tunesmith.manifest import File
from tunesmith_jobs.storage.base import Entry, NotFound, Store, Writer
from tunesmith_jobs.storage.local import UnfinishedFile, blocks, check
from tunesmith_jobs.storage.s3_bucket import Bucket
from tunesmith_jobs.storage.s3_faults import ABSENT, FAULTS, LOST_RACE, code, passes, status
from tunesmith_jobs.storage.s3_upload import PARALLEL, PART, Upload, copy_object, part_size

_DELETED_AT_ONCE = 1000  # S3's own limit


class S3Store(Store):
    """Objects below a prefix of a bucket."""

    def __init__(self, bucket: str, prefix: str = "") -> None:
        self.url = f"s3://{bucket}/{prefix}".rstrip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._bucket = Bucket(bucket)

    def read(self, path: str) -> bytes:
        """All bytes of an object."""
        return self._bucket.get(self._key(path))[0]

    def read_range(self, path: str, start: int, length: int) -> bytes:
        """Some bytes of an object."""
        if length <= 0:
            return b""
        try:
            return self._bucket.get(self._key(path), Range=f"bytes={start}-{start + length - 1}")[0]
        except BadRequest as error:
            if isinstance(error.__cause__, ClientError) and status(error.__cause__) == 416:
                return b""  # it ends before `start`
            raise

    def size(self, path: str) -> int | None:
        """Bytes of an object, or None."""
        try:
            return int(self._bucket.call("head_object", Key=self._key(path))["ContentLength"])
        except NotFound:
            return None

    def create(self, path: str, data: bytes) -> bool:
        """Put an object where there is none, by `If-None-Match: *`.

        After a refusal or a lost answer the object itself says who won: a put whose answer was lost may have been carried out.
        """
        key = self._key(path)

        def attempt() -> bool:
            try:
                self._bucket.once("put_object", Key=key, Body=data, IfNoneMatch="*")
                return True
            except FAULTS as error:
                if status(error) == 501:
                    raise self._not_conditional() from error
                if not uncertain(error) or (found := self._read_once(key)) is None:
                    raise
                return found == data

        def uncertain(error: Exception) -> bool:
            return passes(error) or code(error) in LOST_RACE

        return self._bucket.retried(attempt, path=key, worth_it=uncertain)

    def write(self, path: str, data: bytes) -> None:
        """Put an object over any earlier one."""
        with self.writer(path) as out:
            out.write(data)

    @contextlib.contextmanager
    def writer(self, path: str) -> Iterator[Writer]:
        """Stream an object."""
        with Upload(self._bucket, self._key(path)) as out:
            yield out

    def upload(self, path: str, source: Path) -> File:
        """Copy a local file in, hashed on the way."""
        with (
            source.open("rb") as data,
            Upload(self._bucket, self._key(path), part_size(source.stat().st_size)) as out,
        ):
            for block in blocks(data):
                out.write(block)
        return out.digest

    def copy(self, source: str, target: str) -> None:
        """Have the server copy an object, in parts above 5 GB."""
        size = self.size(source)
        if size is None:
            raise NotFound(f"{self.url}/{source}")
        copy_object(self._bucket, self._key(source), self._key(target), size)

    def download(self, path: str, target: Path, expected: File | None = None) -> File:
        """Copy an object out, several ranges at a time, checked."""
        head = self._bucket.call("head_object", Key=self._key(path))
        with UnfinishedFile(target) as out:
            for part in self._parts(self._key(path), int(head["ContentLength"]), head["ETag"]):
                out.write(part)
            check(out.close(sync=False), expected, f"{self.url}/{path}")
            out.finish()
            return out.digest

    def list(self, prefix: str) -> Iterator[Entry]:
        """Objects below a prefix, in the order of their paths."""
        found: list[Entry] = []
        page = {"Prefix": self._prefix + prefix}
        while True:
            answer = self._bucket.call("list_objects_v2", **page)
            for entry in answer.get("Contents", ()):
                if not entry["Key"].endswith("/"):  # consoles make such objects to show an empty folder
                    path = entry["Key"].removeprefix(self._prefix)
                    found.append(
                        Entry(
                            path, int(entry["Size"]), entry.get("ETag", ""), entry["LastModified"].timestamp()
                        )
                    )
            if not answer.get("IsTruncated"):
                break
            page["ContinuationToken"] = answer["NextContinuationToken"]
        yield from sorted(found, key=lambda entry: entry.path)  # some servers sort folder by folder

    def delete(self, paths: Iterable[str]) -> None:
        """Remove objects, a thousand a call."""
        keys = [{"Key": self._key(path)} for path in paths]
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            batch = {"Objects": keys[start : start + _DELETED_AT_ONCE], "Quiet": True}
            self._bucket.retried(partial(self._delete_batch, batch))

    def _delete_batch(self, batch: dict[str, Any]) -> None:
        answer = self._bucket.once("delete_objects", Delete=batch)
        errors = [error for error in answer.get("Errors", ()) if error.get("Code") not in ABSENT]
        if errors:  # in an answer that is 200 all the same
            raise ClientError({"Error": errors[0]}, "DeleteObjects")

    def abort_uploads(self, prefix: str) -> None:
        """Drop unfinished multipart uploads below a prefix."""
        page = {"Prefix": self._prefix + prefix}
        while True:
            answer = self._bucket.call("list_multipart_uploads", **page)
            for upload in answer.get("Uploads", ()):
                self._drop(upload["Key"], upload["UploadId"])
            if not answer.get("IsTruncated"):
                return
            page |= {"KeyMarker": answer["NextKeyMarker"], "UploadIdMarker": answer["NextUploadIdMarker"]}

    def probe(self) -> None:
        """Write, look for a second winner, and remove."""
        path = f"tunesmith-probe-{secrets.token_hex(8)}"
        try:
            if not self.create(path, b"first") or self.create(path, b"second"):
                raise self._not_conditional()
        finally:
            with contextlib.suppress(TunesmithError):
                self.delete([path])

    def _key(self, path: str) -> str:
        if any(part in {"", ".", ".."} for part in path.split("/")):
            raise BadRequest(f"not a path in a store: {path!r}", remedy="give a relative path without `..`")
        return self._prefix + path

    def _read_once(self, key: str) -> bytes | None:
        try:
            answer = self._bucket.once("get_object", Key=key)
        except ClientError as error:
            if code(error) in ABSENT:
                return None
            raise
        with contextlib.closing(answer["Body"]) as body:
            return bytes(body.read())

    def _parts(self, key: str, size: int, etag: str) -> Iterator[bytes]:
        def part(start: int) -> bytes:
            # IfMatch: all parts are of the same object, though somebody writes over it meanwhile.
            last = min(start + PART, size) - 1
            return self._bucket.get(key, Range=f"bytes={start}-{last}", IfMatch=etag)[0]

        if size <= PART:
            if size:
                yield part(0)
            return
        with ThreadPoolExecutor(PARALLEL, thread_name_prefix="download") as pool:
            ahead: deque[Future[bytes]] = deque()
            try:
                for start in range(0, size, PART):
                    if len(ahead) == PARALLEL:
                        yield ahead.popleft().result()
                    ahead.append(pool.submit(part, start))
                while ahead:
                    yield ahead.popleft().result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _drop(self, key: str, upload: str) -> None:
        try:
            self._bucket.call("abort_multipart_upload", Key=key, UploadId=upload)
        except TryAgain as error:
            if error.reason != "UploadDropped":
                raise

    def _not_conditional(self) -> BadRequest:
        return BadRequest(
            f"{self._bucket.endpoint} ignores `If-None-Match: *` (bucket {self._bucket.name}): two attempts could overwrite each other",
            reason="StoreNotConditional",
            remedy="use a server that does: AWS S3, MinIO, Ceph, SeaweedFS in their present versions",
        )
