"""What is read of a model without its weights."""

import json
from pathlib import Path

import pytest
from tiny import tiny_model

from tunesmith.errors import BadRequest
from tunesmith_jobs.base import BaseFacts, find_base, inspect_base


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "tiny", tie=False)


def facts(folder: Path) -> BaseFacts:
    return inspect_base(find_base(str(folder)))


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_the_tensors_are_those_that_safetensors_reads(model: Path):
    from safetensors import safe_open

    with safe_open(model / "model.safetensors", framework="numpy") as file:
        reference = {
            name: (file.get_slice(name).get_dtype(), tuple(file.get_slice(name).get_shape()))
            for name in file.keys()  # noqa: SIM118 - not a dict
        }
    assert {name: (tensor.dtype, tensor.shape) for name, tensor in facts(model).tensors.items()} == reference


def test_linear_modules_are_those_that_peft_takes_for_all_linear(model: Path):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    lora = get_peft_model(
        AutoModelForCausalLM.from_pretrained(model),
        LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    assert set(facts(model).linear_modules) == set(lora.targeted_module_names)


def test_the_chat_template_is_looked_for_as_transformers_does(model: Path):
    several = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "default"}]
    edit(model / "tokenizer_config.json", chat_template=several)
    assert facts(model).chat_template == "default"
    edit(model / "tokenizer_config.json", chat_template=None)
    assert facts(model).chat_template is None
    (model / "chat_template.json").write_text(json.dumps({"chat_template": "old file"}))
    assert facts(model).chat_template == "old file"
    (model / "chat_template.jinja").write_text("new file")
    assert facts(model).chat_template == "new file"


LICENSES = {
    "---\nlicense: mit\n---\n": ("mit", ""),
    "---\nlicense: other\nlicense_name: llama3\nlicense_link: LICENSE\n---\n": ("llama3", "LICENSE"),
    "---\nlicense: other\n---\n": ("other", ""),
    "---\n: [broken\n---\n": ("", ""),
    "# no head": ("", ""),
}


@pytest.mark.parametrize("card", LICENSES)
def test_the_license_is_what_the_model_card_says(model: Path, card):
    (model / "README.md").write_text(card)
    stated = facts(model).license
    assert (stated.name, stated.link) == LICENSES[card]
    assert stated.files == ("LICENSE", "README.md")


def test_values_of_a_language_part_count_where_a_model_has_several(model: Path):
    inner = {"max_position_embeddings": 99, "vocab_size": 7}
    (model / "config.json").write_text(json.dumps({"model_type": "gemma3", "text_config": inner}))
    assert (facts(model).context_length, facts(model).vocabulary) == (99, 7)


DAMAGES = {
    "model.safetensors": (b"PK no safetensors", b"\x08\0\0\0\0\0\0\0{broken}", b""),
    "config.json": (b"{", b"[]", b"\xff\xfe"),
    "tokenizer_config.json": (b"{",),
}


@pytest.mark.parametrize(
    ("name", "data"), [(name, data) for name, damages in DAMAGES.items() for data in damages]
)
def test_a_damaged_file_is_named(model: Path, name, data):
    (model / name).write_bytes(data)
    with pytest.raises(BadRequest, match=name) as caught:
        facts(model)
    assert caught.value.reason == "ModelUnreadable"
