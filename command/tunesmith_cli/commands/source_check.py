"""`status --check-sources`: whether the name of own data still holds what a run has read."""

from collections.abc import Mapping
from typing import Any

import typer

from tunesmith.contents import in_words
from tunesmith.manifest import Pin
from tunesmith_cli.commands.results import opened
from tunesmith_cli.commands.target import Target


def check_source(context: typer.Context, target: Target, name: str, store: str) -> dict[str, Any] | None:
    """The own data of a run, for scripts; None for a run that has read none."""
    with opened(context, target, name, store) as (runs, snapshot):
        answer = runs.source(snapshot)
    if answer is None:
        return None
    pin = Pin.model_validate(answer["pin"])
    return {
        "uri": pin.uri,
        "sha256": pin.revision,
        "size": pin.size,
        "version": pin.detail.get("version", ""),
        "words": in_words(pin),
        "since": answer["since"],
    }


def line(source: Mapping[str, Any] | None) -> str:
    """The same for people."""
    if source is None:
        return "source   this run has read no own data"
    return f"source   read {source['words']}\n         its name {source['since'] or 'holds the same by now'}"
