"""What own data is known by on one machine and in the stages alike: the digest of its content. Pure.

A file's digest is the sha256 of its bytes. A folder's is made from those of its files, in the order of their
names: neither where it lies nor what it or its files are called is part of it.
"""

import hashlib
from collections.abc import Mapping

from tunesmith.manifest import Pin

SOURCE = "source"  # name of the pin of own data


def is_data(name: str) -> bool:
    """Whether a file of a folder counts, by its name relative to the folder, with slashes.

    Hidden ones are a system's own, such as `.DS_Store`, `.git` and `.ipynb_checkpoints`.
    """
    return not any(part.startswith(".") for part in name.split("/"))


def digest_of(files: Mapping[str, str]) -> str:
    """The digest of a folder, from the sha256 of each of its files by its name relative to the folder."""
    ordered = "".join(f"{files[name]}\n" for name in sorted(files) if is_data(name))
    return hashlib.sha256(ordered.encode()).hexdigest()


def in_words(pin: Pin) -> str:
    """Own data that was read: its name then, its digest, its size, and its version if the store keeps any."""
    version = f", version {pin.detail['version']}" if "version" in pin.detail else ""
    return f"{pin.uri}: sha256 {pin.revision}, {pin.size:,} bytes{version}"
