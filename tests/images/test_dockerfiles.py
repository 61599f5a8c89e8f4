"""The Dockerfile as it is written: without building anything."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from container import NAMES

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "images"
DOCKERFILE = (IMAGES / "Dockerfile").read_text(encoding="utf-8")
SHARED = ("uv", "common", "model")  # stages that are not images of their own
STAGES = {  # name -> its text, FROM included
    re.search(r" AS (\w+)\n", text)[1]: text
    for text in re.findall(r"^FROM .*?(?=^FROM |\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL)
}
REQUIREMENTS = {name: f"requirements/{name}.txt" for name in NAMES} | {
    "tryout": "images/tryout/requirements.txt"
}


def test_hadolint_finds_nothing_and_no_rule_is_switched_off():
    done = subprocess.run(
        [Path(sys.prefix) / "bin/hadolint", "--no-color", IMAGES / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert "hadolint ignore" not in DOCKERFILE
    assert not [*ROOT.glob(".hadolint.y*ml")]


def test_every_image_is_a_target_of_the_one_dockerfile():
    assert sorted(STAGES) == sorted([*NAMES, *SHARED])
    assert [*IMAGES.rglob("*Dockerfile*")] == [IMAGES / "Dockerfile"]


def test_every_stage_starts_from_an_image_that_can_be_pinned_from_outside():
    assert "\nARG BASE_IMAGE=docker.io/library/python:3.11-slim-bookworm\n" in DOCKERFILE
    parents = {name: text.split()[1] for name, text in STAGES.items()}
    assert parents == dict.fromkeys(NAMES, "common") | {
        "uv": "${BASE_IMAGE}",
        "common": "${BASE_IMAGE}",
        "model": "train",
    }


@pytest.mark.parametrize("name", NAMES)
def test_an_image_installs_its_own_requirements_and_ends_as_a_user_who_owns_nothing(name: str):
    """Each target repeats these steps, and nothing else would notice if the copies drifted apart."""
    text = STAGES[name]
    file = REQUIREMENTS[name]
    assert re.search(rf"^COPY {re.escape(file)} /opt/tunesmith/$", text, re.MULTILINE)
    assert text.count(f"    sh /opt/tunesmith/install.sh /opt/tunesmith/{Path(file).name}\n") == 1
    steps = [line for line in text.splitlines() if line.startswith(("RUN", "    --mount"))]
    common = [line for line in STAGES["merge"].splitlines() if line.startswith(("RUN", "    --mount"))]
    assert steps == common
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["10001:10001"]
    assert f'org.opencontainers.image.title="tunesmith-{name}"' in text


def test_the_inputs_by_which_an_image_is_up_to_date_are_what_its_stage_copies():
    """build.sh lists them by hand. If a file were missing, an edit of it would not rebuild the image."""
    script = (IMAGES / "build.sh").read_text(encoding="utf-8")
    inputs = re.search(r"^inputs\(\) \{.*?^\}", script, re.MULTILINE | re.DOTALL)[0]
    for name in NAMES:
        done = subprocess.run(
            ["bash", "-c", f'{inputs}; inputs "$1"', "bash", name],
            capture_output=True,
            text=True,
            check=True,
        )
        listed = done.stdout.split()
        stages = [name, "common", "uv", *(["model"] if name == "tryout" else [])]
        copied = {path for stage in stages for path in copied_by(STAGES[stage])}
        assert [path for path in listed if not (ROOT / path).exists()] == []
        assert [path for path in copied if not covered(path, listed)] == []


def test_the_scripted_teacher_can_be_imported_from_what_its_image_copies(tmp_path: Path):
    """The image takes single files of generate; a new import of one of them would end its teacher."""
    for path in copied_by(STAGES["tryout"]):
        if path.split("/")[0] in ("tunesmith", "jobs", "tryout"):
            target = tmp_path / path.removeprefix("jobs/").removeprefix("tryout/")
            if (ROOT / path).is_dir():
                shutil.copytree(ROOT / path, target)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / path, target)
    done = subprocess.run(
        [sys.executable, "-c", "import tunesmith_tryout.scripted_teacher.server as it; print(it.__file__)"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.startswith(str(tmp_path))


def copied_by(text: str) -> list[str]:
    lines = re.findall(r"^COPY (?!--from)(.+)$", text.replace("\\\n", ""), re.MULTILINE)
    return [path for line in lines for path in line.split()[:-1]]


def covered(path: str, roots: list[str] | set[str]) -> bool:
    return any(path == root or path.startswith(f"{root}/") for root in roots)


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
    copied = set(copied_by(DOCKERFILE))
    assert [path for path in copied if not covered(path, allowed)] == []
    assert [root for root in allowed if not any(covered(path, {root}) for path in copied)] == []


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
