"""The `tunesmith` command as a process of its own, over toy stages, in an empty home."""

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import pytest
import yaml

from tunesmith_cli import main

TOY = Path(__file__).with_name("toy_cli.py")


@dataclass
class Cli:
    """`tunesmith` in a folder with blanks, with an empty home and a store of its own."""

    folder: Path
    env: dict = field(default_factory=dict)

    @property
    def store(self) -> Path:
        return self.folder / "home" / ".local" / "share" / "tunesmith" / "runs"

    def environment(self) -> dict:
        kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
        env = (
            kept
            | {"HOME": str(self.folder / "home"), "LANG": "C.UTF-8", "OPENAI_API_KEY": "sk-test"}
            | self.env
        )
        return {name: value for name, value in env.items() if value is not None}

    def write(self, name="toy", changes=None, toy=None, file="request.yaml", **metadata) -> Path:
        """A request; `toy`: stage -> variables of the toy stage."""
        spec = {"task": "a toy", "model": {"base": "hf://org/model"}} | (changes or {})
        if toy:
            spec["stages"] = {
                stage: {"env": env} | spec.get("stages", {}).get(stage, {}) for stage, env in toy.items()
            }
        document = {
            "apiVersion": "tunesmith.dev/v1alpha1",
            "kind": "TrainingRequest",
            "metadata": {"name": name} | metadata,
            "spec": spec,
        }
        path = self.folder / file
        with path.open("a", encoding="utf-8") as out:
            out.write("---\n" + yaml.safe_dump(document, allow_unicode=True))
        return path

    def start(self, *arguments, real=False, **options) -> subprocess.Popen:
        program = ["-m", "tunesmith_cli"] if real else [str(TOY)]
        return subprocess.Popen(
            [sys.executable, *program, *map(str, arguments)],
            **{
                "env": self.environment(),
                "cwd": self.folder,
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "text": True,
                "encoding": "utf-8",
            }
            | options,
        )

    def __call__(self, *arguments, expect=0, real=False, **options) -> subprocess.CompletedProcess:
        process = self.start(*arguments, real=real, **options)
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
        assert process.returncode == expect, f"{out}\n{err}"
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def inline(self, *arguments, expect=0) -> subprocess.CompletedProcess:
        """The same in this process, for commands that start none."""
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, self.environment(), clear=True),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            code = main([*map(str, arguments)])
        assert code == expect, f"{out.getvalue()}\n{err.getvalue()}"
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())

    def json(self, *arguments, expect=0):
        return json.loads(self(*arguments, "--json", expect=expect).stdout)


@pytest.fixture
def cli(tmp_path):
    folder = tmp_path / "a folder 和 blanks"
    (folder / "home").mkdir(parents=True)
    return Cli(folder)
