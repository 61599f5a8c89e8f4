"""The controller's command line."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tunesmith
from tunesmith_controller import health

_OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True)
class Options:
    """The values of a command line."""

    config: Path
    kubeconfig: str
    namespaces: tuple[str, ...]
    leader_election: bool
    lease_name: str
    lease_namespace: str
    workers: int
    qps: float
    burst: int
    metrics_address: str
    log_format: str
    log_level: str


def parse_options(arguments: Sequence[str] | None = None) -> Options:
    """The options of a command line; exits with 2 and a usage message if it is wrong."""
    parser = argparse.ArgumentParser(
        "tunesmith-controller",
        description="Turns TrainingRequests into Jobs.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    _add_inputs(parser)
    _add_leader_election(parser)
    _add_pace(parser)
    _add_outputs(parser)
    values = vars(parser.parse_args(arguments))
    names = (part.strip() for part in values["namespaces"].split(","))
    values["namespaces"] = tuple(name for name in names if name)
    return Options(**values)


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        default=Path("/etc/tunesmith/config.yaml"),
        metavar="FILE",
        help="profiles and images, read at start",
    )
    parser.add_argument(
        "--kubeconfig",
        default=os.environ.get("KUBECONFIG", ""),
        metavar="FILE",
        help="how to reach the API server; empty: from inside a pod",
    )
    parser.add_argument(
        "--namespaces",
        default="",
        metavar="A,B",
        help="namespaces whose requests are worked on; empty: all",
    )


def _add_leader_election(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--leader-election",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="work only while holding the lease",
    )
    parser.add_argument(
        "--lease-name", default="tunesmith-controller", metavar="NAME", help="name of the lease"
    )
    parser.add_argument(
        "--lease-namespace",
        default=_own_namespace(),
        metavar="NAME",
        help="namespace of the lease; the pod's own",
    )


def _add_pace(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workers",
        type=_positive,
        default=8,
        metavar="N",
        help="requests that are looked at at the same time",
    )
    parser.add_argument(
        "--qps",
        type=_rate,
        default=100.0,
        metavar="N",
        help="calls to the API server a second; half of it at most for progress",
    )
    parser.add_argument(
        "--burst",
        type=_positive,
        default=200,
        metavar="N",
        help="calls to the API server at once, after a pause",
    )


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--metrics-address",
        default=":8080",
        metavar="HOST:PORT",
        type=_address,
        help="for /metrics, /healthz and /readyz; :PORT is every address",
    )
    parser.add_argument("--log-format", choices=("text", "json"), default="text", help="how log lines look")
    parser.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="info",
        help="least level that is logged",
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"tunesmith-controller {tunesmith.__version__}",
        help="prints the version",
    )


def _own_namespace() -> str:
    try:
        return _OWN_NAMESPACE.read_text(encoding="utf-8").strip()
    except OSError:
        return os.environ.get("POD_NAMESPACE", "default")


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {text!r}")
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0, not {text!r}")
    return rate


def _address(text: str) -> str:
    try:
        health.parse_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text
