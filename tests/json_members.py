"""Holds a command's JSON to the members that the docs name: none more, none less."""

import re

from tunesmith_cli.commands.json_members import DOCUMENTS


def wrong(document, which):
    """Paths that the docs do not name, and paths that they name and that are missing."""
    return sorted(_wrong(document, _tree(DOCUMENTS[which].members), ""))


def _tree(members):
    """name -> (whether it may be absent, members below)."""
    root = {}
    for path in members:
        part = root
        for step in path.split("."):
            name, optional, _ = re.fullmatch(r"(.+?)(\?)?(\[\])?", step).groups()
            part = part.setdefault(name, (bool(optional), {}))[1]
    return root


def _wrong(value, tree, path):
    if not tree or value is None:
        return
    if isinstance(value, list):
        for item in value:
            yield from _wrong(item, tree, f"{path}[]")
        return
    free = next((below for name, (_, below) in tree.items() if name.startswith("<")), None)
    for name, member in value.items():
        if name not in tree and free is None:
            yield f"{path}.{name} is not documented"
        else:
            yield from _wrong(member, tree[name][1] if name in tree else free, f"{path}.{name}")
    for name, (optional, _) in tree.items():
        if not (optional or name.startswith("<") or name in value):
            yield f"{path}.{name} is missing"
