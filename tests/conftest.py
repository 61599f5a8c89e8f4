"""Fixtures that several areas use, and the order of the areas."""

from pathlib import Path

from hub import hub
from seaweed import s3

__all__ = ["hub", "s3"]

# So that all processes end together; the rest follows as it was collected.
LONGEST_FIRST = "train", "evaluate", "controller", "cli"


def pytest_collection_modifyitems(items):
    def place(item):
        area = item.path.relative_to(Path(__file__).parent).parts[0]
        return LONGEST_FIRST.index(area) if area in LONGEST_FIRST else len(LONGEST_FIRST)

    items.sort(key=place)
