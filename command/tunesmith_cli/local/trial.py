"""A few paid answers of a teacher, through a process of the jobs, for an estimate."""

import json
import subprocess

from tunesmith.cost import Seen
from tunesmith.errors import ExitCode, error_class, message_and_remedy
from tunesmith.resolve import Snapshot
from tunesmith.wire import STOP_ON_EOF
from tunesmith_cli.local.environment import stage_environment
from tunesmith_cli.local.store import RunStore, snapshot_file


def ask_teacher(snapshot: Snapshot, runs: RunStore) -> tuple[Seen, ...]:
    """The answers to the first calls of a run, at most five of them paid now; its journal keeps them.

    Nothing where no teacher is asked. Raises what the stage would raise.
    """
    if snapshot.spec.data.source is not None or snapshot.spec.data.from_ is not None:
        return ()
    env = stage_environment("generate", snapshot, runs.environ) | {STOP_ON_EOF: "0"}
    with snapshot_file(snapshot) as file:
        command = runs.toolbox.module_command("generate.trial", "--request", str(file), "--store", runs.url)
        done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode == ExitCode.DONE:
        return tuple(Seen(**answer) for answer in json.loads(done.stdout)["answers"])
    message, remedy = message_and_remedy(done.stderr.decode("utf-8", "replace"))
    raise error_class(done.returncode)(message or "the teacher cannot be asked", remedy=remedy)
