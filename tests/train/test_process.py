"""What a process that imports torch does to start and end sooner."""

import gc
import subprocess
import sys

import pytest

from tunesmith_jobs.process import collector_paused


def test_the_collector_pauses_for_imports():
    with collector_paused():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_an_import_that_fails_leaves_it_running():
    with pytest.raises(ImportError), collector_paused():
        raise ImportError("no such module")
    assert gc.isenabled()


def left(code: str) -> subprocess.CompletedProcess[str]:
    start = "import atexit, sys\nfrom tunesmith_jobs.process import leave\n"
    return subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True, check=False)


def test_a_process_leaves_with_its_code_its_output_and_its_exit_functions():
    done = left(
        "atexit.register(print, 'last', end='')\n"
        "print('first', end=' ')\n"
        "sys.stderr.write('error')\n"
        "leave(75)"
    )
    assert (done.returncode, done.stdout, done.stderr) == (75, "first last", "error")


def test_modules_are_not_taken_apart():
    done = left("class Kept:\n    def __del__(self): print('taken apart')\nkept = Kept()\nleave(0)")
    assert (done.returncode, done.stdout) == (0, "")


def test_it_leaves_with_its_code_when_nobody_reads_any_more():
    assert left("print('lost')\nimport os\nos.close(1)\nleave(3)").returncode == 3
