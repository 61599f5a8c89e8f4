"""A store in a bucket: `s3://`, on AWS or any server that speaks S3 and honours `If-None-Match: *`."""

import contextlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from tunesmith.manifest import File
from tunesmith_jobs.storage.base import (
    Entry,
    NotFound,
    Store,
    StoreUnusable,
    UploadDropped,
    Writer,
    path_parts,
)
from tunesmith_jobs.storage.local_files import UnfinishedFile, blocks, check_digest
from tunesmith_jobs.storage.s3_bucket import Bucket
from tunesmith_jobs.storage.s3_faults import ABSENT, FAULTS, LOST_RACE, PastTheEnd, code, passes, status
from tunesmith_jobs.storage.s3_upload import PARALLEL, PART, Upload, copy_object, part_size

_DELETED_AT_ONCE = 1000  # S3's own limit


class S3Store(Store):
    """Objects below a prefix of a bucket."""

    def __init__(self, bucket: str, prefix: str = "") -> None:
        self.url = f"s3://{bucket}/{prefix}".rstrip("/")
        self.bucket = Bucket(bucket)
        self._prefix = f"{prefix}/" if prefix else ""

    def read(self, path: str) -> bytes:
        """All bytes of an object."""
        return self.bucket.get(self.key(path))

    def read_range(self, path: str, start: int, length: int) -> bytes:
        """Some bytes of an object."""
        if length <= 0:
            return b""
        try:
            return self.bucket.get(self.key(path), Range=f"bytes={start}-{start + length - 1}")
        except PastTheEnd:
            return b""

    def read_version(self, path: str, version: str) -> bytes:
        """All bytes of one version of an object."""
        return self.bucket.get(self.key(path), VersionId=version)

    def state(self, path: str) -> dict[str, str]:
        """ETag and version of an object, as it is now."""
        try:
            answer = self.bucket.call("head_object", Key=self.key(path))
        except NotFound:
            return {}
        told = {"etag": answer.get("ETag", ""), "version": answer.get("VersionId", "")}
        return {name: value for name, value in told.items() if value and value != "null"}

    def size(self, path: str) -> int | None:
        """Bytes of an object, or None."""
        try:
            return int(self.bucket.call("head_object", Key=self.key(path))["ContentLength"])
        except NotFound:
            return None

    def create(self, path: str, data: bytes) -> bool:
        """Put an object where there is none, by `If-None-Match: *`.

        A put whose answer was refused or lost may have been carried out all the same. The object itself then
        tells who was first.
        """
        key = self.key(path)

        def attempt() -> bool:
            try:
                self.bucket.once("put_object", Key=key, Body=data, IfNoneMatch="*")
            except FAULTS as error:
                if status(error) == HTTPStatus.NOT_IMPLEMENTED:
                    raise self.not_conditional() from error
                if not uncertain(error):
                    raise
                stored = self._read_once(key)
                if stored is None:
                    raise
                return stored == data
            return True

        def uncertain(error: Exception) -> bool:
            return passes(error) or code(error) in LOST_RACE

        return self.bucket.retried(attempt, key=key, worth_it=uncertain)

    @contextlib.contextmanager
    def writer(self, path: str) -> Iterator[Writer]:
        """Stream an object."""
        with Upload(self.bucket, self.key(path)) as out:
            yield out

    def upload(self, path: str, source: Path) -> File:
        """Copy a local file in, hashed on the way."""
        with (
            source.open("rb") as data,
            Upload(self.bucket, self.key(path), part_size(source.stat().st_size)) as out,
        ):
            for block in blocks(data):
                out.write(block)
        return out.digest

    def copy(self, source: str, target: str) -> None:
        """Have the server copy an object, in parts above 5 GB."""
        size = self.size(source)
        if size is None:
            raise NotFound(f"{self.url}/{source}")
        copy_object(self.bucket, self.key(source), self.key(target), size)

    def download(self, path: str, target: Path, expected: File | None = None) -> File:
        """Copy an object out, several ranges at a time, checked."""
        head = self.bucket.call("head_object", Key=self.key(path))
        with UnfinishedFile(target) as out:
            for part in self._parts(self.key(path), int(head["ContentLength"]), head["ETag"]):
                out.write(part)
            check_digest(out.close(sync=False), expected, f"{self.url}/{path}")
            out.finish()
            return out.digest

    def list(self, prefix: str) -> Iterator[Entry]:
        """Objects below a prefix, in the order of their paths."""
        entries = [
            Entry(
                path=listed["Key"].removeprefix(self._prefix),
                size=int(listed["Size"]),
                etag=listed.get("ETag", ""),
                modified=listed["LastModified"].timestamp(),
            )
            for listed in self._listed(prefix)
            if not listed["Key"].endswith("/")  # consoles make such objects to show an empty folder
        ]
        yield from sorted(entries, key=lambda entry: entry.path)  # some servers sort folder by folder

    def _listed(self, prefix: str) -> Iterator[dict[str, Any]]:
        page = {"Prefix": self._prefix + prefix}
        while True:
            answer = self.bucket.call("list_objects_v2", **page)
            yield from answer.get("Contents", ())
            if not answer.get("IsTruncated"):
                return
            page["ContinuationToken"] = answer["NextContinuationToken"]

    def delete(self, paths: Iterable[str]) -> None:
        """Remove objects, a thousand a call."""
        keys = [{"Key": self.key(path)} for path in paths]
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            batch = {"Objects": keys[start : start + _DELETED_AT_ONCE], "Quiet": True}
            self.bucket.retried(partial(self._delete_batch, batch))

    def _delete_batch(self, batch: dict[str, Any]) -> None:
        answer = self.bucket.once("delete_objects", Delete=batch)
        errors = [error for error in answer.get("Errors", ()) if error.get("Code") not in ABSENT]
        if errors:  # although the status of the answer is 200
            raise ClientError({"Error": errors[0]}, "DeleteObjects")

    def abort_uploads(self, prefix: str) -> None:
        """Drop unfinished multipart uploads below a prefix."""
        page = {"Prefix": self._prefix + prefix}
        while True:
            answer = self.bucket.call("list_multipart_uploads", **page)
            for upload in answer.get("Uploads", ()):
                self._drop(upload["Key"], upload["UploadId"])
            if not answer.get("IsTruncated"):
                return
            page |= {"KeyMarker": answer["NextKeyMarker"], "UploadIdMarker": answer["NextUploadIdMarker"]}

    def not_conditional(self) -> StoreUnusable:
        """The error for a server on which two writers can create one object."""
        return StoreUnusable(
            f"{self.bucket.endpoint} ignores `If-None-Match: *` (bucket {self.bucket.name}):"
            " two attempts could overwrite each other",
            reason="StoreNotConditional",
            remedy="use a server that honours it: AWS S3, MinIO, Ceph, SeaweedFS in their present versions",
        )

    def key(self, path: str) -> str:
        """The key that an object has in the bucket.

        Raises BadRequest for a path that leads out of the store.
        """
        path_parts(path)
        return self._prefix + path

    def _read_once(self, key: str) -> bytes | None:
        try:
            answer = self.bucket.once("get_object", Key=key)
        except ClientError as error:
            if code(error) in ABSENT:
                return None
            raise
        with contextlib.closing(answer["Body"]) as body:
            return bytes(body.read())

    def _parts(self, key: str, size: int, etag: str) -> Iterator[bytes]:
        def part(start: int) -> bytes:
            # IfMatch: all parts are of the same object, even if another writer replaces it meanwhile.
            last = min(start + PART, size) - 1
            return self.bucket.get(key, Range=f"bytes={start}-{last}", IfMatch=etag)

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
        with contextlib.suppress(UploadDropped):
            self.bucket.call("abort_multipart_upload", Key=key, UploadId=upload)
