"""The facts of a model in safetensors: from its small files and the headers of its weight files.

No weights are read.
"""

import json
import re
import struct
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import yaml

from tunesmith.manifest import Pin
from tunesmith_jobs.base.facts import BaseFacts, License, Tensor
from tunesmith_jobs.base.model_files import ModelFiles, in_parallel
from tunesmith_jobs.base.model_json import read_json, unreadable
from tunesmith_jobs.base.needed_files import CONFIG, is_license, is_weights
from tunesmith_jobs.base.safetensors_format import HEADER_LIMIT, LENGTH_BYTES

_LENGTH = struct.Struct("<Q")
_FIRST_READ = 256 * 1024  # bytes; holds the whole header of most files
_SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "pad_token")
_TOKENIZER = "tokenizer_config.json"
_CARD = "README.md"
_FRONT_MATTER = re.compile(r"---\s*\n(.*?)\n---", re.DOTALL)


def safetensors_facts(pin: Pin, files: ModelFiles, names: Iterable[str]) -> BaseFacts:
    """The facts of a model whose needed files are `names`.

    Raises BadRequest if one is damaged, KeyError if one is lost.
    """
    names = tuple(names)
    config = read_json(pin.uri, files, CONFIG)
    tokenizer = read_json(pin.uri, files, _TOKENIZER) if _TOKENIZER in names else {}
    weights = [name for name in names if is_weights(name)]
    headers = dict(in_parallel(lambda name: _tensors(pin.uri, files, name), weights))
    return BaseFacts(
        uri=pin.uri,
        config=config,
        tokenizer_config=tokenizer,
        tensors={name: tensor for file in weights for name, tensor in headers[file].items()},
        chat_template=chat_template(pin.uri, files, names, tokenizer),
        total_bytes=pin.size,
        license=_license(files, names),
        special_tokens=special_tokens(tokenizer),
    )


def _tensors(uri: str, files: ModelFiles, name: str) -> dict[str, Tensor]:
    """The tensors in the header of a file: 8 bytes of length, then JSON."""
    start = files.read_range(name, 0, _FIRST_READ)
    length = _LENGTH.unpack(start[:LENGTH_BYTES])[0] if len(start) >= LENGTH_BYTES else HEADER_LIMIT + 1
    if length > HEADER_LIMIT:
        raise unreadable(uri, name, "it is not a safetensors file")
    text = start[LENGTH_BYTES : LENGTH_BYTES + length]
    if len(text) < length:
        text += files.read_range(name, LENGTH_BYTES + len(text), length - len(text))
    try:
        header = json.loads(text)
        return {
            key: Tensor(str(value["dtype"]), tuple(value["shape"]))
            for key, value in header.items()
            if key != "__metadata__"
        }
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise unreadable(uri, name, f"its header is damaged: {error}") from error


def chat_template(
    uri: str, files: ModelFiles, names: Collection[str], tokenizer: Mapping[str, Any]
) -> str | None:
    """The chat template, which transformers looks for in its own file, then in the tokenizer's settings."""
    if "chat_template.jinja" in names:
        return files.read("chat_template.jinja").decode("utf-8", "replace")
    template = tokenizer.get("chat_template")
    if template is None and "chat_template.json" in names:
        template = read_json(uri, files, "chat_template.json").get("chat_template")
    if isinstance(template, list):
        template = _default_template(template)
    return template if isinstance(template, str) else None


def _default_template(templates: list[Any]) -> Any:
    for entry in templates:
        if isinstance(entry, dict) and entry.get("name") == "default":
            return entry.get("template")
    return None


def special_tokens(tokenizer: Mapping[str, Any]) -> dict[str, str]:
    """The special tokens that templates name, as texts."""
    tokens: dict[str, str] = {}
    for name in _SPECIAL_TOKENS:
        value = tokenizer.get(name)
        text = value.get("content") if isinstance(value, dict) else value
        if isinstance(text, str):
            tokens[name] = text
    return tokens


def _license(files: ModelFiles, names: Iterable[str]) -> License:
    """The license files, and what the front matter of the card says, in the hub's own form."""
    texts = tuple(name for name in names if is_license(name))
    card = _front_matter(files) if _CARD in texts else {}
    stated = card.get("license")
    name = card.get("license_name") if stated in (None, "other") else stated
    return License(name=str(name or stated or ""), link=str(card.get("license_link") or ""), files=texts)


def _front_matter(files: ModelFiles) -> dict[str, Any]:
    match = _FRONT_MATTER.match(files.read(_CARD).decode("utf-8", "replace"))
    try:
        card = yaml.safe_load(match[1]) if match else {}
    except yaml.YAMLError:
        return {}
    return card if isinstance(card, dict) else {}
