"""Compares the stage merge, with its default options, with PEFT's merge_and_unload and a plain copy.

    python benchmarks/merge/run.py [--rounds 3] [--scratch DIR] [--skip-7b]

Each is a whole process, from its start to a result that is on the disk (fsync). The stage does all its work:
opening and checking the base, stochastic rounding, sha256 of each file, manifest. Wall time and peak RSS are
the kernel's (wait4). 1.1B: all three in turn, medians over the rounds, files in the page cache. 7B: the stage
once, for its memory. Writes results.md next to this file.
"""

import argparse
import importlib.metadata
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
RANK = 64
NEEDED = {"1.1B": 9 << 30, "7B": 32 << 30}  # bytes of free disk
MIB = 1 << 20


class Run(NamedTuple):
    """One process: wall seconds, processor seconds of all its threads, peak resident memory in MiB."""

    seconds: float
    cpu: float
    mib: float

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s ({self.cpu:.1f} s CPU), {self.mib:.0f} MiB"


def main() -> None:
    """Measure and write results.md."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--skip-7b", action="store_true")
    options = parser.parse_args()
    runs: dict[str, list[Run]] = defaultdict(list)
    large: Run | None = None
    with tempfile.TemporaryDirectory(prefix="tunesmith-merge-", dir=options.scratch) as folder:
        scratch = Path(folder)
        base, adapter = make("1.1B", scratch, shards=5)
        for number in range(options.rounds):
            for name in ("tunesmith", "peft", "copy"):
                run = (
                    stage(base, adapter, scratch / "out")
                    if name == "tunesmith"
                    else peer(name, base, adapter, scratch / "out")
                )
                runs[name].append(run)
                print(f"1.1B round {number + 1} {name}: {run}", flush=True)
        shutil.rmtree(base)
        if not options.skip_7b:
            base, adapter = make("7B", scratch, shards=3)
            large = stage(base, adapter, scratch / "out")
            print(f"7B tunesmith: {large}", flush=True)
    (HERE / "results.md").write_text(results(runs, large), encoding="utf-8")


def make(size: str, scratch: Path, shards: int) -> tuple[Path, Path]:
    """A synthetic base and an adapter for it."""
    free = shutil.disk_usage(scratch).free
    if free < NEEDED[size]:
        raise SystemExit(
            f"{scratch} has {free / 1e9:.0f} GB free; {size} needs {NEEDED[size] / 1e9:.0f}."
            " Give another --scratch."
        )
    base, adapter = scratch / f"base-{size}", scratch / f"adapter-{size}"
    prepare("model", size, base, shards, adapter, RANK)
    os.sync()
    return base, adapter


def prepare(*arguments: object) -> None:
    """Run prepare.py.

    This process must stay small, since its memory counts in the peak of those that it forks.
    """
    subprocess.run([sys.executable, str(HERE / "prepare.py"), *map(str, arguments)], check=True)


def stage(base: Path, adapter: Path, out: Path) -> Run:
    """The stage, started like the runner does, after stages that have made this adapter."""
    prepare("store", base, adapter, out)
    snapshot = str(out / "snapshot.json")
    run = measured(
        [sys.executable, "-m", "tunesmith_jobs.merge", "--request", snapshot, "--store", f"file://{out}"], out
    )
    shutil.rmtree(out)
    return run


def peer(name: str, base: Path, adapter: Path, out: Path) -> Run:
    """Another way to the same result."""
    run = measured([sys.executable, str(HERE / "peers.py"), name, str(base), str(adapter), str(out)], out)
    shutil.rmtree(out)
    return run


def measured(command: list[str], out: Path) -> Run:
    """Run a process to its end, with its output in a file."""
    log = out.with_name("log")
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(
            f"{' '.join(command)} ended with {process.returncode}:\n{log.read_text(errors='replace')[-3000:]}"
        )
    return Run(time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def results(runs: dict[str, list[Run]], large: Run | None) -> str:
    """results.md."""
    middle = {name: Run(*map(statistics.median, zip(*rounds, strict=True))) for name, rounds in runs.items()}
    ours, peft = middle["tunesmith"], middle["peft"]
    lines = [
        "# merge: results",
        "",
        f"`python benchmarks/merge/run.py --rounds {len(runs['peft'])}`,"
        f" {datetime.now(UTC):%Y-%m-%d}, {machine()}.",
        ", ".join(
            f"{name} {importlib.metadata.version(name)}"
            for name in ("torch", "numpy", "peft", "transformers", "safetensors")
        )
        + f", Python {platform.python_version()}.",
        "",
        "1.1B Llama (22 layers, 2048 wide, bfloat16, 2.2 GB in 5 files),"
        f" adapter of rank {RANK} on all linear layers. Medians; in brackets every round.",
        "",
        "| | wall s | CPU s | peak RSS MiB | wall, of PEFT's | CPU, of PEFT's | RSS, of PEFT's |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    names = {
        "tunesmith": "stage merge (bf16 stochastic, sha256)",
        "peft": "PEFT merge_and_unload (bf16 nearest)",
        "copy": "plain copy, no merge",
    }
    for name, shown in names.items():
        each = ", ".join(f"{run.seconds:.1f}" for run in runs[name])
        run = middle[name]
        shares = " | ".join(f"{value / peer:.2f}" for value, peer in zip(run, peft, strict=True))
        lines.append(f"| {shown} | {run.seconds:.1f} ({each}) | {run.cpu:.1f} | {run.mib:.0f} | {shares} |")
    lines += [
        "",
        f"Goals: at most 0.3 of PEFT's time ({verdict(ours.seconds / peft.seconds, 0.3)}),"
        f" at most 0.2 of its memory ({verdict(ours.mib / peft.mib, 0.2)})."
        " Where it loses: a plain copy of the same files takes"
        f" {middle['copy'].seconds / ours.seconds:.2f} of the stage's time.",
    ]
    if large:
        lines += [
            "",
            "7B Llama (32 layers, 4096 wide, bfloat16, 13.5 GB in 3 files),"
            f" rank {RANK}, one run of the stage:"
            f" {large.seconds:.0f} s ({large.cpu:.0f} s CPU), peak RSS {large.mib:.0f} MiB"
            f" (goal: at most 512 MiB, {verdict(large.mib, 512)}).",
        ]
    return "\n".join(lines) + "\n"


def machine() -> str:
    """Cores and memory, in words."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    name = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[2]
    return f"{cores} cores ({name}), {memory:.0f} GiB memory, load {load:.1f} over the last 15 minutes"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def verdict(value: float, limit: float) -> str:
    """Whether a goal was met."""
    return "met" if value <= limit else "missed"


if __name__ == "__main__":
    main()
