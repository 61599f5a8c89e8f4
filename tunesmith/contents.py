"""The pin of own data, which says what a run has read. Pure."""

from tunesmith.manifest import Pin

SOURCE = "source"  # name of the pin of own data


def in_words(pin: Pin) -> str:
    """Own data that was read: its name then, its digest, its size, and its version if the store keeps any."""
    version = f", version {pin.detail['version']}" if "version" in pin.detail else ""
    return f"{pin.uri}: sha256 {pin.revision}, {pin.size:,} bytes{version}"
