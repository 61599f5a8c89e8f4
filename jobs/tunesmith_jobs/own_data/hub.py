"""The files of a dataset on the Hugging Face hub: `hf://datasets/org/name@revision/path`.

The address is that of the hub's own file system, which pandas, polars and DuckDB take too. A revision is a
branch, a tag or a commit; a path is a file, a folder or a pattern. Without a path the card and the files'
names say which files are the rows; `data.source.config` and `split` choose among them.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tunesmith.data_files import OWN_DATA
from tunesmith.errors import BadData, Problem
from tunesmith.settings import Source
from tunesmith_jobs.base.address import Address
from tunesmith_jobs.base.hub import DATASET, HubFiles
from tunesmith_jobs.given_secrets import hub_token
from tunesmith_jobs.own_data.hub_choice import FIRST, Choice, NotChosen, choose
from tunesmith_jobs.own_data.reader import PATH
from tunesmith_jobs.own_data.spoken import Speak

SCHEME = "hf://"
_ADDRESS = re.compile(
    r"(?i:hf)://datasets/([A-Za-z0-9][\w.-]*/[\w.-]+)(?:@(refs/[\w.-]+/[\w.-]+|[^/@]+))?(?:/(.*))?"
)
_CARD = "README.md"
_FRONT_MATTER = re.compile(r"\A---\s*\n(.*?)\n---", re.DOTALL)
_SHORT = {"~parquet": "refs/convert/parquet"}  # the hub's own short name of the branch that it converts to
_SHOWN = 8


def read_hub(
    source: Source, speak: Speak, *, commit: str = ""
) -> tuple[str, list[tuple[str, bytes]], list[str]]:
    """The commit, names and bytes of the files, and what is left aside, each in a sentence.

    `commit`: the pinned one. Raises BadData for what is not there, and what the hub's client raises.
    """
    root, revision, path = _parts(source.uri)
    files = HubFiles(Address("hub", root, revision), hub_token(), commit=commit, kind=DATASET)
    names = files.names()
    card = _card(files.read(_CARD)) if _CARD in names else {}
    try:
        chosen = choose(
            names, card, path=path, config=source.config, split=source.split, is_data=OWN_DATA.takes
        )
    except NotChosen as error:
        raise _not_chosen(source.uri, error, speak) from error
    fetched = {name: local.read_bytes() for name, local in files.fetch(chosen.names, Path())}
    return files.revision, [(name, fetched[name]) for name in chosen.names], _aside(chosen, source, path)


def _parts(uri: str) -> tuple[str, str, str]:
    """Repository, revision and path. Raises BadData."""
    match = _ADDRESS.fullmatch(uri)
    if match is None:
        form = "hf://datasets/organisation/name, and @revision and /path if wanted"
        problem = Problem(f"{PATH}.uri", "is not a dataset's address on the hub", uri, f"write {form}")
        raise BadData(f"{uri} cannot be read", reason="SourceNotFound", problems=[problem])
    revision = match[2] or "main"
    return match[1], _SHORT.get(revision, revision), match[3] or ""


def _card(data: bytes) -> Mapping[str, Any]:
    matter = _FRONT_MATTER.match(data.decode("utf-8", "replace").replace("\r\n", "\n"))
    try:
        card = yaml.safe_load(matter[1]) if matter else {}
    except yaml.YAMLError:
        return {}
    return card if isinstance(card, dict) else {}


def _aside(chosen: Choice, source: Source, path: str) -> list[str]:
    if path:
        return []
    aside = [f"{each} of {source.uri} is not read" for each in chosen.aside[:_SHOWN]]
    return [f"split {source.split or FIRST!r}: {', '.join(chosen.names[:3])}", *aside] if aside else []


def _not_chosen(uri: str, error: NotChosen, speak: Speak) -> BadData:
    known = list(error.known[:_SHOWN])
    if error.field:
        remedy = f"{speak({error.field: known[0]})}, or one of the others" if known else ""
        problem = Problem(f"{PATH}.{error.field}", str(error), known or None, remedy)
    else:
        remedy = "give the path of a file behind the name" if known else "see its page on the hub"
        problem = Problem(f"{PATH}.uri", str(error), known or uri, remedy)
    return BadData(f"{uri} cannot be read", reason="SourceNotFound", problems=[problem])
