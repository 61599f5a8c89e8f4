"""The tools: ours and its peers, each peer in an environment of its own at a pinned version."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.generate.cases import TIME_LIMIT, TOKENS

HERE = Path(__file__).parent
ENVIRONMENTS = HERE / ".peers"
PER_MINUTE = 1200  # the 20 a second that a peer can be told
Settings = Mapping[str, object]


@dataclass(frozen=True)
class Tool:
    """One tool. `best`: the settings that its documentation has for a case, beside those for all."""

    name: str
    requirements: tuple[str, ...] = ()
    script: str = "stage.py"
    default: Settings = field(default_factory=dict)
    usual: Settings = field(default_factory=dict)
    best: Mapping[str, Settings] = field(default_factory=dict)

    def settings(self, case: str, width: int, *, default: bool) -> dict[str, object]:
        """The settings for a case with so many calls in flight."""
        if default:
            return dict(self.default)
        named = {**self.usual, **self.best.get(case, {})}
        return {key: width if value == "width" else value for key, value in named.items()}

    def python(self) -> str:
        """The interpreter that runs it."""
        return str(ENVIRONMENTS / self.name / "bin" / "python") if self.requirements else sys.executable


_LIMITED = {"max_requests_per_minute": PER_MINUTE}
_FAST = {
    "max_requests_per_minute": 1_000_000,
    "max_tokens_per_minute": 1_000_000_000,
    "max_concurrent_requests": "width",
}
STAGE = Tool(
    "tunesmith",
    usual={"maxConcurrency": "width"},
    best={"tokens": {"tokensPerMinute": TOKENS}},
)
PEERS = (
    Tool(
        "curator",
        ("bespokelabs-curator==0.1.31",),
        "peers/run_curator.py",
        usual=_FAST,
        best={
            "rate": _LIMITED,
            "longer": _LIMITED,
            "unsaid": _LIMITED,
            "tokens": {"max_tokens_per_minute": TOKENS},
            "hung": {"request_timeout": int(TIME_LIMIT)},
        },
    ),
    Tool(
        "data-designer",
        ("data-designer==0.9.7",),
        "peers/run_data_designer.py",
        usual={"parallel": "width"},
        best={case: {"startup_ramp_seconds": 5.0} for case in ("rate", "longer", "unsaid")}
        | {"hung": {"timeout": int(TIME_LIMIT)}},
    ),
    Tool(
        "distilabel",
        ("distilabel[openai]==1.5.3", "requests", "beautifulsoup4"),
        "peers/run_distilabel.py",
        usual={"batch": "width"},
        best={"hung": {"timeout": int(TIME_LIMIT)}},
    ),
)


def prepare(tool: Tool) -> str:
    """Make a peer's environment, unless it is there. Returns the error's last line if it cannot be made."""
    folder = ENVIRONMENTS / tool.name
    if not tool.requirements or (folder / "ready").exists():
        return ""
    shutil.rmtree(folder, ignore_errors=True)
    uv = shutil.which("uv") or str(HERE.parents[1] / ".tools" / "bin" / "uv")
    for command in (
        [uv, "venv", "--quiet", "--python", sys.executable, str(folder)],
        [uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), *tool.requirements],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ})
        if done.returncode:
            return (done.stderr.strip().splitlines() or ["no message"])[-1]
    (folder / "ready").touch()
    return ""
