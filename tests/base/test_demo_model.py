"""The demo model's folder, made here from a tiny GGUF file in place of the packaged one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_gguf import write_gguf

from tunesmith.errors import Usage
from tunesmith_jobs.base import find_base, inspect_base
from tunesmith_tryout import demo_model


@pytest.fixture
def source(tmp_path: Path, monkeypatch) -> Path:
    path = write_gguf(tmp_path / "tiny.gguf")
    monkeypatch.setattr(demo_model, "packaged", lambda: path)
    return path


def test_the_folder_is_made_once_whole_with_license_and_provenance(source: Path, tmp_path: Path, capsys):
    to = tmp_path / "models" / "demo model"
    assert demo_model.main(["--to", str(to)]) == 0
    facts = inspect_base(find_base(str(to)))
    assert facts.license.name == "apache-2.0"
    assert set(facts.license.files) == {"LICENSE", "README.md"}
    assert "Apache License" in (to / "LICENSE").read_text()
    assert json.loads((to / "converted-from.json").read_text())["sha256"] in (to / "README.md").read_text()
    assert [path.name for path in to.parent.iterdir()] == ["demo model"], "nothing unfinished is left"
    before = (to / "model.safetensors").stat().st_mtime_ns
    assert demo_model.main(["--to", str(to)]) == 0
    assert (to / "model.safetensors").stat().st_mtime_ns == before
    assert "is there already" in capsys.readouterr().out


def test_a_folder_that_holds_something_else_is_left_alone(source: Path, tmp_path: Path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years of work")
    with pytest.raises(Usage, match="full"):
        demo_model.make(tmp_path / "full")
    assert (tmp_path / "full" / "thesis.txt").exists()


def test_a_conversion_that_fails_leaves_nothing(source: Path, tmp_path: Path):
    source.write_bytes(b"not a GGUF file")
    assert demo_model.main(["--to", str(tmp_path / "demo")]) == 78
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny.gguf"]


def test_asking_for_the_packaged_file_imports_no_torch():
    code = (
        "import sys, tunesmith_tryout.demo_model as d; print(d.packaged()); sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0
    assert done.stdout.strip().endswith("SmolLM2-135M-Instruct.Q4_1.gguf")
