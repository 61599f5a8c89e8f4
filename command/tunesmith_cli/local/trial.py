"""A few paid answers of a teacher, through a process of the jobs: for an estimate, a preview, a plan."""

import json
import subprocess
from dataclasses import dataclass
from typing import Any

from tunesmith.cost import Seen
from tunesmith.errors import ExitCode, error_class, message_and_remedy
from tunesmith.resolve import Snapshot
from tunesmith.wire import STOP_ON_EOF
from tunesmith_cli.local.environment import stage_environment
from tunesmith_cli.local.store import RunStore, snapshot_file


@dataclass(frozen=True)
class Trial:
    """The answers to the first calls of a run, and what they gave. `plan`: None without one."""

    seen: tuple[Seen, ...] = ()
    system_message: str = ""
    plan: dict[str, Any] | None = None
    rows: tuple[dict[str, Any], ...] = ()
    rejected: tuple[dict[str, Any], ...] = ()


def ask_teacher(snapshot: Snapshot, runs: RunStore, *, rows: int = 3, most: int = 5) -> Trial:
    """The first rows of a run; at most `most` answers are paid now, and the run's journal keeps them.

    Nothing where no teacher is asked. Raises what the stage would raise.
    """
    if not snapshot.spec.data.asks_teacher:
        return Trial()
    env = stage_environment("generate", snapshot, runs.environ) | {STOP_ON_EOF: "0"}
    with snapshot_file(snapshot) as file:
        options = ("--request", str(file), "--store", runs.url, "--rows", str(rows), "--most", str(most))
        command = runs.toolbox.module_command("generate.trial", *options)
        done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode == ExitCode.DONE:
        found = json.loads(done.stdout)
        return Trial(
            seen=tuple(Seen(**answer) for answer in found["answers"]),
            system_message=found["systemMessage"],
            plan=found["plan"],
            rows=tuple(found["rows"]),
            rejected=tuple(found["rejected"]),
        )
    message, remedy = message_and_remedy(done.stderr.decode("utf-8", "replace"))
    raise error_class(done.returncode)(message or "the teacher cannot be asked", remedy=remedy)
