"""What the tryout's bucket holds from the start: the demo model."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunesmith.errors import Usage

BUCKET = "tunesmith"
_SHA256 = "sha256"  # of an object's metadata


def files_of(model: Path) -> list[Path]:
    """The files of a model folder. Raises Usage if there are none."""
    files = sorted(path for path in model.glob("*") if path.is_file())
    if not files:
        raise Usage(f"there is no model in {model}", remedy="name a model folder with --model")
    return files


def provide(s3: Any, files: Sequence[Path]) -> int:
    """Create the bucket, and put the files that it lacks under `models/<their folder's name>/`.

    Returns how many were put.
    """
    if BUCKET not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=BUCKET)
    return sum(_put(s3, path, f"models/{path.parent.name}/{path.name}") for path in files)


def _put(s3: Any, path: Path, key: str) -> bool:
    """Put a file unless the object already has its bytes; returns whether it was put."""
    from boto3.s3.transfer import TransferConfig

    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if _sha256_of(s3, key) == sha256:
        return False
    # No threads, so that a SIGTERM can interrupt it
    s3.upload_file(
        str(path),
        BUCKET,
        key,
        ExtraArgs={"Metadata": {_SHA256: sha256}},
        Config=TransferConfig(use_threads=False),
    )
    return True


def _sha256_of(s3: Any, key: str) -> str:
    """The sha256 that an object was put with; empty if there is none."""
    from botocore.exceptions import ClientError

    try:
        return str(s3.head_object(Bucket=BUCKET, Key=key)["Metadata"].get(_SHA256, ""))
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return ""
        raise
