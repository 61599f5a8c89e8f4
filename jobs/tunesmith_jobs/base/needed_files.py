"""Which files of a repository, bucket or folder make up a model. Pure."""

import re
from collections.abc import Callable, Collection, Iterable

from tunesmith.errors import BadRequest

CONFIG = "config.json"
INDEX = "model.safetensors.index.json"

_WEIGHTS = re.compile(r"model(-\d+-of-\d+)?\.safetensors")
_LICENSE = re.compile(r"(LICEN[CS]E|NOTICE|COPYING|USE_POLICY|README)([._-][^/]*)?", re.IGNORECASE)
_OTHERS = re.compile(
    "|".join(
        (
            r"config\.json",
            r"generation_config\.json",
            r"tokenizer[^/]*\.(json|model)",
            r"(spiece|sentencepiece[^/]*)\.model",
            r"(vocab|added_tokens|special_tokens_map)\.json",
            r"vocab\.txt",
            r"merges\.txt",
            r"[^/]*\.tiktoken",
            r"chat_template\.(jinja|json)",
            r"additional_chat_templates/[^/]*\.jinja",
        )
    )
)
_OTHER_WEIGHTS = (".bin", ".pth", ".pt", ".ckpt", ".h5", ".msgpack", ".onnx")


def is_license(name: str) -> bool:
    """Whether a file tells what the model may be used for: license texts, notices, the model card."""
    return _LICENSE.fullmatch(name) is not None


def is_weights(name: str) -> bool:
    """Whether a file holds weights of the model."""
    return _WEIGHTS.fullmatch(name) is not None


def needed_files(uri: str, names: Collection[str], gguf: str = "") -> tuple[str, ...]:
    """The files to open, sorted: config, tokenizer, safetensors, license; or the GGUF file and license texts.

    Raises BadRequest with what is missing, and what there is instead.
    """
    licenses = [name for name in names if is_license(name)]
    if gguf:
        if gguf not in names:
            raise _no_gguf(uri, gguf, names)
        return tuple(sorted({gguf, *licenses}))
    weights = [name for name in names if is_weights(name)]
    if CONFIG not in names:
        raise _no_config(uri, names)
    if not weights:
        raise _no_weights(uri, names)
    needed = {*weights, *licenses, *(name for name in names if _OTHERS.fullmatch(name))}
    if INDEX in names:
        needed.add(INDEX)
        if "model.safetensors" in needed and len(weights) > 1:
            needed.remove("model.safetensors")  # the index names the shards
    return tuple(sorted(needed))


def check_index(uri: str, files: Iterable[str], read_index: Callable[[], dict[str, str]]) -> None:
    """Check that all shards in the index exist. Raises BadRequest."""
    files = set(files)
    if INDEX not in files:
        return
    missing = sorted(set(read_index().values()) - files)
    if missing:
        raise _no_model(
            f"{uri}: {INDEX} names {len(missing)} files that are not there: {', '.join(missing[:3])}",
            "copy the whole model",
        )


def _no_gguf(uri: str, gguf: str, names: Collection[str]) -> BadRequest:
    others = ", ".join(sorted(name for name in names if name.endswith(".gguf"))[:5])
    return _no_model(
        f"{uri}: there is no {gguf}",
        f"the GGUF files there: {others}" if others else "check the file's name",
    )


def _no_config(uri: str, names: Collection[str]) -> BadRequest:
    if "adapter_config.json" in names:
        return _no_model(
            f"{uri} is an adapter, not a model",
            "name the model that it was trained on; an adapter is given by `training.from`",
        )
    ggufs = sorted(name for name in names if name.endswith(".gguf"))
    if ggufs:
        return _no_model(
            f"{uri} has GGUF files but no {CONFIG}",
            f"name one of them at the end of the address: {', '.join(ggufs[:5])}",
        )
    return _no_model(
        f"{uri} has no {CONFIG}",
        "name the folder that holds it" if names else "it is empty: check the address",
    )


def _no_weights(uri: str, names: Collection[str]) -> BadRequest:
    others = sorted(name for name in names if name.endswith(_OTHER_WEIGHTS))
    if others:
        return _no_model(
            f"{uri} has weights only as {others[0]}; Tunesmith loads safetensors only,"
            " because other formats can run code",
            "choose a revision or a copy with model.safetensors",
        )
    return _no_model(
        f"{uri} has a {CONFIG} but no weights (model.safetensors)", "name the folder that holds them"
    )


def _no_model(message: str, remedy: str) -> BadRequest:
    return BadRequest(message, reason="ModelNotFound", remedy=remedy)
