"""A tiny random Llama with tokenizer and ChatML template: all files of a real model folder in under 1 MB."""

import json
from pathlib import Path

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CORPUS = (
    "system user assistant",
    "a support message becomes a JSON object with category, priority and product",
    '{"category": "billing"}',
)
VOCABULARY = 320


def tiny_model(
    folder: Path,
    *,
    layers: int = 2,
    hidden: int = 64,
    tie: bool = True,
    shards: int = 1,
    dtype: str = "bfloat16",
    seed: int = 0,
    context: int = 512,
    template: str | None = CHATML,
    deviation: float = 0.05,
    heads: int = 4,
) -> Path:
    """Write the model folder and return it. The same arguments give the same bytes.

    `context`: positions. `template=None`: a base model without a chat template. `deviation`: of the random
    weights.
    """
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    shapes = _shapes(layers=layers, hidden=hidden, heads=heads, tie=tie)
    generator = torch.Generator().manual_seed(seed)
    kind = getattr(torch, dtype)
    tensors = {
        name: (
            torch.ones(shape) if "norm" in name else torch.randn(shape, generator=generator) * deviation
        ).to(kind)
        for name, shape in shapes.items()
    }
    _write_weights(folder, tensors, shards, save_file)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": VOCABULARY,
        "hidden_size": hidden,
        "intermediate_size": hidden * 2,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads // 2,
        "head_dim": hidden // heads,
        "hidden_act": "silu",
        "max_position_embeddings": context,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": tie,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "torch_dtype": dtype,
    }
    _write_json(folder / "config.json", config)
    _write_json(folder / "generation_config.json", {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0})
    _write_tokenizer(folder, context, template)
    (folder / "LICENSE").write_text("License of the tiny model: do as you like.\n", encoding="utf-8")
    return folder


def _shapes(*, layers: int, hidden: int, heads: int, tie: bool) -> dict[str, tuple[int, ...]]:
    """The shapes of all weights by their names."""
    kv_heads, inner = heads // 2, hidden * 2
    head = hidden // heads
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (VOCABULARY, hidden)}
    for index in range(layers):
        layer = f"model.layers.{index}"
        shapes |= {
            f"{layer}.self_attn.q_proj.weight": (hidden, hidden),
            f"{layer}.self_attn.k_proj.weight": (head * kv_heads, hidden),
            f"{layer}.self_attn.v_proj.weight": (head * kv_heads, hidden),
            f"{layer}.self_attn.o_proj.weight": (hidden, hidden),
            f"{layer}.mlp.gate_proj.weight": (inner, hidden),
            f"{layer}.mlp.up_proj.weight": (inner, hidden),
            f"{layer}.mlp.down_proj.weight": (hidden, inner),
            f"{layer}.input_layernorm.weight": (hidden,),
            f"{layer}.post_attention_layernorm.weight": (hidden,),
        }
    shapes["model.norm.weight"] = (hidden,)
    if not tie:
        shapes["lm_head.weight"] = (VOCABULARY, hidden)
    return shapes


def _write_weights(folder: Path, tensors: dict, shards: int, save_file) -> None:
    names = list(tensors)
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return
    per = -(-len(names) // shards)
    where = {}
    for index in range(shards):
        part = names[index * per : (index + 1) * per]
        file = f"model-{index + 1:05}-of-{shards:05}.safetensors"
        save_file({name: tensors[name] for name in part}, folder / file, metadata={"format": "pt"})
        where |= dict.fromkeys(part, file)
    total = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    _write_json(
        folder / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": where}
    )


def _write_tokenizer(folder: Path, context: int, template: str | None) -> None:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|im_start|>",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "model_max_length": context,
        "clean_up_tokenization_spaces": False,
    }
    if template is not None:
        settings["chat_template"] = template
    _write_json(folder / "tokenizer_config.json", settings)


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
