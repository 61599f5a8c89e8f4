"""What the docs name exists, and what exists is in the docs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tunesmith.crd import schema_of
from tunesmith.presets import DATA, TRAINING
from tunesmith.request import Spec

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md")])


def test_there_are_pages():
    assert len(PAGES) > 10


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def _all_fields(schema, path=""):
    for name, field in schema.get("properties", {}).items():
        here = f"{path}.{name}".lstrip(".")
        yield here
        yield from _all_fields(field, here)


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_fields_that_a_page_names_exist(page):
    fields = set(_all_fields(schema_of(Spec)))
    parts = {"data", "training", "merge", "evaluation", "model"}
    named = re.findall(r"`((?:data|training|evaluation|merge|model)(?:\.[a-zA-Z0-9]+)+)", page.read_text(encoding="utf-8"))
    assert [name for name in named if name.split(".")[0] in parts and name not in fields and not name.endswith((".jsonl", ".py"))] == []


@pytest.mark.parametrize("name", sorted({*DATA["original"], *TRAINING["original"]}))
def test_the_page_for_users_of_the_notebook_names_every_setting_of_the_preset(name):
    text = (ROOT / "docs/explanation/from-the-notebook.md").read_text(encoding="utf-8")
    words = re.sub(r"[^a-z0-9]", "", text.lower())
    assert name.lower() in words or name in ("loraTargetModules", "seed"), name


def test_generated_pages_are_what_the_code_gives():
    done = subprocess.run([sys.executable, str(ROOT / "scripts/reference.py"), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_reason_of_a_failure_is_in_the_troubleshooting_page_and_the_other_way_round():
    code = "".join(path.read_text(encoding="utf-8") for folder in ("tunesmith", "jobs") for path in (ROOT / folder).rglob("*.py"))
    reasons = set(re.findall(r'(?:reason|default_reason) ?= ?"([A-Z][A-Za-z]+)"', code)) - {"Done"}
    page = (ROOT / "docs/how-to/troubleshooting.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| ")]
    said = set(re.findall(r"\b[A-Z][A-Za-z]+", re.sub(r"\(.*?\)", "", " ".join(rows))))
    assert len(reasons) > 50
    assert sorted(reasons - said) == []
    assert sorted(said - reasons) == []
