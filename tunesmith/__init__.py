"""The contract that command line, controller and stages share.

Pure (pydantic and the standard library), but for `cli/` and `local.py`; the map of the house is in docs/explanation/architecture.md.
"""

__version__ = "0.1.0"
