import argparse
import os
import sys

from tunesmith_tryout.scripted_teacher.faults import read_faults
from tunesmith_tryout.scripted_teacher.server import Server, serve


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tunesmith_tryout.scripted_teacher",
        description="Serve a scripted teacher (a grammar, no language model), in OpenAI's chat protocol. "
        "The first line it prints is its address for data.teacher.baseURL; /healthz answers once it serves. "
        "With TUNESMITH_SCRIPTED_TEACHER_KEY in its environment, clients must send that key.",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; 0.0.0.0 in a pod (default: 127.0.0.1, this machine)",
    )
    parser.add_argument("--port", type=int, default=0, help="port (default: a free one)")
    parser.add_argument(
        "--latency", type=float, default=0.0, metavar="SECONDS", help="time that every answer takes"
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=0.0,
        metavar="N",
        help="requests a second; more get a 429 (default: any number)",
    )
    parser.add_argument(
        "--fail",
        action="append",
        default=[],
        metavar="KIND[,after=N][,count=N][,every=N][,seconds=S][,lasting=S]",
        help="for tests: answer requests with a fault; "
        "kinds: throttle, overload, error, cut, garbage, nonsense, hang, refuse, quota",
    )
    arguments = parser.parse_args()
    try:
        faults = [read_faults(text) for text in arguments.fail]
    except ValueError as error:
        parser.error(str(error))
    key = os.environ.get("TUNESMITH_SCRIPTED_TEACHER_KEY", "")
    serve(
        Server(latency=arguments.latency, faults=faults, requests_per_second=arguments.rate, key=key),
        arguments.host,
        arguments.port,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
