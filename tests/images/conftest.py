"""The built images, each mounted once for all tests."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # container.py, which these tests share

from container import NAMES, Image, lacking, opened


@pytest.fixture(scope="session")
def images() -> Iterator[dict[str, Image]]:
    """All five by name. Without them the test is skipped, but never with CI=true."""
    with contextlib.ExitStack() as stack:
        reason = lacking()
        opened_images = {} if reason else {name: stack.enter_context(opened(name)) for name in NAMES}
        absent = [name for name, image in opened_images.items() if image is None]
        if absent:
            reason = f"not built: {', '.join(absent)}; run images/build.sh"
        if reason:
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
        yield opened_images


@pytest.fixture(params=NAMES)
def image(request: pytest.FixtureRequest, images: dict[str, Image]) -> Image:
    """Each image in turn."""
    return images[request.param]
