"""Where the kubeconfig is, without the Kubernetes client, which takes a second to load."""

import os
from pathlib import Path


def kubeconfig_path(given: str) -> str:
    """The kubeconfig as given, else KUBECONFIG, else the one in the home folder.

    Several files are separated as in PATH.
    """
    return given or os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")


def is_there(given: str) -> bool:
    """Whether one of its files exists."""
    return any(Path(file).is_file() for file in kubeconfig_path(given).split(os.pathsep))
