"""The demo's own part: it shows what it runs, and leaves no teacher behind."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# The demo's main with the model step left out, as it takes half a minute the first time.
DEMO = "import sys, tunesmith_tryout.demo as d; d.MODEL_COMMAND = ['true']; sys.exit(d.main(sys.argv[1:]))"


def demo(tmp_path, *arguments, key=None, cwd=ROOT, **options):
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)} | ({"OPENAI_API_KEY": key} if key else {})
    return subprocess.Popen(
        [sys.executable, "-c", DEMO, *arguments],
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def is_gone(url):
    for _ in range(50):
        try:
            urllib.request.urlopen(f"{url.removesuffix('/v1')}/stats", timeout=5).close()
        except urllib.error.URLError:
            return True
        time.sleep(0.1)
    return False


def test_without_a_key_the_teacher_is_said_to_be_scripted_and_is_stopped_at_the_end(tmp_path):
    process = demo(tmp_path, "--dry-run", "--set", "model.base=hf://none/none")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "not a language model" in said
    assert "--set data.teacher.model=scripted" in said
    assert "The demo took 0:" in said
    url = next(line.split()[-1] for line in said.splitlines() if line.startswith("scripted teacher at"))
    assert is_gone(url)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_a_killed_demo_leaves_no_teacher(tmp_path):
    process = demo(tmp_path, "--only", "generate", start_new_session=True)
    url = next(line.split()[-1] for line in process.stdout if line.startswith("scripted teacher at"))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert is_gone(url)


def test_with_a_key_the_teacher_is_the_real_api(tmp_path):
    process = demo(tmp_path, "--dry-run", "--set", "model.base=hf://none/none", key="sk-x")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "api.openai.com, with your OPENAI_API_KEY" in said
    assert "scripted" not in said.lower()


def test_elsewhere_it_says_where_to_start_it(tmp_path):
    process = demo(tmp_path, cwd=tmp_path)
    said, _ = process.communicate(timeout=60)
    assert (process.returncode, "repository's root" in said) == (64, True)
