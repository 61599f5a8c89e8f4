"""The project's Kubernetes cluster: `python3 tests/cluster up | down | status | load IMAGE...` (Linux, root).

up      starts a control plane, one node, DNS and two simulated GPUs; prints the line that sets KUBECONFIG.
        A second `up` starts whatever is missing
down    stops it and leaves nothing behind except its images in the cache, for the next one
load    loads images from buildah's store, such as localhost/tunesmith-controller:dev

State: $TUNESMITH_CLUSTER, or ~/.cache/tunesmith/cluster/run. What can be built again: $TUNESMITH_CACHE, or
~/.cache/tunesmith. This uses only Python's standard library.
"""

import argparse
import signal
import sys
import time

import machine


def main() -> int:
    """Run a command; 0, or 1 and a line that says why not."""
    parser = argparse.ArgumentParser(
        prog="tests/cluster", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("up", "down", "status", "load"))
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="for load")
    arguments = parser.parse_args()
    begun = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # archives are removed on the way out
    try:
        match arguments.command:
            case "up":
                machine.up()
                print(
                    f"cluster up after {time.monotonic() - begun:.0f} s\n"
                    f"export KUBECONFIG={machine.KUBECONFIG}"
                )
            case "down":
                machine.down()
                print(f"cluster down after {time.monotonic() - begun:.0f} s")
            case "status":
                print(machine.status())
            case "load":
                machine.load(arguments.images)
    except (machine.NotPossible, RuntimeError) as error:
        print(f"tests/cluster {arguments.command}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
