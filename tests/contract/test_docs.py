"""What the docs name exists, and what exists is in the docs."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tunesmith import wire
from tunesmith.crd import schema_of
from tunesmith.presets import DATA, TRAINING
from tunesmith.request import Spec
from tunesmith_controller.caches import Caches
from tunesmith_controller.decide.classify.disrupted import DISRUPTIONS
from tunesmith_controller.metrics import Metrics

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md")])


def test_there_are_pages():
    assert len(PAGES) > 10


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


FOLDERS = (
    "benchmarks|command|controller|docs|examples|helm|images|jobs|requirements|scripts|tests|tryout|tunesmith"
)
MADE = ("examples/models/", "tunesmith/runs")  # folders that commands make, here or below another folder
FOR_USERS = [page for page in PAGES if page.name != "CONTRIBUTING.md"]


@pytest.mark.parametrize("page", FOR_USERS, ids=[str(page.relative_to(ROOT)) for page in FOR_USERS])
def test_files_that_a_page_names_exist(page):
    named = re.findall(rf"`((?:{FOLDERS})/[\w./-]*)`", page.read_text(encoding="utf-8"))
    assert [name for name in named if name not in MADE and not (ROOT / name).exists()] == []


def _all_fields(schema, path=""):
    for name, field in schema.get("properties", {}).items():
        here = f"{path}.{name}".lstrip(".")
        yield here
        yield from _all_fields(field, here)


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_fields_that_a_page_names_exist(page):
    fields = set(_all_fields(schema_of(Spec)))
    parts = {"data", "training", "merge", "evaluation", "model"}
    named = re.findall(
        r"`((?:data|training|evaluation|merge|model)(?:\.[a-zA-Z0-9]+)+)", page.read_text(encoding="utf-8")
    )
    assert [
        name
        for name in named
        if name.split(".")[0] in parts and name not in fields and not name.endswith((".jsonl", ".py"))
    ] == []


@pytest.mark.parametrize("name", sorted({*DATA["original"], *TRAINING["original"]}))
def test_the_page_for_users_of_the_notebook_names_every_setting_of_the_preset(name):
    text = (ROOT / "docs/explanation/from-the-notebook.md").read_text(encoding="utf-8")
    words = re.sub(r"[^a-z0-9]", "", text.lower())
    assert name.lower() in words or name in ("loraTargetModules", "seed"), name


def test_generated_pages_are_what_the_code_gives():
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts/reference.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


WORD = re.compile(r"[A-Z][A-Za-z]+")
REASON_AT = {
    "Finding": 0,
    "finding": 0,
    "NotAccepted": 0,
    "Waiting": 0,
    "Blocker": 1,
    "Summary": 1,
}  # call -> which argument is the reason
KUBERNETES = {
    "BackoffLimitExceeded",
    "PodFailurePolicy",
}  # a Job's own reasons, passed on when its pods are gone
BUILT = {"SecretMissing", "ConfigMapMissing"}  # f"{kind}Missing"


def _words(node: ast.AST | None) -> set[str]:
    """CamelCase constants of an expression; what an f-string builds is in BUILT."""
    if node is None or isinstance(node, ast.JoinedStr):
        return set()
    parts = {part for child in ast.walk(node) if isinstance(child, ast.JoinedStr) for part in ast.walk(child)}
    words = {
        child.value for child in ast.walk(node) if isinstance(child, ast.Constant) and child not in parts
    }
    words |= {getattr(wire, child.id, None) for child in ast.walk(node) if isinstance(child, ast.Name)}
    return {value for value in words if isinstance(value, str) and WORD.fullmatch(value)}


def _reasons_of(node: ast.AST) -> set[str]:
    """Reasons that a piece of the controller gives."""
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=args) if (
            name in REASON_AT and len(args) > REASON_AT[name]
        ):
            return _words(args[REASON_AT[name]])
        case ast.Dict(keys=keys, values=values):
            return set().union(
                *(_words(value) for key, value in zip(keys, values, strict=True) if _words_is(key, "reason"))
            )
        case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
            return set().union(
                *(
                    _words(value)
                    for name, value in zip(names, values, strict=True)
                    if getattr(name, "id", "") == "reason"
                )
            )
    return set()


def _words_is(node: ast.AST | None, text: str) -> bool:
    return isinstance(node, ast.Constant) and node.value == text


def _reasons_of_the_controller() -> Iterator[str]:
    for path in (ROOT / "controller").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            yield from _reasons_of(node)
    yield from (reason for reason, _, _ in DISRUPTIONS.values())
    yield from KUBERNETES | BUILT


def test_the_reasons_of_the_controller_are_found_in_its_code():
    reasons = set(_reasons_of_the_controller())
    # One of each form: Finding(), pod.finding(), NotAccepted(), Waiting(), Blocker(), Summary(), a dict, a
    # pair, a table.
    forms = {
        "OOMKilled",
        "StartError",
        "NotAllowed",
        "WaitingForRequest",
        "WaitingForTurn",
        "FailedToCreate",
        "WaitingForQueue",
    }
    assert forms | {"GateNotPassed", "Preempted", "JobFailed"} <= reasons
    assert len(reasons) > 45


def test_every_reason_of_a_failure_is_in_the_troubleshooting_page_and_the_other_way_round():
    code = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("tunesmith", "command", "jobs")
        for path in (ROOT / folder).rglob("*.py")
    )
    reasons = set(re.findall(r'(?:reason|default_reason) ?= ?"([A-Z][A-Za-z]+)"', code)) - {"Done"}
    reasons |= set(_reasons_of_the_controller())
    page = (ROOT / "docs/how-to/troubleshooting.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| ")]
    anchors = re.findall(r'<a id="([^"]+)"></a>([A-Z][A-Za-z]+)', " ".join(rows))
    assert sorted(anchors) == sorted((reason.lower(), reason) for reason in reasons), (
        "each has an anchor, once: troubleshooting.md#oomkilled"
    )
    named = set(re.findall(r"\b[A-Z][A-Za-z]+", re.sub(r"\(.*?\)", "", " ".join(rows))))
    assert len(reasons) > 100
    assert sorted(reasons - named) == []
    assert sorted(named - reasons) == []


def _anchors(text: str) -> set[str]:
    """The anchors of a page: of its headings, as GitHub makes them, and explicit ones."""
    headings = (line.lstrip("# ").lower() for line in text.splitlines() if line.startswith("#"))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings} | set(
        re.findall(r'<a id="([^"]+)"', text)
    )


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_headings_that_links_lead_to_exist(page):
    links = re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", page.read_text(encoding="utf-8"))
    own = [
        (page.parent / target if target else page, anchor)
        for target, anchor in links
        if not target.startswith("https://")
    ]
    assert [
        anchor for there, anchor in own if anchor not in _anchors(there.read_text(encoding="utf-8"))
    ] == []


OF_CACHES = {
    "tunesmith_requests": ("phase", "profile"),
    "tunesmith_cache_objects": ("kind",),
}  # labels of metrics that are computed at a scrape


def _metrics() -> set[tuple[str, str, str]]:
    """Name, type and labels of every metric that the controller has, as Prometheus shows them."""
    metrics = Metrics()
    metrics.watch_caches(Caches(), lambda: 0, ["default"])
    rows = set()
    for family in metrics.registry.collect():
        collector = metrics.registry._names_to_collectors.get(family.name)
        labels = (
            ("version",)
            if family.type == "info"
            else OF_CACHES.get(family.name) or getattr(collector, "_labelnames", ())
        )
        suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
        rows.add(
            (f"`{family.name}{suffix}`", family.type, ", ".join(f"`{label}`" for label in labels) or "–")
        )
    return rows


def test_the_page_of_metrics_has_every_metric_with_its_type_and_labels_and_no_other():
    page = (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.split("|")[1:4]]
        for line in page.splitlines()
        if line.startswith("| `tunesmith_")
    ]
    assert {(name, kind, labels) for name, kind, labels in rows} == _metrics()
    assert len(rows) > 10


def test_every_file_of_the_docs_is_a_page_or_linked_by_one_or_test_data():
    """A picture or an example that no page shows is an orphan; test_health.py covers the test data."""
    linked = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    }
    files = [path for path in (ROOT / "docs").rglob("*") if path.is_file() and path.parent.name != "testdata"]
    assert len(files) > 25
    assert [path for path in files if path.suffix != ".md" and path not in linked] == []


def test_the_table_of_packages_in_the_page_on_architecture_has_every_package():
    page = (ROOT / "docs/explanation/architecture.md").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["importlinter"]["root_packages"]
    assert re.findall(r"^\| `(tunesmith\w*)` \|", page, re.MULTILINE) == [
        "tunesmith",
        "tunesmith_cli",
        "tunesmith_jobs",
        "tunesmith_controller",
        "tunesmith_tryout",
    ]
    assert sorted(packages) == sorted(re.findall(r"^\| `(tunesmith\w*)` \|", page, re.MULTILINE))
    built = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert sorted(Path(package).name for package in built) == sorted(packages)


def test_every_page_is_in_the_index():
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    pages = [
        page.relative_to(ROOT / "docs").as_posix()
        for page in sorted(ROOT.glob("docs/**/*.md"))
        if page.name != "README.md"
    ]
    assert len(pages) > 20
    assert [page for page in pages if f"({page})" not in index] == []


def test_the_tests_that_the_page_on_reliability_names_exist():
    page = (ROOT / "docs" / "reliability.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page)
    assert len(named) > 20
    missing = [
        f"{file}::{name}" for file, name in named if f"def {name or 'test_'}" not in (ROOT / file).read_text()
    ]
    assert missing == []
