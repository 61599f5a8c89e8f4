"""The GPU check says what it cannot do here, and its page says what it saw."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from scripts import gpu_check

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_it_says_so_in_one_line_and_ends_with_75() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts/gpu_check.py")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.count("\n")) == (75, 1)
    assert "no GPU is visible" in done.stdout


def test_the_page_says_what_held_and_what_did_not() -> None:
    text = gpu_check.page(
        "Some GPU",
        [("one", True, "1 | 2"), ("two", False, "no\nmore")],
        61.4,
        "2026-01-02",
        {"torch": "2.15.0"},
    )
    assert "Last run: 2026-01-02, Some GPU, 1 of 2 held, 61 s;\ntorch 2.15.0." in text
    assert "| one | held | 1 / 2 |\n| two | **did not hold** | no |" in text


def test_the_docs_name_every_check() -> None:
    page = gpu_check.PAGE.read_text(encoding="utf-8")
    assert [check.claim for check in gpu_check.CHECKS if f"| {check.claim} |" not in page] == []


@pytest.mark.parametrize(
    "check",
    [check for check in gpu_check.CHECKS if check.run is gpu_check.nf4_values],
    ids=lambda check: check.claim,
)
def test_a_check_that_breaks_is_a_result(check, tmp_path) -> None:
    held, seen = gpu_check.attempt(check, gpu_check.Bench(tmp_path, "cpu", tmp_path))
    assert held
    assert seen.startswith("0 of")
    held, seen = gpu_check.attempt(
        gpu_check.Check("x", lambda bench: 1 / 0), gpu_check.Bench(tmp_path, "cpu", tmp_path)
    )
    assert (held, seen) == (False, "ZeroDivisionError: division by zero")
