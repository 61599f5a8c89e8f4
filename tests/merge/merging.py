"""Merging in tests: an adapter made by PEFT, merged by Tunesmith and by PEFT."""

import contextlib
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors import safe_open
from stages import snapshot_for
from transformers import AutoModelForCausalLM

from tunesmith.manifest import File
from tunesmith.resolve import Snapshot
from tunesmith.settings import Merge
from tunesmith_jobs.attempt import Attempt, Outcome
from tunesmith_jobs.base import find_base
from tunesmith_jobs.merge.adapter import read_adapter
from tunesmith_jobs.merge.blocks import Kept
from tunesmith_jobs.merge.layout import lay_out
from tunesmith_jobs.merge.model_folder import copied_files, index, merged_config, read_config
from tunesmith_jobs.merge.stream import write_shard
from tunesmith_jobs.merge.tensors import read_tensors
from tunesmith_jobs.merge.weights import read_base
from tunesmith_jobs.storage import open_store

SYSTEM = "Given a question, you will answer.\nBriefly: 简短。"
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def load(base: Path, dtype: torch.dtype = torch.float32) -> torch.nn.Module:
    with _quiet():
        return AutoModelForCausalLM.from_pretrained(base, dtype=dtype)


def make_adapter(
    base: Path,
    to: Path,
    *,
    size: float = 0.05,
    touch: Callable[[torch.nn.Module], None] | None = None,
    **lora: Any,
) -> Path:
    """An adapter by PEFT itself, every trained number moved by a random step of deviation `size`."""
    torch.manual_seed(1)
    config = LoraConfig(
        **{"r": 4, "lora_alpha": 7, "target_modules": LINEAR, "task_type": "CAUSAL_LM", **lora}
    )
    with _quiet():
        model = get_peft_model(load(base), config)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.add_(torch.randn(parameter.shape) * size)
        if touch:
            touch(model)
        model.save_pretrained(to)
    return to


def merge_by_peft(base: Path, adapter: Path, dtype: torch.dtype = torch.float32) -> torch.nn.Module:
    with _quiet():
        return PeftModel.from_pretrained(load(base, dtype), str(adapter)).merge_and_unload()


def tuned(base: Path, adapter: Path) -> torch.nn.Module:
    """The model as it was trained: base and adapter, not merged."""
    with _quiet():
        return PeftModel.from_pretrained(load(base), str(adapter))


class FileWriter:
    """The file that a shard is written to, like a store's writer."""

    digest = File(path="", size=0, sha256="")

    def __init__(self, file: BinaryIO) -> None:
        self.write = file.write


def merge_folder(
    base: Path, adapter: Path, to: Path, *, block_elements: int = 4096, workers: int = 2, **settings: Any
) -> Kept:
    """What the stage does, without store and card."""
    to.mkdir()
    merge = Merge.model_validate(settings, by_name=True)
    config = read_config(adapter, "adapter_config.json")
    changes = read_adapter(config, read_tensors(adapter / "adapter_model.safetensors"))
    square_transposed = bool(config["fan_in_fan_out"])
    layout = lay_out(read_base(base), read_config(base), changes, merge, square_transposed=square_transposed)
    kept = Kept()
    for shard in layout.shards:
        with (to / shard.file).open("wb") as file:
            out = FileWriter(file)
            kept.add(write_shard(shard, out, seed=merge.seed, block_elements=block_elements, workers=workers))
        assert (to / shard.file).stat().st_size == shard.size
    (to / "config.json").write_bytes(
        merged_config((base / "config.json").read_bytes(), dtype=merge.dtype, untied=layout.untied)
    )
    if (table := index(layout)) is not None:
        (to / "model.safetensors.index.json").write_bytes(table)
    for name, path in copied_files(base):
        (to / name).parent.mkdir(exist_ok=True)
        (to / name).write_bytes(path.read_bytes())
    return kept


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    """All weights of a folder, read by the safetensors library."""
    weights = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            weights |= {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 not a dict
    return weights


def edit_config(folder: Path, **values: Any) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def logits(model: torch.nn.Module) -> np.ndarray:
    with torch.no_grad():
        return model(torch.arange(3, 60).view(1, -1)).logits.float().numpy()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """PEFT and transformers warn about what these tests do on purpose."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def trained_run(url: str, base: Path, adapter: Path, work: Path, **settings: Any) -> Snapshot:
    """A store in which generate and train have finished with this adapter; the request's snapshot."""
    spec = {"model": {"base": f"file://{base}"}, "merge": settings, "task": "Answer.\nIn *two* lines."}
    snapshot = snapshot_for(spec)
    generated = Attempt("generate", snapshot, open_store(url), work, "a")
    generated.put_bytes("system_message.txt", SYSTEM.encode())
    generated.commit(Outcome(metrics={"rowsTrain": 9, "rowsTest": 1}))
    trained = Attempt("train", snapshot, open_store(url), work, "a")
    trained.pin("base", lambda: find_base(f"file://{base}"))
    for path in adapter.glob("adapter_*"):
        trained.put_file(f"adapter/{path.name}", path)
    trained.commit(Outcome())
    return snapshot
