"""What can be wrong with a base model: its facts changed one at a time."""

import dataclasses

import pytest
from tiny import tiny_model

from tunesmith.settings import Training
from tunesmith_jobs.base import BaseFacts, Tensor, find_base, inspect_base
from tunesmith_jobs.base.architectures import CAUSAL_LM, GGUF
from tunesmith_jobs.generate.preflight.base_model import check_base

NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{% for message in messages %}{{ message['content'] }}{{ eos_token }}{% endfor %}"
)


@pytest.fixture(scope="session")
def facts(tmp_path_factory) -> BaseFacts:
    return inspect_base(find_base(str(tiny_model(tmp_path_factory.mktemp("facts") / "tiny"))))


def config(facts: BaseFacts, **changes: object) -> BaseFacts:
    return dataclasses.replace(facts, config={**facts.config, **changes})


def template(facts: BaseFacts, text: str | None) -> BaseFacts:
    return dataclasses.replace(facts, chat_template=text)


def training(**values: object) -> Training:
    return Training.model_validate(values)


GOOD = {
    "as it is": (lambda facts: facts, {}),
    "a template without a system role": (lambda facts: template(facts, NO_SYSTEM), {}),
    "a known architecture that also brings code": (
        lambda facts: config(facts, auto_map={"AutoModelForCausalLM": "x.Y"}),
        {},
    ),
    "named modules": (
        lambda facts: facts,
        {"loraTargetModules": ("q_proj", "mlp.up_proj", "model.layers.1.self_attn.v_proj")},
    ),
    "embeddings and tied head to save": (
        lambda facts: facts,
        {"loraModulesToSave": ("embed_tokens", "lm_head")},
    ),
    "modules of a mixture of experts": (
        lambda facts: config(facts, num_local_experts=4),
        {"loraTargetModules": ("experts",)},
    ),
    "all of the context": (lambda facts: facts, {"maxLength": 512}),
}


@pytest.mark.parametrize("case", GOOD)
def test_what_works_is_let_through(facts, case):
    change, values = GOOD[case]
    assert check_base(change(facts), training(**values)) == []


BAD = {
    "no template": (lambda facts: template(facts, None), {}, "NoChatTemplate", "instruction-tuned"),
    "a template that is not Jinja": (
        lambda facts: template(facts, "{% for %}"),
        {},
        "ChatTemplateInvalid",
        "line 1",
    ),
    "a template that fails": (
        lambda facts: template(facts, "{{ messages.nothing.here }}"),
        {},
        "ChatTemplateInvalid",
        "cannot be rendered",
    ),
    "a template that drops the prompt": (
        lambda facts: template(facts, "Hello!"),
        {},
        "ChatTemplateInvalid",
        "leaves out",
    ),
    "remote code": (
        lambda facts: config(facts, model_type="own", auto_map={"AutoConfig": "x.Y"}),
        {},
        "RemoteCode",
        "AutoConfig",
    ),
    "an unknown type": (lambda facts: config(facts, model_type="lama"), {}, "UnsupportedModel", "llama"),
    "a picture model": (lambda facts: config(facts, model_type="vit"), {}, "UnsupportedModel", "'vit'"),
    "gptq": (
        lambda facts: config(facts, quantization_config={"quant_method": "gptq"}),
        {},
        "QuantisedModel",
        "gptq",
    ),
    "fp8": (
        lambda facts: dataclasses.replace(
            facts, tensors={**facts.tensors, "x.weight": Tensor("F8_E4M3", (2, 2))}
        ),
        *({}, "QuantisedModel", "F8_E4M3"),
    ),
    "a misspelt module": (
        lambda facts: facts,
        {"loraTargetModules": ("q_proj", "k_porj")},
        "UnknownModules",
        "did you mean 'k_proj'?",
    ),
    "an embedding as a target": (
        lambda facts: facts,
        {"loraTargetModules": ("embed_tokens",)},
        "UnknownModules",
        "there are",
    ),
    "an unknown module to save": (
        lambda facts: facts,
        {"loraModulesToSave": ("head",)},
        "UnknownModules",
        "loraModulesToSave",
    ),
    "a part of a name": (lambda facts: facts, {"loraTargetModules": ("proj",)}, "UnknownModules", "'proj'"),
    "more than the context": (lambda facts: facts, {"maxLength": 513}, "MaxLengthTooLong", "512"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_work_is_named_with_the_way_out(facts, case):
    change, values, reason, says = BAD[case]
    (error,) = check_base(change(facts), training(**values))
    assert error.reason == reason
    assert says in str(error)
    assert all(problem.path.startswith("spec.") for problem in error.problems)


def test_the_lists_of_architectures_are_those_of_the_installed_transformers():
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    assert set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES) == CAUSAL_LM, "correct architectures.json"
    assert set(GGUF_SUPPORTED_ARCHITECTURES) - {"general", "tokenizer"} == GGUF, "correct architectures.json"
