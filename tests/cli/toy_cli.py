"""The command line over toy stages, which take no time; everything else is real."""

import sys
from pathlib import Path

from tunesmith_cli import main
from tunesmith_cli.local.processes import Toolbox

STAGE = Path(__file__).with_name("toy_stage.py")


def stage_command(stage: str, request: Path, store: str, work: Path) -> list[str]:
    return [
        sys.executable,
        str(STAGE),
        stage,
        "--request",
        str(request),
        "--store",
        store,
        "--work",
        str(work),
    ]


if __name__ == "__main__":
    sys.exit(main(toolbox=Toolbox(stage_command=stage_command, backoff=lambda failures: 0.01)))
