"""Converts a GGUF file into a plain folder of bfloat16 safetensors, like those of other base models.

transformers unpacks the blocks. The numbers are those of its own GGUF loading, rounded to bfloat16 once. The
weights then move into the plain class of the same config, because a model that was loaded from GGUF refuses
to be saved.
"""

import contextlib
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

from tunesmith.errors import BadRequest
from tunesmith_jobs.base.gguf_header import GgufHeader, read_header

CONVERTED = "bfloat16"
_LICENSE = ("general.license", "general.license.name", "general.license.link")


def convert(source: Path, to: Path) -> None:
    """Write config, tokenizer, chat template, weights, and a README with the license to the folder `to`.

    This takes 2 bytes of memory and disk per parameter, and about 20 s for the smallest models. Raises
    BadRequest if the file is not GGUF, or has an architecture that transformers cannot unpack.
    """
    header = file_header(source)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    try:
        import torch
        import transformers
    except ImportError as error:
        raise BadRequest(
            f"{source.name}: converting a GGUF file needs {error.name}, which is not installed here",
            reason="NotInstalled",
            remedy="install the extra `train` (on a cluster: use train's image),"
            " or give the model as safetensors",
        ) from error
    file = {
        "pretrained_model_name_or_path": str(source.parent),
        "gguf_file": source.name,
        "local_files_only": True,
    }
    unpack = transformers.GgufConfig(dequantize=True)  # never packed blocks, whatever kernels are installed
    with _quiet():
        try:
            loaded = transformers.AutoModelForCausalLM.from_pretrained(
                **file, dtype=torch.bfloat16, quantization_config=unpack
            )
            tokenizer = transformers.AutoTokenizer.from_pretrained(**file)
        except (ValueError, KeyError, NotImplementedError) as error:
            raise BadRequest(
                f"{source.name}: a GGUF file of architecture {header.text('general.architecture')!r}"
                f" cannot be converted: {error}",
                reason="UnsupportedModel",
                remedy="give the model as safetensors",
            ) from error
        config = loaded.config
        config.__dict__.pop("quantization_config", None)
        config.__dict__.pop("_model_name_or_path", None)  # free text of general.name
        with torch.device("meta"):
            plain = type(loaded)(config)
        plain.load_state_dict(loaded.state_dict(), strict=True, assign=True)
        plain.tie_weights()
        plain.generation_config = loaded.generation_config
        tokenizer.model_max_length = config.max_position_embeddings
        to.mkdir(parents=True, exist_ok=True)
        plain.save_pretrained(to)
        tokenizer.save_pretrained(to)
    (to / "README.md").write_text(_card(source.name, header), encoding="utf-8")
    for path in to.iterdir():
        path.chmod(0o644)  # safetensors makes its files private


def file_header(source: Path) -> GgufHeader:
    """The header of a local GGUF file. Raises BadRequest if it is not one."""
    with source.open("rb") as file:

        def read_range(start: int, length: int) -> bytes:
            file.seek(start)
            return file.read(length)

        try:
            return read_header(read_range)
        except ValueError as error:
            raise BadRequest(
                f"{source} is not a GGUF file: it {error}",
                reason="UnsupportedModel",
                remedy="name a GGUF file or a safetensors folder",
            ) from error


def _card(name: str, header: GgufHeader) -> str:
    """A model card with the license that the file names, in the hub's own form."""
    facts = {
        key.removeprefix("general.").replace(".", "_"): header.text(key)
        for key in _LICENSE
        if header.text(key)
    }
    head = "".join(f"{key}: {json.dumps(value)}\n" for key, value in facts.items())
    return f"---\n{head}---\n\nConverted from the GGUF file {name} to {CONVERTED} safetensors.\n"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the libraries' progress bars and notes out of a stage's log."""
    with contextlib.redirect_stderr(io.StringIO()):
        yield
