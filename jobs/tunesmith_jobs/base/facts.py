"""What a base model is, read from its small files and the heads of its weight files: no torch, and no weights downloaded."""

import json
import math
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from tunesmith.errors import BadRequest
from tunesmith.manifest import Pin
from tunesmith_jobs.base.choose import CONFIG, INDEX, is_licence, is_weights
from tunesmith_jobs.base.gguf_header import GgufHeader, read_header
from tunesmith_jobs.base.source import Source, side_by_side

BYTES = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "BOOL": 1,
}

_LENGTH = struct.Struct("<Q")
_FIRST_READ = 256 * 1024  # bytes; holds the whole head of most files
_LONGEST_HEAD = 100_000_000  # the format's own limit
_CONTEXT = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "n_ctx")
_EMBEDDING = re.compile(r"(embed|wte|wpe|word_embeddings|position_embeddings)")
_OUTPUT = ("lm_head", "embed_out", "output")
_SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token")
_GGUF_MODULES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_GGUF_NAMES = {
    "qwen2moe": "qwen2_moe",
    "qwen3moe": "qwen3_moe",
    "gpt-oss": "gpt_oss",
    "minimax-m2": "minimax_m2",
}  # in transformers
_GGUF_LIKE_LLAMA = ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3")


@dataclass(frozen=True)
class Tensor:
    """Type as safetensors names it (`BF16`), and shape."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Size in the file."""
        return self.elements * BYTES.get(self.dtype, 2)


@dataclass(frozen=True)
class Licence:
    """`name`: as the model card says it (`apache-2.0`), empty if it says nothing; `files`: licence texts, notices and the card."""

    name: str = ""
    link: str = ""
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class BaseFacts:
    """A base model without its weights. Names of tensors and modules are those of the files (a GGUF's translated)."""

    uri: str
    config: Mapping[str, Any]
    tokenizer_config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    chat_template: str | None
    total_bytes: int
    licence: Licence
    gguf: bool = False
    special_tokens: Mapping[str, str] = field(default_factory=dict)

    @property
    def model_type(self) -> str:
        """What transformers calls the architecture, such as `llama`."""
        return str(self.config.get("model_type", ""))

    @property
    def architecture(self) -> str:
        """The class that the config names, such as `LlamaForCausalLM`, or empty."""
        names = self.config.get("architectures")
        return str(names[0]) if isinstance(names, list) and names else ""

    @property
    def context_length(self) -> int:
        """Positions that the model was made for, 0 if the config does not say."""
        return next((int(value) for name in _CONTEXT if isinstance(value := self.setting(name), int)), 0)

    @property
    def vocabulary(self) -> int:
        """Number of token embeddings, 0 if the config does not say."""
        return int(self.setting("vocab_size") or 0)

    @property
    def parameters(self) -> int:
        """Number of values in all tensors."""
        return sum(tensor.elements for tensor in self.tensors.values())

    @property
    def disk_bytes(self) -> int:
        """What it takes on the disk of a stage that opens it: its files, and a GGUF file's weights once more in 16 bits."""
        return self.total_bytes + (sum(tensor.bytes for tensor in self.tensors.values()) if self.gguf else 0)

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules that own a tensor (`model.layers.0.self_attn.q_proj`)."""
        return tuple(dict.fromkeys(name.rpartition(".")[0] for name in self.tensors if "." in name))

    @property
    def linear_modules(self) -> tuple[str, ...]:
        """Modules with a matrix that is no embedding: what `all-linear` trains, the output head left out."""
        return tuple(
            name.removesuffix(".weight")
            for name, tensor in self.tensors.items()
            if name.endswith(".weight")
            and len(tensor.shape) == 2
            and not _EMBEDDING.search(name)
            and self._inner(name)
        )

    def setting(self, name: str) -> Any:
        """A value of the config, or of its language part if the model has several."""
        inner = self.config.get("text_config")
        return self.config.get(name, inner.get(name) if isinstance(inner, Mapping) else None)

    def _inner(self, name: str) -> bool:
        return name.removesuffix(".weight").rpartition(".")[2] not in _OUTPUT


def inspect(pin: Pin, source: Source, names: tuple[str, ...], gguf: str) -> BaseFacts:
    """Read the facts of a model whose chosen files are `names`. Raises BadRequest for unreadable ones, KeyError for lost ones."""
    uri = pin.uri
    if gguf:
        return _inspect_gguf(pin, source, names, gguf)
    config = _json(uri, source, CONFIG)
    tokenizer = _json(uri, source, "tokenizer_config.json") if "tokenizer_config.json" in names else {}
    weights = [name for name in names if is_weights(name)]
    heads = dict(side_by_side(lambda name: _tensors(uri, source, name), weights))
    tensors = {name: tensor for file in weights for name, tensor in heads[file].items()}
    return BaseFacts(
        uri=uri,
        config=config,
        tokenizer_config=tokenizer,
        tensors=tensors,
        chat_template=_template(uri, source, names, tokenizer),
        total_bytes=pin.size,
        licence=_licence(source, names),
        special_tokens=_special_tokens(tokenizer),
    )


def read_index(uri: str, source: Source) -> dict[str, str]:
    """Which file holds which tensor, by the index of a model in several files."""
    found = _json(uri, source, INDEX).get("weight_map")
    return found if isinstance(found, dict) else {}


def _tensors(uri: str, source: Source, name: str) -> dict[str, Tensor]:
    """The head of a safetensors file: 8 bytes of length, then JSON."""
    start = source.read_range(name, 0, _FIRST_READ)
    length = _LENGTH.unpack(start[:8])[0] if len(start) >= _LENGTH.size else _LONGEST_HEAD + 1
    if length > _LONGEST_HEAD:
        raise _unreadable(uri, name, "it is no safetensors file")
    text = start[8 : 8 + length]
    if len(text) < length:
        text += source.read_range(name, 8 + len(text), length - len(text))
    try:
        head = json.loads(text)
        return {
            key: Tensor(str(value["dtype"]), tuple(value["shape"]))
            for key, value in head.items()
            if key != "__metadata__"
        }
    except (ValueError, TypeError, KeyError) as error:
        raise _unreadable(uri, name, f"its head is damaged: {error}") from error


def _json(uri: str, source: Source, name: str) -> dict[str, Any]:
    try:
        value = json.loads(source.read(name))
    except ValueError as error:
        raise _unreadable(uri, name, f"it is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise _unreadable(uri, name, "it is no JSON object")
    return value


def _template(uri: str, source: Source, names: tuple[str, ...], tokenizer: Mapping[str, Any]) -> str | None:
    """The chat template in the order in which transformers looks for it: its own file, then the tokenizer's settings."""
    if "chat_template.jinja" in names:
        return source.read("chat_template.jinja").decode("utf-8", "replace")
    found = tokenizer.get("chat_template")
    if found is None and "chat_template.json" in names:
        found = _json(uri, source, "chat_template.json").get("chat_template")
    if isinstance(found, list):  # several, by name
        found = next(
            (
                entry.get("template")
                for entry in found
                if isinstance(entry, dict) and entry.get("name") == "default"
            ),
            None,
        )
    return found if isinstance(found, str) else None


def _special_tokens(tokenizer: Mapping[str, Any]) -> dict[str, str]:
    found = {name: tokenizer.get(name) for name in _SPECIAL}
    texts = {
        name: value.get("content") if isinstance(value, dict) else value for name, value in found.items()
    }
    return {name: text for name, text in texts.items() if isinstance(text, str)}


def _licence(source: Source, names: Iterable[str]) -> Licence:
    """What the card's front matter says, in the hub's own form, and the licence files."""
    files = tuple(name for name in names if is_licence(name))
    if "README.md" not in files:
        return Licence(files=files)
    head = re.match(r"---\s*\n(.*?)\n---", source.read("README.md").decode("utf-8", "replace"), re.DOTALL)
    try:
        card = yaml.safe_load(head[1]) if head else {}
    except yaml.YAMLError:
        card = {}
    if not isinstance(card, dict):
        card = {}
    name = card.get("license_name") if card.get("license") in (None, "other") else card["license"]
    return Licence(
        name=str(name or card.get("license") or ""), link=str(card.get("license_link") or ""), files=files
    )


def _inspect_gguf(pin: Pin, source: Source, names: tuple[str, ...], gguf: str) -> BaseFacts:
    try:
        header = read_header(lambda start, length: source.read_range(gguf, start, length))
    except ValueError as error:
        raise _unreadable(pin.uri, gguf, f"it {error}") from error
    kind = header.text("general.architecture")
    licences = tuple(name for name in names if is_licence(name))
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    texts = [str(token) for token in tokens] if isinstance(tokens, list) else []
    config = {
        "model_type": _GGUF_NAMES.get(kind, kind),
        "max_position_embeddings": header.number(f"{kind}.context_length"),
        "hidden_size": header.number(f"{kind}.embedding_length"),
        "num_hidden_layers": header.number(f"{kind}.block_count"),
        "vocab_size": len(texts) or header.number(f"{kind}.vocab_size"),
    }
    tensors = {_gguf_name(kind, name): Tensor("BF16", shape) for name, shape in header.tensors.items()}
    return BaseFacts(
        uri=pin.uri,
        config=config,
        tokenizer_config={},
        tensors=tensors,
        chat_template=header.text("tokenizer.chat_template") or None,
        total_bytes=pin.size,
        licence=Licence(header.text("general.license"), header.text("general.license.link"), licences),
        gguf=True,
        special_tokens=_gguf_special_tokens(header, texts),
    )


def _gguf_name(kind: str, name: str) -> str:
    """The name that a tensor has in the converted model, for what may be trained; other names stay."""
    match = re.fullmatch(r"blk\.(\d+)\.(\w+)\.(weight|bias)", name)
    if kind in _GGUF_LIKE_LLAMA and match and match[2] in _GGUF_MODULES:
        return f"model.layers.{match[1]}.{_GGUF_MODULES[match[2]]}.{match[3]}"
    return {"token_embd.weight": "model.embed_tokens.weight", "output.weight": "lm_head.weight"}.get(
        name, name
    )


def _gguf_special_tokens(header: GgufHeader, texts: list[str]) -> dict[str, str]:
    names = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
    ids = {name: header.metadata.get(f"tokenizer.ggml.{key}_token_id") for name, key in names.items()}
    return {
        name: texts[index] for name, index in ids.items() if isinstance(index, int) and index < len(texts)
    }


def _unreadable(uri: str, name: str, why: str) -> BadRequest:
    return BadRequest(
        f"{uri}: {name} cannot be read: {why}",
        reason="ModelUnreadable",
        remedy="copy the model again, or choose another",
    )
