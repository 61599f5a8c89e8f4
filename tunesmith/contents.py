"""What own data is known by on one machine and in the stages alike: the digest of its content. Pure.

A file's digest is the sha256 of its bytes. A folder's is made from those of its files, in the order of their
names: neither where it lies nor what it or its files are called is part of it.
"""

from collections.abc import Mapping

from tunesmith import data_files
from tunesmith.data_files import is_data
from tunesmith.manifest import Pin

SOURCE = "source"  # name of the pin of own data


def digest_of(files: Mapping[str, str]) -> str:
    """The digest of a folder, from the sha256 of each of its files by its name relative to the folder."""
    return data_files.digest_of([files[name] for name in sorted(files) if is_data(name)])


def in_words(pin: Pin) -> str:
    """Own data that was read: its name then, its digest, its size, and its version if the store keeps any."""
    version = f", version {pin.detail['version']}" if "version" in pin.detail else ""
    return f"{pin.uri}: sha256 {pin.revision}, {pin.size:,} bytes{version}"
