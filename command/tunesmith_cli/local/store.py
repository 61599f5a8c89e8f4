"""The store, asked through a process of the jobs: the command line opens none itself, and starts without
boto3.
"""

import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.errors import ExitCode, Gone, error_class, message_and_remedy
from tunesmith.events import parse
from tunesmith.manifest import Manifest
from tunesmith.resolve import Snapshot, read_snapshot
from tunesmith.wire import SNAPSHOT_FILE, STOP_ON_EOF
from tunesmith_cli.local.environment import plain_environment
from tunesmith_cli.local.processes import Toolbox
from tunesmith_cli.local.run_events import Listener
from tunesmith_cli.manifests import read_manifests


@dataclass(frozen=True)
class RunStore:
    """The runs of a store."""

    url: str
    environ: Mapping[str, str]
    toolbox: Toolbox

    def snapshot(self, run: str) -> Snapshot | None:
        """What the run was last asked to do, or None if there is no such run."""
        try:
            return read_snapshot(self.ask("cat", "--path", f"{run}/{SNAPSHOT_FILE}").decode())
        except Gone:
            return None

    def keep(self, snapshot: Snapshot) -> None:
        """Write down what the run is asked to do, so that its name is enough from now on."""
        self.ask("write", "--path", f"{snapshot.run}/{SNAPSHOT_FILE}", data=snapshot.to_json().encode())

    def manifests(self, snapshot: Snapshot) -> dict[str, Manifest]:
        """The finished stages among those of the snapshot."""
        with snapshot_file(snapshot) as file:
            answer = self.ask_json("manifests", "--run", snapshot.run, "--snapshot", str(file))
        by_key = {(manifest.stage, manifest.key): manifest for manifest in read_manifests(answer)}
        return {
            entry.name: by_key[entry.name, entry.key]
            for entry in snapshot.stages
            if (entry.name, entry.key) in by_key
        }

    def runs(self) -> list[dict[str, Any]]:
        """All runs: `run`, `phase`, `stage`, `progress`, `model`, `created` (UTC)."""
        runs: list[dict[str, Any]] = self.ask_json("list")
        return runs

    def read(self, path: str) -> bytes:
        """An object. Raises Gone."""
        return self.ask("cat", "--path", path)

    def log(self, run: str, stage: str, key: str) -> str:
        """What a stage's attempts printed, as far as the store keeps it. Raises Gone."""
        return self.ask("log", "--run", run, "--stage", stage, "--key", key).decode("utf-8", "replace")

    def source(self, snapshot: Snapshot) -> Any:
        """The own data that the run has read (`pin`), and what has become of it (`since`); None for none."""
        return self.ask_json(*source_question(snapshot))

    def fetch(self, snapshot: Snapshot, to: Path, only: str, tell: Listener) -> Any:
        """Copy results to a folder, each file checked; what is there already is kept.

        `tell` hears of its progress.
        """
        with snapshot_file(snapshot) as file:
            arguments = ["--run", snapshot.run, "--snapshot", str(file), "--to", str(to), "--progress"]
            arguments += ["--only", only] if only else []
            return json.loads(self.ask("fetch", *arguments, tell=tell))

    def ask_json(self, *arguments: str) -> Any:
        """The answer of the jobs, which is JSON."""
        return json.loads(self.ask(*arguments) or b"null")

    def ask(self, *arguments: str, data: bytes = b"", tell: Listener | None = None) -> bytes:
        """The answer of the jobs.

        `data`: for their standard input; `tell` hears the progress lines before the answer.
        """
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                self.toolbox.module_command("runs", "--store", self.url, *arguments),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=plain_environment(self.environ) | {STOP_ON_EOF: "0"},
                start_new_session=True,  # a Ctrl-C is the runner's
            )
            try:
                answer = _answer(process, data, tell)
            except BaseException:
                process.terminate()
                process.wait()
                raise
            errors.seek(0)
            message, remedy = message_and_remedy(errors.read().decode("utf-8", "replace"))
        if process.returncode == ExitCode.DONE:
            return answer
        code = process.returncode
        if not message:
            message = f"the store {self.url} cannot be asked: exit code {code} of {arguments[0]}"
        raise error_class(code)(message, remedy=remedy)


def source_question(snapshot: Snapshot) -> list[str]:
    """The question of the jobs about the own data that a run has read."""
    source = snapshot.spec.data.source
    key = ["--run", snapshot.run, "--key", snapshot.key("generate")]
    return ["source", *key, *(["--version", source.version] if source and source.version else [])]


def _answer(process: "subprocess.Popen[bytes]", data: bytes, tell: Listener | None) -> bytes:
    assert process.stdin is not None
    assert process.stdout is not None
    if tell is None:
        return process.communicate(data)[0]
    process.stdin.close()
    answer = b""
    with process.stdout:
        for line in process.stdout:
            event = parse(line.decode("utf-8", "replace"))
            if event is None:
                answer += line
            else:
                tell(event)
    process.wait()
    return answer


@contextmanager
def snapshot_file(snapshot: Snapshot) -> Iterator[Path]:
    """The snapshot as a file for a process."""
    with tempfile.TemporaryDirectory(prefix="tunesmith-") as folder:
        file = Path(folder) / SNAPSHOT_FILE
        file.write_text(snapshot.to_json(), encoding="utf-8")
        yield file
