"""`create`, `schema`, `crd`: documents that are printed to be kept, applied, or read by other programs."""

from typing import Annotated, Any

import typer

from tunesmith_cli.commands.options import AsDocument, AsJson, AsOutput, Document, Output, preset_names
from tunesmith_cli.commands.terminal import say_exactly, say_json

_BASE = "hf://HuggingFaceTB/SmolLM2-1.7B-Instruct"


def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The request's name.")],
    *,
    task: Annotated[str, typer.Option(metavar="TEXT", help="What the model should do, in plain words.")],
    base: Annotated[
        str, typer.Option(metavar="URL", help="Base model: hf://org/name, s3://…, or a folder.")
    ] = _BASE,
    preset: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Preset of data and training.",
            autocompletion=preset_names,
            show_default=False,
        ),
    ] = "",
    output: AsDocument = Document.YAML,
) -> None:
    """Print a request, to be kept in Git: `tunesmith create riddles --task "…" > riddles.yaml`.

    Nothing is run or sent.
    """
    from tunesmith.request import parse
    from tunesmith.wire import API_VERSION, KIND

    spec: dict[str, Any] = {"task": task, "model": {"base": base}}
    if preset:
        part = {"preset": preset}
        spec = {"task": task, "data": part, "model": {"base": base}, "training": part}
    document = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": spec}
    parse(document)
    _print(document, in_json=output is Document.JSON)


def schema() -> None:
    """Print the JSON Schema of a TrainingRequest, for editors (`# yaml-language-server: $schema=FILE` as a
    request's first line).
    """
    from tunesmith.json_schema import json_schema

    _print(json_schema(), in_json=True)


def crd(*, as_json: AsJson = False, output: AsOutput = Output.TEXT) -> None:
    """Print the CustomResourceDefinition of TrainingRequest, for `kubectl apply`."""
    from tunesmith.crd import custom_resource_definition

    _print(custom_resource_definition(), in_json=as_json or output is Output.JSON)


def _print(document: dict[str, Any], *, in_json: bool) -> None:
    if in_json:
        say_json(document)
        return
    from tunesmith_cli.commands.yaml_text import yaml_text

    say_exactly(yaml_text(document), end="")
