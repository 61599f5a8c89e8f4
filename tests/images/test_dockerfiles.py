"""The Dockerfiles as they are written: without building anything."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from container import NAMES

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "images"


@pytest.mark.parametrize("name", NAMES)
def test_hadolint_finds_nothing_and_no_rule_is_switched_off(name: str):
    path = IMAGES / name / "Dockerfile"
    done = subprocess.run(
        [Path(sys.prefix) / "bin/hadolint", "--no-color", path],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert "hadolint ignore" not in path.read_text()
    assert not [*ROOT.glob(".hadolint.y*ml")]


def test_every_image_has_a_dockerfile_and_no_other_is_there():
    assert sorted(path.parent.name for path in IMAGES.glob("*/Dockerfile")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_stage_starts_from_an_image_that_can_be_pinned_from_outside(name: str):
    text = (IMAGES / name / "Dockerfile").read_text()
    assert "\nARG BASE_IMAGE=docker.io/library/python:3.11-slim-bookworm\n" in text
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) - {"${BASE_IMAGE}"} <= (
        {"${TRAIN_IMAGE}"} if name == "tryout" else set()
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_dockerfiles_differ_only_where_they_must(name: str):
    """The lines of the merge image are in each: five copies of a text drift, and nothing else would tell."""
    lines = (IMAGES / name / "Dockerfile").read_text().splitlines()
    own = (
        "#",
        "COPY",
        "      org.opencontainers.image.description",
        "LABEL",
        "    sh /opt/tunesmith/install.sh",
        "    USER=",
        "    HOME=",
    )
    common = [
        line for line in (IMAGES / "merge/Dockerfile").read_text().splitlines() if not line.startswith(own)
    ]
    assert [line for line in common if line not in lines] == []


def test_the_tryout_pins_what_the_project_pins():
    pin = re.compile(r"^([a-z0-9-]+==[^ ;\\]+)(?:[^\n]*\\\n    --hash=\S+)+", re.MULTILINE)
    ours = {match[1]: match[0] for match in pin.finditer((IMAGES / "tryout/requirements.txt").read_text())}
    all_pins = {match[1]: match[0] for match in pin.finditer((ROOT / "requirements/dev.txt").read_text())}
    assert len(ours) > 20
    assert {name: text for name, text in ours.items() if all_pins.get(name) != text} == {}
    assert not {"torch", "transformers"} & {name.partition("==")[0] for name in ours}


def test_the_build_context_holds_code_and_requirements_only():
    allowed = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied: set[str] = set()
    for name in NAMES:
        for line in re.findall(
            r"^COPY (?!--from)(.+)$", (IMAGES / name / "Dockerfile").read_text(), re.MULTILINE
        ):
            copied.update(line.split()[:-1])
    below = {path for path in copied for root in allowed if path == root or path.startswith(f"{root}/")}
    assert copied == below
    assert {
        root for root in allowed if any(path == root or path.startswith(f"{root}/") for path in copied)
    } == allowed


def test_the_reference_page_names_every_image_and_no_other():
    page = (ROOT / "docs/reference/images.md").read_text()
    assert re.findall(r"^\| `tunesmith-([a-z]+)` \|", page, re.MULTILINE) == [
        "controller",
        "generate",
        "train",
        "merge",
        "tryout",
    ]
    assert [
        name for name in NAMES if name not in re.search(r"for image in ([a-z ]+);", page)[1].split()
    ] == []


def test_an_unknown_image_is_refused_with_the_names_that_there_are():
    done = subprocess.run([IMAGES / "build.sh", "trian"], capture_output=True, text=True, check=False)
    assert done.returncode == 64
    assert (
        done.stderr
        == "images/build.sh: no image is called trian; there are: controller generate merge train tryout\n"
    )
