"""kill -9 at a quarter, a half, three quarters of the answers, then the same command: what is paid twice."""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.generate.measure import Run, counts, endpoint, kill, read_result, start
from benchmarks.generate.stub import Behaviour
from benchmarks.generate.tools import PEERS, STAGE, Tool

ROWS, WIDTH, LIMIT = 200, 10, 150.0
AT = (0.25, 0.5, 0.75)
SETTINGS: dict[str, dict[str, object]] = {
    "tunesmith": {"maxConcurrency": WIDTH},
    "curator": {
        "max_requests_per_minute": 1_000_000,
        "max_tokens_per_minute": 10**9,
        "max_concurrent_requests": WIDTH,
    },
    "data-designer": {"parallel": WIDTH, "buffer": 20, "resume": "if_possible"},
    "distilabel": {"batch": WIDTH},
}


def killed(tool: Tool, share: float, settings: dict[str, object], **environment: str) -> tuple[Run, int]:
    """The run after the kill, and how many calls were under way at most when it was killed."""
    run = Run()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place, endpoint(Behaviour()) as url:
        folder = Path(place)
        first = start(tool, url, ROWS, folder, dict(settings), **environment)
        while counts(url)["answered"] < share * ROWS and first.poll() is None:
            time.sleep(0.01)
        kill(first)
        under_way = counts(url)["mostInFlight"]
        again = start(tool, url, ROWS, folder, dict(settings), **environment)
        begun = time.time()
        while again.poll() is None:
            if time.time() - begun > LIMIT:
                run.ended = f"stopped after {LIMIT:g} s"
                kill(again)
            time.sleep(0.05)
        run.counts = counts(url)
        read_result(folder / "output", run)
    return run, under_way


@contextlib.contextmanager
def bucket() -> Iterator[dict[str, str]]:
    """An S3 server, as its clients' environment has it."""
    from seaweed import running

    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as s3:
        yield {**s3.env, "URL": s3.new_url()}


def page() -> list[str]:
    """The table."""
    lines = [
        "## kill -9, then the same command again",
        "",
        f"{ROWS} rows, {WIDTH} calls in flight. To reach: no more is answered twice than was under way.",
        "",
        "| tool | store | killed at | rows | answered twice or thrown away | under way at most |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    print("\n".join(lines), flush=True)
    with bucket() as s3:
        ours = [(STAGE, place, share) for place in ("folder", "S3") for share in AT]
        for tool, place, share in [*ours, *((peer, "folder", 0.5) for peer in PEERS)]:
            environment = s3 if place == "S3" else {}
            settings = dict(SETTINGS[tool.name])
            if place == "S3":
                settings["store"] = f"{environment['URL']}/{share}"
            run, under_way = killed(tool, share, settings, **environment)
            needed = ROWS + (2 if tool is STAGE else 0)
            twice = str(run.counts["answered"] - needed) if run.rows else ""
            rows = str(run.rows) if run.rows else run.ended
            lines.append(f"| {tool.name} | {place} | {share:.0%} | {rows} | {twice} | {under_way} |")
            print(lines[-1], flush=True)
    return [*lines, ""]
