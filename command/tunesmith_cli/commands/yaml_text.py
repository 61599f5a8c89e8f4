"""YAML that Kubernetes and we read alike: a text that looks like a number or a boolean is quoted."""

from typing import Any

import yaml

from tunesmith.documents import scalar
from tunesmith.plain_text import needs_escapes


class _Dumper(yaml.SafeDumper):
    """Quotes more than PyYAML, whose rules leave `y` and `2e-4` as they are."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's own
        """No `*id001`: the same value twice is written twice."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    try:
        plain = scalar(value) == value
    except ValueError:
        plain = False
    style = None if plain else '"'
    if "\n" in value:
        style = "|"
    if needs_escapes(value):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def yaml_text(document: Any) -> str:
    """One document, its members in their order."""
    return str(yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120))
