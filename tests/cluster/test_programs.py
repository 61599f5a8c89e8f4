"""A cluster other than the project's own needs nothing that has to be built."""

import os
import subprocess
from pathlib import Path

import pytest
from cluster import programs

ROOT = Path(__file__).parents[2]


@pytest.fixture
def on_the_path(tmp_path, monkeypatch):
    """A kubectl on the PATH, while none has been built."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "kubectl").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setattr(programs, "CACHE", tmp_path / "cache")
    return tmp_path


def test_kubectl_is_taken_from_the_path_where_none_was_built(on_the_path):
    assert programs.client("kubectl") == on_the_path / "bin" / "kubectl"
    assert not programs.client("helm").exists()
    assert not programs.program("kubectl").exists(), "a control plane of our own has its own version"


def test_one_that_was_built_counts_before_it(on_the_path):
    built = on_the_path / "cache" / "bin" / "kubectl"
    built.parent.mkdir(parents=True)
    built.touch()
    assert programs.client("kubectl") == built


@pytest.mark.parametrize("kubeconfig", ["", "/somewhere/kubeconfig"], ids=["our own", "another"])
def test_make_e2e_builds_nothing_for_another_cluster(kubeconfig):
    env = os.environ | {"TUNESMITH_E2E_KUBECONFIG": kubeconfig}
    done = subprocess.run(
        ["make", "-n", "e2e"], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    assert ("build.sh" in done.stdout) is not bool(kubeconfig)
    assert ("tests/images" in done.stdout) is not bool(kubeconfig)
    assert "pytest tests/e2e" in done.stdout
