"""The model card next to the weights: a README.md with metadata as the Hugging Face hub reads it. Pure.

merge writes it without a table and leaves the facts in its manifest's details (`modelCard`). evaluate
renders the same facts with the base-versus-tuned table:
`render(Facts.model_validate(manifest.details["modelCard"]), table)`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

from tunesmith.settings import Data
from tunesmith_jobs.markdown import fenced
from tunesmith_jobs.ollama import modelfile

_PYTHON = """from pathlib import Path
from transformers import AutoModelForCausalLM, AutoTokenizer

folder = "."  # the folder of this file
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", device_map="auto")
system = Path(folder, "system_message.txt").read_text(encoding="utf-8")
MESSAGES
inputs = tokenizer.apply_chat_template(
    messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
).to(model.device)
answer = model.generate(**inputs, max_new_tokens=200, do_sample=False)
print(tokenizer.decode(answer[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))"""
_WITH_SYSTEM_ROLE = 'messages = [{"role": "system", "content": system}, {"role": "user", "content": "..."}]'
_WITHOUT_SYSTEM_ROLE = (
    "# the chat template has no system role: the system message opens the first prompt\n"
    'messages = [{"role": "user", "content": f"{system}\\n\\n..."}]'
)

# The hub's identifiers of licenses; any other is `other` with a name.
HUB_LICENSES = frozenset(
    """
    afl-3.0 agpl-3.0 apache-2.0 apple-amlr apple-ascl artistic-2.0 bigcode-openrail-m
    bigscience-bloom-rail-1.0 bigscience-openrail-m bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0
    c-uda cc cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0
    cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0
    cc0-1.0 cdla-permissive-1.0 cdla-permissive-2.0 cdla-sharing-1.0 creativeml-openrail-m
    deepfloyd-if-license ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2
    fair-noncommercial-research-license gemma gfdl gpl gpl-2.0 gpl-3.0 h-research intel-research isc lgpl
    lgpl-2.1 lgpl-3.0 lgpl-lr llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 lppl-1.3c mit mpl-2.0 ms-pl
    ncsa odbl odc-by ofl-1.1 openrail openrail++ osl-3.0 pddl postgresql unknown unlicense wtfpl zlib
    """.split()  # noqa: SIM905 a list would take a hundred lines
)


class _Facts(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )


class License(_Facts):
    """The terms of the base model. `name`: as its own card states it (`apache-2.0`), empty if it does not."""

    name: str = ""
    link: str = ""
    files: tuple[str, ...] = ()  # license texts and notices next to the weights

    @property
    def id(self) -> str:
        """The hub's identifier: `unknown` without a name, `other` for a name that the hub does not know."""
        if not self.name:
            return "unknown"
        return self.name if self.name in HUB_LICENSES else "other"


class Dataset(_Facts):
    """Where the examples come from. `teacher` is empty where none was asked."""

    origin: str = ""  # own data's uri, or the run they were taken from
    documents: str = ""  # uri of those whose passages the rows rest on
    teacher: str = ""
    endpoint: str = ""  # of the teacher; empty: OpenAI's own
    scripted: bool = False  # answers by rule, for trying out: not a language model
    rows: dict[str, int] = Field(default_factory=dict)  # split -> rows


def dataset_of(data: Data, rows: dict[str, int]) -> Dataset:
    """The dataset of a request."""
    if data.source is not None:
        return Dataset(origin=data.source.uri, rows=rows)
    if data.from_ is not None:
        return Dataset(origin=f"run {data.from_.run or data.from_.request}", rows=rows)
    return Dataset(
        documents=data.documents.uri if data.documents else "",
        teacher=data.teacher.model,
        endpoint=data.teacher.base_url,
        scripted="scripted" in data.teacher.model.lower(),
        rows=rows,
    )


class Facts(_Facts):
    """Everything in the card except the table."""

    name: str
    run: str
    task: str
    system_message: str
    base_uri: str
    base_revision: str
    license: License = License()
    dataset: Dataset = Dataset()
    training: dict[str, JsonValue] = Field(default_factory=dict)  # setting -> value
    merge: dict[str, JsonValue] = Field(default_factory=dict)
    keys: dict[str, str] = Field(default_factory=dict)  # stage -> key
    versions: dict[str, str] = Field(default_factory=dict)
    chat_template: str = ""  # Jinja source, by which the Modelfile's template is chosen
    # Whether the template has one; if not, the system message opens the first prompt.
    system_role: bool = True
    end_token: str = ""


@dataclass(frozen=True)
class TableRow:
    """A row of the base-versus-tuned table. `low`, `high`: the gain's interval, None without one."""

    metric: str
    rows: int
    base: float | None
    tuned: float | None
    gain: float | None
    low: float | None = None
    high: float | None = None


def render(facts: Facts, table: Sequence[TableRow] | None = None) -> str:
    """The card as Markdown with its metadata in front."""
    head = yaml.safe_dump(metadata(facts), sort_keys=False, allow_unicode=True)
    return f"---\n{head}---\n\n" + "\n".join(_parts(facts, table)) + "\n"


def metadata(facts: Facts) -> dict[str, Any]:
    """The card's metadata.

    The language is unknown, so none is claimed; only a base on the hub can be linked.
    """
    license_ = facts.license
    head: dict[str, Any] = {"license": license_.id}
    if license_.id == "other":
        head["license_name"] = re.sub(r"[^a-z0-9.]+", "-", license_.name.lower()).strip("-")
        head["license_link"] = license_.link or next(iter(license_.files), "LICENSE")
    repo = hub_repo(facts.base_uri)
    if repo:
        head |= {"base_model": repo, "base_model_relation": "finetune"}
    return head | {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["tunesmith", "generated_from_trainer", "sft", "lora"],
    }


def hub_repo(uri: str) -> str:
    """`org/name` of a model on the hub; empty for any other."""
    match = re.fullmatch(r"hf://([\w.-]+/[\w.-]+)(@[^/]*)?(/.*)?", uri)
    return match[1] if match else ""


def license_warning(license_: License) -> str:
    """What one must know before using the model; empty if there is nothing."""
    if license_.id == "unknown":
        return (
            "The base model does not say under which license it is published. "
            "Find out before you use this model or pass it on."
        )
    words = set(re.split(r"[^a-z]+", license_.name.lower()))
    if words & {"nc", "noncommercial", "research", "amlr"} or {"non", "commercial"} <= words:
        return (
            f"The base model's license ({license_.name}) does not allow commercial use; "
            "that applies to this model too."
        )
    if license_.id == "other" and license_.name == "other":
        return "The base model has a license of its own. Read it before you use this model or pass it on."
    return ""


def _parts(facts: Facts, table: Sequence[TableRow] | None) -> Iterator[str]:
    base = hub_repo(facts.base_uri)
    shown = f"[{base}](https://huggingface.co/{base})" if base else f"`{facts.base_uri}`"
    kind = "QLoRA" if facts.training.get("loadIn4bit") else "LoRA"
    settings = facts.training | {f"merge.{name}": value for name, value in facts.merge.items()}
    yield f"# {facts.name}\n"
    yield f"{shown}, fine-tuned for one task with {kind} and merged.\n"
    warning = license_warning(facts.license)
    if warning:
        yield f"> [!WARNING]\n> {warning}\n"
    yield f"## Task\n\n{_quoted(facts.task)}\n"
    yield (
        "The model was trained with this system message (`system_message.txt`); use it as it is:\n\n"
        f"{fenced(facts.system_message)}\n"
    )
    if table:
        yield f"## Base against tuned\n\n{_table(table)}\n"
    yield f"## How to use it\n\n{_usage(facts)}\n"
    yield f"## Base model\n\n- {shown}, revision `{facts.base_revision}`\n{_license(facts.license)}\n"
    yield f"## Data\n\n{said_of(facts.dataset)}\n"
    yield f"## Settings\n\n{_settings(settings)}\n"
    yield f"## Provenance\n\nMade by Tunesmith, run `{facts.run}`.\n"
    yield f"{_keys(facts.keys)}\n"
    yield "Versions: " + ", ".join(f"{name} {version}" for name, version in sorted(facts.versions.items()))


def _keys(keys: dict[str, str]) -> str:
    return "\n".join(
        ["| stage | key |", "| --- | --- |", *(f"| {stage} | `{key}` |" for stage, key in keys.items())]
    )


def _license(license_: License) -> str:
    name = license_.name or "not stated"
    lines = [f"- License: {f'[{name}]({license_.link})' if license_.link else name}"]
    if license_.files:
        files = ", ".join(f"`{file}`" for file in license_.files)
        lines.append(f"- Its license files are next to the weights: {files}")
    return "\n".join(lines)


def said_of(dataset: Dataset) -> str:
    """A dataset in a list of points."""
    rows = ", ".join(f"{count} {split}" for split, count in dataset.rows.items())
    lines = [f"- Rows: {rows}"] if rows else []
    if dataset.origin:
        lines.append(f"- Source: `{dataset.origin}`")
    if dataset.documents:
        lines.append(f"- Grounded in passages of: `{dataset.documents}`")
    if dataset.scripted:
        lines.append(
            f"- Written by `{dataset.teacher}`, a scripted teacher: it composes examples by rule and is "
            "**not a language model**."
        )
    elif dataset.teacher:
        where = f" at `{dataset.endpoint}`" if dataset.endpoint else ""
        lines.append(
            f"- Written by `{dataset.teacher}`{where}. Outputs of {dataset.teacher} are subject to its "
            "provider's terms of use, which may limit what a model trained on them is used for."
        )
    return "\n".join(lines) or "Not stated."


def _usage(facts: Facts) -> str:
    python = _PYTHON.replace("MESSAGES", _WITH_SYSTEM_ROLE if facts.system_role else _WITHOUT_SYSTEM_ROLE)
    serve = f"vllm serve . --served-model-name {facts.name}"
    ollama = modelfile(facts.system_message, facts.chat_template, facts.end_token)
    return "\n\n".join(
        (
            fenced(python, "python"),
            "Served with an OpenAI-compatible API; send the system message with each conversation:",
            fenced(serve, "sh"),
            "With Ollama: put this into a file `Modelfile` next to the weights and run "
            f"`ollama create {facts.name}`:",
            fenced(ollama),
        )
    )


def _settings(settings: dict[str, JsonValue]) -> str:
    return "| setting | value |\n| --- | --- |\n" + "\n".join(
        f"| {name} | {_cell(value)} |" for name, value in settings.items()
    )


def _table(table: Sequence[TableRow]) -> str:
    lines = [
        "| metric | rows | base | tuned | gain | interval of the gain |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for row in table:
        numbers = " | ".join(_number(value) for value in (row.base, row.tuned, row.gain))
        lines.append(f"| {row.metric} | {row.rows} | {numbers} | {_interval(row)} |")
    return "\n".join(lines)


def _interval(row: TableRow) -> str:
    if row.low is None or row.high is None:
        return ""
    return f"{_number(row.low)} to {_number(row.high)}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _cell(value: JsonValue) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in text.splitlines())
