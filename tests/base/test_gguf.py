"""GGUF files: the head that is read without gguf, and the folder they become."""

import json
from pathlib import Path

import gguf
import pytest
from tiny_gguf import LAYERS, TEMPLATE, write_gguf

from tunesmith.errors import BadRequest
from tunesmith_jobs.base import find_base, inspect_base, open_base
from tunesmith_jobs.base.gguf import file_header


@pytest.fixture(scope="session")
def file(tmp_path_factory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("gguf model") / "tiny.Q8_0.gguf")


def test_the_head_is_read_as_gguf_itself_reads_it(file: Path):
    header, reader = file_header(file), gguf.GGUFReader(file)
    assert header.metadata == {
        name: entry.contents() for name, entry in reader.fields.items() if not name.startswith("GGUF.")
    }
    assert header.tensors == {
        tensor.name: tuple(int(size) for size in reversed(tensor.shape)) for tensor in reader.tensors
    }


def test_facts_of_a_gguf_come_from_its_head(file: Path):
    facts = inspect_base(find_base(str(file)))
    assert (facts.gguf, facts.model_type, facts.context_length, facts.license.name) == (
        True,
        "llama",
        256,
        "apache-2.0",
    )
    assert facts.chat_template == TEMPLATE
    assert facts.special_tokens == {"bos_token": "<|start|>", "eos_token": "<|end|>"}
    assert "model.layers.1.mlp.down_proj" in facts.linear_modules
    assert len(facts.linear_modules) == 7 * LAYERS


@pytest.fixture(scope="session")
def opened(file: Path, tmp_path_factory) -> Path:
    return open_base(find_base(f"file://{file}"), tmp_path_factory.mktemp("work"))


def test_a_gguf_becomes_a_plain_folder_with_the_bits_that_transformers_gives(file: Path, opened: Path):
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    reference = AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, dtype=torch.float32
    ).state_dict()
    converted = load_file(opened / "model.safetensors")
    assert set(reference) - set(converted) == {"lm_head.weight"}, "tied to the embeddings"
    assert all(torch.equal(tensor, reference[name].to(torch.bfloat16)) for name, tensor in converted.items())
    assert set(inspect_base(find_base(str(file))).linear_modules) == set(
        inspect_base(find_base(str(opened))).linear_modules
    )


def test_the_plain_folder_loads_offline_and_keeps_template_and_license(opened: Path):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(opened), AutoTokenizer.from_pretrained(opened)
    assert model.dtype == torch.bfloat16
    assert "quantization_config" not in json.loads((opened / "config.json").read_text())
    assert tokenizer.apply_chat_template([{"role": "user", "content": "ab"}], tokenize=False) == "user: ab"
    assert tokenizer.model_max_length == 256
    assert inspect_base(find_base(str(opened))).license.name == "apache-2.0"
    assert (opened / "model.safetensors").stat().st_mode & 0o444 == 0o444


def test_what_is_no_gguf_is_refused_by_name(file: Path, tmp_path: Path):
    for name, data in {"text.gguf": b"hello", "cut.gguf": file.read_bytes()[:1000]}.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(BadRequest, match=name):
            inspect_base(find_base(str(tmp_path / name)))
        with pytest.raises(BadRequest, match=name):
            open_base(find_base(str(tmp_path / name)), tmp_path / "work")
