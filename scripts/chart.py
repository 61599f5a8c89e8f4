"""Writes the generated files of the chart: `python scripts/chart.py [--check]`.

values.schema.json and README.md come from the comments of values.yaml, templates/rbac/_rights.tpl from the
rights that the controller says it needs, files/crd.yaml from the models. --check writes nothing and exits
with 1, naming the files, if any is stale.

A value is described by the comment right above it. A last line `schema: {…}` there narrows what it may be
(JSON Schema, in YAML); without one the type is that of the default, and a mapping takes exactly the keys that
it has.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tunesmith.field_docs import field_docs, models_in
from tunesmith.profile import Profile
from tunesmith.request import Spec
from tunesmith_controller.rights import RIGHTS, Right

CHART = Path(__file__).resolve().parents[1] / "helm" / "tunesmith"
PROFILES = "profiles"  # the `schema:` of values whose shape is the Profile model's
TYPES = {
    "tag:yaml.org,2002:str": "string",
    "tag:yaml.org,2002:int": "integer",
    "tag:yaml.org,2002:bool": "boolean",
}
WHERE = {"requests": "requests", "lease": "release", "cluster": "cluster"}
INTRO = """\
<!-- Written by scripts/chart.py; `make chart` writes it again. -->
# The Tunesmith chart

Controller, CustomResourceDefinition, roles and profiles; and with one switch a tryout that needs no account:
an S3 server with a small model in its bucket, and a scripted teacher. Kubernetes 1.31 or newer.

```sh
helm install tunesmith helm/tunesmith --namespace tunesmith --create-namespace \\
  --set tryout.enabled=true --wait
helm test tunesmith --namespace tunesmith
kubectl apply -f examples/quickstart.yaml
```

A misspelt value fails the installation, down to the fields of a profile. `helm upgrade` changes the
CustomResourceDefinition too and never touches a request; `helm uninstall` keeps it, and every request with it
(`crds.keep`).

## Rights

The controller reads no Secret and changes no spec. *Requests*: a ClusterRole, or a Role in each of
`scope.namespaces`. *Release*: a Role in the release's namespace, for the one Lease.

"""


@dataclass(frozen=True)
class Value:
    """One value: its path, what is written about it, its default, and the JSON Schema of its comment."""

    path: str
    text: str
    node: yaml.Node
    schema: Any


class Undescribed(ValueError):
    """A value without a comment, or whose type neither the default nor the comment gives."""


def values(text: str) -> Iterator[Value]:
    """Every value of a values.yaml that has a comment of its own, in order. Raises Undescribed."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is not None:
        yield from _values(root, text.splitlines(), "")


def _values(node: yaml.Node, lines: list[str], path: str) -> Iterator[Value]:
    if not isinstance(node, yaml.MappingNode) or node.flow_style:
        return
    for key, inner in node.value:
        here = f"{path}.{key.value}".lstrip(".")
        text, schema = _comment(lines, key.start_mark.line, key.start_mark.column, here)
        yield Value(here, text, inner, schema)
        yield from _values(inner, lines, here)


def _comment(lines: list[str], line: int, column: int, path: str) -> tuple[str, Any]:
    mark = " " * column + "# "
    above: list[str] = []
    while line > 0 and lines[line - 1].startswith(mark):
        line -= 1
        above.insert(0, lines[line].removeprefix(mark))
    schema = (
        yaml.safe_load(above.pop().removeprefix("schema:"))
        if above and above[-1].startswith("schema:")
        else None
    )
    if not above:
        raise Undescribed(
            f"{path}: no comment above it; say what it means, its default, an example, the danger"
        )
    return " ".join(above), schema


def schema_of(described: list[Value]) -> dict[str, Any]:
    """The JSON Schema of all values."""
    definitions = profile_definitions()
    root: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Values of the Tunesmith chart",
        "type": "object",
        "additionalProperties": False,
        "properties": {},
    }
    places: dict[str, dict[str, Any]] = {"": root}
    for value in described:
        parent, _, name = value.path.rpartition(".")
        places[value.path] = {"description": value.text} | _shape(value)
        places[parent].setdefault("properties", {})[name] = places[value.path]
        if _is_part(places[value.path]):  # `tests: null` takes the part away, and templates read into it
            places[parent].setdefault("required", []).append(name)
    return root | {"$defs": definitions}


def _is_part(schema: dict[str, Any]) -> bool:
    """Whether a value is a mapping of this chart's own, whose members templates rely on."""
    return schema["type"] == "object" and schema.get("additionalProperties") is False


def _shape(value: Value) -> dict[str, Any]:
    if value.schema == PROFILES:
        return {"type": "object", "additionalProperties": {"$ref": "#/$defs/Profile"}}
    narrowed = value.schema or {}
    match value.node:
        case yaml.ScalarNode(tag=tag) if tag in TYPES:
            return {"type": TYPES[tag]} | narrowed
        case yaml.SequenceNode() if "items" in narrowed:
            return {"type": "array"} | narrowed
        case yaml.MappingNode(value=inner) if inner or "additionalProperties" in narrowed:
            return {"type": "object", "additionalProperties": False} | narrowed
    raise Undescribed(f"{value.path}: the default does not say what it may be; add a line `# schema: {{…}}`")


def profile_definitions() -> dict[str, Any]:
    """The models of a profile, described; `defaults` as a partial spec. The name of a profile is its key."""
    profile = _described(Profile, "#/$defs/{model}")
    spec = _described(Spec, "#/$defs/Spec.{model}")
    root = {key: part for key, part in profile.items() if key != "$defs"}
    root["properties"] = {key: part for key, part in root["properties"].items() if key != "name"}
    root["properties"]["defaults"] = {
        "$ref": "#/$defs/Spec",
        "description": root["properties"]["defaults"]["description"],
    }
    parts = {f"Spec.{name}": part for name, part in spec.pop("$defs").items()}
    parts["Spec"] = spec
    partial = {
        name: {key: field for key, field in part.items() if key != "required"} for name, part in parts.items()
    }
    return {"Profile": root, **profile["$defs"], **partial}


def _described(model: Any, template: str) -> dict[str, Any]:
    schema: dict[str, Any] = model.model_json_schema(by_alias=True, ref_template=template)
    ahead = [model]
    seen = set()
    while ahead:
        part = ahead.pop()
        if part in seen:
            continue
        seen.add(part)
        target = schema if part is model else schema["$defs"][part.__name__]
        for name, text in field_docs(part).items():
            target["properties"][name]["description"] = text
        ahead += [inner for field in part.model_fields.values() for inner in models_in(field.annotation)]
    untitled: dict[str, Any] = _untitled(schema)
    return untitled


def _untitled(schema: Any) -> Any:
    """A schema without pydantic's titles, which repeat the names. A property called `title` stays."""
    if isinstance(schema, list):
        return [_untitled(part) for part in schema]
    if isinstance(schema, dict):
        return {
            key: _untitled(part)
            for key, part in schema.items()
            if key != "title" or not isinstance(part, str)
        }
    return schema


def readme(described: list[Value]) -> str:
    """The chart's page: what it is, the rights, a table of values per part."""
    lines = ["| resource | verb | where | why |", "| --- | --- | --- | --- |"]
    lines += [
        f"| `{right.resource.name}` | {right.verb} | {WHERE[right.scope]} | {_cell(right.why)} |"
        for right in RIGHTS
    ]
    lines += ["", "## Values", ""]
    parts: dict[str, list[Value]] = {}
    for value in described:
        parts.setdefault(value.path.split(".")[0], []).append(value)
    for part, inside in parts.items():
        lines += [f"### `{part}`", "", inside[0].text, ""]
        if len(inside) == 1:
            lines += [f"Default: {_default(inside[0].node)}", ""]
            continue
        lines += ["| value | default | meaning |", "| --- | --- | --- |"]
        lines += [f"| `{row.path}` | {_default(row.node)} | {_cell(row.text)} |" for row in inside[1:]]
        lines.append("")
    return INTRO + "\n".join(lines)


def _default(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode) and node.value and not node.flow_style:
        return ""  # its parts follow
    plain = yaml.safe_load(yaml.serialize(node))
    return f"`{json.dumps(plain)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def rights_template() -> str:
    """The template with the rights in a namespace of requests, which Role and ClusterRole share."""
    verbs: dict[tuple[str, str], list[Right]] = {}
    for right in RIGHTS:
        if right.scope == "requests":
            verbs.setdefault(right.key[:2], []).append(right)
    lines = [
        "{{/* Written by scripts/chart.py from tunesmith_controller/rights.py; "
        "`make chart` writes it again. */}}",
        '{{- define "tunesmith.rights" -}}',
    ]
    for (group, resource), rights in verbs.items():
        lines += [f"# {right.verb}: {right.why}" for right in rights]
        lines += [
            f'- apiGroups: ["{group}"]',
            f"  resources: [{resource}]",
            f"  verbs: [{', '.join(right.verb for right in rights)}]",
        ]
    return "\n".join([*lines, "{{- end -}}", ""])


def crd() -> str:
    """The CustomResourceDefinition, as `tunesmith crd` prints it."""
    from typer.testing import CliRunner

    from tunesmith_cli.app import app

    return CliRunner().invoke(app, ["crd"], prog_name="tunesmith").output


def main() -> int:
    """Write the files, or with --check name those that are stale."""
    described = list(values((CHART / "values.yaml").read_text(encoding="utf-8")))
    files = {
        "values.schema.json": json.dumps(schema_of(described), indent=1, ensure_ascii=False) + "\n",
        "README.md": readme(described),
        "templates/rbac/_rights.tpl": rights_template(),
        "files/crd.yaml": crd(),
    }
    stale = [
        name
        for name, text in files.items()
        if not (CHART / name).exists() or (CHART / name).read_text(encoding="utf-8") != text
    ]
    if "--check" in sys.argv:
        if stale:
            print(f"stale in helm/tunesmith: {', '.join(stale)}; run `make chart`")
        return 1 if stale else 0
    for name in stale:
        (CHART / name).write_text(files[name], encoding="utf-8")
        print(f"wrote helm/tunesmith/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
