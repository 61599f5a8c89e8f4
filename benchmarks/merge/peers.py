"""What the stage is compared with, each as a process of its own: `peers.py peft|copy BASE ADAPTER OUT`.

Results are on the disk when it ends.
"""

import os
import shutil
import sys
from pathlib import Path


def peft(base: Path, adapter: Path, out: Path) -> None:
    """The usual way: load, merge_and_unload, save."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
    PeftModel.from_pretrained(model, str(adapter)).merge_and_unload().save_pretrained(out)


def copy(base: Path, _adapter: Path, out: Path) -> None:
    """The limit that the disk sets: the same bytes, only copied."""
    shutil.copytree(base, out)


def main() -> None:
    """Run one peer."""
    kind, base, adapter, out = sys.argv[1:]
    {"peft": peft, "copy": copy}[kind](Path(base), Path(adapter), Path(out))
    for path in Path(out).iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())


if __name__ == "__main__":
    main()
