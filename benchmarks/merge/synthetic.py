"""Llamas of random weights, as large as real ones and never held in memory, and adapters for them."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tunesmith_jobs.merge.tensors import header

SIZES = {  # hidden, inner, layers, heads, key-value heads, vocabulary: TinyLlama 1.1B and Llama 2 7B
    "tiny": (256, 512, 2, 4, 2, 1024),
    "1.1B": (2048, 5632, 22, 32, 4, 32_000),
    "7B": (4096, 11_008, 32, 32, 32, 32_000),
}
LINEAR = {"self_attn": ("q_proj", "k_proj", "v_proj", "o_proj"), "mlp": ("gate_proj", "up_proj", "down_proj")}
_PIECE = 1 << 22  # elements written at a time


def shapes(size: str) -> dict[str, tuple[int, ...]]:
    """Name -> shape of all weights, in the order of the layers."""
    hidden, inner, layers, heads, kv_heads, vocabulary = SIZES[size]
    kv = hidden // heads * kv_heads
    weights: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocabulary, hidden)}
    for layer in range(layers):
        at = f"model.layers.{layer}"
        weights |= {f"{at}.self_attn.{name}.weight": (hidden, hidden) for name in ("q_proj", "o_proj")}
        weights |= {f"{at}.self_attn.{name}.weight": (kv, hidden) for name in ("k_proj", "v_proj")}
        weights |= {f"{at}.mlp.{name}.weight": (inner, hidden) for name in ("gate_proj", "up_proj")}
        weights |= {f"{at}.mlp.down_proj.weight": (hidden, inner)}
        weights |= {
            f"{at}.{name}.weight": (hidden,) for name in ("input_layernorm", "post_attention_layernorm")
        }
    return weights | {"model.norm.weight": (hidden,), "lm_head.weight": (vocabulary, hidden)}


def write_base(size: str, folder: Path, shards: int) -> None:
    """A model folder of bfloat16 weights, normal with deviation 0.02, in `shards` files."""
    folder.mkdir(parents=True)
    hidden, inner, layers, heads, kv_heads, vocabulary = SIZES[size]
    names = shapes(size)
    noise = _bfloat16(
        np.random.default_rng(0).standard_normal(_PIECE + 4096, dtype=np.float32) * np.float32(0.02)
    )
    where: dict[str, str] = {}
    for index, part in enumerate(_parts(names, shards), start=1):
        file = f"model-{index:05}-of-{shards:05}.safetensors"
        where |= dict.fromkeys(part, file)
        with (folder / file).open("wb") as out:
            out.write(header((name, "BF16", names[name]) for name in part))
            for place, name in enumerate(part):
                left = math.prod(names[name])
                while left:
                    count = min(left, _PIECE)
                    out.write(noise[place % 4096 :][:count].tobytes())
                    left -= count
    total = sum(math.prod(shape) * 2 for shape in names.values())
    _json(folder / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": where})
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": vocabulary,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
    }
    _json(folder / "config.json", config)
    _json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})


def write_adapter(size: str, folder: Path, rank: int) -> None:
    """A PEFT adapter on all linear layers, float32, normal with deviation 0.02."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True)
    draw = np.random.default_rng(1)
    modules = {name.removesuffix(".weight"): shape for name, shape in shapes(size).items() if "_proj" in name}
    tensors = {}
    for module, (rows, columns) in modules.items():
        for part, shape in (("lora_A", (rank, columns)), ("lora_B", (rows, rank))):
            tensors[f"base_model.model.{module}.{part}.weight"] = draw.standard_normal(
                shape, dtype=np.float32
            ) * np.float32(0.02)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": 16,
        "target_modules": [name for names in LINEAR.values() for name in names],
        "inference_mode": True,
    }
    _json(folder / "adapter_config.json", config)


def _parts(names: dict[str, tuple[int, ...]], shards: int) -> Iterator[list[str]]:
    """The names, in order, in `shards` parts of about the same size."""
    total = sum(map(math.prod, names.values()))
    parts: list[list[str]] = [[] for _ in range(shards)]
    done = 0
    for name, shape in names.items():
        parts[min(shards - 1, done * shards // total)].append(name)
        done += math.prod(shape)
    yield from parts


def _bfloat16(values: np.ndarray) -> np.ndarray:
    return (values.view(np.uint32) >> 16).astype(np.uint16)


def _json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")
