"""The contract that command line, controller and stages share.

Pure: pydantic, PyYAML and the standard library, without files, processes or the network.
docs/explanation/architecture.md has the map.
"""

__version__ = "0.1.0"
