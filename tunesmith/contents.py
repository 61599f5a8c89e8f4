"""The pin of own data or of documents, which says what a run has read. Pure."""

from tunesmith.manifest import Pin

# Names of the pins; a run reads one of the two at most.
SOURCE = "source"
DOCUMENTS = "documents"


def in_words(pin: Pin) -> str:
    """Files that were read: their name then, digest, size, and version if the store keeps any."""
    version = f", version {pin.detail['version']}" if "version" in pin.detail else ""
    return f"{pin.uri}: sha256 {pin.revision}, {pin.size:,} bytes{version}"
