"""Options and arguments that several commands share."""

import os
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

import typer

from tunesmith.errors import TunesmithError
from tunesmith.wire import STORE, STORE_FORMS


class Output(StrEnum):
    """Forms of a result on standard output."""

    TEXT = "text"
    JSON = "json"


class Document(StrEnum):
    """Forms of a request that is printed."""

    YAML = "yaml"
    JSON = "json"


class Listing(StrEnum):
    """Forms of what `status` shows."""

    TEXT = "text"
    WIDE = "wide"
    NAME = "name"
    JSON = "json"
    YAML = "yaml"


class Changed(StrEnum):
    """Forms of what `submit` and the acts print."""

    TEXT = "text"
    NAME = "name"
    JSON = "json"
    YAML = "yaml"


class Dry(StrEnum):
    """Whether a change is only tried: on this machine, or by the API server too."""

    NONE = "none"
    CLIENT = "client"
    SERVER = "server"


def run_names(context: typer.Context, incomplete: str) -> Sequence[str]:
    """Names of the runs in a store that is a folder, for completion."""
    from tunesmith_cli.local.folders import store_url

    try:
        store = urlsplit(store_url(context.params.get("store"), os.environ))
        if store.scheme != "file":
            return []
        folders = [entry.name for entry in Path(unquote(store.path)).iterdir()]
    except (OSError, TunesmithError):
        return []
    return sorted(name for name in folders if name.startswith(incomplete))


def names(context: typer.Context, incomplete: str) -> Sequence[str]:
    """Names of the runs of a store, or of requests if the options so far mean the cluster, for completion."""
    from tunesmith_cli.commands.target import request_names, target_of

    complete = request_names if target_of(context).cluster else run_names
    return complete(context, incomplete)


def preset_names(incomplete: str) -> Sequence[str]:
    """Names of presets, for completion."""
    from tunesmith.presets import DATA

    return [name for name in DATA if name.startswith(incomplete)]


def settings(incomplete: str) -> Sequence[str]:
    """Presets for `--set data.preset=` and `--set training.preset=`, for completion."""
    fields = ["data.preset=", "training.preset="]
    field = next((field for field in fields if incomplete.startswith(field)), None)
    words = fields if field is None else [f"{field}{name}" for name in preset_names("")]
    return [word for word in words if word.startswith(incomplete)]


Files = Annotated[
    list[str], typer.Argument(metavar="FILE...", help="Requests in YAML or JSON; - reads standard input.")
]
Sets = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Set a field of spec, such as data.examples=20; typed as in YAML. Repeatable.",
        autocompletion=settings,
    ),
]
Store = Annotated[
    str,
    typer.Option(
        envvar=STORE,
        metavar="URL",
        help=(
            f"Store of this machine: {', '.join(STORE_FORMS.values())} or a folder. "
            "Built-in: runs/ in the user's data folder."
        ),
        show_default=False,
    ),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The request's name.", autocompletion=names)]
AsJson = Annotated[
    bool, typer.Option("--json", help="The result as JSON on standard output; the same as -o json.")
]
AsOutput = Annotated[Output, typer.Option("-o", "--output", help="Form of the result.", show_default=False)]
AsDocument = Annotated[Document, typer.Option("-o", "--output", help="Form of the request.")]
AsListing = Annotated[Listing, typer.Option("-o", "--output", help="Form of the result.", show_default=False)]
AsChanged = Annotated[Changed, typer.Option("-o", "--output", help="Form of the result.", show_default=False)]
DryRun = Annotated[
    Dry,
    typer.Option(
        "--dry-run",
        help=(
            "Change nothing, and say which stages would run and why. --dry-run alone is `client`; "
            "`server` has the API server check it."
        ),
        show_default=False,
    ),
]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Also show what the stages print.")]
