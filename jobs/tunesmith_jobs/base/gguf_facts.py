"""The facts of a model in a GGUF file, from the file's header. No weights are read."""

import re
from collections.abc import Iterable

from tunesmith.manifest import Pin
from tunesmith_jobs.base.facts import BaseFacts, License, Tensor
from tunesmith_jobs.base.gguf_header import GgufHeader, read_header
from tunesmith_jobs.base.model_files import ModelFiles
from tunesmith_jobs.base.model_json import unreadable
from tunesmith_jobs.base.needed_files import is_license

_TENSORS = {"token_embd.weight": "model.embed_tokens.weight", "output.weight": "lm_head.weight"}
_MODULES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_LIKE_LLAMA = ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3")
_MODEL_TYPES = {  # a GGUF file's architecture -> transformers' name, where they differ
    "qwen2moe": "qwen2_moe",
    "qwen3moe": "qwen3_moe",
    "gpt-oss": "gpt_oss",
    "minimax-m2": "minimax_m2",
}
_SPECIAL_TOKENS = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}


def gguf_facts(pin: Pin, files: ModelFiles, names: Iterable[str], gguf: str) -> BaseFacts:
    """The facts of the model in the file `gguf`.

    Raises BadRequest if it is damaged, KeyError if it is lost.
    """
    try:
        header = read_header(lambda start, length: files.read_range(gguf, start, length))
    except ValueError as error:
        raise unreadable(pin.uri, gguf, f"it {error}") from error
    architecture = header.text("general.architecture")
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    texts = [str(token) for token in tokens] if isinstance(tokens, list) else []
    config = {
        "model_type": _MODEL_TYPES.get(architecture, architecture),
        "max_position_embeddings": header.number(f"{architecture}.context_length"),
        "hidden_size": header.number(f"{architecture}.embedding_length"),
        "num_hidden_layers": header.number(f"{architecture}.block_count"),
        "vocab_size": len(texts) or header.number(f"{architecture}.vocab_size"),
    }
    return BaseFacts(
        uri=pin.uri,
        config=config,
        tokenizer_config={},
        tensors={
            _converted_name(architecture, name): Tensor("BF16", shape)
            for name, shape in header.tensors.items()
        },
        chat_template=header.text("tokenizer.chat_template") or None,
        total_bytes=pin.size,
        license=License(
            name=header.text("general.license"),
            link=header.text("general.license.link"),
            files=tuple(name for name in names if is_license(name)),
        ),
        gguf=True,
        special_tokens=_special_tokens(header, texts),
    )


def _converted_name(architecture: str, name: str) -> str:
    """The name of a tensor in the converted model, for those that may be trained. Other names stay."""
    match = re.fullmatch(r"blk\.(\d+)\.(\w+)\.(weight|bias)", name)
    if architecture in _LIKE_LLAMA and match and match[2] in _MODULES:
        return f"model.layers.{match[1]}.{_MODULES[match[2]]}.{match[3]}"
    return _TENSORS.get(name, name)


def _special_tokens(header: GgufHeader, texts: list[str]) -> dict[str, str]:
    ids = {
        name: header.metadata.get(f"tokenizer.ggml.{key}_token_id") for name, key in _SPECIAL_TOKENS.items()
    }
    return {
        name: texts[index] for name, index in ids.items() if isinstance(index, int) and index < len(texts)
    }
