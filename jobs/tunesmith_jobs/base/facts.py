"""What a base model is, without its weights. Pure."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tunesmith_jobs.base.safetensors_format import ITEM_BYTES

_CONTEXT = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "n_ctx")
_EMBEDDING = re.compile(r"(embed|wte|wpe|word_embeddings|position_embeddings)")
_OUTPUT = ("lm_head", "embed_out", "output")
_UNKNOWN_TYPE_BYTES = 2


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
        return self.elements * ITEM_BYTES.get(self.dtype, _UNKNOWN_TYPE_BYTES)


@dataclass(frozen=True)
class License:
    """What a model may be used for.

    `name`: as the model card says it (`apache-2.0`); empty if it does not.
    `files`: license texts, notices and the card.
    """

    name: str = ""
    link: str = ""
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class BaseFacts:
    """A base model without its weights.

    Names of tensors and modules are those of its files; those of a GGUF file are translated.
    """

    uri: str
    config: Mapping[str, Any]
    tokenizer_config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    chat_template: str | None
    total_bytes: int
    license: License
    gguf: bool = False
    special_tokens: Mapping[str, str] = field(default_factory=dict)

    @property
    def model_type(self) -> str:
        """The name of the architecture in transformers, such as `llama`."""
        return str(self.config.get("model_type", ""))

    @property
    def architecture(self) -> str:
        """The class in the config, such as `LlamaForCausalLM`; empty if it names none."""
        names = self.config.get("architectures")
        return str(names[0]) if isinstance(names, list) and names else ""

    @property
    def context_length(self) -> int:
        """Positions that the model was made for; 0 if the config does not say."""
        values = (self.setting(name) for name in _CONTEXT)
        return next((int(value) for value in values if isinstance(value, int)), 0)

    @property
    def vocabulary(self) -> int:
        """Number of token embeddings; 0 if the config does not say."""
        return int(self.setting("vocab_size") or 0)

    @property
    def parameters(self) -> int:
        """Number of values in all tensors."""
        return sum(tensor.elements for tensor in self.tensors.values())

    @property
    def disk_bytes(self) -> int:
        """Bytes on a stage's disk: the files, and the weights of a GGUF file once more in 16 bits."""
        converted = sum(tensor.bytes for tensor in self.tensors.values()) if self.gguf else 0
        return self.total_bytes + converted

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules that own a tensor (`model.layers.0.self_attn.q_proj`)."""
        return tuple(dict.fromkeys(name.rpartition(".")[0] for name in self.tensors if "." in name))

    @property
    def linear_modules(self) -> tuple[str, ...]:
        """Modules with a matrix, without embeddings and output head: those that `all-linear` trains."""
        return tuple(
            name.removesuffix(".weight")
            for name, tensor in self.tensors.items()
            if len(tensor.shape) == 2 and _is_inner_weight(name)
        )

    def setting(self, name: str) -> Any:
        """A value of the config, or of its language part if the model has several parts."""
        inner = self.config.get("text_config")
        return self.config.get(name, inner.get(name) if isinstance(inner, Mapping) else None)


def _is_inner_weight(name: str) -> bool:
    if not name.endswith(".weight") or _EMBEDDING.search(name):
        return False
    return name.removesuffix(".weight").rpartition(".")[2] not in _OUTPUT
