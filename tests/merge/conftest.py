"""Tiny base models, made once: a Llama as most models are, and a GPT-2.

The linear layers of a GPT-2 are stored transposed and have biases.
"""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # merging.py, which these tests share

from tiny import tiny_model


@pytest.fixture(scope="session")
def bases(tmp_path_factory):
    return Bases(tmp_path_factory.mktemp("bases"))


class Bases:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, name: str) -> Path:
        path = self.folder / name
        if not path.exists():
            getattr(self, "_" + name)(path)
        return path

    def _llama(self, path: Path) -> None:
        tiny_model(path, dtype="float32", shards=3, tie=False)

    def _tied(self, path: Path) -> None:
        tiny_model(path, dtype="float32", layers=1, tie=True)

    def _half(self, path: Path) -> None:
        tiny_model(path, dtype="bfloat16", shards=3, tie=False)

    def _small(self, path: Path) -> None:
        tiny_model(path, dtype="float16", layers=1)

    def _gpt2(self, path: Path) -> None:
        from transformers import GPT2Config, GPT2LMHeadModel

        config = GPT2Config(
            n_embd=32, n_layer=2, n_head=4, vocab_size=64, n_positions=64, bos_token_id=0, eos_token_id=0
        )
        GPT2LMHeadModel(config).save_pretrained(path)

    def _bare_gpt2(self, path: Path) -> None:
        """As the hub's gpt2: names without the model's first prefix."""
        from safetensors.torch import load_file, save_file

        source = self("gpt2")
        path.mkdir()
        weights = load_file(source / "model.safetensors")
        save_file(
            {name.removeprefix("transformer."): tensor for name, tensor in weights.items()},
            path / "model.safetensors",
            {"format": "pt"},
        )
        (path / "config.json").write_bytes((source / "config.json").read_bytes())
