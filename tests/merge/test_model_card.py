"""The model card: metadata the hub accepts, and what a reader must know."""

import pytest
import yaml

from tunesmith_jobs.model_card import (
    HUB_LICENSES,
    Dataset,
    Facts,
    License,
    TableRow,
    license_warning,
    metadata,
    render,
)
from tunesmith_jobs.ollama import modelfile

FACTS = Facts(
    name="tickets",
    run="tickets",
    task="Sort support mail.\n---\nIn JSON.",
    system_message="Given a message, you will\n```answer```.",
    base_uri="hf://org/small-model@main",
    base_revision="abc123",
    license=License(name="apache-2.0", files=("LICENSE",)),
    dataset=Dataset(teacher="gpt-4.1", rows={"train": 90, "test": 10}),
    training={"loraR": 16, "loraTargetModules": ["a|b", "c"]},
    merge={"dtype": "auto"},
    keys={"train": "0123"},
    versions={"torch": "2.9"},
    chat_template="<|im_start|>…<|im_end|>",
    end_token="<|im_end|>",
)


def head(card: str) -> dict:
    assert card.startswith("---\n")
    return yaml.safe_load(card.split("---\n", 2)[1])


def test_the_metadata_is_what_the_hub_reads():
    assert head(render(FACTS)) == {
        "license": "apache-2.0",
        "base_model": "org/small-model",
        "base_model_relation": "finetune",
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["tunesmith", "generated_from_trainer", "sft", "lora"],
    }


def test_the_hubs_own_client_accepts_it():
    from huggingface_hub import ModelCard

    assert ModelCard(render(FACTS)).data.base_model == "org/small-model"


LICENSES = {
    "none": (License(), {"license": "unknown"}, "does not say"),
    "of its own": (
        License(name="Llama 2 Community", link="https://x/y"),
        {"license": "other", "license_name": "llama-2-community", "license_link": "https://x/y"},
        "",
    ),
    "of its own, in a file": (
        License(name="mnpl-0.1", files=("LICENSE.txt",)),
        {"license": "other", "license_name": "mnpl-0.1", "license_link": "LICENSE.txt"},
        "",
    ),
    "not for trade": (
        License(name="cc-by-nc-4.0"),
        {"license": "cc-by-nc-4.0"},
        "does not allow commercial use",
    ),
    "for research": (License(name="apple-amlr"), {"license": "apple-amlr"}, "does not allow commercial use"),
    "free": (License(name="mit"), {"license": "mit"}, ""),
}


@pytest.mark.parametrize(("license_name", "shown", "warning"), LICENSES.values(), ids=LICENSES)
def test_a_license_is_named_as_the_hub_wants_it_and_warned_of(license_name, shown, warning):
    facts = FACTS.model_copy(update={"license": license_name})
    assert {name: value for name, value in metadata(facts).items() if name.startswith("license")} == shown
    assert shown["license"] in HUB_LICENSES | {"other"}
    assert warning in license_warning(license_name)
    assert bool(license_warning(license_name)) == bool(warning) == ("[!WARNING]" in render(facts))


def test_a_base_that_is_not_on_the_hub_is_not_linked():
    facts = FACTS.model_copy(update={"base_uri": "file:///models/own"})
    assert "base_model" not in metadata(facts)
    assert "`file:///models/own`" in render(facts)


def test_the_teachers_terms_are_named():
    assert "Outputs of gpt-4.1 are subject to its provider's terms of use" in render(FACTS)


def test_a_scripted_teacher_is_called_scripted():
    card = render(FACTS.model_copy(update={"dataset": Dataset(teacher="scripted-teacher", scripted=True)}))
    assert "scripted teacher" in card
    assert "**not a language model**" in card
    assert "terms of use" not in card


def test_own_data_has_no_teacher():
    card = render(
        FACTS.model_copy(update={"dataset": Dataset(origin="s3://b/rows.jsonl", rows={"train": 5})})
    )
    assert "`s3://b/rows.jsonl`" in card
    assert "Written by" not in card


def test_the_table_is_there_if_it_is_given():
    table = [
        TableRow("exact match", 12, 0.0, 0.9167, 0.9167, 0.75, 1.0),
        TableRow("loss", 12, 1.489, 0.4141, 1.075),
    ]
    card = render(FACTS, table)
    assert "| exact match | 12 | 0 | 0.9167 | 0.9167 | 0.75 to 1 |" in card
    assert "| loss | 12 | 1.489 | 0.4141 | 1.075 |  |" in card
    assert "Base against tuned" not in render(FACTS)


def test_texts_cannot_break_the_page():
    card = render(FACTS)
    assert "````\nGiven a message, you will\n```answer```.\n````" in card
    assert "> Sort support mail.\n> ---\n> In JSON." in card
    assert "| loraTargetModules | a\\|b, c |" in card


def test_a_system_message_is_kept_to_the_byte():
    facts = FACTS.model_copy(update={"system_message": "Two spaces:  \n\ttab \n\nend "})
    assert render(facts).count("Two spaces:  \n\ttab \n\nend ") == 2  # shown, and in the Modelfile


def test_a_template_without_a_system_role_gets_another_snippet():
    card = render(FACTS.model_copy(update={"system_role": False}))
    assert '"role": "system"' not in card
    assert "no system role" in card


def test_the_python_snippet_is_python():
    for facts in (FACTS, FACTS.model_copy(update={"system_role": False})):
        code = render(facts).split("```python\n")[1].split("\n```")[0]
        compile(code, "card", "exec")


MODELFILES = {
    "ChatML": ("{{'<|im_start|>' + message['role']}}<|im_end|>", "<|im_start|>{{ .Role }}", ["<|im_end|>"]),
    "Llama 3": (
        "<|start_header_id|>{{ role }}<|end_header_id|>{{ content }}<|eot_id|>",
        "<|start_header_id|>{{ .Role }}",
        ["<|eot_id|>"],
    ),
    "Llama 2": (
        "[INST] <<SYS>>{{ system }}<</SYS>> {{ content }} [/INST]",
        "<<SYS>>\n{{ .System }}",
        ["[INST]", "[/INST]"],
    ),
    "Gemma": ("<start_of_turn>user {{ content }}<end_of_turn>", "<start_of_turn>model", ["<end_of_turn>"]),
    "Phi": ("<|user|>{{ content }}<|end|>", "<|{{ .Role }}|>", ["<|end|>"]),
    "unknown": ("Human: {{ content }}", "# No TEMPLATE", []),
}


@pytest.mark.parametrize(("jinja", "template", "stops"), MODELFILES.values(), ids=MODELFILES)
def test_a_modelfile_has_the_familys_template_its_stops_and_the_system_message(jinja, template, stops):
    text = modelfile("Do as\nyou are told.", jinja, "</s>")
    assert text.startswith("FROM .\n")
    assert template in text
    assert [line for line in text.splitlines() if line.startswith("PARAMETER stop")] == [
        f'PARAMETER stop "{stop}"' for stop in (*stops, "</s>")
    ]
    assert 'SYSTEM """Do as\nyou are told."""' in text


def test_a_system_message_that_a_modelfile_cannot_hold_is_said():
    assert "SYSTEM" not in modelfile('a """ b', "").replace("# The system", "")
